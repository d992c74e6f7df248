/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/kafka/consumer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared/base/clock.h"
#include "shared/kafka/consumer_impl.h"
#include "shared/kafka/metadata.h"

enum {
    START_WAIT_MS = 2000, /* of an assignment, for all that is asked */
    START_RETRY_MS = 20,
    START_AGAIN_MS = 2000, /* what could not be asked is asked again */
    MISSING_FIRST_MS = 50, /* the same of topics that are not there yet */
    MISSING_MAX_MS = 2000,
    DESTROY_WITHIN_MS = 500
};

/* ------------------------------------------------------------------ where partitions begin */

/*
 * Asks for the partitions' ends, or for what the group stored. Each gets its offset or an error; how many have an
 * error.
 */
static int ask_offsets(struct tl_consumer *c, rd_kafka_topic_partition_list_t *list, int wait_ms)
{
    rd_kafka_resp_err_t code;
    int unknown = 0;

    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = c->from_stored ? RD_KAFKA_OFFSET_INVALID : RD_KAFKA_OFFSET_END;
    code = c->from_stored ? rd_kafka_committed(c->rk, list, wait_ms)
                          : rd_kafka_offsets_for_times(c->rk, list, wait_ms);
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *tp = &list->elems[i];

        if (code && !tp->err)
            tp->err = code;
        else if (!tp->err && tp->offset < 0 && c->from_stored)
            tp->offset = RD_KAFKA_OFFSET_BEGINNING; /* nothing was ever stored */
        else if (!tp->err && tp->offset < 0)
            tp->err = RD_KAFKA_RESP_ERR__NO_OFFSET;
        unknown += tp->err != RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    return unknown;
}

/* Its leader, -1 for none; -2 when the partition is not known. */
static int32_t leader_of(const struct tl_metadata *m, const rd_kafka_topic_partition_t *tp)
{
    const rd_kafka_metadata_topic_t *topic = tl_metadata_topic(m, tp->topic);

    for (int p = 0; topic && p < topic->partition_cnt; p++)
        if (topic->partitions[p].id == tp->partition)
            return topic->partitions[p].leader;
    return -2;
}

/*
 * Of `all`, whose topics are known to librdkafka, those that it makes sense to ask for, and are to be had: one without a
 * leader would have the others' answers wait for it. NULL when memory is short.
 */
static rd_kafka_topic_partition_list_t *askable(struct tl_consumer *c,
                                                const rd_kafka_topic_partition_list_t *all,
                                                struct tl_error *why)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(all->cnt);
    struct tl_metadata metadata;
    bool known = tl_metadata_ask(&metadata, c->rk, false, START_WAIT_MS, why) == 0;

    for (int i = 0; known && i < all->cnt; i++) {
        const rd_kafka_topic_partition_t *tp = &all->elems[i];
        int32_t leader = leader_of(&metadata, tp);

        if (leader >= 0 || (leader == -1 && c->from_stored))
            rd_kafka_topic_partition_list_add(list, tp->topic, tp->partition);
        else
            tl_fail(why, TL_E_AGAIN, "%s [%d] %s", tp->topic, tp->partition,
                    leader == -1 ? "has no leader" : "is not there");
    }
    if (known)
        tl_metadata_release(&metadata);
    return list;
}

/*
 * Of `all`, those that can begin, with their offsets. These are given to librdkafka as numbers, whether they are where
 * the group stood or, when the caller is to seek, the end: until then nothing is to come but what is new. With
 * RD_KAFKA_OFFSET_END librdkafka would ask for it itself, and a seek while that answer is on its way is undone
 * without a word when it comes (2.0.2): the partition goes on at its end, and what stands before is never seen.
 * And what is stored but deleted meanwhile could not be told from what was never stored. So one whose offset can't
 * be asked now, such as while its leader is being elected, waits. `why`: the last of the reasons.
 */
static rd_kafka_topic_partition_list_t *can_begin(struct tl_consumer *c,
                                                  const rd_kafka_topic_partition_list_t *all,
                                                  struct tl_error *why)
{
    const struct timespec pause = {.tv_nsec = START_RETRY_MS * 1000000L};
    int64_t deadline = tl_clock_ms() + START_WAIT_MS, left = START_WAIT_MS;
    rd_kafka_topic_partition_list_t *list = askable(c, all, why);

