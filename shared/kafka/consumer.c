/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/kafka/consumer.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "shared/base/clock.h"
#include "shared/kafka/rdkafka_util.h"

enum { START_WAIT_MS = 15000, START_RETRY_MS = 20 };

struct tl_consumer {
    struct tl_log *log; /* first: on_log of rdkafka_util.c finds it through the client's opaque pointer */
    rd_kafka_t *rk;
    struct tl_consumer_events events;
    bool from_stored;
};

struct tl_kqueue {
    rd_kafka_queue_t *rd;
    struct tl_consumer *consumer; /* borrowed */
};

/* Asks for the partitions' ends, or for what the group stored; how many are not known. */
static int ask_offsets(struct tl_consumer *c, rd_kafka_topic_partition_list_t *list,
                       rd_kafka_resp_err_t *code)
{
    int unknown = 0;

    for (int i = 0; i < list->cnt; i++)
        list->elems[i].offset = c->from_stored ? RD_KAFKA_OFFSET_INVALID : RD_KAFKA_OFFSET_END;
    *code = c->from_stored ? rd_kafka_committed(c->rk, list, START_WAIT_MS)
                           : rd_kafka_offsets_for_times(c->rk, list, START_WAIT_MS);
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *tp = &list->elems[i];

        if (*code && !tp->err)
            tp->err = *code;
        else if (!tp->err && tp->offset < 0 && c->from_stored)
            tp->offset = RD_KAFKA_OFFSET_BEGINNING; /* nothing was ever stored */
        else if (!tp->err && tp->offset < 0)
            tp->err = RD_KAFKA_RESP_ERR__NO_OFFSET;
        unknown += tp->err != RD_KAFKA_RESP_ERR_NO_ERROR;
    }
    return unknown;
}

/*
 * Offsets are given as numbers, whether they are where the group stood or, when the caller is to seek, the end:
 * until then nothing is to come but what is new. With RD_KAFKA_OFFSET_END librdkafka would ask for it itself,
 * and a seek while that answer is on its way is undone without a word when it comes (2.0.2): the partition goes
 * on at its end, and what stands before is never seen. And what is stored but deleted meanwhile could not be
 * told from what was never stored.
 */
static void start_at(struct tl_consumer *c, rd_kafka_topic_partition_list_t *list)
{
    const struct timespec pause = {.tv_nsec = START_RETRY_MS * 1000000L};
    int64_t deadline = tl_clock_ms() + START_WAIT_MS;
    rd_kafka_resp_err_t code;

    /* Topics that were made a moment ago may not have their leaders yet. */
    while (ask_offsets(c, list, &code) && tl_clock_ms() < deadline)
        nanosleep(&pause, NULL);
    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_partition_t *tp = &list->elems[i];

        if (!tp->err)
            continue;
        tl_warn(c->log, "kafka", "%s [%d]: where to begin is not known: %s", tp->topic, tp->partition,
                rd_kafka_err2str(tp->err));
        /* What is done twice does no harm; what a seek of the caller's is to follow begins anywhere. */
        tp->offset = c->from_stored ? RD_KAFKA_OFFSET_BEGINNING : RD_KAFKA_OFFSET_END;
        tp->err = RD_KAFKA_RESP_ERR_NO_ERROR;
    }
}

/*
 * Has the partition's messages go where its owner wants them. A partition that is not known to librdkafka yet
 * has no queue to begin with: `topic` makes it known, and is to be kept until it is assigned.
 */
static void hand_over(struct tl_consumer *c, rd_kafka_topic_t *topic, const rd_kafka_topic_partition_t *tp)
{
    rd_kafka_queue_t *from = rd_kafka_queue_get_partition(c->rk, tp->topic, tp->partition);
    const struct rd_kafka_metadata *metadata;
    struct tl_kqueue *to;

    if (!from && topic &&
        rd_kafka_metadata(c->rk, 0, topic, &metadata, START_WAIT_MS) == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_metadata_destroy(metadata);
        from = rd_kafka_queue_get_partition(c->rk, tp->topic, tp->partition);
    }
    if (!from) {
        c->events.trouble(c->events.app, tp->topic, tp->partition, "is not known to the Kafka client");
        return;
    }
    to = c->events.assigned(c->events.app, tp->topic, tp->partition);
    if (to)
        rd_kafka_queue_forward(from, to->rd);
    rd_kafka_queue_destroy(from);
}

/*
 * All queues are set before anything can come: what comes earlier would end in the member's own queue, where
 * nobody looks for messages, or in one that was freed with an earlier assignment.
 */
static void assign(struct tl_consumer *c, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_topic_t **topics = calloc((size_t)list->cnt + 1, sizeof *topics);
    rd_kafka_resp_err_t code;

    for (int i = 0; i < list->cnt; i++) {
        rd_kafka_topic_t *topic = rd_kafka_topic_new(c->rk, list->elems[i].topic, NULL);

        hand_over(c, topic, &list->elems[i]);
        if (topics)
            topics[i] = topic;
    }
    start_at(c, list);
    code = rd_kafka_assign(c->rk, list);
    if (code)
        c->events.trouble(c->events.app, NULL, -1, rd_kafka_err2str(code));
    for (int i = 0; topics && i < list->cnt; i++)
        if (topics[i])
            rd_kafka_topic_destroy(topics[i]);
    free(topics);
}

