/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a consumer group has committed, for somebody who is none of its members. One thread.
 *
 * It is a consumer of that group that never joins it. An admin request on a producer could ask for the same, but in
 * librdkafka 2.0.2 that ends the process when the coordinator is not to be had: the answer is taken for a
 * consumer's.
 */
#ifndef TL_KAFKA_COMMITTED_H
#define TL_KAFKA_COMMITTED_H

#include "shared/base/log.h"
#include "shared/kafka/conf.h"

struct tl_committed;

struct tl_committed *tl_committed_new(const struct tl_kafka_conf *conf, const char *group, struct tl_log *log,
                                      struct tl_error *err);
void tl_committed_free(struct tl_committed *c); /* NULL is fine */
/* The offset that the group committed for the partition, -1 when it did not. Bounded by timeout_ms. */
int tl_committed_get(struct tl_committed *c, const char *topic, int32_t partition, int timeout_ms,
                     int64_t *next, struct tl_error *err) TL_MUST_CHECK;

#endif
