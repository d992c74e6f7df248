/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What consumer.c and kqueue.c share; nobody else includes it. */
#ifndef TL_KAFKA_CONSUMER_IMPL_H
#define TL_KAFKA_CONSUMER_IMPL_H

#include "shared/kafka/consumer.h"
#include "shared/kafka/rdkafka_util.h"

struct tl_consumer {
    struct tl_log *log; /* first: on_log of rdkafka_util.c finds it through the client's opaque pointer */
    rd_kafka_t *rk;
    rd_kafka_queue_t *own; /* that poll looks at */
    struct tl_consumer_events events;
    bool from_stored;
    /* The owner's. */
    rd_kafka_topic_partition_list_t *given;      /* by the group; NULL: nothing */
    bool incomplete;                             /* some of it could not begin yet */
    int64_t again;                               /* when that is tried again, tl_clock_ms */
    rd_kafka_topic_partition_list_t *wanted;     /* topics to be subscribed; NULL: nothing yet */
    rd_kafka_topic_partition_list_t *subscribed; /* those of them that are there; NULL: nothing yet */
    bool missing;                                /* some are not, or were not looked for yet */
    int64_t missing_again;                       /* when they are looked for again, tl_clock_ms */
    int missing_pause;                           /* and how long after that once more, in ms */
};

struct tl_kqueue {
    rd_kafka_queue_t *rd;
    struct tl_consumer *consumer; /* borrowed */
    void (*filled)(void *app);
    void *app;
};

/* What librdkafka has to say that is no message, into the log. */
void tl_consumer_say(struct tl_consumer *c, const rd_kafka_message_t *m);

#endif
