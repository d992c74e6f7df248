/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a cluster says of its topics, with topics found by name. Only within shared/kafka/. One thread. */
#ifndef TL_KAFKA_METADATA_H
#define TL_KAFKA_METADATA_H

#include "shared/kafka/rdkafka_util.h"

struct tl_metadata {
    const rd_kafka_metadata_t *answer;
    const rd_kafka_metadata_topic_t **sorted; /* its topics, by name */
};

/*
 * Asks for all topics, or those that the client knows. 0: to be released. Bounded by timeout_ms.
 */
int tl_metadata_ask(struct tl_metadata *m, rd_kafka_t *rk, bool all, int timeout_ms,
                    struct tl_error *err) TL_MUST_CHECK;
void tl_metadata_release(struct tl_metadata *m);
/* NULL: there is none of the name. It lives as long as *m. */
const rd_kafka_metadata_topic_t *tl_metadata_topic(const struct tl_metadata *m, const char *name);

#endif