static void revoke(struct tl_consumer *c, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t code;

    for (int i = 0; i < list->cnt; i++)
        c->events.revoked(c->events.app, list->elems[i].topic, list->elems[i].partition);
    code = rd_kafka_assign(c->rk, NULL);
    if (code)
        tl_warn(c->log, "kafka", "unassign: %s", rd_kafka_err2str(code));
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t what, rd_kafka_topic_partition_list_t *list,
                         void *opaque)
{
    struct tl_consumer *c = opaque;

    (void)rk;
    if (what == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS)
        assign(c, list);
    else
        revoke(c, list);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct tl_consumer *c = opaque;

    (void)rk;
    tl_debug(c->log, "kafka", "%s: %s", rd_kafka_err2name(code), reason);
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__AUTHENTICATION)
        c->events.trouble(c->events.app, NULL, -1, reason);
}

static int set_own(rd_kafka_conf_t *rd, const struct tl_consumer_options *o, struct tl_error *err)
{
    size_t kbytes = o->queue_bytes / 1024;

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
    if (!rd || set_own(rd, options, err)) {
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
    return c;
}

int tl_consumer_subscribe(struct tl_consumer *c, const char *const *topics, size_t n, struct tl_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)n);
    rd_kafka_resp_err_t code;

    if (!list)
        return tl_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        rd_kafka_topic_partition_list_add(list, topics[i], RD_KAFKA_PARTITION_UA);
    code = n ? rd_kafka_subscribe(c->rk, list) : rd_kafka_unsubscribe(c->rk);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? tl_rdkafka_fail(err, code, "subscribing", NULL) : 0;
}

static void tell(struct tl_consumer *c, const rd_kafka_message_t *m)
{
    tl_info(c->log, "kafka", "consumer: %s", rd_kafka_message_errstr(m));
}

int tl_consumer_poll(struct tl_consumer *c, int wait_ms, struct tl_error *err)
{
    rd_kafka_message_t *m = rd_kafka_consumer_poll(c->rk, wait_ms);
    char text[256];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(c->rk, text, sizeof text);

    bool stray = m && !m->err;

    if (m && m->err)
        tell(c, m);
    if (m)
        rd_kafka_message_destroy(m);
    /* All go to the workers' queues; one that does not would be lost without a trace. */
    if (stray)
        return tl_fail(err, TL_E_FATAL, "a message came outside of its partition's queue");
    if (code)
        return tl_fail(err, TL_E_FATAL, "the Kafka consumer can't go on: %s: %s", rd_kafka_err2name(code),
                       text);
    return 0;
}

int tl_consumer_close(struct tl_consumer *c, struct tl_error *err)
{
    rd_kafka_resp_err_t code = rd_kafka_consumer_close(c->rk);

    return code ? tl_rdkafka_fail(err, code, "leaving the consumer group", NULL) : 0;
}

void tl_consumer_free(struct tl_consumer *c)
{
    if (!c)
        return;
    rd_kafka_destroy(c->rk);
    free(c);
}

static rd_kafka_topic_partition_list_t *one_partition(const char *topic, int32_t partition, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    if (list)
        rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    return list;
}

int tl_consumer_seek(struct tl_consumer *c, const char *topic, int32_t partition, int64_t offset,
                     struct tl_error *err)
{
    enum { SEEK_WAIT_MS = 1000 };
    rd_kafka_topic_partition_list_t *list = one_partition(topic, partition, offset);
    rd_kafka_error_t *failed;
    rd_kafka_resp_err_t code;

    if (!list)
        return tl_fail_nomem(err);
    failed = rd_kafka_seek_partitions(c->rk, list, SEEK_WAIT_MS);
    code = failed ? rd_kafka_error_code(failed) : list->elems[0].err;
    if (failed)
        rd_kafka_error_destroy(failed);
    rd_kafka_topic_partition_list_destroy(list);
    if (code)
        return tl_fail(err, TL_E_AGAIN, "seeking in %s [%d]: %s", topic, partition, rd_kafka_err2str(code));
    return 0;
}

int tl_consumer_store(struct tl_consumer *c, const char *topic, int32_t partition, int64_t next,
                      struct tl_error *err)
{
    rd_kafka_topic_partition_list_t *list = one_partition(topic, partition, next);
    rd_kafka_resp_err_t code;

    if (!list)
        return tl_fail_nomem(err);
    code = rd_kafka_offsets_store(c->rk, list);
    if (!code)
        code = list->elems[0].err;
    rd_kafka_topic_partition_list_destroy(list);
    return code ? tl_rdkafka_fail(err, code, "storing an offset", NULL) : 0;
}

struct tl_kqueue *tl_kqueue_new(struct tl_consumer *c, struct tl_error *err)
{
    struct tl_kqueue *q = malloc(sizeof *q);

    if (q) {
        q->consumer = c;
        q->rd = rd_kafka_queue_new(c->rk);
    }
    if (!q || !q->rd) {
        free(q);
        tl_fail_nomem(err);
        return NULL;
    }
    return q;
}

void tl_kqueue_free(struct tl_kqueue *q)
{
    if (!q)
        return;
    rd_kafka_queue_destroy(q->rd);
    free(q);
}

void tl_kqueue_wake(struct tl_kqueue *q)
{
    rd_kafka_queue_yield(q->rd);
}

int tl_kqueue_pop(struct tl_kqueue *q, int wait_ms, struct tl_message *out)
{
    rd_kafka_message_t *m = rd_kafka_consume_queue(q->rd, wait_ms);

    if (!m)
        return 0;
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE) {
        tl_rdkafka_lost(m, out);
        return 1;
    }
    if (m->err) {
        tell(q->consumer, m);
        rd_kafka_message_destroy(m);
        return 0;
    }
    tl_rdkafka_message(m, out);
    return 1;
}
