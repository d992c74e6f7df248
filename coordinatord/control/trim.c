/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Topics keep what they have until every role is done with it, for ever if need be. What is done is trimmed,
 * and before the broker itself could delete something that is not there is an alarm.
 *
 *   import-error [i]      before where the errors role is       ─┐ as the sink says
 *   validated-input [i]   before where the sink role is, and    ─┘
 *                         before the first message that is owed to a table
 *   raw-input [i]         before where the validators are (committed in Kafka), and before what the sink has still
 *                         to apply: the first message that it has not applied, or owes, names its raw batch, which
 *                         it reads again when a row is refused
 *
 * Why what the first pending message names is enough: a validator sends the batches of a partition in their order,
 * from an offset that it committed on, which it did when all before was acked. So whatever stands before a message in
 * raw-input has been sent before it at least once, and what comes later of it are repetitions, which need
 * nothing.
 */
#include "coordinatord/control/trim.h"

#include <stdio.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "shared/base/clock.h"

enum {
    CALL_MS = 3000,
    PATIENCE_MS = 3000, /* for a sink that does not answer: others wait behind it */
    EARLY = 4           /* the alarm comes when a limit is used up to one part in so many */
};

/* A tenant in a pass. */
struct trim {
    struct control *c;
    struct cluster *cl;
    struct broker *broker;
    const struct broker_ops *ops;
    struct tenant *t;
    int64_t epoch;
    struct tl_topic_limits limits[TL_TOPIC_COUNT];
    bool pending; /* somewhere something waits for its role */
    char alarm[TROUBLE_TEXT];
};

int64_t trim_raw_needed(int64_t checked, const struct broker_pending *applying)
{
    if (checked < 0 || applying->records == 0)
        return checked;
    return applying->raw_offset < 0 ? -1 : TL_MIN(checked, applying->raw_offset);
}

bool trim_alarm(const char *topic, int32_t partition, int64_t next, const struct broker_pending *pending,
                const struct tl_topic_limits *limits, int64_t now, char *why, size_t size)
{
    char since[TL_CLOCK_TEXT];

    if (next < pending->first) {
        snprintf(why, size, "%s [%d]: records @%lld to @%lld were deleted before they were used", topic,
                 (int)partition, (long long)next, (long long)pending->first - 1);
        return true;
    }
    if (pending->records == 0)
        return false;
    if (limits->retention_ms >= 0 && pending->since_ms >= 0 &&
        now - pending->since_ms >= limits->retention_ms / EARLY) {
        tl_clock_text(pending->since_ms, since);
        snprintf(why, size, "%s [%d]: what waits since %s will be deleted by retention.ms=%lld; set it to -1",
                 topic, (int)partition, since, (long long)limits->retention_ms);
        return true;
    }
    if (limits->retention_bytes >= 0 &&
        pending->records >= limits->retention_bytes / TL_BATCH_ROWS_MAX_BYTES / EARLY) {
        snprintf(why, size,
                 "%s [%d]: %lld batches wait, and retention.bytes=%lld may delete them; set it to -1", topic,
                 (int)partition, (long long)pending->records, (long long)limits->retention_bytes);
        return true;
    }
    return false;
}

/* next below 0: its reader has not said yet where it stands. */
static int look(struct trim *p, enum tl_topic topic, int32_t partition, int64_t next,
                struct broker_pending *pending, struct tl_error *err)
{
    const char *name = p->t->topic[topic];

    if (p->ops->pending(p->broker, name, partition, TL_MAX(next, 0), CALL_MS, pending, err) < 0)
        return -1;
    p->pending |= pending->records != 0;
    if (next >= 0 && !p->alarm[0])
        trim_alarm(name, partition, next, pending, &p->limits[topic], tl_clock_wall_ms(), p->alarm,
                   sizeof p->alarm);
    return 0;
}

static int cut(struct trim *p, enum tl_topic topic, int32_t partition, int64_t before, struct tl_error *err)
{
    return p->ops->trim(p->broker, p->t->topic[topic], partition, before, p->c->options.config->trim_records,
                        CALL_MS, err);
}

