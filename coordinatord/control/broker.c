/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The broker over librdkafka. Topics get no retention by time or size: what was not applied yet must never go
 * away by itself, and what was applied is trimmed by the keeper.
 */
#include "coordinatord/control/broker.h"

#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/base/failpoint.h"
#include "shared/kafka/admin.h"
#include "shared/kafka/committed.h"
#include "shared/kafka/fetcher.h"
#include "shared/kafka/producer.h"
#include "shared/wire/topic.h"

/* Trimming frees disk by whole segments, and never the one that is written to. */
enum { SEGMENT_BYTES = 128 * 1024 * 1024 };

enum { SLICE_MS = 100, QUEUE_BYTES = 4 * TL_MESSAGE_MAX };

/* A consumer group that was asked about. */
struct group {
    struct group *next;
    char name[TL_GROUP_NAME_MAX + 1];
    struct tl_committed *committed;
};

struct broker {
    const struct config *config;
    const struct tl_kafka_conf *kafka;
    struct tl_log *log;
    const atomic_bool *stop;
    struct tl_kafka_conf topic_config;
    struct tl_admin *admin;       /* NULL until it is needed */
    struct tl_producer *producer; /* NULL until it is needed, and again after a failure */
    struct tl_fetcher *fetcher;   /* NULL until it is needed */
    struct group *groups;
};

/* One message on its way into several partitions. */
struct round {
    int32_t failed;
    struct tl_error err; /* the first failure */
};

static void on_ack(void *app, void *message_app, int64_t offset, const struct tl_error *err)
{
    struct round *round = message_app;

    (void)app;
    (void)offset;
    if (err && round->failed++ == 0)
        round->err = *err;
}

static int set_number(struct tl_kafka_conf *c, const char *name, int number, struct tl_error *err)
{
    char text[16];

    snprintf(text, sizeof text, "%d", number);
    return tl_kafka_conf_set(c, name, text, err);
}

static int fill_topic_config(struct tl_kafka_conf *c, struct tl_error *err)
{
    if (set_number(c, "max.message.bytes", TL_MESSAGE_MAX, err) < 0 ||
        set_number(c, "segment.bytes", SEGMENT_BYTES, err) < 0 ||
        tl_kafka_conf_set(c, "cleanup.policy", "delete", err) < 0 ||
        tl_kafka_conf_set(c, "retention.ms", "-1", err) < 0 ||
        tl_kafka_conf_set(c, "retention.bytes", "-1", err) < 0)
        return -1;
    return 0;
}

static void free_groups(struct broker *b)
{
    for (struct group *g = b->groups, *next; g; g = next) {
        next = g->next;
        tl_committed_free(g->committed);
        free(g);
    }
}

static void broker_close(struct broker *b)
{
    if (!b)
        return;
    tl_producer_free(b->producer);
    tl_fetcher_free(b->fetcher);
    free_groups(b);
    tl_admin_free(b->admin);
    tl_kafka_conf_release(&b->topic_config);
    free(b);
}

static struct broker *broker_open(const struct config *config, const struct tl_kafka_conf *kafka,
                                  struct tl_log *log, const atomic_bool *stop, struct tl_error *err)
{
    struct broker *b = calloc(1, sizeof *b);

    if (!b) {
        tl_fail_nomem(err);
        return NULL;
    }
    b->config = config;
    b->kafka = kafka;
    b->log = log;
    b->stop = stop;
    tl_kafka_conf_init(&b->topic_config);
    if (fill_topic_config(&b->topic_config, err) < 0) {
        broker_close(b);
        return NULL;
    }
    return b;
}

static int need_admin(struct broker *b, struct tl_error *err)
{
    if (!b->admin)
        b->admin = tl_admin_new(b->kafka, b->log, err);
    return b->admin ? 0 : -1;
}

static int need_producer(struct broker *b, struct tl_error *err)
{
    struct tl_producer_options options = {
        .queue_bytes = QUEUE_BYTES,
        .compression = b->config->compression,
        .client_id = "tload-control",
    };

    if (!b->producer)
        b->producer = tl_producer_new(b->kafka, &options, on_ack, NULL, b->log, err);
    return b->producer ? 0 : -1;
}

/*
 * How many copies a new topic has, and how many of them have to have a message before it is acked. By itself:
 * three of each, two of which have to, so that one broker may be lost without losing anything or standing still;
 * with fewer brokers, as many as there are, one of which has to.
 */
