/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An idempotent producer with acks from all replicas: per partition, what is sent arrives in order and
 * without gaps, or the producer becomes fatal and says so. After that its owner makes a new one and sends
 * again from the last ack; messages are numbered, so that is safe.
 *
 * Thread: everything by one owner thread; acks are called from within tl_producer_poll and _flush, in that
 * thread.
 */
#ifndef TL_KAFKA_PRODUCER_H
#define TL_KAFKA_PRODUCER_H

#include "shared/base/log.h"
#include "shared/kafka/conf.h"
#include "shared/wire/envelope.h"

struct tl_producer;

/*
 * A message is settled: err NULL, it is durable at `offset`; else it is not, or not known to be. Its value
 * may be freed now.
 */
typedef void tl_producer_ack(void *app, void *message_app, int64_t offset, const struct tl_error *err);

struct tl_producer_options {
    size_t queue_bytes;      /* of values on the way; at least one message always fits */
    int message_timeout_ms;  /* 0: never give a message up */
    const char *compression; /* "none", "lz4", "zstd" */
    const char *client_id;   /* shown in the broker's logs */
};

struct tl_producer *tl_producer_new(const struct tl_kafka_conf *conf,
                                    const struct tl_producer_options *options, tl_producer_ack *ack,
                                    void *app, struct tl_log *log, struct tl_error *err);
/* Waits for nothing: what is not settled is settled with TL_E_INTERRUPTED from within. NULL is fine. */
void tl_producer_free(struct tl_producer *p);

/*
 * Takes the value by reference: it must live until its ack, which always comes. headers are copied. The first
 * message to a topic waits until Kafka has said where it is, up to a second.
 * TL_E_AGAIN: the queue is full, or the partition's first message is on its way: poll and try again.
 * TL_E_TOO_LARGE: no broker will take it. TL_E_FATAL: make a new producer. TL_E_FORBIDDEN: that would not help.
 */
int tl_producer_send(struct tl_producer *p, const char *topic, int32_t partition,
                     const struct tl_headers *headers, struct tl_str value, void *message_app,
                     struct tl_error *err) TL_MUST_CHECK;
/* Calls acks that are due; waits up to wait_ms for the first. Returns how many. */
int tl_producer_poll(struct tl_producer *p, int wait_ms);
/* Until everything sent is settled: 0; TL_E_TIMEOUT, or as tl_producer_check. */
int tl_producer_flush(struct tl_producer *p, int timeout_ms, struct tl_error *err) TL_MUST_CHECK;
/* -1 when the producer can't go on: TL_E_FORBIDDEN when it is not allowed to, else TL_E_FATAL. */
int tl_producer_check(struct tl_producer *p, struct tl_error *err) TL_MUST_CHECK;
/* Messages sent and not yet settled. */
size_t tl_producer_pending(const struct tl_producer *p);
/*
 * Why nothing moves: the last error of a broker connection while all are down, "" while one is up. Lives
 * until the next call.
 */
const char *tl_producer_trouble(struct tl_producer *p);

/* Sends one message and waits for its ack; for control messages. */
int tl_producer_send_wait(struct tl_producer *p, const char *topic, int32_t partition,
                          const struct tl_headers *headers, struct tl_str value, int timeout_ms,
                          struct tl_error *err) TL_MUST_CHECK;

#endif
