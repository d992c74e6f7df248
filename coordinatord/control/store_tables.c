/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables and their versions. A change is two transactions: the version is stored as pending; when Kafka has
 * it in every partition it is made active and becomes the table's. A drop is a version as well, whose schema
 * says "dropped".
 */
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/store_impl.h"

void table_row_release(struct table_row *row)
{
    free(row->schema);
    row->schema = NULL;
}

/* Columns as TABLE_COLUMNS in statements.def. */
static int read_row(sqlite3_stmt *st, struct table_row *out, struct tl_error *err)
{
    store_text(st, 0, out->name, sizeof out->name);
    out->table_id = sqlite3_column_int64(st, 1);
    out->version = sqlite3_column_int(st, 2);
    out->active = sqlite3_column_int(st, 3) != 0;
    out->created_ms = sqlite3_column_int64(st, 4);
    out->dropping = sqlite3_column_int(st, 6) != 0;
    out->version_ms = sqlite3_column_int64(st, 7);
    store_text(st, 8, out->who, sizeof out->who);
    return store_text_dup(st, 5, &out->schema, err);
}

static int read_one(struct store *s, sqlite3_stmt *st, struct table_row *out, struct tl_error *err)
{
    int rc = st ? store_step(s, st, err) : -1;

    if (rc == 1 && read_row(st, out, err) < 0)
        rc = -1;
    store_done(st);
    return rc;
}

int store_table_find(struct store *s, const char *tenant, const char *name, struct table_row *out,
                     struct tl_error *err)
{
    int rc;

    memset(out, 0, sizeof *out);
    store_lock(s);
    rc = read_one(s, store_bind(s, ST_TABLE_FIND, err, "tt", tenant, name), out, err);
    store_unlock(s);
    return rc;
}

int store_table_of(struct store *s, const char *tenant, int64_t table_id, struct tl_error *err)
{
    sqlite3_stmt *st;
    int rc;

    store_lock(s);
    st = store_bind(s, ST_TABLE_OF, err, "ti", tenant, table_id);
    rc = st ? store_step(s, st, err) : -1;
    store_done(st);
    store_unlock(s);
    return rc;
}

int store_version_find(struct store *s, const char *tenant, const char *name, int64_t table_id,
                       int32_t version, struct table_row *out, struct tl_error *err)
{
    int rc;

    memset(out, 0, sizeof *out);
    store_lock(s);
    rc = read_one(s, store_bind(s, ST_VERSION_FIND, err, "ttii", tenant, name, table_id, (int64_t)version),
                  out, err);
    store_unlock(s);
    return rc;
}

int store_tables(struct store *s, const char *tenant, const char *after, int limit,
                 int (*each)(void *app, const struct table_row *row, struct tl_error *err), void *app,
                 struct tl_error *err)
{
    sqlite3_stmt *st;
    int rc = -1;

    store_lock(s);
    st = store_bind(s, ST_TABLES, err, "tti", tenant, after, (int64_t)limit);
    while (st && (rc = store_step(s, st, err)) == 1) {
        struct table_row row = {0};

        rc = read_row(st, &row, err);
        if (rc == 0)
            rc = each(app, &row, err);
        table_row_release(&row);
        if (rc < 0)
            break;
    }
    store_done(st);
    store_unlock(s);
    return rc < 0 ? -1 : 0;
}

/* In a transaction. */
static int add_version(struct store *s, const struct tl_schema *schema, const char *who, int64_t now_ms,
                       struct tl_error *err)
{
    json_t *json = tl_schema_to_json(schema);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    int rc;

    json_decref(json);
    if (!text)
        return tl_fail_nomem(err);
    rc = store_run(s, ST_VERSION_ADD, err, "iitit", schema->table_id, (int64_t)schema->version, text, now_ms,
                   who);
    free(text);
    return rc;
}

static int create(struct store *s, const char *tenant, struct tl_schema *schema, const char *who,
                  int64_t now_ms, struct tl_error *err)
{
    sqlite3_stmt *st = store_bind(s, ST_TABLE_FIND, err, "tt", tenant, schema->table);
    int rc = st ? store_step(s, st, err) : -1;

    store_done(st);
    if (rc == 1)
        return tl_fail(err, TL_E_CONFLICT, "table \"%s\" exists already", schema->table);
    if (rc < 0 || store_run(s, ST_TABLE_ADD, err, "tti", tenant, schema->table, now_ms) < 0)
        return -1;
    schema->table_id = sqlite3_last_insert_rowid(s->db);
    schema->version = 1;
    return add_version(s, schema, who, now_ms, err);
}

int store_table_create(struct store *s, const char *tenant, struct tl_schema *schema, const char *who,
                       int64_t now_ms, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_begin(s, err);
    if (rc == 0)
        rc = store_end(s, create(s, tenant, schema, who, now_ms, err), err);
    store_unlock(s);
    return rc;
}

/* The active schema of a table that no change is under way for. */
static int last_schema(struct store *s, int64_t table_id, struct tl_schema **out, struct tl_error *err)
{
    sqlite3_stmt *st = store_bind(s, ST_TABLE_LAST, err, "i", table_id);
    int rc = st ? store_step(s, st, err) : -1;

    if (rc == 0)
        rc = tl_fail(err, TL_E_NOT_FOUND, "the table is dropped already");
    else if (rc == 1 && sqlite3_column_int(st, 1))
        rc = tl_fail(err, TL_E_CONFLICT, "another change of this table is under way");
    else if (rc == 1)
        rc = tl_schema_from_text(tl_str((const char *)sqlite3_column_text(st, 0)), out, err);
    store_done(st);
    return rc;
}