static int choose_replicas(struct broker *b, int timeout_ms, int *replicas, struct tl_error *err)
{
    enum { ENOUGH = 3 };
    struct tl_cluster_size size;
    int in_sync = b->config->min_insync_replicas;

    *replicas = b->config->replication;
    if (*replicas == 0) {
        if (tl_admin_cluster(b->admin, timeout_ms, &size, err) < 0)
            return -1;
        *replicas = TL_MAX(1, TL_MIN(ENOUGH, size.brokers));
    }
    if (in_sync == 0 && *replicas > 0)
        in_sync = *replicas >= ENOUGH ? *replicas - 1 : 1;
    return in_sync > 0 ? set_number(&b->topic_config, "min.insync.replicas", in_sync, err) : 0;
}

static int broker_make_topics(struct broker *b, const char *tenant, int32_t partitions, int timeout_ms,
                              struct tl_error *err)
{
    char names[TL_TOPIC_COUNT][TL_TOPIC_NAME_MAX + 1];
    struct tl_topic_spec spec[TL_TOPIC_COUNT];
    int replicas;

    if (need_admin(b, err) < 0 || choose_replicas(b, timeout_ms, &replicas, err) < 0)
        return -1;
    for (int i = 0; i < TL_TOPIC_COUNT; i++) {
        tl_topic_name((enum tl_topic)i, tl_str(tenant), names[i]);
        spec[i] = (struct tl_topic_spec){names[i], partitions, replicas, &b->topic_config};
    }
    return tl_admin_create_topics(b->admin, spec, TL_TOPIC_COUNT, timeout_ms, err);
}

static int broker_delete_topics(struct broker *b, const char *tenant, int timeout_ms, struct tl_error *err)
{
    char names[TL_TOPIC_COUNT][TL_TOPIC_NAME_MAX + 1];
    const char *list[TL_TOPIC_COUNT];

    for (int i = 0; i < TL_TOPIC_COUNT; i++) {
        tl_topic_name((enum tl_topic)i, tl_str(tenant), names[i]);
        list[i] = names[i];
    }
    /* It would take topics that are made again under these names for the old ones, with as many partitions. */
    tl_producer_free(b->producer);
    b->producer = NULL;
    return need_admin(b, err) < 0 ? -1
                                  : tl_admin_delete_topics(b->admin, list, TL_TOPIC_COUNT, timeout_ms, err);
}

static int broker_survey(struct broker *b, int timeout_ms, struct tl_cluster_size *out,
                         void (*each)(void *app, const char *topic, int32_t partitions), void *app,
                         struct tl_error *err)
{
    return need_admin(b, err) < 0 ? -1 : tl_admin_survey(b->admin, timeout_ms, out, each, app, err);
}

/* Waits in slices, so that a shutdown need not wait for a broker. */
static int flush(struct broker *b, int64_t deadline, struct tl_error *err)
{
    for (;;) {
        int64_t left = deadline - tl_clock_ms();

        if (atomic_load(b->stop))
            return tl_fail(err, TL_E_INTERRUPTED, "shutting down");
        if (tl_producer_flush(b->producer, (int)TL_MAX(TL_MIN(left, SLICE_MS), 0), err) == 0)
            return 0;
        if (err->code != TL_E_TIMEOUT)
            return -1;
        if (left <= 0) {
            const char *trouble = tl_producer_trouble(b->producer);

            return tl_fail(err, TL_E_UNAVAILABLE, "Kafka did not take a message in time%s%s",
                           *trouble ? ": " : "", trouble);
        }
    }
}

static int send_all(struct broker *b, const char *topic, int32_t partitions, const struct tl_headers *headers,
                    struct tl_str value, int64_t deadline, struct round *round, struct tl_error *err)
{
    for (int32_t p = 0; p < partitions; p++) {
        while (tl_producer_send(b->producer, topic, p, headers, value, round, err) < 0) {
            if (err->code != TL_E_AGAIN)
                return -1;
            if (atomic_load(b->stop))
                return tl_fail(err, TL_E_INTERRUPTED, "shutting down");
            if (tl_clock_ms() >= deadline)
                return tl_fail(err, TL_E_UNAVAILABLE, "Kafka did not take a message in time");
            tl_producer_poll(b->producer, SLICE_MS);
        }
        TL_FAILPOINT(CONTROL_PARTLY_WRITTEN);
    }
    return flush(b, deadline, err);
}

static int broker_write_all(struct broker *b, const char *topic, int32_t partitions,
                            const struct tl_envelope *envelope, struct tl_str value, int timeout_ms,
                            struct tl_error *err)
{
    struct tl_headers headers;
    struct round round = {0};
    int rc;

