/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a role asks of control, and tells it: tenants, schema versions, and that it waits. Over HTTP, also
 * within one process. One thread at a time; each worker has its own.
 */
#ifndef COORDINATORD_PIPELINE_CONTROL_API_H
#define COORDINATORD_PIPELINE_CONTROL_API_H

#include "coordinatord/config.h"
#include "shared/kafka/conf.h"
#include "shared/schema/schema.h"
#include "shared/wire/envelope.h"

struct control_api;

struct control_api *control_api_new(const char *url, const char *token, struct tl_error *err);
void control_api_free(struct control_api *c); /* NULL is fine */

struct tenant_info {
    char name[TL_TENANT_MAX + 1];
    char cluster[TL_TENANT_MAX + 1];
    int32_t partitions;
    int32_t group;   /* number of the consumer groups that read its topics */
    int64_t epoch;   /* of its topics: they may have been made anew under the same names */
    bool ready;      /* its topics are there */
    bool removing;   /* they are about to go */
    bool active;     /* it has unfinished uploads: something may come at any time */
    int64_t stirred; /* another number: something else was written, or is about to be */
    char *sink_url;
    char *errors_url;
    struct tl_kafka_conf kafka;
};

struct tenant_list {
    size_t n;
    struct tenant_info *item;
};

/*
 * Brings the list, empty at the first call, up to date: all tenants, in the order of their names. Waits until something
 * has changed, but not for ever; at the first call it does not wait. On failure the list is as it was.
 */
int control_api_tenants(struct control_api *c, struct tenant_list *list, struct tl_error *err) TL_MUST_CHECK;
/* The next call asks for all of them, and does not wait: what the last one gave could not be used. */
void control_api_tenants_again(struct control_api *c);
/* Makes a call in progress in another thread, and all later ones, fail. Any thread. */
void control_api_interrupt(struct control_api *c);
void tenant_list_release(struct tenant_list *list);
int tenant_info_copy(struct tenant_info *dst, const struct tenant_info *src,
                     struct tl_error *err) TL_MUST_CHECK;
void tenant_info_release(struct tenant_info *t);

/*
 * A version of a table, from the cache or from control. *out lives until the next call. TL_E_NOT_FOUND:
 * control does not know it (yet).
 */
int control_api_schema(struct control_api *c, const char *tenant, struct tl_str table, int64_t table_id,
                       int64_t version, const struct tl_schema **out, struct tl_error *err) TL_MUST_CHECK;

/*
 * Tells control that the role waits, and why; reason NULL: it goes on. At most once a second for the same
 * partition. Failing to is no matter.
 */
void control_api_waiting(struct control_api *c, const char *role, const char *tenant, int32_t partition,
                         const char *reason);
/* The same of one table, each time. */
void control_api_table_waiting(struct control_api *c, const char *role, const char *tenant, const char *table,
                               const char *reason);

#endif
