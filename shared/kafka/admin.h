/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Topics: made, looked at, trimmed, removed. Thread: one at a time. Every call is bounded by timeout_ms.
 */
#ifndef TL_KAFKA_ADMIN_H
#define TL_KAFKA_ADMIN_H

#include "shared/base/log.h"
#include "shared/kafka/conf.h"

struct tl_admin;

struct tl_admin *tl_admin_new(const struct tl_kafka_conf *conf, struct tl_log *log, struct tl_error *err);
void tl_admin_free(struct tl_admin *a); /* NULL is fine */

struct tl_topic_spec {
    const char *name;
    int32_t partitions;
    int32_t replication;                /* -1: the broker's default */
    const struct tl_kafka_conf *config; /* topic settings, "retention.ms" and so on; may be NULL */
};

/*
 * Returns when the brokers know them. A topic that is there already is fine when its number of partitions is right, and TL_E_CONFLICT otherwise.
 * TL_E_UNAVAILABLE: no broker answers.
 */
int tl_admin_create_topics(struct tl_admin *a, const struct tl_topic_spec *spec, size_t n, int timeout_ms,
                           struct tl_error *err) TL_MUST_CHECK;
/* Number of partitions, 0 when there is no such topic. */
int tl_admin_partitions(struct tl_admin *a, const char *topic, int timeout_ms, int32_t *partitions,
                        struct tl_error *err) TL_MUST_CHECK;
enum { TL_CLUSTER_ID_MAX = 63 };

/* Of the whole cluster, topics that are not ours included: brokers, topics, partitions. */
struct tl_cluster_size {
    int32_t brokers;
    int32_t topics;
    int32_t partitions;
    char id[TL_CLUSTER_ID_MAX + 1]; /* what Kafka itself calls the cluster; "" when it does not say */
};
int tl_admin_cluster(struct tl_admin *a, int timeout_ms, struct tl_cluster_size *out,
                     struct tl_error *err) TL_MUST_CHECK;
/* The same, and each is called for every topic, with its number of partitions. */
int tl_admin_survey(struct tl_admin *a, int timeout_ms, struct tl_cluster_size *out,
                    void (*each)(void *app, const char *topic, int32_t partitions), void *app,
                    struct tl_error *err) TL_MUST_CHECK;
/* Deletes the records of a partition before the offset. */
int tl_admin_trim(struct tl_admin *a, const char *topic, int32_t partition, int64_t before, int timeout_ms,
                  struct tl_error *err) TL_MUST_CHECK;
/* What a topic's settings let the broker delete by itself; -1: nothing, for that reason. */
struct tl_topic_limits {
    int64_t retention_ms;
    int64_t retention_bytes; /* of a partition */
};
int tl_admin_topic_limits(struct tl_admin *a, const char *topic, int timeout_ms, struct tl_topic_limits *out,
                          struct tl_error *err) TL_MUST_CHECK;
/* First offset that is still there, and the next to be written. */
int tl_admin_watermarks(struct tl_admin *a, const char *topic, int32_t partition, int timeout_ms,
                        int64_t *low, int64_t *high, struct tl_error *err) TL_MUST_CHECK;
/*
 * Forgets where the group stands in all partitions of the topic. TL_E_CONFLICT: somebody in the group still reads it, and
 * might commit again. That there is no such group is fine.
 */
int tl_admin_forget(struct tl_admin *a, const char *group, const char *topic, int32_t partitions,
                    int timeout_ms, struct tl_error *err) TL_MUST_CHECK;
/* Returns when the brokers know them no more; that one was not there is fine. */
int tl_admin_delete_topics(struct tl_admin *a, const char *const *names, size_t n, int timeout_ms,
                           struct tl_error *err) TL_MUST_CHECK;

#endif