    /* Topics that were made a moment ago may not have their leaders yet. */
    while (list->cnt && ask_offsets(c, list, (int)left) && (left = deadline - tl_clock_ms()) > 0)
        nanosleep(&pause, NULL);
    for (int i = list->cnt - 1; i >= 0; i--) {
        const rd_kafka_topic_partition_t *tp = &list->elems[i];

        if (!tp->err)
            continue;
        tl_fail(why, TL_E_AGAIN, "where to begin in %s [%d] is not known: %s", tp->topic, tp->partition,
                rd_kafka_err2str(tp->err));
        rd_kafka_topic_partition_list_del_by_idx(list, i);
    }
    return list;
}

/* ------------------------------------------------------------------ assignments */

/* Has the partition's messages go where its owner wants them. False: nobody takes them now. */
static bool hand_over(struct tl_consumer *c, rd_kafka_topic_partition_t *tp)
{
    rd_kafka_queue_t *from = rd_kafka_queue_get_partition(c->rk, tp->topic, tp->partition);
    struct tl_kqueue *to;

    if (!from) {
        c->events.trouble(c->events.app, tp->topic, tp->partition, "is not known to the Kafka client");
        return false;
    }
    to = c->events.assigned(c->events.app, tp->topic, tp->partition, &tp->offset);
    if (to)
        rd_kafka_queue_forward(from, to->rd);
    rd_kafka_queue_destroy(from);
    return to != NULL;
}

/* Says it once for each topic. begun is sorted. */
static void tell_waiting(struct tl_consumer *c, const rd_kafka_topic_partition_list_t *begun,
                         const struct tl_error *why)
{
    const char *told = "";

    for (int i = 0; i < c->given->cnt; i++) {
        const rd_kafka_topic_partition_t *tp = &c->given->elems[i];

        if (strcmp(told, tp->topic) == 0 || tl_partitions_have(begun, tp))
            continue;
        told = tp->topic;
        c->events.waits(c->events.app, tp->topic, tp->partition, why->text);
    }
}

/*
 * Begins what is given and can begin. All queues are set before anything can come: what comes earlier would end in the
 * member's own queue, where nobody looks for messages, or in one that was freed with an earlier assignment. One that
 * its owner can't take, for want of descriptors, say, waits with those that can't begin.
 */
static void begin(struct tl_consumer *c, rd_kafka_topic_partition_list_t *list, struct tl_error *why)
{
    rd_kafka_topic_partition_list_t *taken = rd_kafka_topic_partition_list_new(list->cnt);
    rd_kafka_resp_err_t code;

    rd_kafka_topic_partition_list_sort(list, NULL, NULL);
    tl_left_release(&c->left, list);
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *tp = &list->elems[i];

        if (hand_over(c, tp))
            rd_kafka_topic_partition_list_add(taken, tp->topic, tp->partition)->offset = tp->offset;
        else
            tl_fail(why, TL_E_AGAIN, "%s [%d] can't be served now", tp->topic, tp->partition);
    }
    /* That one is paused outlives its assignment, and that of the next one after it. */
    if (c->paused)
        rd_kafka_resume_partitions(c->rk, taken);
    code = rd_kafka_assign(c->rk, taken);
    if (code)
        c->events.trouble(c->events.app, NULL, -1, rd_kafka_err2str(code));
    c->incomplete = taken->cnt < c->given->cnt;
    c->again = tl_clock_ms() + START_AGAIN_MS;
    if (c->incomplete) {
        rd_kafka_topic_partition_list_sort(taken, NULL, NULL);
        tell_waiting(c, taken, why);
    }
    rd_kafka_topic_partition_list_destroy(taken);
}

/*
 * Calls `with` while all topics of the list are known to librdkafka: one that is not has no queues, and it forgets those
 * that nobody uses.
 */
static void with_topics(struct tl_consumer *c, rd_kafka_topic_partition_list_t *list,
                        void (*with)(struct tl_consumer *c, rd_kafka_topic_partition_list_t *list))
{
    rd_kafka_topic_t **topics = calloc((size_t)list->cnt + 1, sizeof *topics);

    for (int i = 0; topics && i < list->cnt; i++)
        if (i == 0 || strcmp(list->elems[i].topic, list->elems[i - 1].topic) != 0)
            topics[i] = rd_kafka_topic_new(c->rk, list->elems[i].topic, NULL);
    with(c, list);
    for (int i = 0; topics && i < list->cnt; i++)
        if (topics[i])
            rd_kafka_topic_destroy(topics[i]);
    free(topics);
}

