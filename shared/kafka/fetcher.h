/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Single messages read again, by topic, partition and offset; outside of any consumer group. One thread.
 */
#ifndef TL_KAFKA_FETCHER_H
#define TL_KAFKA_FETCHER_H

#include "shared/kafka/consumer.h"

struct tl_fetcher;

struct tl_fetcher *tl_fetcher_new(const struct tl_kafka_conf *conf, struct tl_log *log, struct tl_error *err);
void tl_fetcher_free(struct tl_fetcher *f); /* NULL is fine */
/*
 * The message at exactly this offset, to be released with tl_message_release. TL_E_NOT_FOUND: it is not in
 * the topic any more; TL_E_UNAVAILABLE: no answer within timeout_ms.
 */
int tl_fetcher_get(struct tl_fetcher *f, const char *topic, int32_t partition, int64_t offset, int timeout_ms,
                   struct tl_message *out, struct tl_error *err) TL_MUST_CHECK;

#endif
