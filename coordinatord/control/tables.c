/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables. Making one:
 *
 *   request ──► version 1, pending ──► schema message in every partition of raw-input ──► active
 *                    store                              keeper                             store
 *
 * The HTTP thread does the first step and waits for the keeper to do the others; when it gives up, the keeper
 * does not.
 */
#include <stdio.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "coordinatord/control/request.h"
#include "shared/base/clock.h"

int table_name(const char *text, char out[TL_NAME_MAX + 1], struct tl_error *err)
{
    if (tl_name_parse(tl_str(text), "table", out, err) == 0)
        return 0;
    return tl_fail(err, TL_E_NOT_FOUND, "no such table");
}

struct nearest {
    const char *name;
    unsigned distance;
    char best[TL_NAME_MAX + 1];
};

static int compare_name(void *app, const struct table_row *row, struct tl_error *err)
{
    struct nearest *n = app;
    unsigned d = tl_str_distance(tl_str(n->name), tl_str(row->name));

    (void)err;
    if (d < n->distance) {
        n->distance = d;
        memcpy(n->best, row->name, sizeof n->best);
    }
    return 0;
}

static int no_such_table(struct control *c, const char *tenant, const char *name, struct tl_error *err)
{
    struct nearest n = {.name = name, .distance = (unsigned)strlen(name) / 3 + 1};

    if (store_tables(c->store, tenant, "", PAGE_MAX, compare_name, &n, err) == 0 && n.best[0])
        return tl_fail(err, TL_E_NOT_FOUND, "no table \"%s\"; did you mean \"%s\"?", name, n.best);
    return tl_fail(err, TL_E_NOT_FOUND, "no table \"%s\"", name);
}

int table_lookup(struct control *c, const char *tenant, const char *table, struct table_row *row,
                 struct tl_error *err)
{
    char name[TL_NAME_MAX + 1];
    int rc;

    if (table_name(table, name, err) < 0)
        return -1;
    rc = store_table_find(c->store, tenant, name, row, err);
    if (rc < 0)
        return -1;
    return rc == 1 ? 0 : no_such_table(c, tenant, name, err);
}

/* --- JSON --- */

json_t *table_schema_json(const char *schema, const char *table, struct tl_error *err)
{
    json_error_t why;
    json_t *json = json_loads(schema, 0, &why);

    if (!json)
        tl_fail(err, TL_E_CORRUPT, "metadata: the schema of table \"%s\" can't be read: %s", table, why.text);
    return json;
}

/* Of the table: its state, and when it was made. */
static int set_state(json_t *json, const struct table_row *row)
{
    char when[TL_CLOCK_TEXT];

    tl_clock_text(row->created_ms, when);
    return json_object_set_new(json, "state",
                               json_string(row->active && !row->dropping ? "active" : "pending")) ||
           json_object_set_new(json, "created_at", json_string(when));
}

/* Of the version: who asked for it, and when. */
static int set_version(json_t *json, const struct table_row *row)
{
    char when[TL_CLOCK_TEXT];

    tl_clock_text(row->version_ms, when);
    return json_object_set_new(json, "changed_at", json_string(when)) ||
           json_object_set_new(json, "changed_by", json_string(row->who));
}

static int fill_answer(const struct table_row *row, bool with_state, struct table_answer *answer,
                       struct tl_error *err)
{
    memset(answer, 0, sizeof *answer);
    answer->json = table_schema_json(row->schema, row->name, err);
    if (!answer->json)
        return -1;
    answer->table_id = row->table_id;
    answer->version = row->version;
    if (set_version(answer->json, row) || (with_state && set_state(answer->json, row))) {
        json_decref(answer->json);
        answer->json = NULL;
        return tl_fail_nomem(err);
    }
    return 0;
}

/* --- reading --- */

struct page {
    json_t *list;
    int limit;
    bool more;
    char last[TL_NAME_MAX + 1];
};

static int list_table(void *app, const struct table_row *row, struct tl_error *err)
{
    struct page *page = app;
    json_t *schema, *item;

    if ((int)json_array_size(page->list) == page->limit) {
        page->more = true;
        return 0;
    }
    schema = table_schema_json(row->schema, row->name, err);
    if (!schema)
        return -1;
    item = json_pack("{s:s, s:I, s:i, s:i, s:O}", "table", row->name, "table_id", (json_int_t)row->table_id,
                     "version", (int)row->version, "columns",
                     (int)json_array_size(json_object_get(schema, "columns")), "key",
                     json_object_get(schema, "key"));
    json_decref(schema);
    if (!item || set_state(item, row)) {
        json_decref(item);
        return tl_fail_nomem(err);
    }
    memcpy(page->last, row->name, sizeof page->last);
    return json_array_append_new(page->list, item) ? tl_fail_nomem(err) : 0;
}