static void begin_all(struct tl_consumer *c, rd_kafka_topic_partition_list_t *list)
{
    struct tl_error why = {0};
    rd_kafka_topic_partition_list_t *begun = can_begin(c, list, &why);

    begin(c, begun, &why);
    rd_kafka_topic_partition_list_destroy(begun);
}

static void stop_all(struct tl_consumer *c, const rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t code;

    if (c->events.revoking && list && list->cnt)
        c->events.revoking(c->events.app);
    for (int i = 0; list && i < list->cnt; i++) {
        c->events.revoked(c->events.app, list->elems[i].topic, list->elems[i].partition);
        tl_left_add(&c->left, c->rk, &list->elems[i]);
    }
    code = rd_kafka_assign(c->rk, NULL);
    if (code)
        tl_warn(c->log, "kafka", "unassign: %s", rd_kafka_err2str(code));
}

static void begin_anew(struct tl_consumer *c, rd_kafka_topic_partition_list_t *list)
{
    stop_all(c, list);
    begin_all(c, list);
}

/*
 * When some of what waits can begin, all begins anew: the group's protocol is eager, so librdkafka takes assignments
 * as a whole, and whoever works on them knows that case.
 */
static void begin_rest(struct tl_consumer *c, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_partition_list_t *rest = rd_kafka_topic_partition_list_new(list->cnt);
    rd_kafka_topic_partition_list_t *now, *begun;
    struct tl_error why = {0};

    if (rd_kafka_assignment(c->rk, &begun)) {
        rd_kafka_topic_partition_list_destroy(rest);
        return;
    }
    rd_kafka_topic_partition_list_sort(begun, NULL, NULL);
    for (int i = 0; i < list->cnt; i++)
        if (!tl_partitions_have(begun, &list->elems[i]))
            rd_kafka_topic_partition_list_add(rest, list->elems[i].topic, list->elems[i].partition);
    now = can_begin(c, rest, &why);
    if (now->cnt) {
        begin_anew(c, list);
    } else {
        tell_waiting(c, begun, &why);
    }
    rd_kafka_topic_partition_list_destroy(now);
    rd_kafka_topic_partition_list_destroy(begun);
    rd_kafka_topic_partition_list_destroy(rest);
}

static void free_list(rd_kafka_topic_partition_list_t *list)
{
    if (list)
        rd_kafka_topic_partition_list_destroy(list);
}

static void forget_given(struct tl_consumer *c)
{
    free_list(c->given);
    c->given = NULL;
    c->incomplete = false;
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *list,
                         void *opaque)
{
    struct tl_consumer *c = opaque;

    (void)rk;
    forget_given(c);
    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
        c->given = rd_kafka_topic_partition_list_copy(list);
        atomic_store(&c->anew, false);
        with_topics(c, c->given, begin_all);
    } else {
        stop_all(c, list);
    }
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct tl_consumer *c = opaque;

    (void)rk;
    tl_debug(c->log, "kafka", "%s: %s", rd_kafka_err2name(code), reason);
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__AUTHENTICATION)
        c->events.trouble(c->events.app, NULL, -1, reason);
}

static int set_own(rd_kafka_conf_t *rd, const struct tl_kafka_conf *conf, const struct tl_consumer_options *o,
                   struct tl_error *err)
{
    size_t kbytes = o->queue_bytes / 1024;
    int fetch_wait_ms = tl_kafka_conf_get(conf, "fetch.wait.max.ms") ? 0 : o->fetch_wait_ms;