    tl_envelope_to_headers(envelope, &headers);
    if (need_producer(b, err) < 0)
        return -1;
    rc = send_all(b, topic, partitions, &headers, value, tl_clock_ms() + timeout_ms, &round, err);
    if (rc == 0 && round.failed) {
        *err = round.err;
        rc = -1;
    }
    if (rc < 0) {
        /*
         * Settles what is on its way: the value is the caller's again. Numbers make a second writing
         * harmless.
         */
        tl_producer_free(b->producer);
        b->producer = NULL;
    }
    return rc;
}

static int look_at(struct broker *b, const char *topic, int32_t partition, int64_t offset, int timeout_ms,
                   struct broker_pending *out, struct tl_error *err)
{
    struct tl_message m;

    if (!b->fetcher)
        b->fetcher = tl_fetcher_new(b->kafka, b->log, err);
    if (!b->fetcher || tl_fetcher_get(b->fetcher, topic, partition, offset, timeout_ms, &m, err) < 0)
        return -1;
    out->since_ms = m.written_ms;
    out->raw_offset = m.ours ? m.envelope.raw_offset : -1;
    tl_message_release(&m);
    return 0;
}

static int broker_pending(struct broker *b, const char *topic, int32_t partition, int64_t from,
                          int timeout_ms, struct broker_pending *out, struct tl_error *err)
{
    int64_t high;

    *out = (struct broker_pending){.since_ms = -1, .raw_offset = -1};
    if (need_admin(b, err) < 0 ||
        tl_admin_watermarks(b->admin, topic, partition, timeout_ms, &out->first, &high, err) < 0)
        return -1;
    from = TL_MAX(from, out->first);
    if (from >= high)
        return 0;
    out->records = high - from;
    return look_at(b, topic, partition, from, timeout_ms, out, err);
}

static struct group *group_of(struct broker *b, const char *name, struct tl_error *err)
{
    struct group *g;

    for (g = b->groups; g; g = g->next)
        if (strcmp(g->name, name) == 0)
            return g;
    g = calloc(1, sizeof *g);
    if (!g) {
        tl_fail_nomem(err);
        return NULL;
    }
    snprintf(g->name, sizeof g->name, "%s", name);
    g->committed = tl_committed_new(b->kafka, name, b->log, err);
    if (!g->committed) {
        free(g);
        return NULL;
    }
    g->next = b->groups;
    b->groups = g;
    return g;
}

static int broker_committed(struct broker *b, const char *group, const char *topic, int32_t partition,
                            int timeout_ms, int64_t *next, struct tl_error *err)
{
    struct group *g = group_of(b, group, err);

    return g ? tl_committed_get(g->committed, topic, partition, timeout_ms, next, err) : -1;
}

static int broker_forget(struct broker *b, const char *group, const char *topic, int32_t partitions,
                         int timeout_ms, struct tl_error *err)
{
    return need_admin(b, err) < 0 ? -1 : tl_admin_forget(b->admin, group, topic, partitions, timeout_ms, err);
}

static int broker_limits(struct broker *b, const char *topic, int timeout_ms, struct tl_topic_limits *out,
                         struct tl_error *err)
{
    return need_admin(b, err) < 0 ? -1 : tl_admin_topic_limits(b->admin, topic, timeout_ms, out, err);
}

static int broker_trim(struct broker *b, const char *topic, int32_t partition, int64_t before, int64_t worth,
                       int timeout_ms, struct tl_error *err)
{
    int64_t low, high;

    if (need_admin(b, err) < 0 ||
        tl_admin_watermarks(b->admin, topic, partition, timeout_ms, &low, &high, err) < 0)
        return -1;
    /* Behind `high` there is nothing to delete, and asking for it is an error: a topic that was made anew. */
    if (before > high || before - low < worth)
        return 0;
    tl_debug(b->log, "control", "%s/%d: trimming %lld records before offset %lld", topic, partition,
             (long long)(before - low), (long long)before);
    return tl_admin_trim(b->admin, topic, partition, before, timeout_ms, err);
}

const struct broker_ops broker_kafka = {
    .open = broker_open,
    .close = broker_close,
    .make_topics = broker_make_topics,
    .delete_topics = broker_delete_topics,
    .survey = broker_survey,
    .write_all = broker_write_all,
    .pending = broker_pending,
    .committed = broker_committed,
    .forget = broker_forget,
    .limits = broker_limits,
    .trim = broker_trim,
};
