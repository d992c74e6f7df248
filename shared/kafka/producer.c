/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tl_producer_send ──► librdkafka's queue ──► its broker thread ──► broker
 *        │ bytes counted up to queue_bytes; beyond: TL_E_AGAIN        │
 *        ◄──────────── delivery report, served by tl_producer_poll ───┘  ──► ack (value may be freed)
 *
 * Five requests of a partition may be on the way. When one is refused, a broker refuses those behind it by their
 * sequence numbers; but one that knows nothing of the producer yet takes whatever number comes first. So the first message
 * to a partition goes alone: TL_E_AGAIN for the second until the first is acked.
 */
#include "shared/kafka/producer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/kafka/rdkafka_util.h"

enum { LEARN_MS = 1000 };

enum partition_state { UNSENT, FIRST_ON_ITS_WAY, OPEN };

/* A topic that was sent to. */
struct known_topic {
    struct known_topic *next;
    rd_kafka_topic_t *rkt;
    unsigned char *state; /* enum partition_state of each partition that was sent to, and those below */
    int32_t nstates;
};

struct tl_producer {
    struct tl_log *log; /* first: on_log of rdkafka_util.c finds it through the client's opaque pointer */
    rd_kafka_t *rk;
    tl_producer_ack *ack;
    void *app;
    size_t queue_bytes;
    size_t pending_bytes;
    size_t pending;
    int acked_now; /* within one poll */
    struct known_topic *topics;
    char trouble[256];
};

/* What librdkafka carries for us from send to delivery report. */
struct sent {
    void *message_app;
    size_t len;
    struct known_topic *topic;
    int32_t partition;
    tl_producer_ack *ack; /* the producer's, or that of send_wait */
    void *app;
};

static void settle_partition(const struct sent *sent, bool taken)
{
    unsigned char *state = &sent->topic->state[sent->partition];

    if (taken)
        *state = OPEN;
    else if (*state == FIRST_ON_ITS_WAY)
        *state = UNSENT;
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    struct tl_producer *p = opaque;
    struct sent *sent = m->_private;
    struct tl_error err;

    (void)rk;
    p->pending--;
    p->pending_bytes -= sent->len;
    p->acked_now++;
    settle_partition(sent, m->err == RD_KAFKA_RESP_ERR_NO_ERROR);
    if (m->err) {
        tl_rdkafka_fail(&err, m->err, "a message was not taken", rd_kafka_err2str(m->err));
        sent->ack(sent->app, sent->message_app, -1, &err);
    } else {
        p->trouble[0] = '\0';
        sent->ack(sent->app, sent->message_app, m->offset, NULL);
    }
    free(sent);
}

static void on_error(rd_kafka_t *rk, int code, const char *reason, void *opaque)
{
    struct tl_producer *p = opaque;

    (void)rk;
    snprintf(p->trouble, sizeof p->trouble, "%s", reason);
    tl_info(p->log, "kafka", "%s: %s", rd_kafka_err2name(code), reason);
}

static int set_own(rd_kafka_conf_t *rd, const struct tl_producer_options *o, struct tl_error *err)
{
    if (tl_rdkafka_set(rd, "enable.idempotence", "true", err) || tl_rdkafka_set(rd, "acks", "all", err) ||
        /* Else what stands behind a message that a broker refuses is sent all the same. */
        tl_rdkafka_set(rd, "enable.gapless.guarantee", "true", err) ||
        tl_rdkafka_set(rd, "compression.codec", o->compression, err) ||
        tl_rdkafka_set_int(rd, "message.timeout.ms", o->message_timeout_ms, err) ||
        tl_rdkafka_set_int(rd, "message.max.bytes", TL_MESSAGE_MAX, err) ||
        /* A message is a batch already: waiting for more of them only costs time. */
        tl_rdkafka_set(rd, "linger.ms", "0", err) ||
        tl_rdkafka_set(rd, "socket.nagle.disable", "true", err) ||
        tl_rdkafka_set(rd, "reconnect.backoff.max.ms", "1000", err) ||
        tl_rdkafka_set(rd, "topic.metadata.refresh.sparse", "true", err))
        return -1;
    return o->client_id ? tl_rdkafka_set(rd, "client.id", o->client_id, err) : 0;
}

