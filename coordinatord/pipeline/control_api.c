/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/pipeline/control_api.h"

#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/http/client.h"

enum {
    CALL_MS = 5000,
    TENANTS_WAIT_MS = 20000,
    TENANTS_PAGE = 1000,
    WAITING_EVERY_MS = 1000,
    SCHEMAS_MAX = 32, /* versions kept; the one that was not used for longest makes room */
    PATH_MAX_BYTES = 512
};

struct cached_schema {
    char tenant[TL_TENANT_MAX + 1];
    struct tl_schema *schema;
    uint64_t used;
};

struct control_api {
    struct tl_http *http;
    struct cached_schema schemas[SCHEMAS_MAX];
    uint64_t clock; /* of uses, for the cache */
    int64_t waiting_told;
    int32_t waiting_partition;
    bool waiting;
    int64_t life;   /* of control, by whose numbers: */
    int64_t change; /* of the tenants that are known; -1: none are */
};

struct control_api *control_api_new(const char *url, const char *token, struct tl_error *err)
{
    struct control_api *c = calloc(1, sizeof *c);

    if (!c) {
        tl_fail_nomem(err);
        return NULL;
    }
    c->change = -1;
    c->http = tl_http_new(url, token, err);
    if (!c->http) {
        free(c);
        return NULL;
    }
    return c;
}

void control_api_free(struct control_api *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < SCHEMAS_MAX; i++)
        tl_schema_free(c->schemas[i].schema);
    tl_http_free(c->http);
    free(c);
}

void tenant_info_release(struct tenant_info *t)
{
    free(t->sink_url);
    free(t->errors_url);
    tl_kafka_conf_release(&t->kafka);
    *t = (struct tenant_info){0};
}

int tenant_info_copy(struct tenant_info *dst, const struct tenant_info *src, struct tl_error *err)
{
    *dst = *src;
    tl_kafka_conf_init(&dst->kafka);
    dst->sink_url = strdup(src->sink_url);
    dst->errors_url = strdup(src->errors_url);
    if (!dst->sink_url || !dst->errors_url)
        tl_fail_nomem(err);
    else if (tl_kafka_conf_copy(&dst->kafka, &src->kafka, err) == 0)
        return 0;
    tenant_info_release(dst);
    return -1;
}

void tenant_list_release(struct tenant_list *list)
{
    for (size_t i = 0; i < list->n; i++)
        tenant_info_release(&list->item[i]);
    free(list->item);
    *list = (struct tenant_list){0};
}

static int read_tenant(const json_t *json, struct tenant_info *t, struct tl_error *err)
{
    const char *name, *cluster, *state, *sink, *errors;
    json_t *kafka;
    json_int_t epoch;
    json_int_t stirred;
    int partitions, group, ready, active;

    if (json_unpack((json_t *)json, "{s:s, s:s, s:i, s:i, s:I, s:s, s:b, s:b, s:I, s:s, s:s, s:o}", "tenant",
                    &name, "cluster", &cluster, "partitions", &partitions, "group", &group, "epoch", &epoch,
                    "state", &state, "ready", &ready, "active", &active, "stirred", &stirred, "sink", &sink,
                    "errors", &errors, "kafka", &kafka))
        return tl_fail(err, TL_E_CORRUPT, "control describes a tenant in a way that is not understood");
    if (!tl_str_copy(tl_str(name), t->name, sizeof t->name) ||
        !tl_str_copy(tl_str(cluster), t->cluster, sizeof t->cluster))
        return tl_fail(err, TL_E_CORRUPT, "control names a tenant or cluster too long: \"%s\"", name);
    t->partitions = partitions;
    t->group = group;
    t->epoch = epoch;
    t->removing = strcmp(state, "removing") == 0;
    t->ready = ready && !t->removing;
    t->active = active;
    t->stirred = stirred;
    tl_kafka_conf_init(&t->kafka);
    t->sink_url = strdup(sink);
    t->errors_url = strdup(errors);
    if (!t->sink_url || !t->errors_url)
        return tl_fail_nomem(err);
    return tl_kafka_conf_from_json(&t->kafka, kafka, err);
}

static int add_tenants(struct tenant_list *out, const json_t *tenants, struct tl_error *err)
{
    size_t n = out->n + json_array_size(tenants), i;
    struct tenant_info *item = realloc(out->item, (n + 1) * sizeof *item);
    json_t *one;

    if (!item)
        return tl_fail_nomem(err);
    out->item = item;
    json_array_foreach((json_t *)tenants, i, one)
    {
        out->item[out->n] = (struct tenant_info){0};
        if (read_tenant(one, &out->item[out->n++], err))
            return -1;
    }
    return 0;
}

/* What there is of the first page's answer. */
struct pages {
    struct tenant_list list;
    int64_t life;
    int64_t change;
    bool all;
};

/* The tenants behind the last one that there is; of the first page also what it says of all. 1: there are more. */
static int next_page(struct control_api *c, struct pages *p, struct tl_error *err)
{
    char path[PATH_MAX_BYTES];
    json_int_t life, change;
    json_t *answer;
    int wait_ms = !p->list.n && c->change >= 0 ? TENANTS_WAIT_MS : 0;
    int n = snprintf(path, sizeof path, "/v1/roles/tenants?limit=%d", TENANTS_PAGE), all, rc;

    if (c->change >= 0)
        n += snprintf(path + n, sizeof path - (size_t)n, "&life=%lld&seen=%lld&wait_ms=%d",
                      (long long)c->life, (long long)c->change, wait_ms);
    if (p->list.n)
        snprintf(path + n, sizeof path - (size_t)n, "&cursor=%s", p->list.item[p->list.n - 1].name);
    if (tl_http_call(c->http, "GET", path, NULL, wait_ms + CALL_MS, &answer, err))
        return -1;
    rc = json_unpack(answer, "{s:I, s:I, s:b}", "life", &life, "change", &change, "all", &all);
    if (!rc && !p->list.n) {
        p->life = life;
        p->change = change;
        p->all = all;
    }
    rc = rc ? tl_fail(err, TL_E_CORRUPT, "control lists its tenants in a way that is not understood")
            : add_tenants(&p->list, json_object_get(answer, "tenants"), err);
    if (!rc && p->list.n)
        rc = json_is_string(json_object_get(answer, "next"));
    json_decref(answer);
    return rc;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct tenant_info *)a)->name, ((const struct tenant_info *)b)->name);
}

