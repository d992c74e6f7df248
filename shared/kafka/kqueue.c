/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The queues that a member's partitions are handed to. */
#include <stdlib.h>

#include "shared/kafka/consumer_impl.h"

void tl_consumer_say(struct tl_consumer *c, const rd_kafka_message_t *m)
{
    tl_info(c->log, "kafka", "consumer: %s", rd_kafka_message_errstr(m));
}

static void on_filled(rd_kafka_t *rk, void *opaque)
{
    struct tl_kqueue *q = opaque;

    (void)rk;
    q->filled(q->app);
}

struct tl_kqueue *tl_kqueue_new(struct tl_consumer *c, void (*filled)(void *app), void *app,
                                struct tl_error *err)
{
    struct tl_kqueue *q = malloc(sizeof *q);

    if (q)
        *q = (struct tl_kqueue){.rd = rd_kafka_queue_new(c->rk), .consumer = c, .filled = filled, .app = app};
    if (!q || !q->rd) {
        free(q);
        tl_fail_nomem(err);
        return NULL;
    }
    if (filled)
        rd_kafka_queue_cb_event_enable(q->rd, on_filled, q);
    return q;
}

void tl_kqueue_free(struct tl_kqueue *q)
{
    if (!q)
        return;
    rd_kafka_queue_cb_event_enable(q->rd, NULL, NULL);
    rd_kafka_queue_destroy(q->rd);
    free(q);
}

bool tl_kqueue_empty(struct tl_kqueue *q)
{
    return rd_kafka_queue_length(q->rd) == 0;
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
        tl_consumer_say(q->consumer, m);
        rd_kafka_message_destroy(m);
        return 0;
    }
    tl_rdkafka_message(m, out);
    return 1;
}
