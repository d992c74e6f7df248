/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Most batches look like the one before, so what hangs only on the table's version and on the columns that a
 * batch carries is made once and kept. Whether the table still has that version is looked at once in a
 * transaction, under a lock that keeps it so.
 */
#include "coordinatord/sinks/postgresql/connection.h"

static void release(struct shape *shape)
{
    tl_schema_free(shape->schema);
    projection_release(&shape->projection);
    free(shape->ids);
    tl_buf_release(&shape->columns);
    tl_buf_release(&shape->conflict);
    tl_buf_release(&shape->filter);
    tl_buf_release(&shape->stage);
    *shape = (struct shape){0};
}

void shapes_release(struct sink *s)
{
    for (size_t i = 0; i < SHAPES_KEPT; i++)
        release(&s->shapes[i]);
}

/* The column that a field goes into; NULL: it falls away. */
static const struct tl_column *column_of(const struct shape *shape, size_t field)
{
    int at = shape->projection.fields[field].column;

    return at < 0 ? NULL : &shape->schema->columns[at];
}

static int append_columns(struct shape *shape)
{
    int rc = TL_BUF_OK;

    for (size_t i = 0; !rc && i < shape->projection.nfields; i++) {
        const struct tl_column *c = column_of(shape, i);

        if (!c) {
            shape->cuts = true;
            continue;
        }
        if (shape->ncarried++)
            rc = tl_buf_append_char(&shape->columns, ',');
        if (!rc)
            rc = pg_append_name(&shape->columns, c->name);
    }
    return rc ? rc : tl_buf_terminate(&shape->columns);
}

/* Those that are carried and not of the key, each behind a prefix, or as name=prefix.name. */
static int append_values(struct tl_buf *sql, const struct shape *shape, const char *prefix, bool set,
                         size_t *n)
{
    int rc = TL_BUF_OK;

    *n = 0;
    for (size_t i = 0; !rc && i < shape->projection.nfields; i++) {
        const struct tl_column *c = column_of(shape, i);

        if (!c || c->in_key)
            continue;
        if ((*n)++)
            rc = tl_buf_append_char(sql, ',');
        if (!rc && set)
            rc = pg_append_name(sql, c->name);
        if (!rc && set)
            rc = tl_buf_append_char(sql, '=');
        if (!rc)
            rc = tl_buf_append_z(sql, prefix);
        if (!rc)
            rc = pg_append_name(sql, c->name);
    }
    return rc;
}

/*
 * `ROW(values)::record op ROW(values)::record`, op being *= or *<>: they compare the bytes of the values, so they
 * can tell -0 from 0, and json too.
 */
static int append_comparison(struct tl_buf *sql, const struct shape *shape, const char *op, const char *other)
{
    size_t n;
    int rc = tl_buf_append_z(sql, "ROW(");

    if (!rc)
        rc = append_values(sql, shape, "_tload_t.", false, &n);
    if (!rc)
        rc = tl_buf_appendf(sql, ")::record OPERATOR(pg_catalog.%s) ROW(", op);
    if (!rc)
        rc = append_values(sql, shape, other, false, &n);
    return rc ? rc : tl_buf_append_z(sql, ")::record");
}

/* What becomes of a row that is there. One that would not change is not written again. */
static int append_update(struct shape *shape)
{
    struct tl_buf *sql = &shape->conflict;
    size_t start = sql->len, n = 0;
    int rc = tl_buf_append_z(sql, ") DO UPDATE SET ");

    if (!rc)
        rc = append_values(sql, shape, "excluded.", true, &n);
    if (!rc && n == 0) {
        sql->len = start;
        return tl_buf_append_z(sql, ") DO NOTHING");
    }
    if (!rc)
        rc = tl_buf_append_z(sql, " WHERE ");
    return rc ? rc : append_comparison(sql, shape, "*<>", "excluded.");
}

static int append_conflict(struct shape *shape)
{
    const struct tl_schema *schema = shape->schema;
    int rc = TL_BUF_OK;

    for (size_t i = 0; !rc && i < schema->nkey; i++) {
        rc = tl_buf_append_z(&shape->conflict, i ? "," : " ON CONFLICT (");
        if (!rc)
            rc = pg_append_name(&shape->conflict, schema->columns[schema->key[i]].name);
    }
    if (!rc && schema->nkey)
        rc = append_update(shape);
    return rc ? rc : tl_buf_terminate(&shape->conflict);
}

/*
 * ON CONFLICT locks each row that is there, which writes to it even when the row then stays as it is; so those
 * that would stay so are left out before. OFFSET 0 keeps the planner, which knows nothing of a staging table,
 * from reading the whole table instead of looking up each row by its key.
 */
