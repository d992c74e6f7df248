/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/kafka/conf.h"

#include <stdlib.h>
#include <string.h>

#include "shared/kafka/rdkafka_util.h"

void tl_kafka_conf_init(struct tl_kafka_conf *c)
{
    *c = (struct tl_kafka_conf){0};
}

void tl_kafka_conf_release(struct tl_kafka_conf *c)
{
    for (size_t i = 0; i < c->n; i++) {
        free(c->item[i].name);
        free(c->item[i].value);
    }
    free(c->item);
    tl_kafka_conf_init(c);
}

static struct tl_kafka_property *find(const struct tl_kafka_conf *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (strcmp(c->item[i].name, name) == 0)
            return &c->item[i];
    return NULL;
}

int tl_kafka_conf_set(struct tl_kafka_conf *c, const char *name, const char *value, struct tl_error *err)
{
    struct tl_kafka_property *known = find(c, name);
    char *value_copy = strdup(value);
    char *name_copy;

    if (!value_copy)
        return tl_fail_nomem(err);
    if (known) {
        free(known->value);
        known->value = value_copy;
        return 0;
    }
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 16;
        struct tl_kafka_property *item = realloc(c->item, cap * sizeof *item);

        if (!item) {
            free(value_copy);
            return tl_fail_nomem(err);
        }
        c->item = item;
        c->cap = cap;
    }
    name_copy = strdup(name);
    if (!name_copy) {
        free(value_copy);
        return tl_fail_nomem(err);
    }
    c->item[c->n++] = (struct tl_kafka_property){name_copy, value_copy};
    return 0;
}

const char *tl_kafka_conf_get(const struct tl_kafka_conf *c, const char *name)
{
    const struct tl_kafka_property *known = find(c, name);

    return known ? known->value : NULL;
}

int tl_kafka_conf_copy(struct tl_kafka_conf *dst, const struct tl_kafka_conf *src, struct tl_error *err)
{
    for (size_t i = 0; i < src->n; i++)
        if (tl_kafka_conf_set(dst, src->item[i].name, src->item[i].value, err))
            return -1;
    return 0;
}

bool tl_kafka_conf_equal(const struct tl_kafka_conf *a, const struct tl_kafka_conf *b)
{
    if (a->n != b->n)
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const char *other = tl_kafka_conf_get(b, a->item[i].name);

        if (!other || strcmp(other, a->item[i].value) != 0)
            return false;
    }
    return true;
}

int tl_kafka_conf_from_json(struct tl_kafka_conf *c, const json_t *object, struct tl_error *err)
{
    const char *name;
    json_t *value;

    if (!json_is_object(object))
        return tl_fail(err, TL_E_CORRUPT, "Kafka properties are not a JSON object");
    json_object_foreach((json_t *)object, name, value)
    {
        if (!json_is_string(value))
            return tl_fail(err, TL_E_CORRUPT, "Kafka property \"%s\" is not a string", name);
        if (tl_kafka_conf_set(c, name, json_string_value(value), err))
            return -1;
    }
    return 0;
}

json_t *tl_kafka_conf_to_json(const struct tl_kafka_conf *c)
{
    json_t *object = json_object();

    for (size_t i = 0; object && i < c->n; i++) {
        if (json_object_set_new(object, c->item[i].name, json_string(c->item[i].value))) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

int tl_kafka_conf_check(const struct tl_kafka_conf *c, struct tl_error *err)
{
    rd_kafka_conf_t *rd = tl_rdkafka_conf(c, NULL, err);

    if (!rd)
        return -1;
    rd_kafka_conf_destroy(rd);
    return 0;
}

const char *tl_kafka_version(void)
{
    return rd_kafka_version_str();
}