    if (tl_rdkafka_set(rd, "group.id", o->group, err) || tl_rdkafka_set(rd, "client.id", o->client_id, err) ||
        tl_rdkafka_set(rd, "enable.auto.offset.store", "false", err) ||
        tl_rdkafka_set(rd, "enable.auto.commit", "true", err) ||
        tl_rdkafka_set(rd, "auto.commit.interval.ms", "1000", err) ||
        tl_rdkafka_set(rd, "auto.offset.reset", "error", err) ||
        /* cooperative-sticky is not sound in 2.0.2 */
        tl_rdkafka_set(rd, "partition.assignment.strategy", "range", err) ||
        tl_rdkafka_set(rd, "session.timeout.ms", "6000", err) ||
        tl_rdkafka_set(rd, "heartbeat.interval.ms", "1000", err) ||
        tl_rdkafka_set(rd, "reconnect.backoff.max.ms", "1000", err) ||
        tl_rdkafka_set(rd, "socket.nagle.disable", "true", err) ||
        tl_rdkafka_set_int(rd, "queued.max.messages.kbytes", (long long)kbytes, err) ||
        tl_rdkafka_set_int(rd, "fetch.message.max.bytes", 1024 * 1024, err) ||
        tl_rdkafka_set_int(rd, "fetch.max.bytes", TL_MESSAGE_MAX, err) ||
        tl_rdkafka_set_int(rd, "receive.message.max.bytes", 2 * TL_MESSAGE_MAX + 4096, err) ||
        (fetch_wait_ms && tl_rdkafka_set_int(rd, "fetch.wait.max.ms", fetch_wait_ms, err)) ||
        tl_rdkafka_set(rd, "fetch.error.backoff.ms", "100", err))
        return -1;
    /* Before 2.2 a full queue is looked at again after a second: queue_bytes is to hold that much work. */
    tl_rdkafka_set_if_known(rd, "fetch.queue.backoff.ms", "10");
    return 0;
}

struct tl_consumer *tl_consumer_new(const struct tl_kafka_conf *conf,
                                    const struct tl_consumer_options *options,
                                    const struct tl_consumer_events *events, struct tl_log *log,
                                    struct tl_error *err)
{
    struct tl_consumer *c = calloc(1, sizeof *c);
    rd_kafka_conf_t *rd;

    if (!c) {
        tl_fail_nomem(err);
        return NULL;
    }
    c->log = log;
    c->events = *events;
    c->from_stored = options->from_stored;
    rd = tl_rdkafka_conf(conf, log, err);
    if (!rd || set_own(rd, conf, options, err)) {
        if (rd)
            rd_kafka_conf_destroy(rd);
        free(c);
        return NULL;
    }
    rd_kafka_conf_set_rebalance_cb(rd, on_rebalance);
    rd_kafka_conf_set_error_cb(rd, on_error);
    c->rk = tl_rdkafka_consumer(rd, c, err);
    if (!c->rk) {
        free(c);
        return NULL;
    }
    c->own = rd_kafka_queue_get_consumer(c->rk);
    return c;
}

int tl_consumer_subscribe(struct tl_consumer *c, const char *const *topics, size_t n, struct tl_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);

    if (!list)
        return tl_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(list, topics[i], RD_KAFKA_PARTITION_UA);
    free_list(c->wanted);
    c->wanted = list;
    c->missing = true;
    c->missing_again = 0;
    c->missing_pause = MISSING_FIRST_MS;
    return 0;
}

static bool same_topics(const rd_kafka_topic_partition_list_t *a, const rd_kafka_topic_partition_list_t *b)
{
    if (!a || !b || a->cnt != b->cnt)
        return false;
    for (int i = 0; i < a->cnt; i++)
        if (strcmp(a->elems[i].topic, b->elems[i].topic) != 0)
            return false;
    return true;
}

/* Subscribes to those of the wanted topics that are there. */
static int subscribe(struct tl_consumer *c, const struct tl_metadata *metadata, struct tl_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(c->wanted->cnt);
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR_NO_ERROR;

    for (int i = 0; i < c->wanted->cnt; i++) {
        const char *name = c->wanted->elems[i].topic;
        const rd_kafka_metadata_topic_t *topic = tl_metadata_topic(metadata, name);

        if (topic && !topic->err && topic->partition_cnt)
            rd_kafka_topic_partition_list_add(list, name, RD_KAFKA_PARTITION_UA);
    }
    c->missing = list->cnt < c->wanted->cnt;
    if (!same_topics(list, c->subscribed)) {
        code = list->cnt ? rd_kafka_subscribe(c->rk, list) : rd_kafka_unsubscribe(c->rk);
        free_list(c->subscribed);
        c->subscribed = list;
        list = NULL;
    }
    free_list(list);
    return code ? tl_rdkafka_fail(err, code, "subscribing", NULL) : 0;
}

