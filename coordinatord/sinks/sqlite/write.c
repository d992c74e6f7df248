/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rows of a batch into their table:
 *
 *   rows (COPY text) --tl_rowtext_next--> fields --unescape--> values --type_bind--> one INSERT … ON CONFLICT
 * a row
 *
 * A value is copied only when it has escapes or its column was widened (into s->values); SQLite reads
 * all others where they lie in the batch. Statements are kept, as most batches look like the one before.
 */
#include "coordinatord/sinks/sqlite/connection.h"
#include "shared/wire/rowtext.h"

/* Bytes by which a value can grow when its column is widened: an int to decimal(38,37) gets a point and
 * zeros. */
enum { WIDENED_MORE = 64 };

static void upsert_release(struct upsert *u)
{
    sqlite3_finalize(u->stmt);
    tl_schema_free(u->schema);
    projection_release(&u->projection);
    free(u->ids);
    *u = (struct upsert){0};
}

void write_release(struct sink *s)
{
    for (size_t i = 0; i < UPSERTS_KEPT; i++)
        upsert_release(&s->upserts[i]);
    free(s->fields);
}

/* Appends the names of the columns that are carried; with `set`, those that are not of the key, as
 * name=excluded.name. */
static int append_carried(struct tl_buf *sql, const struct upsert *u, bool set, size_t *n)
{
    int rc = TL_BUF_OK;

    *n = 0;
    for (size_t i = 0; !rc && i < u->projection.nfields; i++) {
        int at = u->projection.fields[i].column;
        const struct tl_column *c = at < 0 ? NULL : &u->schema->columns[at];

        if (!c || (set && c->in_key))
            continue;
        if ((*n)++)
            rc = tl_buf_append_char(sql, ',');
        if (!rc)
            rc = type_append_name(sql, c->name);
        if (!rc && set)
            rc = tl_buf_append_z(sql, "=excluded.");
        if (!rc && set)
            rc = type_append_name(sql, c->name);
    }
    return rc;
}

static int append_conflict(struct tl_buf *sql, const struct upsert *u)
{
    const struct tl_schema *schema = u->schema;
    size_t start, n;
    int rc = TL_BUF_OK;

    for (size_t i = 0; !rc && i < schema->nkey; i++) {
        rc = tl_buf_append_z(sql, i ? "," : " ON CONFLICT (");
        if (!rc)
            rc = type_append_name(sql, schema->columns[schema->key[i]].name);
    }
    if (!rc)
        rc = tl_buf_append_z(sql, ") DO ");
    start = sql->len;
    if (!rc)
        rc = tl_buf_append_z(sql, "UPDATE SET ");
    if (!rc)
        rc = append_carried(sql, u, true, &n);
    if (!rc && n == 0) {
        sql->len = start;
        rc = tl_buf_append_z(sql, "NOTHING");
    }
    return rc;
}

static int append_upsert(struct tl_buf *sql, const struct upsert *u)
{
    size_t n;
    int rc = tl_buf_append_z(sql, "INSERT INTO ");

    if (!rc)
        rc = type_append_name(sql, u->schema->table);
    if (u->projection.nmissing == u->schema->ncolumns)
        return rc ? rc : tl_buf_append_z(sql, " DEFAULT VALUES");
    if (!rc)
        rc = tl_buf_append_z(sql, " (");
    if (!rc)
        rc = append_carried(sql, u, false, &n);
    if (!rc)
        rc = tl_buf_append_z(sql, ") VALUES (?");
    for (size_t i = 1; !rc && i < n; i++)
        rc = tl_buf_append_z(sql, ",?");
    if (!rc)
        rc = tl_buf_append_char(sql, ')');
    if (!rc && u->schema->nkey)
        rc = append_conflict(sql, u);
    return rc;
}

static int upsert_prepare(struct sink *s, struct upsert *u, const struct sink_batch *batch,
                          struct tl_error *err)
{
    int rc;

