/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How to reach a cluster: librdkafka properties by name, as they came from the configuration or from control.
 * A struct tl_kafka_conf is made once, then only read, by any thread; whoever made it frees it.
 */
#ifndef TL_KAFKA_CONF_H
#define TL_KAFKA_CONF_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "shared/base/error.h"

struct tl_kafka_conf {
    size_t n;
    size_t cap;
    struct tl_kafka_property {
        char *name;
        char *value;
    } * item;
};

void tl_kafka_conf_init(struct tl_kafka_conf *c);
void tl_kafka_conf_release(struct tl_kafka_conf *c);
/* Sets or replaces. librdkafka's own check comes when a client is made, or by tl_kafka_conf_check. */
int tl_kafka_conf_set(struct tl_kafka_conf *c, const char *name, const char *value,
                      struct tl_error *err) TL_MUST_CHECK;
const char *tl_kafka_conf_get(const struct tl_kafka_conf *c, const char *name); /* NULL: not set */
int tl_kafka_conf_copy(struct tl_kafka_conf *dst, const struct tl_kafka_conf *src,
                       struct tl_error *err) TL_MUST_CHECK;
/* Whether both have the same properties with the same values, in whatever order. */
bool tl_kafka_conf_equal(const struct tl_kafka_conf *a, const struct tl_kafka_conf *b);
/* From a JSON object of strings. c must be initialized. */
int tl_kafka_conf_from_json(struct tl_kafka_conf *c, const json_t *object,
                            struct tl_error *err) TL_MUST_CHECK;
json_t *tl_kafka_conf_to_json(const struct tl_kafka_conf *c);
/*
 * Whether librdkafka knows every name and takes every value; TL_E_REFUSED names the first that it does not.
 */
int tl_kafka_conf_check(const struct tl_kafka_conf *c, struct tl_error *err) TL_MUST_CHECK;
/* librdkafka's version, "2.0.2". */
const char *tl_kafka_version(void);

#endif