static int trim_partition(struct trim *p, int32_t partition, int64_t applied, int64_t stored,
                          struct tl_error *err)
{
    struct broker_pending raw, validated, errors;
    int64_t checked, needed;

    /* In this order: see trim_raw_needed. */
    if (p->ops->committed(p->broker, p->t->validators, p->t->topic[TL_TOPIC_RAW_INPUT], partition, CALL_MS,
                          &checked, err) < 0 ||
        look(p, TL_TOPIC_VALIDATED_INPUT, partition, applied, &validated, err) < 0 ||
        look(p, TL_TOPIC_IMPORT_ERROR, partition, stored, &errors, err) < 0 ||
        look(p, TL_TOPIC_RAW_INPUT, partition, checked, &raw, err) < 0)
        return -1;
    needed = trim_raw_needed(checked, &validated);
    return (needed > 0 && cut(p, TL_TOPIC_RAW_INPUT, partition, needed, err) < 0) ||
                   cut(p, TL_TOPIC_VALIDATED_INPUT, partition, applied, err) < 0 ||
                   cut(p, TL_TOPIC_IMPORT_ERROR, partition, stored, err) < 0
               ? -1
               : 0;
}

static int on_owed(void *app, const char *table, int64_t offset, struct tl_error *err)
{
    int64_t *applied = app;

    (void)table;
    (void)err;
    *applied = TL_MIN(*applied, offset);
    return 0;
}

static int read_offsets(struct trim *p, struct sink *sink, int64_t *applied, int64_t *stored, int64_t *sum,
                        struct tl_error *err)
{
    const struct sink_ops *ops = p->t->sink_ops;
    struct tenant *t = p->t;
    char validated[TL_POSITION_NAME_MAX + 1], errors[TL_POSITION_NAME_MAX + 1];

    tl_topic_position(t->topic[TL_TOPIC_VALIDATED_INPUT], p->epoch, validated);
    tl_topic_position(t->topic[TL_TOPIC_IMPORT_ERROR], p->epoch, errors);
    *sum = 0;
    for (int32_t n = 0; n < t->partitions; n++) {
        /* In this order: what is owed was owed when the offset moved past it, and not later. */
        if (ops->offset(sink, validated, n, &applied[n], err) < 0 ||
            ops->owed_tables(sink, validated, n, on_owed, &applied[n], err) < 0 ||
            ops->offset(sink, errors, n, &stored[n], err) < 0)
            return -1;
        *sum += applied[n] + stored[n];
    }
    return 0;
}

static bool has_uploads(struct control *c, const struct tenant *t)
{
    bool found;

    control_lock(c);
    found = t->nlive > 0;
    control_unlock(c);
    return found;
}

static int64_t times_stirred(struct control *c, const struct tenant *t)
{
    int64_t times;

    control_lock(c);
    times = t->stirred;
    control_unlock(c);
    return times;
}

/* Until something is stirred there is nothing to be trimmed, or (-1) there may be. */
static void set_still(struct trim *p, int64_t stirred)
{
    control_lock(p->c);
    if (p->t->epoch == p->epoch)
        p->t->still = stirred;
    control_unlock(p->c);
}

static int trim_partitions(struct trim *p, const int64_t *applied, const int64_t *stored,
                           struct tl_error *err)
{
    for (int i = 0; i < TL_TOPIC_COUNT; i++)
        if (p->ops->limits(p->broker, p->t->topic[i], CALL_MS, &p->limits[i], err) < 0)
            return -1;
    for (int32_t n = 0; n < p->t->partitions && !atomic_load(&p->cl->stop); n++)
        if (trim_partition(p, n, applied[n], stored[n], err) < 0)
            return -1;
    return 0;
}

