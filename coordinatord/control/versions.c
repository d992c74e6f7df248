/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The history of a table: its versions, each with what it changed in the one before. */
#include <stdio.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "shared/base/clock.h"
#include "shared/schema/evolve.h"

struct history {
    const char *table;
    json_t *list;
    int32_t after; /* only versions behind it are listed */
    int limit;
    struct tl_schema *before; /* the version before the row, NULL: none */
    bool more;
};

/* A new reference; what a dropped table's last version changes is that alone. */
static json_t *changes_of(const struct tl_schema *before, const struct tl_schema *schema)
{
    return before && !schema->dropped ? tl_schema_diff(before, schema) : json_array();
}

static json_t *version_json(const struct version_row *row, const char *table, const struct tl_schema *before,
                            const struct tl_schema *schema, struct tl_error *err)
{
    json_t *json = table_schema_json(row->schema, table, err), *more;
    char when[TL_CLOCK_TEXT];

    if (!json)
        return NULL;
    tl_clock_text(row->created_ms, when);
    more = json_pack("{s:s, s:s, s:s, s:o}", "state", row->active ? "active" : "pending", "changed_at", when,
                     "changed_by", row->who, "changes", changes_of(before, schema));
    if (more && json_object_update(json, more) == 0) {
        json_decref(more);
        return json;
    }
    json_decref(more);
    json_decref(json);
    tl_fail_nomem(err);
    return NULL;
}

static int add_version(void *app, const struct version_row *row, struct tl_error *err)
{
    struct history *h = app;
    struct tl_schema *schema;
    json_t *json;
    int rc = 0;

    if (tl_schema_from_text(tl_str(row->schema), &schema, err) < 0)
        return -1;
    if (row->version > h->after && (int)json_array_size(h->list) == h->limit) {
        h->more = true;
    } else if (row->version > h->after) {
        json = version_json(row, h->table, h->before, schema, err);
        rc = !json ? -1 : json_array_append_new(h->list, json) ? tl_fail_nomem(err) : 0;
    }
    tl_schema_free(h->before);
    h->before = schema;
    return rc;
}

/* Versions behind `after`, up to the limit; the list is the caller's. */
static int read_history(struct control *c, const struct table_row *row, struct history *h,
                        struct tl_error *err)
{
    int rc;

    h->table = row->name;
    h->list = json_array();
    if (!h->list)
        return tl_fail_nomem(err);
    /* The one before is read, too: it is what the first one of the list is compared with. */
    rc = store_versions(c->store, row->table_id, h->after, h->limit + 2, add_version, h, err);
    tl_schema_free(h->before);
    if (rc < 0)
        json_decref(h->list);
    return rc;
}

int versions_add_pending(struct control *c, const struct table_row *row, json_t *json, struct tl_error *err)
{
    struct history h = {.after = row->version, .limit = 1};
    json_t *pending;
    int rc = 0;

    if (read_history(c, row, &h, err) < 0)
        return -1;
    pending = json_array_get(h.list, 0);
    if (pending && json_object_set(json, "pending", pending))
        rc = tl_fail_nomem(err);
    json_decref(h.list);
    return rc;
}

int control_versions(struct control *c, const char *tenant, const char *table, int limit, const char *cursor,
                     json_t **answer, struct tl_error *err)
{
    struct history h = {.limit = limit};
    struct table_row row;
    int64_t after = 0;
    char next[24];
    int rc;

    if (!tenant_find(c, tenant, err) || table_lookup(c, tenant, table, &row, err) < 0)
        return -1;
    if (cursor && !tl_str_to_i64(tl_str(cursor), 1, INT32_MAX, &after)) {
        table_row_release(&row);
        return tl_fail(err, TL_E_REFUSED, "the cursor is not one that was given out");
    }
    h.after = (int32_t)after;
    rc = read_history(c, &row, &h, err);
    table_row_release(&row);
    if (rc < 0)
        return -1;
    snprintf(next, sizeof next, "%lld",
             (long long)json_integer_value(
                 json_object_get(json_array_get(h.list, json_array_size(h.list) - 1), "version")));
    return control_answer(json_pack("{s:o, s:s?}", "versions", h.list, "next", h.more ? next : NULL), answer,
                          err);
}
