/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A member of a consumer group that hands the messages of each partition to a queue of the caller's choice.
 *
 *   broker ──► librdkafka ──► queue (one for each worker) ──► tl_kqueue_pop, in the worker's thread
 *                   └──► tl_consumer_poll, in the owner's thread: rebalances, errors
 *
 * Thread: new, subscribe, poll, close by the owner; wake by any. assigned, revoking and revoked are called within poll
 * and close, in the owner's thread. A partition that can't begin yet is left out, and all are revoked and assigned anew
 * when it can. seek, store and the queue's functions by any one thread for one partition or queue.
 *
 * Back-pressure: librdkafka fetches ahead at most queue_bytes into a queue, and stops until it has been
 * drained.
 */
#ifndef TL_KAFKA_CONSUMER_H
#define TL_KAFKA_CONSUMER_H

#include "shared/base/log.h"
#include "shared/kafka/conf.h"
#include "shared/wire/envelope.h"

struct tl_consumer;
struct tl_kqueue;

struct tl_consumer_events {
    /*
     * The partition is this member's now. Returns the queue for its messages; NULL: it can't be served, and nothing of
     * it comes; two seconds later it is tried again, as with one that can't begin. *begin is the offset of the message
     * that comes first; the caller may know better.
     */
    struct tl_kqueue *(*assigned)(void *app, const char *topic, int32_t partition, int64_t *begin);
    /* All partitions are about to be revoked, one after the other. May be NULL. */
    void (*revoking)(void *app);
    /* It is not this member's any more, once this returns: nothing of it may be stored afterwards. */
    void (*revoked)(void *app, const char *topic, int32_t partition);
    /*
     * The partition is this member's, but can't begin yet: its leader is being elected, say. Told about every two
     * seconds, for one partition of each topic; assigned is called when it can. In the owner's thread.
     */
    void (*waits)(void *app, const char *topic, int32_t partition, const char *why);
    /*
     * Something is wrong: with one partition, or, topic NULL, with the way to the cluster. May come in any
     * thread.
     */
    void (*trouble)(void *app, const char *topic, int32_t partition, const char *text);
    void *app;
};

struct tl_consumer_options {
    const char *group;
    const char *client_id;
    size_t queue_bytes; /* fetched ahead, for each queue */
    /*
     * How long the broker waits for messages before it answers a fetch without any; 0: librdkafka's own. Each fetch names
     * all partitions, and what is asked of the same broker meanwhile waits behind it. fetch.wait.max.ms in the
     * configuration goes first.
     */
    int fetch_wait_ms;
    /*
     * Where a partition begins. True: at the offset that was stored in Kafka, else at its first message.
     * False: behind what is there; the caller reads the position from where it keeps it, and says so when the
     * partition is assigned or seeks. A position that is not
     * in the topic any more comes as a message that is `lost`, never as a silent jump, and nothing comes
     * after it.
     */
    bool from_stored;
};

struct tl_consumer *tl_consumer_new(const struct tl_kafka_conf *conf,
                                    const struct tl_consumer_options *options,
                                    const struct tl_consumer_events *events, struct tl_log *log,
                                    struct tl_error *err);
/* Replaces the set of topics, from the next poll on; those that are not there yet are waited for. n may be 0. */
int tl_consumer_subscribe(struct tl_consumer *c, const char *const *topics, size_t n,
                          struct tl_error *err) TL_MUST_CHECK;
/* Serves events; waits up to wait_ms for one. -1 with TL_E_FATAL when the member can't go on. */
int tl_consumer_poll(struct tl_consumer *c, int wait_ms, struct tl_error *err) TL_MUST_CHECK;
/* Makes a poll that waits, or else the next one, return at once. Any thread, also within `filled`. */
void tl_consumer_wake(struct tl_consumer *c);
/*
 * Leaves the group: everything is revoked and stored offsets are committed. Queues must be freed after it,
 * before tl_consumer_free.
 */
int tl_consumer_close(struct tl_consumer *c, struct tl_error *err) TL_MUST_CHECK;
void tl_consumer_free(struct tl_consumer *c); /* NULL is fine */

/*
 * The next message popped of the partition has this offset or a later one. TL_E_AGAIN: not possible at this
 * moment.
 */
int tl_consumer_seek(struct tl_consumer *c, const char *topic, int32_t partition, int64_t offset,
                     struct tl_error *err) TL_MUST_CHECK;
/*
 * Whether the topic's partitions are fetched. One that is not costs nothing, and what comes for it stays in Kafka. What is
 * assigned anew is fetched. By the owner.
 */
int tl_consumer_fetch(struct tl_consumer *c, const char *topic, bool fetched,
                      struct tl_error *err) TL_MUST_CHECK;
/*
 * All that is assigned is revoked and assigned once more, within about two seconds: a partition that is lost can't be
 * sought. Any thread.
 */
void tl_consumer_begin_anew(struct tl_consumer *c);
/* Remembers that everything before `next` is done; committed to Kafka about once a second and at close. */
int tl_consumer_store(struct tl_consumer *c, const char *topic, int32_t partition, int64_t next,
                      struct tl_error *err) TL_MUST_CHECK;

/*
 * filled (may be NULL) is called whenever something comes into the empty queue, in a thread of librdkafka, with a lock
 * of the queue held: it may signal somebody, and nothing else. It is not called any more once tl_kqueue_free returns.
 */
struct tl_kqueue *tl_kqueue_new(struct tl_consumer *c, void (*filled)(void *app), void *app,
                                struct tl_error *err);
void tl_kqueue_free(struct tl_kqueue *q); /* NULL is fine */
/* Whether there is nothing to be popped; what is there may turn out to be out of date. Any thread. */
bool tl_kqueue_empty(struct tl_kqueue *q);
/* Makes a pop that waits return at once. Any thread. */
void tl_kqueue_wake(struct tl_kqueue *q);

struct tl_message {
    const char *topic;
    int32_t partition;
    int64_t offset;
    int64_t written_ms; /* Kafka's timestamp: ms since 1970, -1 for none */
    struct tl_str value;
    struct tl_envelope envelope; /* borrows from the message */
    bool ours; /* false: the headers are not what our messages have; `why` says what is wrong */
    bool lost; /* no message, but word that the partition's position is not in the topic: `why` */
    struct tl_error why;
    void *impl;
};

/* 1 and a message, or one that is lost, to be released; 0 when there was none for wait_ms. */
int tl_kqueue_pop(struct tl_kqueue *q, int wait_ms, struct tl_message *m);
void tl_message_release(struct tl_message *m);

#endif