static int drop(struct store *s, int64_t table_id, const char *who, int64_t now_ms, struct tl_error *err)
{
    struct tl_schema *schema = NULL;
    int rc;

    if (last_schema(s, table_id, &schema, err) < 0)
        return -1;
    schema->version++;
    schema->dropped = true;
    rc = add_version(s, schema, who, now_ms, err);
    tl_schema_free(schema);
    return rc;
}

int store_table_drop(struct store *s, int64_t table_id, const char *who, int64_t now_ms, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_begin(s, err);
    if (rc == 0)
        rc = store_end(s, drop(s, table_id, who, now_ms, err), err);
    store_unlock(s);
    return rc;
}

static int alter(struct store *s, const struct tl_schema *next, const char *who, int64_t now_ms,
                 struct tl_error *err)
{
    struct tl_schema *schema = NULL;
    int32_t version;

    if (last_schema(s, next->table_id, &schema, err) < 0)
        return -1;
    version = schema->version;
    tl_schema_free(schema);
    if (version != next->version - 1)
        return tl_fail(err, TL_E_CONFLICT, "table \"%s\" has changed: it is at version %d now", next->table,
                       (int)version);
    return add_version(s, next, who, now_ms, err);
}

int store_table_alter(struct store *s, const struct tl_schema *next, const char *who, int64_t now_ms,
                      struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_begin(s, err);
    if (rc == 0)
        rc = store_end(s, alter(s, next, who, now_ms, err), err);
    store_unlock(s);
    return rc;
}

static int read_version(sqlite3_stmt *st, struct version_row *out, struct tl_error *err)
{
    out->version = sqlite3_column_int(st, 0);
    out->active = sqlite3_column_int(st, 1) != 0;
    out->created_ms = sqlite3_column_int64(st, 2);
    store_text(st, 3, out->who, sizeof out->who);
    return store_text_dup(st, 4, &out->schema, err);
}

int store_versions(struct store *s, int64_t table_id, int32_t from, int limit,
                   int (*each)(void *app, const struct version_row *row, struct tl_error *err), void *app,
                   struct tl_error *err)
{
    sqlite3_stmt *st;
    int rc = -1;

    store_lock(s);
    st = store_bind(s, ST_VERSIONS, err, "iii", table_id, (int64_t)from, (int64_t)limit);
    while (st && (rc = store_step(s, st, err)) == 1) {
        struct version_row row = {0};

        rc = read_version(st, &row, err);
        if (rc == 0)
            rc = each(app, &row, err);
        free(row.schema);
        if (rc < 0)
            break;
    }
    store_done(st);
    store_unlock(s);
    return rc < 0 ? -1 : 0;
}

int store_pending_tenant(struct store *s, const char *after, char out[TL_TENANT_MAX + 1],
                         struct tl_error *err)
{
    sqlite3_stmt *st;
    int rc;

    store_lock(s);
    st = store_bind(s, ST_PENDING_TENANT, err, "t", after);
    rc = st ? store_step(s, st, err) : -1;
    if (rc == 1) {
        rc = sqlite3_column_type(st, 0) != SQLITE_NULL;
        store_text(st, 0, out, TL_TENANT_MAX + 1);
    }
    store_done(st);
    store_unlock(s);
    return rc;
}

int store_pending_next(struct store *s, const char *tenant, int64_t table_id, int32_t version,
                       struct pending_version *out, struct tl_error *err)
{
    sqlite3_stmt *st;
    int rc;

    memset(out, 0, sizeof *out);
    store_lock(s);
    st = store_bind(s, ST_PENDING_NEXT, err, "tii", tenant, table_id, (int64_t)version);
    rc = st ? store_step(s, st, err) : -1;
    if (rc == 1) {
        out->table_id = sqlite3_column_int64(st, 0);
        out->version = sqlite3_column_int(st, 1);
        if (store_text_dup(st, 2, &out->schema, err) < 0)
            rc = -1;
    }
    store_done(st);
    store_unlock(s);
    return rc;
}

int store_version_pending(struct store *s, int64_t table_id, int32_t version, struct tl_error *err)
{
    sqlite3_stmt *st;
    int rc;

    store_lock(s);
    st = store_bind(s, ST_VERSION_PENDING, err, "ii", table_id, (int64_t)version);
    rc = st ? store_step(s, st, err) : -1;
    store_done(st);
    store_unlock(s);
    return rc;
}

static int activate(struct store *s, int64_t table_id, int32_t version, bool dropped, struct tl_error *err)
{
    if (store_run(s, ST_VERSION_ACTIVATE, err, "ii", table_id, (int64_t)version) < 0)
        return -1;
    return store_run(s, ST_TABLE_SET, err, "iii", table_id, (int64_t)version, (int64_t)dropped);
}

int store_version_activate(struct store *s, int64_t table_id, int32_t version, bool dropped,
                           struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_begin(s, err);
    if (rc == 0)
        rc = store_end(s, activate(s, table_id, version, dropped, err), err);
    store_unlock(s);
    return rc;
}