struct tl_producer *tl_producer_new(const struct tl_kafka_conf *conf,
                                    const struct tl_producer_options *options, tl_producer_ack *ack,
                                    void *app, struct tl_log *log, struct tl_error *err)
{
    struct tl_producer *p = calloc(1, sizeof *p);
    rd_kafka_conf_t *rd;
    char text[256];

    if (!p) {
        tl_fail_nomem(err);
        return NULL;
    }
    p->log = log;
    p->ack = ack;
    p->app = app;
    p->queue_bytes = options->queue_bytes;
    rd = tl_rdkafka_conf(conf, log, err);
    if (!rd || set_own(rd, options, err)) {
        if (rd)
            rd_kafka_conf_destroy(rd);
        free(p);
        return NULL;
    }
    rd_kafka_conf_set_opaque(rd, p);
    rd_kafka_conf_set_dr_msg_cb(rd, on_delivery);
    rd_kafka_conf_set_error_cb(rd, on_error);
    p->rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd, text, sizeof text);
    if (!p->rk) {
        rd_kafka_conf_destroy(rd);
        free(p);
        tl_fail(err, TL_E_REFUSED, "can't make a Kafka producer: %s", text);
        return NULL;
    }
    return p;
}

void tl_producer_free(struct tl_producer *p)
{
    if (!p)
        return;
    rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    while (p->pending)
        rd_kafka_poll(p->rk, 100);
    while (p->topics) {
        struct known_topic *t = p->topics;

        p->topics = t->next;
        rd_kafka_topic_destroy(t->rkt);
        free(t->state);
        free(t);
    }
    rd_kafka_destroy(p->rk);
    free(p);
}

/*
 * The first message to a topic would otherwise wait for up to a second: librdkafka asks for the leaders of a
 * topic when it connects, and for those of one that it hears of later only once a second. When nobody
 * answers now, that is what happens.
 */
static int learn_topic(struct tl_producer *p, const char *name, struct known_topic **out,
                       struct tl_error *err)
{
    const struct rd_kafka_metadata *metadata;
    struct known_topic *t;