/* One at which nothing has happened between two looks into its sink is not looked at before something does. */
static int trim_tenant(struct trim *p, struct sink *sink, struct tl_error *err)
{
    size_t n = (size_t)p->t->partitions;
    int64_t *offsets = calloc(2 * n, sizeof *offsets), sum = 0, stirred = times_stirred(p->c, p->t);
    bool idle;
    int rc;

    if (!offsets)
        return tl_fail_nomem(err);
    rc = read_offsets(p, sink, offsets, offsets + n, &sum, err);
    idle = rc == 0 && sum == p->t->applied_sum && !p->t->alarm[0] && !has_uploads(p->c, p->t);
    if (rc == 0 && !idle)
        rc = trim_partitions(p, offsets, offsets + n, err);
    if (rc == 0 && !atomic_load(&p->cl->stop)) {
        p->t->applied_sum = p->pending ? -1 : sum;
        set_still(p, idle ? stirred : -1);
    }
    free(offsets);
    return rc;
}

static void set_alarm(struct trim *p)
{
    struct tenant *t = p->t;

    control_lock(p->c);
    if (p->alarm[0] && strcmp(p->alarm, t->alarm) != 0)
        tl_error_log(p->c->log, "control", "tenant %s: %s", t->name, p->alarm);
    if (!p->alarm[0] && t->alarm[0])
        tl_info(p->c->log, "control", "tenant %s: what waits is in no danger any more", t->name);
    memcpy(t->alarm, p->alarm, sizeof t->alarm);
    control_unlock(p->c);
}

/* Only tidies up: a failure is logged and that is all. False: Kafka does not answer, and would not for others. */
static bool trim_one(struct cluster *cl, struct broker *broker, struct tenant *t)
{
    struct control *c = cl->control;
    struct trim p = {.c = c, .cl = cl, .broker = broker, .ops = c->options.broker, .t = t};
    struct tl_error err;
    struct sink *sink;
    int rc;

    control_lock(c);
    p.epoch = t->epoch;
    control_unlock(c);
    sink = control_open_sink(c, t, PATIENCE_MS, &err);
    rc = sink ? trim_tenant(&p, sink, &err) : err.code == TL_E_NOT_FOUND ? 0 : -1;
    t->sink_ops->close(sink);
    if (rc == 0)
        set_alarm(&p);
    else
        tl_info(c->log, "control", "tenant %s: trimming topics: %s", t->name, err.text);
    return rc == 0 || !sink;
}

static bool is_due(struct cluster *cl, const struct tenant *t)
{
    bool due;

    control_lock(cl->control);
    due = t->ready && t->still != t->stirred;
    control_unlock(cl->control);
    return due && tenant_is_on(cl->control, t, cl);
}

/* With the properties of this moment. NULL with *err. */
static struct broker *open_broker(struct cluster *cl, struct tl_kafka_conf *kafka, struct tl_error *err)
{
    struct control *c = cl->control;
    int rc;

    control_lock(c);
    rc = tl_kafka_conf_copy(kafka, &cl->kafka, err);
    control_unlock(c);
    return rc < 0 ? NULL : c->options.broker->open(c->options.config, kafka, c->log, &cl->stop, err);
}

static void trim_all(struct cluster *cl)
{
    struct control *c = cl->control;
    struct tl_kafka_conf kafka;
    struct broker *broker = NULL;
    struct tl_error err;

    tl_kafka_conf_init(&kafka);
    for (struct tenant *t = atomic_load(&c->tenants); t && !atomic_load(&cl->stop);
         t = atomic_load(&t->next)) {
        if (!is_due(cl, t))
            continue;
        if (!broker && !(broker = open_broker(cl, &kafka, &err))) {
            tl_info(c->log, "control", "cluster %s: trimming topics: %s", cl->name, err.text);
            break;
        }
        if (!trim_one(cl, broker, t))
            break;
    }
    c->options.broker->close(broker);
    tl_kafka_conf_release(&kafka);
}

void *trim_run(void *cluster)
{
    struct cluster *cl = cluster;
    struct control *c = cl->control;
    int64_t every = (int64_t)c->options.config->trim_seconds * 1000, at = tl_clock_ms() + every;

    control_lock(c);
    while (!atomic_load(&cl->stop)) {
        if (control_wait(c, &cl->wake, at))
            continue;
        control_unlock(c);
        trim_all(cl);
        control_lock(c);
        at = tl_clock_ms() + every;
    }
    control_unlock(c);
    return NULL;
}