/*
 * A topic that was made a moment ago may not be known to every broker yet. librdkafka would look for it again minutes
 * later, or join the group anew for each that it finds: so it is told only of those that are there, as many at a time
 * as have come meanwhile.
 */
static void look_for_topics(struct tl_consumer *c)
{
    struct tl_metadata metadata;
    struct tl_error err;
    int rc = tl_metadata_ask(&metadata, c->rk, true, START_WAIT_MS, &err);

    if (!rc) {
        rc = subscribe(c, &metadata, &err);
        tl_metadata_release(&metadata);
    }
    if (rc) {
        tl_debug(c->log, "kafka", "%s", err.text);
        c->missing = true;
    }
    c->missing_again = tl_clock_ms() + c->missing_pause;
    c->missing_pause = TL_MIN(2 * c->missing_pause, MISSING_MAX_MS);
}

void tl_consumer_begin_anew(struct tl_consumer *c)
{
    atomic_store(&c->anew, true);
    tl_consumer_wake(c);
}

void tl_consumer_wake(struct tl_consumer *c)
{
    rd_kafka_queue_yield(c->own);
}

static rd_kafka_message_t *wait_for_event(struct tl_consumer *c, int wait_ms)
{
    bool anew = atomic_load(&c->anew);
    int64_t now = c->incomplete || anew || c->missing ? tl_clock_ms() : 0;

    if (c->incomplete || (anew && c->given))
        wait_ms = TL_MAX(0, TL_MIN(wait_ms, (int)(c->again - now)));
    if (c->missing)
        wait_ms = TL_MAX(0, TL_MIN(wait_ms, (int)(c->missing_again - now)));
    return rd_kafka_consumer_poll(c->rk, wait_ms);
}

int tl_consumer_poll(struct tl_consumer *c, int wait_ms, struct tl_error *err)
{
    rd_kafka_message_t *m;
    char text[256];
    rd_kafka_resp_err_t code;
    bool stray;

    tl_consumer_wake_brokers(c);
    m = wait_for_event(c, wait_ms);
    code = rd_kafka_fatal_error(c->rk, text, sizeof text);
    stray = m && !m->err;
    /* Another broker does not know a topic yet: asking for all has librdkafka look at its subscription again. */
    if (m && m->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART && !c->missing) {
        c->missing = true;
        c->missing_again = tl_clock_ms() + c->missing_pause;
    }
    if (m && m->err)
        tl_consumer_say(c, m);
    if (m)
        rd_kafka_message_destroy(m);
    tl_left_tidy(&c->left);
    if (c->missing && c->wanted && tl_clock_ms() >= c->missing_again)
        look_for_topics(c);
    /* All go to the workers' queues; one that does not would be lost without a trace. */
    if ((c->incomplete || atomic_load(&c->anew)) && c->given && tl_clock_ms() >= c->again) {
        with_topics(c, c->given, atomic_exchange(&c->anew, false) ? begin_anew : begin_rest);
        c->again = tl_clock_ms() + START_AGAIN_MS;
    }
    if (stray)
        return tl_fail(err, TL_E_FATAL, "a message came outside of its partition's queue");
    if (code)
        return tl_fail(err, TL_E_FATAL, "the Kafka consumer can't go on: %s: %s", rd_kafka_err2name(code),
                       text);
    return 0;
}

int tl_consumer_close(struct tl_consumer *c, struct tl_error *err)
{
    rd_kafka_resp_err_t code;

    /* A subscription that waits for a rebalance would be taken up again by 2.0.2 while it ends, which then aborts. */
    code = rd_kafka_unsubscribe(c->rk);
    if (code)
        tl_warn(c->log, "kafka", "unsubscribing: %s", rd_kafka_err2str(code));
    code = rd_kafka_consumer_close(c->rk);

    return code ? tl_rdkafka_fail(err, code, "leaving the consumer group", NULL) : 0;
}

void tl_consumer_free(struct tl_consumer *c)
{
    struct tl_log *log;

    if (!c)
        return;
    log = c->log;
    tl_left_end(&c->left);
    rd_kafka_queue_destroy(c->own);
    free_list(c->wanted);
    free_list(c->subscribed);
    free_list(c->woken);
    forget_given(c);
    if (!tl_rdkafka_destroy(c->rk, DESTROY_WITHIN_MS, c))
        tl_warn(log, "kafka", "a consumer that has left its group can't be cleared away yet");
}