    for (t = p->topics; t; t = t->next) {
        *out = t;
        if (strcmp(rd_kafka_topic_name(t->rkt), name) == 0)
            return 0;
    }
    t = calloc(1, sizeof *t);
    if (!t)
        return tl_fail_nomem(err);
    t->rkt = rd_kafka_topic_new(p->rk, name, NULL);
    if (!t->rkt) {
        free(t);
        return tl_rdkafka_fail(err, rd_kafka_last_error(), name, NULL);
    }
    t->next = p->topics;
    *out = p->topics = t;
    if (rd_kafka_metadata(p->rk, 0, t->rkt, &metadata, LEARN_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
    return 0;
}

int tl_producer_check(struct tl_producer *p, struct tl_error *err)
{
    char text[256];
    rd_kafka_resp_err_t code = rd_kafka_fatal_error(p->rk, text, sizeof text);

    if (!code)
        return 0;
    tl_rdkafka_fail(err, code, "the Kafka producer can't go on", text);
    if (err->code != TL_E_FORBIDDEN) /* which a new producer would not change */
        tl_fail(err, TL_E_FATAL, "the Kafka producer can't go on: %s: %s", rd_kafka_err2name(code), text);
    return -1;
}

/* Whether the partition takes a message now. */
static int ready(struct known_topic *t, int32_t partition, struct tl_error *err)
{
    if (partition >= t->nstates) {
        unsigned char *grown = realloc(t->state, (size_t)partition + 1);

        if (!grown)
            return tl_fail_nomem(err);
        memset(grown + t->nstates, UNSENT, (size_t)(partition + 1 - t->nstates));
        t->state = grown;
        t->nstates = partition + 1;
    }
    if (t->state[partition] == FIRST_ON_ITS_WAY)
        return tl_fail(err, TL_E_AGAIN, "the partition's first message is on its way");
    return 0;
}

static int enqueue(struct tl_producer *p, const char *topic, int32_t partition,
                   const struct tl_headers *headers, struct tl_str value, const struct sent *what,
                   struct tl_error *err)
{
    rd_kafka_headers_t *rd_headers;
    rd_kafka_error_t *failed;
    rd_kafka_resp_err_t code;
    struct known_topic *known = NULL;
    struct sent *sent;

    if (p->pending && p->pending_bytes + value.len > p->queue_bytes)
        return tl_fail(err, TL_E_AGAIN, "the queue to Kafka is full");
    if (learn_topic(p, topic, &known, err) || ready(known, partition, err))
        return -1;
    sent = malloc(sizeof *sent);
    rd_headers = rd_kafka_headers_new(headers->n);
    if (!sent || !rd_headers) {
        free(sent);
        if (rd_headers)
            rd_kafka_headers_destroy(rd_headers);
        return tl_fail_nomem(err);
    }
    *sent = *what;
    sent->len = value.len;
    sent->topic = known;
    sent->partition = partition;
    for (size_t i = 0; i < headers->n; i++) {
        const struct tl_header *h = &headers->item[i];

        code = rd_kafka_header_add(rd_headers, h->name, -1, h->value.ptr, (ssize_t)h->value.len);
        if (code) {
            free(sent);
            rd_kafka_headers_destroy(rd_headers);
            return tl_rdkafka_fail(err, code, "a message's headers", NULL);
        }
    }
    /* Neither copied nor freed by librdkafka: the value is the caller's until its ack. */
    rd_kafka_vu_t arguments[] = {
        {.vtype = RD_KAFKA_VTYPE_TOPIC, .u.cstr = topic},
        {.vtype = RD_KAFKA_VTYPE_PARTITION, .u.i32 = partition},
        {.vtype = RD_KAFKA_VTYPE_VALUE, .u.mem = {(void *)value.ptr, value.len}},
        {.vtype = RD_KAFKA_VTYPE_HEADERS, .u.headers = rd_headers},
        {.vtype = RD_KAFKA_VTYPE_OPAQUE, .u.ptr = sent},
    };
    failed = rd_kafka_produceva(p->rk, arguments, TL_ARRAY_LEN(arguments));
    if (failed) {
        /* A producer that can't go on says so with whatever made it fatal, which may look like anything else. */
        if (tl_producer_check(p, err) == 0)
            tl_rdkafka_fail(err, rd_kafka_error_code(failed), topic, rd_kafka_error_string(failed));
        rd_kafka_error_destroy(failed);
        rd_kafka_headers_destroy(rd_headers);
        free(sent);
        return -1;
    }
    if (known->state[partition] == UNSENT)
        known->state[partition] = FIRST_ON_ITS_WAY;
    p->pending++;
    p->pending_bytes += value.len;
    return 0;
}

int tl_producer_send(struct tl_producer *p, const char *topic, int32_t partition,
                     const struct tl_headers *headers, struct tl_str value, void *message_app,
                     struct tl_error *err)
{
    struct sent what = {.message_app = message_app, .ack = p->ack, .app = p->app};

    return enqueue(p, topic, partition, headers, value, &what, err);
}

int tl_producer_poll(struct tl_producer *p, int wait_ms)
{
    p->acked_now = 0;
    rd_kafka_poll(p->rk, wait_ms);
    return p->acked_now;
}

int tl_producer_flush(struct tl_producer *p, int timeout_ms, struct tl_error *err)
{
    int64_t end = tl_clock_ms() + timeout_ms;

    while (p->pending) {
        int64_t left = end - tl_clock_ms();

        if (tl_producer_check(p, err))
            return -1;
        if (left <= 0)
            return tl_fail(err, TL_E_TIMEOUT, "Kafka has not taken %zu messages within %d ms%s%s", p->pending,
                           timeout_ms, p->trouble[0] ? ": " : "", p->trouble);
        tl_producer_poll(p, (int)TL_MIN(left, (int64_t)100));
    }
    return 0;
}

size_t tl_producer_pending(const struct tl_producer *p)
{
    return p->pending;
}

const char *tl_producer_trouble(struct tl_producer *p)
{
    return p->trouble;
}

struct waited {
    bool settled;
    bool failed;
    struct tl_error err;
};

static void on_waited(void *app, void *message_app, int64_t offset, const struct tl_error *err)
{
    struct waited *w = message_app;

    (void)app;
    (void)offset;
    w->settled = true;
    w->failed = err != NULL;
    if (err)
        w->err = *err;
}

int tl_producer_send_wait(struct tl_producer *p, const char *topic, int32_t partition,
                          const struct tl_headers *headers, struct tl_str value, int timeout_ms,
                          struct tl_error *err)
{
    int64_t end = tl_clock_ms() + timeout_ms;
    struct waited w = {0};
    struct sent what = {.message_app = &w, .ack = on_waited};

    while (enqueue(p, topic, partition, headers, value, &what, err)) {
        if (err->code != TL_E_AGAIN || tl_clock_ms() >= end)
            return -1;
        tl_producer_poll(p, 10);
    }
    while (!w.settled) {
        int64_t left = end - tl_clock_ms();

        if (left <= 0) {
            /* w is on this stack: the message must be settled before we return. */
            rd_kafka_purge(p->rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
            left = 100;
        }
        tl_producer_poll(p, (int)TL_MIN(left, (int64_t)100));
    }
    if (!w.failed)
        return 0;
    if (w.err.code == TL_E_INTERRUPTED)
        return tl_fail(err, TL_E_UNAVAILABLE, "Kafka does not answer%s%s", p->trouble[0] ? ": " : "",
                       p->trouble);
    *err = w.err;
    return -1;
}
