/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the clients of this folder share; nobody else includes it, for rdkafka.h has its home here. */
#ifndef TL_KAFKA_RDKAFKA_UTIL_H
#define TL_KAFKA_RDKAFKA_UTIL_H

#include <librdkafka/rdkafka.h>

#include "shared/base/log.h"
#include "shared/kafka/conf.h"
#include "shared/wire/envelope.h"

struct tl_message;

/*
 * A librdkafka configuration with the properties of c, logging to log. The caller gives it to rd_kafka_new or
 * destroys it. NULL with *err.
 */
rd_kafka_conf_t *tl_rdkafka_conf(const struct tl_kafka_conf *c, struct tl_log *log, struct tl_error *err);

/* Sets what the tool itself decides. TL_E_REFUSED when this librdkafka does not know it. */
int tl_rdkafka_set(rd_kafka_conf_t *rd, const char *name, const char *value,
                   struct tl_error *err) TL_MUST_CHECK;
int tl_rdkafka_set_int(rd_kafka_conf_t *rd, const char *name, long long value,
                       struct tl_error *err) TL_MUST_CHECK;
/* The same for a setting that only some versions have. */
void tl_rdkafka_set_if_known(rd_kafka_conf_t *rd, const char *name, const char *value);

/*
 * A consumer of this configuration, which is taken over in any case. opaque begins with a struct tl_log *. NULL with
 * *err.
 */
rd_kafka_t *tl_rdkafka_consumer(rd_kafka_conf_t *rd, void *opaque, struct tl_error *err);

/*
 * rd_kafka_destroy, which in 2.0.2 may wait for ever when a topic of the client was deleted. False: it was not over within
 * within_ms, and goes on in a thread of its own. owned: what the client's callbacks need; freed when it is over.
 */
bool tl_rdkafka_destroy(rd_kafka_t *rk, int within_ms, void *owned);

/* Fills err from a librdkafka error; fatal says that the client can't go on. Returns -1. */
int tl_rdkafka_fail(struct tl_error *err, rd_kafka_resp_err_t code, const char *what, const char *detail);

/* Fills out from m, which it takes over; headers that are not ours are told by out->ours. */
void tl_rdkafka_message(rd_kafka_message_t *m, struct tl_message *out);
/* The same for an error that says that the partition's position is not in the topic. */
void tl_rdkafka_lost(rd_kafka_message_t *m, struct tl_message *out);

#endif