    if (table_get(s, batch->schema->table, &u->schema, err) ||
        projection_init(&u->projection, batch->schema, batch->column_ids, batch->ncolumns, u->schema, err))
        return -1;
    u->batch_version = batch->schema->version;
    u->nids = batch->ncolumns;
    u->ids = calloc(u->nids + 1, sizeof *u->ids);
    if (!u->ids)
        return tl_fail_nomem(err);
    memcpy(u->ids, batch->column_ids, u->nids * sizeof *u->ids);
    tl_buf_reset(&s->sql);
    rc = append_upsert(&s->sql, u);
    if (rc)
        return tl_buf_fail(rc, &s->sql, "a statement", err);
    rc = sqlite3_prepare_v3(s->db, s->sql.data, (int)s->sql.len, SQLITE_PREPARE_PERSISTENT, &u->stmt, NULL);
    return rc ? connection_fail(s, rc, batch->schema->table, err) : 0;
}

static bool upsert_fits(const struct upsert *u, const struct sink_batch *batch, int32_t version)
{
    return u->stmt && u->schema->table_id == batch->schema->table_id && u->schema->version == version &&
           u->batch_version == batch->schema->version && u->nids == batch->ncolumns &&
           memcmp(u->ids, batch->column_ids, u->nids * sizeof *u->ids) == 0;
}

/* The version that the table of the batch has now. */
static int present_version(struct sink *s, const struct tl_schema *schema, int32_t *version,
                           struct tl_error *err)
{
    sqlite3_stmt *stmt = connection_query(s, QUERY_TABLE_VERSION, err);
    bool there = false;
    int rc, failed = 0;

    if (!stmt)
        return -1;
    sqlite3_bind_text(stmt, 1, schema->table, -1, SQLITE_STATIC);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        there = sqlite3_column_int64(stmt, 0) == schema->table_id && !sqlite3_column_int(stmt, 2);
        *version = sqlite3_column_int(stmt, 1);
    } else if (rc != SQLITE_DONE) {
        failed = connection_fail(s, rc, "reading the schema", err);
    }
    sqlite3_reset(stmt);
    if (!failed && !there)
        return tl_fail(err, TL_E_NOT_FOUND, "the data sink has no table %s with id %lld", schema->table,
                       (long long)schema->table_id);
    return failed;
}

static struct upsert *upsert_for(struct sink *s, const struct sink_batch *batch, struct tl_error *err)
{
    struct upsert *oldest = &s->upserts[0];
    int32_t version = 0;

    if (present_version(s, batch->schema, &version, err))
        return NULL;
    s->uses++;
    for (size_t i = 0; i < UPSERTS_KEPT; i++) {
        struct upsert *u = &s->upserts[i];

        if (upsert_fits(u, batch, version)) {
            u->used = s->uses;
            return u;
        }
        if (u->used < oldest->used)
            oldest = u;
    }
    upsert_release(oldest);
    if (upsert_prepare(s, oldest, batch, err)) {
        upsert_release(oldest);
        return NULL;
    }
    oldest->used = s->uses;
    return oldest;
}

static bool may_have_escapes(const struct tl_type *type)
{
    return type->id == TL_TYPE_TEXT || type->id == TL_TYPE_VARCHAR || type->id == TL_TYPE_JSON ||
           type->id == TL_TYPE_BYTEA;
}

static int fail_value(const struct tl_column *c, struct tl_str value, struct tl_error *err)
{
    return tl_fail(err, TL_E_CORRUPT, "column \"%s\": \"%.*s\" is not a value in canonical form", c->name,
                   (int)TL_MIN(value.len, (size_t)100), value.ptr);
}

/* Brings a value of a narrower type into the column's canonical form. */
static int widen(struct sink *s, const struct tl_column *c, struct tl_str *value, struct tl_error *err)
{
    struct tl_reject why;
    struct tl_str wide;
    enum tl_verdict verdict;
    int rc;

    tl_buf_reset(&s->widened);
    verdict = tl_type_canon(&c->type, *value, &s->widened, &wide, &why);
    if (verdict == TL_VALUE_NOMEM)
        return tl_fail_nomem(err);
    if (verdict == TL_VALUE_REJECT)
        return fail_value(c, *value, err);
    rc = tl_buf_append_str(&s->values, wide);
    if (rc)
        return tl_buf_fail(rc, &s->values, "a row", err);
    *value = tl_str_n(s->values.data + s->values.len - wide.len, wide.len);
    return 0;
}

static int bind_value(struct sink *s, sqlite3_stmt *stmt, int index, const struct tl_column *c, bool widened,
                      struct tl_str field, struct tl_error *err)
{
    int rc;

