/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What consumer.c, kqueue.c and left.c share; nobody else includes it. */
#ifndef TL_KAFKA_CONSUMER_IMPL_H
#define TL_KAFKA_CONSUMER_IMPL_H

#include <stdatomic.h>

#include "shared/kafka/consumer.h"
#include "shared/kafka/rdkafka_util.h"

/* Queues of partitions that were given up. */
struct tl_left {
    rd_kafka_topic_partition_list_t
        *list; /* `opaque`: the queue; `offset`: since when, tl_clock_ms; NULL: none */
    int64_t swept;
};

struct tl_consumer {
    struct tl_log *log; /* first: on_log of rdkafka_util.c finds it through the client's opaque pointer */
    rd_kafka_t *rk;
    rd_kafka_queue_t *own; /* that poll looks at */
    struct tl_consumer_events events;
    bool from_stored;
    atomic_bool anew; /* tl_consumer_begin_anew was called */
    /* The owner's. */
    rd_kafka_topic_partition_list_t *given;      /* by the group; NULL: nothing */
    bool paused;                                 /* some partition was, ever */
    rd_kafka_topic_partition_list_t *woken;      /* resumed since the last poll; NULL: none */
    bool incomplete;                             /* some of it could not begin yet */
    int64_t again;                               /* when that is tried again, tl_clock_ms */
    rd_kafka_topic_partition_list_t *wanted;     /* topics to be subscribed; NULL: nothing yet */
    rd_kafka_topic_partition_list_t *subscribed; /* those of them that are there; NULL: nothing yet */
    bool missing;                                /* some are not, or were not looked for yet */
    int64_t missing_again;                       /* when they are looked for again, tl_clock_ms */
    int missing_pause;                           /* and how long after that once more, in ms */
    struct tl_left left;
};

struct tl_kqueue {
    rd_kafka_queue_t *rd;
    struct tl_consumer *consumer; /* borrowed */
    void (*filled)(void *app);
    void *app;
};

/* What librdkafka has to say that is no message, into the log. */
void tl_consumer_say(struct tl_consumer *c, const rd_kafka_message_t *m);

/* consumer_fetch.c; in the owner's thread. What was resumed is fetched at once. */
void tl_consumer_wake_brokers(struct tl_consumer *c);

/* left.c; in the owner's thread. Before the partition is given up: nothing of it comes to its owner's queue any more. */
void tl_left_add(struct tl_left *l, rd_kafka_t *rk, const rd_kafka_topic_partition_t *tp);
void tl_left_tidy(struct tl_left *l);
/* Before these partitions are assigned again; sorted. */
void tl_left_release(struct tl_left *l, const rd_kafka_topic_partition_list_t *wanted);
/* When the group was left, before rd_kafka_destroy. */
void tl_left_end(struct tl_left *l);

bool tl_partitions_have(const rd_kafka_topic_partition_list_t *sorted, const rd_kafka_topic_partition_t *tp);

#endif
