/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Batches on their way into raw-input.
 *
 *   splitter ──batch──► sender_send ──► producer ──► broker
 *                          │ kept until its ack           │
 *                          ◄──────────── ack ─────────────┘  ──► value back to the splitter
 *
 * What is not acked is kept, in order and at most queue_bytes of it, so when a producer becomes fatal a new
 * one sends exactly that again; the numbers of the batches make it harmless. A full queue blocks sender_send:
 * that is the back-pressure up to the reader of the file; so does a limit to the bytes in a second. One thread.
 */
#ifndef CLI_UPLOAD_SENDER_H
#define CLI_UPLOAD_SENDER_H

#include "cli/upload/batches.h"
#include "shared/base/log.h"
#include "shared/kafka/conf.h"
#include "shared/wire/envelope.h"

struct sender;

struct sender_options {
    const struct tl_kafka_conf *kafka;
    const char *topic;
    const char *compression;
    int32_t partitions;
    const int64_t *
        /* of each partition: batches up to this number are there already; borrowed for the sender's life */
        skip;
    struct tl_envelope common; /* table, table_id, version, upload, format; borrowed for the sender's life */
    struct tl_log *log;
    /* Called at least every 100 ms while the sender waits. -1 with *err: stop. */
    int (*tick)(void *app, struct tl_error *err);
    /* A batch's value is free again. */
    void (*recycle)(void *app, char *value, size_t cap);
    void *app;
};

struct sender *sender_new(const struct sender_options *options, struct tl_error *err);
/* What is not acked is dropped. NULL is fine. */
void sender_free(struct sender *s);

/* What the batches from now on come from; file as in tl-file. Both are copied. */
int sender_begin_file(struct sender *s, const char *file, const char *columns,
                      struct tl_error *err) TL_MUST_CHECK;
/*
 * Takes the batch over. TL_E_UNAVAILABLE when Kafka takes nothing for too long, TL_E_TOO_LARGE when it takes
 * no message of this size.
 */
int sender_send(struct sender *s, const struct batch *batch, struct tl_error *err) TL_MUST_CHECK;
/* The end marker of a partition, behind its last batch. */
int sender_end(struct sender *s, int32_t partition, int64_t batches, int64_t rows,
               struct tl_error *err) TL_MUST_CHECK;
/* Until all is acked. */
int sender_flush(struct sender *s, struct tl_error *err) TL_MUST_CHECK;
/* How many bytes of batches a second it hands to Kafka at most, as they are before compression; 0: no limit. */
void sender_set_rate(struct sender *s, int64_t bytes_per_second);
/* Why nothing moves, "" while it does. Lives until the next call. */
const char *sender_trouble(struct sender *s);

#endif