static int append_filter(const struct sink *s, struct shape *shape)
{
    const struct tl_schema *schema = shape->schema;
    struct tl_buf *sql = &shape->filter;
    int rc = tl_buf_append_z(sql, " WHERE NOT EXISTS (SELECT FROM ");

    if (!rc)
        rc = pg_append_table(sql, s, schema->table);
    if (!rc)
        rc = tl_buf_append_z(sql, " AS _tload_t WHERE ");
    for (size_t i = 0; !rc && i < schema->nkey; i++) {
        const char *name = schema->columns[schema->key[i]].name;

        rc = tl_buf_append_z(sql, "_tload_t.");
        if (!rc)
            rc = pg_append_name(sql, name);
        if (!rc)
            rc = tl_buf_append_z(sql, "=_tload_s.");
        if (!rc)
            rc = pg_append_name(sql, name);
        if (!rc)
            rc = tl_buf_append_z(sql, " AND ");
    }
    if (!rc)
        rc = append_comparison(sql, shape, "*=", "_tload_s.");
    return rc ? rc : tl_buf_append_z(sql, " OFFSET 0)");
}

static int write_texts(struct sink *s, struct shape *shape, struct tl_error *err)
{
    int rc;

    tl_buf_init(&shape->columns, SQL_MAX / 4);
    tl_buf_init(&shape->conflict, SQL_MAX / 4);
    tl_buf_init(&shape->filter, SQL_MAX / 4);
    tl_buf_init(&shape->stage, 2 * TL_NAME_MAX);
    rc = append_columns(shape);
    if (!rc)
        rc = append_conflict(shape);
    if (!rc && shape->ncarried > shape->schema->nkey && shape->schema->nkey)
        rc = append_filter(s, shape);
    if (!rc)
        rc = tl_buf_terminate(&shape->filter);
    if (!rc)
        rc = tl_buf_appendf(&shape->stage, "pg_temp.tload_stage_%u", ++s->stages);
    if (!rc)
        rc = tl_buf_terminate(&shape->stage);
    return rc ? tl_buf_fail(rc, &shape->conflict, "a statement", err) : 0;
}

static int make(struct sink *s, struct shape *shape, const struct sink_batch *batch, struct tl_error *err)
{
    if (pg_table_get(s, batch->schema->table, &shape->schema, err) ||
        projection_init(&shape->projection, batch->schema, batch->column_ids, batch->ncolumns, shape->schema,
                        err))
        return -1;
    shape->batch_version = batch->schema->version;
    shape->penalty = PENALTY_FIRST;
    shape->nids = batch->ncolumns;
    shape->ids = calloc(shape->nids + 1, sizeof *shape->ids);
    if (!shape->ids)
        return tl_fail_nomem(err);
    memcpy(shape->ids, batch->column_ids, shape->nids * sizeof *shape->ids);
    return write_texts(s, shape, err);
}

static bool fits(const struct shape *shape, const struct sink_batch *batch)
{
    return shape->schema && shape->schema->table_id == batch->schema->table_id &&
           shape->batch_version == batch->schema->version && shape->nids == batch->ncolumns &&
           memcmp(shape->ids, batch->column_ids, shape->nids * sizeof *shape->ids) == 0;
}

/* The version that the table of the batch has now. */
static int present_version(struct sink *s, const struct tl_schema *schema, int32_t *version,
                           struct tl_error *err)
{
    struct applied a;

    if (pg_applied(s, schema->table, &a, err))
        return -1;
    if (a.table_id != schema->table_id || a.dropped)
        return tl_fail(err, TL_E_NOT_FOUND, "the data sink has no table %s with id %lld", schema->table,
                       (long long)schema->table_id);
    *version = a.version;
    return 0;
}

/* Whoever changes a table waits for this lock, or did before; so the version is looked up again behind it. */
static int lock_version(struct sink *s, const struct tl_schema *schema, int32_t *version,
                        struct tl_error *err)
{
    int rc;

    if (present_version(s, schema, version, err))
        return -1;
    tl_buf_reset(&s->sql);
    rc = tl_buf_append_z(&s->sql, "LOCK TABLE ");
    if (!rc)
        rc = pg_append_table(&s->sql, s, schema->table);
    if (!rc)
        rc = tl_buf_append_z(&s->sql, " IN ROW EXCLUSIVE MODE");
    if (pg_sql_done(s, rc, err) || pg_exec(s, "locking it", err))
        return tl_error_prefix(err, "table %s", schema->table);
    return present_version(s, schema, version, err);
}

static struct shape *remake(struct sink *s, struct shape *shape, const struct sink_batch *batch,
                            struct tl_error *err)
{
    release(shape);
    if (make(s, shape, batch, err) == 0)
        return shape;
    release(shape);
    return NULL;
}

struct shape *shape_for(struct sink *s, const struct sink_batch *batch, struct tl_error *err)
{
    struct shape *shape = &s->shapes[0];
    int32_t version;

    s->uses++;
    for (size_t i = 0; i < SHAPES_KEPT; i++) {
        if (fits(&s->shapes[i], batch)) {
            shape = &s->shapes[i];
            break;
        }
        if (s->shapes[i].used < shape->used)
            shape = &s->shapes[i];
    }
    if (!fits(shape, batch) || shape->checked_in != s->epoch) {
        if (lock_version(s, batch->schema, &version, err))
            return NULL;
        if ((!fits(shape, batch) || shape->schema->version != version) && !remake(s, shape, batch, err))
            return NULL;
        shape->checked_in = s->epoch;
    }
    shape->used = s->uses;
    return shape;
}