    if (!field.ptr) {
        rc = sqlite3_bind_null(stmt, index);
        return rc ? connection_fail(s, rc, "binding a value", err) : 0;
    }
    if (may_have_escapes(&c->type)) {
        rc = tl_rowtext_unescape(field, &s->values, &field);
        if (rc)
            return tl_buf_fail(rc, &s->values, "a row", err);
    }
    if (TL_UNLIKELY(widened) && widen(s, c, &field, err))
        return -1;
    rc = type_bind(stmt, index, &c->type, field);
    if (TL_LIKELY(!rc))
        return 0;
    return rc == SQLITE_MISMATCH ? fail_value(c, field, err) : connection_fail(s, rc, "binding a value", err);
}

static int bind_row(struct sink *s, const struct upsert *u, size_t row_bytes, struct tl_error *err)
{
    int index = 0;
    int rc;

    /* Values of this row are borrowed from it until the step, so it must not move while they are added. */
    tl_buf_reset(&s->values);
    rc = tl_buf_reserve(&s->values, 2 * row_bytes + u->projection.nfields * VALUE_GROWS);
    if (rc)
        return tl_buf_fail(rc, &s->values, "a row", err);
    for (size_t i = 0; i < u->projection.nfields; i++) {
        const struct projection_field *p = &u->projection.fields[i];

        if (p->column < 0)
            continue;
        if (bind_value(s, u->stmt, ++index, &u->schema->columns[p->column], p->widened, s->fields[i], err))
            return -1;
    }
    return 0;
}

/* What the table itself does not take. */
static int refuse(struct sink *s, const struct sink_batch *batch, int64_t index, const char *reason,
                  struct tl_error *err)
{
    if (sqlite3_get_autocommit(s->db))
        return tl_fail(err, TL_E_FATAL, "table %s: a trigger ended the whole transaction: %s",
                       batch->schema->table, reason);
    if (!batch->refused)
        return tl_fail(err, TL_E_REFUSED, "table %s: %s", batch->schema->table, reason);
    return batch->refused(batch->app, index, reason, err);
}

static int step_row(struct sink *s, const struct upsert *u, const struct sink_batch *batch, int64_t index,
                    struct tl_error *err)
{
    int rc = sqlite3_step(u->stmt), failed = 0;
    char reason[300];

    if (TL_LIKELY(rc == SQLITE_DONE)) {
        sqlite3_reset(u->stmt);
        return 0;
    }
    if ((rc & 0xFF) == SQLITE_CONSTRAINT)
        snprintf(reason, sizeof reason, "%s", sqlite3_errmsg(s->db));
    else
        failed = connection_fail(s, rc, batch->schema->table, err);
    sqlite3_reset(u->stmt);
    return failed ? failed : refuse(s, batch, index, reason, err);
}

static int write_rows(struct sink *s, const struct upsert *u, const struct sink_batch *batch,
                      struct tl_error *err)
{
    struct tl_str rest = batch->rows;

    for (int64_t index = 0;; index++) {
        const char *start = rest.ptr;
        int n = tl_rowtext_next(&rest, s->fields, s->nfields);

        if (n == 0) {
            if (index == batch->nrows)
                return 0;
            return tl_fail(err, TL_E_CORRUPT, "a batch of %lld rows has %lld", (long long)batch->nrows,
                           (long long)index);
        }
        if (n < 0 || (size_t)n != batch->ncolumns)
            return tl_fail(err, TL_E_CORRUPT,
                           "row %lld of a batch has not the %zu fields that it should have",
                           (long long)index + 1, batch->ncolumns);
        if (bind_row(s, u, (size_t)(rest.ptr - start), err))
            return -1;
        if (step_row(s, u, batch, index, err))
            return -1;
    }
}

static int make_fields(struct sink *s, size_t n, struct tl_error *err)
{
    struct tl_str *fields;

    if (n <= s->nfields)
        return 0;
    fields = reallocarray(s->fields, n, sizeof *fields);
    if (!fields)
        return tl_fail_nomem(err);
    s->fields = fields;
    s->nfields = n;
    return 0;
}

int write_batch(struct sink *s, const struct sink_batch *batch, struct tl_error *err)
{
    struct upsert *u;

    if (connection_in_transaction(s, err))
        return -1;
    u = upsert_for(s, batch, err);
    if (!u || make_fields(s, batch->ncolumns, err))
        return -1;
    return write_rows(s, u, batch, err);
}
