/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What control does in Kafka, behind an interface so that tests need no cluster. A struct broker is one
 * connection to one cluster, owned by one thread (its keeper, or who tries it out). Every call is bounded by timeout_ms, and ends
 * earlier with TL_E_INTERRUPTED when *stop becomes true.
 */
#ifndef COORDINATORD_CONTROL_BROKER_H
#define COORDINATORD_CONTROL_BROKER_H

#include <stdatomic.h>

#include "coordinatord/config.h"
#include "shared/kafka/admin.h"
#include "shared/wire/envelope.h"

struct broker;

struct broker_pending {
    int64_t first;      /* offset of the first record that is still there */
    int64_t records;    /* from the offset that was asked for, or from `first`; 0: nothing is pending */
    int64_t since_ms;   /* when the first of them was written, ms since 1970; -1 not known */
    int64_t raw_offset; /* that it names; -1 none */
};

struct broker_ops {
    /*
     * How to reach the cluster is in kafka; of config only how topics are made and messages are written. Both, log and
     * stop are borrowed until close; nothing is connected yet.
     */
    struct broker *(*open)(const struct config *config, const struct tl_kafka_conf *kafka, struct tl_log *log,
                           const atomic_bool *stop, struct tl_error *err);
    void (*close)(struct broker *b); /* NULL is fine */
    /* The tenant's three topics. TL_E_CONFLICT: one is there with another number of partitions. */
    int (*make_topics)(struct broker *b, const char *tenant, int32_t partitions, int timeout_ms,
                       struct tl_error *err);
    /* Deletes them with all that is in them; that they are not there is fine. */
    int (*delete_topics)(struct broker *b, const char *tenant, int timeout_ms, struct tl_error *err);
    /* What is in the cluster, anybody's; each is called for every topic. */
    int (*survey)(struct broker *b, int timeout_ms, struct tl_cluster_size *out,
                  void (*each)(void *app, const char *topic, int32_t partitions), void *app,
                  struct tl_error *err);
    /*
     * The message into every partition of the topic: 0 only when all of them have it for good. Again after a
     * failure is harmless.
     */
    int (*write_all)(struct broker *b, const char *topic, int32_t partitions,
                     const struct tl_envelope *envelope, struct tl_str value, int timeout_ms,
                     struct tl_error *err);
    /* What is there of the partition from the offset on, and since when. */
    int (*pending)(struct broker *b, const char *topic, int32_t partition, int64_t from, int timeout_ms,
                   struct broker_pending *out, struct tl_error *err);
    /* The offset that the group committed, -1 for none. What it takes to ask is kept for each group. */
    int (*committed)(struct broker *b, const char *group, const char *topic, int32_t partition,
                     int timeout_ms, int64_t *next, struct tl_error *err);
    /* Forgets what the group committed of the topic. TL_E_CONFLICT: somebody in the group still reads it. */
    int (*forget)(struct broker *b, const char *group, const char *topic, int32_t partitions, int timeout_ms,
                  struct tl_error *err);
    int (*limits)(struct broker *b, const char *topic, int timeout_ms, struct tl_topic_limits *out,
                  struct tl_error *err);
    /* Deletes what stands before the offset, if that is at least `worth` records. */
    int (*trim)(struct broker *b, const char *topic, int32_t partition, int64_t before, int64_t worth,
                int timeout_ms, struct tl_error *err);
};

extern const struct broker_ops broker_kafka;

#endif