/* In place of the one of its name. Takes over the tenant; there is room for one more. */
static void put_tenant(struct tenant_list *list, struct tenant_info *tenant)
{
    size_t low = 0, high = list->n;
    struct tenant_info *at;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (strcmp(list->item[middle].name, tenant->name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    at = &list->item[low];
    if (low < list->n && strcmp(at->name, tenant->name) == 0) {
        tenant_info_release(at);
        memmove(at, at + 1, (--list->n - low) * sizeof *at);
    }
    if (tenant->removing) {
        tenant_info_release(tenant);
        return;
    }
    memmove(at + 1, at, (list->n++ - low) * sizeof *at);
    *at = *tenant;
}

/* Takes over all of `changed`. */
static int merge(struct tenant_list *list, struct tenant_list *changed, struct tl_error *err)
{
    struct tenant_info *item;

    if (!changed->n)
        return 0;
    item = realloc(list->item, (list->n + changed->n) * sizeof *item);
    if (!item)
        return tl_fail_nomem(err);
    list->item = item;
    for (size_t i = 0; i < changed->n; i++)
        put_tenant(list, &changed->item[i]);
    changed->n = 0;
    return 0;
}

int control_api_tenants(struct control_api *c, struct tenant_list *list, struct tl_error *err)
{
    struct pages p = {0};
    int rc;

    do
        rc = next_page(c, &p, err);
    while (rc > 0);
    if (!rc && p.all) {
        tenant_list_release(list);
        *list = p.list;
        p.list = (struct tenant_list){0};
        qsort(list->item, list->n, sizeof *list->item, by_name);
    } else if (!rc) {
        rc = merge(list, &p.list, err);
    }
    if (!rc) {
        c->life = p.life;
        c->change = p.change;
    }
    tenant_list_release(&p.list);
    return rc;
}

void control_api_tenants_again(struct control_api *c)
{
    c->change = -1;
}

void control_api_interrupt(struct control_api *c)
{
    tl_http_interrupt(c->http);
}

static int fetch_schema(struct control_api *c, const char *tenant, struct tl_str table, int64_t table_id,
                        int64_t version, struct tl_schema **out, struct tl_error *err)
{
    char path[PATH_MAX_BYTES];
    json_t *answer;
    int rc;

    /* Names are of the whitelist: nothing in them needs escaping. */
    snprintf(path, sizeof path, "/v1/tenants/%s/tables/%.*s/versions/%lld?table_id=%lld", tenant,
             TL_STR_ARG(table), (long long)version, (long long)table_id);
    if (tl_http_call(c->http, "GET", path, NULL, CALL_MS, &answer, err))
        return -1;
    rc = tl_schema_from_json(answer, out, err);
    json_decref(answer);
    return rc;
}

int control_api_schema(struct control_api *c, const char *tenant, struct tl_str table, int64_t table_id,
                       int64_t version, const struct tl_schema **out, struct tl_error *err)
{
    struct cached_schema *oldest = &c->schemas[0];
    struct tl_schema *schema;

    for (size_t i = 0; i < SCHEMAS_MAX; i++) {
        struct cached_schema *s = &c->schemas[i];

        if (s->schema && s->schema->table_id == table_id && s->schema->version == version &&
            strcmp(s->tenant, tenant) == 0 && tl_str_eq_z(table, s->schema->table)) {
            s->used = ++c->clock;
            *out = s->schema;
            return 0;
        }
        if (s->used < oldest->used)
            oldest = s;
    }
    if (fetch_schema(c, tenant, table, table_id, version, &schema, err))
        return -1;
    tl_schema_free(oldest->schema);
    oldest->schema = schema;
    oldest->used = ++c->clock;
    snprintf(oldest->tenant, sizeof oldest->tenant, "%s", tenant);
    *out = schema;
    return 0;
}

/* Takes over the report. */
static void send_report(struct control_api *c, json_t *body)
{
    struct tl_error err;

    if (body && tl_http_call(c->http, "POST", "/v1/roles/waiting", body, WAITING_EVERY_MS, NULL, &err)) {
        /* Control is away as well; the log has the reason. */
    }
    json_decref(body);
}

void control_api_waiting(struct control_api *c, const char *role, const char *tenant, int32_t partition,
                         const char *reason)
{
    int64_t now = tl_clock_ms();

    if (!reason && !c->waiting)
        return;
    if (reason && c->waiting && c->waiting_partition == partition && now - c->waiting_told < WAITING_EVERY_MS)
        return;
    c->waiting = reason != NULL;
    c->waiting_partition = partition;
    c->waiting_told = now;
    send_report(c, json_pack("{s:s, s:s, s:i, s:s?}", "role", role, "tenant", tenant, "partition",
                             (int)partition, "reason", reason));
}

void control_api_table_waiting(struct control_api *c, const char *role, const char *tenant, const char *table,
                               const char *reason)
{
    send_report(c, json_pack("{s:s, s:s, s:s, s:s?}", "role", role, "tenant", tenant, "table", table,
                             "reason", reason));
}