int control_tables(struct control *c, const char *tenant, int limit, const char *cursor, json_t **answer,
                   struct tl_error *err)
{
    struct page page = {.list = json_array(), .limit = limit};

    if (!page.list)
        return tl_fail_nomem(err);
    if (!tenant_find(c, tenant, err) ||
        store_tables(c->store, tenant, cursor ? cursor : "", limit + 1, list_table, &page, err) < 0) {
        json_decref(page.list);
        return -1;
    }
    return control_answer(json_pack("{s:o, s:s?}", "tables", page.list, "next", page.more ? page.last : NULL),
                          answer, err);
}

int control_table(struct control *c, const char *tenant, const char *table, struct table_answer *answer,
                  struct tl_error *err)
{
    struct table_row row;
    int rc;

    if (!tenant_find(c, tenant, err) || table_lookup(c, tenant, table, &row, err) < 0)
        return -1;
    rc = fill_answer(&row, true, answer, err);
    if (rc == 0 && versions_add_pending(c, &row, answer->json, err) < 0) {
        json_decref(answer->json);
        rc = -1;
    }
    table_row_release(&row);
    return rc;
}

int control_version(struct control *c, const char *tenant, const char *table, int64_t table_id,
                    int32_t version, struct table_answer *answer, struct tl_error *err)
{
    char name[TL_NAME_MAX + 1];
    struct table_row row;
    int rc;

    if (!tenant_find(c, tenant, err) || table_name(table, name, err) < 0)
        return -1;
    rc = store_version_find(c->store, tenant, name, table_id, version, &row, err);
    if (rc == 0)
        rc = tl_fail(err, TL_E_NOT_FOUND, "no version %d of table \"%s\"", (int)version, name);
    else if (rc == 1)
        rc = fill_answer(&row, false, answer, err);
    table_row_release(&row);
    return rc;
}

/* --- making --- */

int table_check_columns(const struct tenant *t, const struct tl_schema *schema, struct tl_error *err)
{
    const struct sink_ops *sink = t->sink_ops;
    size_t spent = schema->next_column_id - 1;

    if (schema->ncolumns > sink->columns_max)
        return tl_fail(err, TL_E_REFUSED, "%s takes at most %zu columns in a table, not %zu", sink->scheme,
                       sink->columns_max, schema->ncolumns);
    if (sink->columns_spent && spent > sink->columns_max)
        return tl_fail(
            err, TL_E_REFUSED,
            "%s takes at most %zu columns in a table, and counts those that were dropped: with this"
            " change it would be %zu",
            sink->scheme, sink->columns_max, spent);
    return 0;
}

/* "adopt" is the request's own: a schema has "adopted". */
static int read_schema(const json_t *request, struct tl_schema **schema, struct tl_error *err)
{
    json_t *definition = json_copy((json_t *)request);
    bool adopt = false;
    int rc;

    if (!definition)
        return tl_fail_nomem(err);
    rc = request_bool(definition, "adopt", &adopt, err) < 0 ? -1 : 0;
    json_object_del(definition, "adopt");
    if (rc == 0)
        rc = tl_schema_from_json(definition, schema, err);
    json_decref(definition);
    if (rc == 0)
        (*schema)->adopted = adopt;
    return rc;
}

static int read_definition(const struct tenant *t, const json_t *request, struct tl_schema **schema,
                           struct tl_error *err)
{
    const json_t *columns = json_object_get(request, "columns");
    json_t *column;
    size_t i;
    int rc;

    if (request_members(request, "the table", "table columns key adopt", err) < 0)
        return -1;
    json_array_foreach(columns, i, column)
    {
        if (request_members(column, "a column", "name type nullable default", err) < 0)
            return -1;
    }
    if (read_schema(request, schema, err) < 0)
        return -1;
    rc = table_check_columns(t, *schema, err);
    if (rc < 0)
        tl_schema_free(*schema);
    return rc;
}

int table_await_version(struct control *c, const struct tenant *t, int64_t table_id, int32_t version,
                        const char *name, struct tl_error *err)
{
    struct cluster *cl = tenant_cluster(c, t);
    struct tl_error late = {.text = ""};
    int pending = keeper_await_version(cl, table_id, version, err);

    if (pending <= 0)
        return pending;
    control_lock(c);
    snprintf(late.text, sizeof late.text, "%s", t->trouble[0] ? t->trouble : "Kafka is slow to answer");
    control_unlock(c);
    return tl_fail(err, TL_E_UNAVAILABLE,
                   "table \"%s\": the change is stored, and will be made as soon as possible: %.400s", name,
                   late.text);
}

/* An existing table of that name: fine when it looks the same. */
static int existing_same(const struct table_row *row, const struct tl_schema *wanted, struct tl_error *err)
{
    struct tl_schema *have;
    bool same;

    if (row->dropping)
        return tl_fail(err, TL_E_CONFLICT, "table \"%s\" is being dropped", row->name);
    if (tl_schema_from_text(tl_str(row->schema), &have, err) < 0)
        return -1;
    same = tl_schema_same_shape(have, wanted);
    tl_schema_free(have);
    if (!same)
        return tl_fail(err, TL_E_CONFLICT, "table \"%s\" exists already, with other columns or another key",
                       row->name);
    return 0;
}

/* 1: made now; 0: it is there already, *pending when Kafka does not have it yet. */
static int find_or_create(struct control *c, const struct tenant *t, struct tl_schema *schema,
                          const char *who, bool *pending, struct tl_error *err)
{
    for (bool again = true;; again = false) {
        struct table_row row;
        int rc = store_table_find(c->store, t->name, schema->table, &row, err);

        if (rc < 0)
            return -1;
        if (rc == 1) {
            rc = existing_same(&row, schema, err);
            *pending = !row.active;
            schema->table_id = row.table_id;
            schema->version = row.version;
            table_row_release(&row);
            return rc;
        }
        *pending = true;
        if (leftover_check_table(c, t, schema->table, err) < 0 || adopt_check(c, t, schema, err) < 0)
            return -1;
        if (store_table_create(c->store, t->name, schema, who, tl_clock_wall_ms(), err) == 0)
            return 1;
        /* Somebody else may have made it in between. */
        if (err->code != TL_E_CONFLICT || !again)
            return -1;
    }
}

static int define(struct control *c, struct tenant *t, struct tl_schema *schema, const char *who,
                  struct table_answer *answer, struct tl_error *err)
{
    bool pending = false;
    int made = find_or_create(c, t, schema, who, &pending, err);

    if (made < 0)
        return -1;
    if (pending && table_await_version(c, t, schema->table_id, schema->version, schema->table, err) < 0)
        return -1;
    if (control_table(c, t->name, schema->table, answer, err) < 0)
        return -1;
    answer->created = made == 1;
    return 0;
}

int control_define(struct control *c, const char *tenant, const json_t *request, const char *who,
                   struct table_answer *answer, struct tl_error *err)
{
    struct tenant *t = tenant_find(c, tenant, err);
    struct tl_schema *schema;
    int rc;

    if (!t || control_running(c, err) < 0 || read_definition(t, request, &schema, err) < 0)
        return -1;
    /* That Kafka is out of reach is no reason to refuse: it is made when it comes. */
    if (tenant_usable(c, t, err) < 0 && err->code != TL_E_UNAVAILABLE)
        rc = -1;
    else
        rc = define(c, t, schema, who, answer, err);
    tl_schema_free(schema);
    return rc;
}

/* --- dropping --- */

static int drop(struct control *c, const struct tenant *t, const struct table_row *row, const char *who,
                struct tl_error *err)
{
    int32_t version = row->version + 1;

    if (!row->active)
        return tl_fail(err, TL_E_CONFLICT, "table \"%s\" is still being made", row->name);
    /* Asked for again while it is under way: then it is waited for. */
    if (!row->dropping && store_table_drop(c->store, row->table_id, who, tl_clock_wall_ms(), err) < 0)
        return -1;
    return table_await_version(c, t, row->table_id, version, row->name, err);
}

int table_check_match(struct table_match *match, const struct table_row *row, struct tl_error *err)
{
    match->mismatch = !match->matches(match->app, row->table_id, row->version);
    if (!match->mismatch)
        return 0;
    return tl_fail(err, TL_E_CONFLICT, "table \"%s\" has changed: it is at version %d now", row->name,
                   (int)row->version);
}

int control_drop(struct control *c, const char *tenant, const char *table, const char *who,
                 struct table_match *match, struct tl_error *err)
{
    struct tenant *t = tenant_find(c, tenant, err);
    struct table_row row;
    int rc;

    if (!t || control_running(c, err) < 0 || table_lookup(c, tenant, table, &row, err) < 0)
        return -1;
    rc = table_check_match(match, &row, err);
    if (rc == 0)
        rc = drop(c, t, &row, who, err);
    table_row_release(&row);
    return rc;
}
