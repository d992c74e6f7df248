/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables are made and changed by their schema messages, which come once in each partition, to several
 * connections about the same time. The first one takes the table's advisory lock until its transaction ends;
 * another one does not wait for it, because it may hold what the first one needs, the table itself: it fails
 * at once, is rolled back and comes again.
 */
#include "coordinatord/sinks/postgresql/connection.h"

int pg_applied(struct sink *s, const char *table, struct applied *a, struct tl_error *err)
{
    struct params p;
    PGresult *r;

    *a = (struct applied){0};
    params_of(&p, s);
    params_text(&p, table);
    r = pg_ask(s, "SELECT table_id, version, dropped FROM tload.tables WHERE tenant = $1 AND name = $2", &p,
               "reading the schema", err);
    if (!r)
        return -1;
    if (PQntuples(r))
        *a = (struct applied){
            .table_id = pg_int(r, 0, 0), .version = (int32_t)pg_int(r, 0, 1), .dropped = pg_bool(r, 0, 2)};
    PQclear(r);
    return 0;
}

int pg_table_get(struct sink *s, const char *table, struct tl_schema **schema, struct tl_error *err)
{
    struct params p;
    PGresult *r;
    int rc = 0;

    *schema = NULL;
    params_of(&p, s);
    params_text(&p, table);
    r = pg_ask(s, "SELECT schema FROM tload.tables WHERE tenant = $1 AND name = $2", &p, "reading the schema",
               err);
    if (!r)
        return -1;
    if (PQntuples(r))
        rc = tl_schema_from_text(tl_str(PQgetvalue(r, 0, 0)), schema, err);
    PQclear(r);
    if (!rc)
        return 0;
    if (err->code != TL_E_NOMEM)
        err->code = TL_E_FATAL;
    return tl_error_prefix(err, "the stored schema of table %s", table);
}

static int table_put(struct sink *s, const struct tl_schema *schema, struct tl_error *err)
{
    json_t *json = tl_schema_to_json(schema);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    struct params p;
    int64_t rc;

    json_decref(json);
    if (!text)
        return tl_fail_nomem(err);
    params_of(&p, s);
    params_text(&p, schema->table);
    params_int(&p, schema->table_id);
    params_int(&p, schema->version);
    params_text(&p, schema->dropped ? "t" : "f");
    params_text(&p, text);
    rc = pg_run(s,
                "INSERT INTO tload.tables (tenant, name, table_id, version, dropped, schema)"
                " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (tenant, name) DO UPDATE"
                " SET (table_id, version, dropped, schema) ="
                " ROW (excluded.table_id, excluded.version, excluded.dropped, excluded.schema)",
                &p, "storing the schema", err);
    free(text);
    return rc < 0 ? -1 : 0;
}

/* Fails when something that is not ours has the name. */
static int check_way(struct sink *s, const char *table, struct tl_error *err)
{
    struct params p;
    PGresult *r;
    int rc = 0;

    params_of(&p, s);
    params_text(&p, table);
    r = pg_ask(
        s,
        "SELECT CASE relkind WHEN 'v' THEN 'view' WHEN 'm' THEN 'materialized view'"
        " WHEN 'S' THEN 'sequence' WHEN 'c' THEN 'type' WHEN 'i' THEN 'index' WHEN 'I' THEN 'index'"
        " ELSE 'table' END FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace n ON n.oid = relnamespace"
        " WHERE nspname = $1 AND relname = $2",
        &p, "reading the schema", err);
    if (!r)
        return -1;
    if (PQntuples(r))
        rc = tl_fail(err, TL_E_FATAL, "schema %s: %s \"%s\" exists and was not made by tload", s->tenant,
                     PQgetvalue(r, 0, 0), table);
    PQclear(r);
    return rc;
}

/* `CREATE TABLE name (columns, key)`; a TL_BUF_ result. */
static int append_create(struct sink *s, const struct tl_schema *schema)
{
    struct tl_buf *sql = &s->sql;
    int rc = tl_buf_append_z(sql, "CREATE TABLE ");

    if (!rc)
        rc = pg_append_table(sql, s, schema->table);
    for (size_t i = 0; !rc && i < schema->ncolumns; i++) {
        rc = tl_buf_append_z(sql, i ? ", " : " (");
        if (!rc)
            rc = pg_append_column(sql, &schema->columns[i]);
    }
    for (size_t i = 0; !rc && i < schema->nkey; i++) {
        rc = tl_buf_append_z(sql, i ? ", " : ", PRIMARY KEY (");
        if (!rc)
            rc = pg_append_name(sql, schema->columns[schema->key[i]].name);
    }
    if (!rc && schema->nkey)
        rc = tl_buf_append_char(sql, ')');
    return rc ? rc : tl_buf_append_char(sql, ')');
}

static int create(struct sink *s, const struct tl_schema *schema, struct tl_error *err)
{
    tl_buf_reset(&s->sql);
    if (check_way(s, schema->table, err) || pg_sql_done(s, append_create(s, schema), err) ||
        pg_exec(s, "making a table", err))
        return -1;
    return 0;
}

/* It is locked before it is looked at, so that it stays as it is seen. */
static int adopt(struct sink *s, const struct tl_schema *schema, struct tl_error *err)
{
    struct foreign_table *found = NULL;
    int rc;

    tl_buf_reset(&s->sql);
    rc = tl_buf_append_z(&s->sql, "LOCK TABLE ");
    if (!rc)
        rc = pg_append_table(&s->sql, s, schema->table);
    if (!rc)
        rc = tl_buf_append_z(&s->sql, " IN ROW EXCLUSIVE MODE");
    if (pg_sql_done(s, rc, err) || pg_exec(s, "adopting it", err) ||
        pg_foreign(s, schema->table, schema, &found, err))
        return -1;
    rc = found ? foreign_check(found, schema, TL_E_FATAL, err)
               : tl_fail(err, TL_E_FATAL, "there is none to be adopted");
    foreign_free(found);
    return rc;
}

/* One that was adopted is only forgotten. */
static int drop(struct sink *s, const char *table, struct tl_error *err)
{
    struct tl_schema *schema;
    bool adopted;
    int rc;

    if (pg_table_get(s, table, &schema, err))
        return -1;
    adopted = schema && schema->adopted;
    tl_schema_free(schema);
    if (adopted)
        return 0;
    tl_buf_reset(&s->sql);
    rc = tl_buf_append_z(&s->sql, "DROP TABLE IF EXISTS ");
    if (!rc)
        rc = pg_append_table(&s->sql, s, table);
    if (pg_sql_done(s, rc, err) || pg_exec(s, "dropping a table", err))
        return -1;
    return 0;
}

static int make(struct sink *s, const struct tl_schema *schema, struct tl_error *err)
{
    return schema->adopted ? adopt(s, schema, err) : create(s, schema, err);
}

static int change(struct sink *s, const struct tl_schema *to, struct tl_error *err)
{
    struct tl_schema *from;
    int rc;

    if (pg_table_get(s, to->table, &from, err))
        return -1;
    rc = pg_alter(s, from, to, err);
    tl_schema_free(from);
    return rc;
}

static int lock(struct sink *s, const char *table, struct tl_error *err)
{
    struct params p;
    PGresult *r;
    bool got;

    params_of(&p, s);
    params_text(&p, table);
    r = pg_ask(s, "SELECT pg_try_advisory_xact_lock(hashtextextended('tload ' || $1 || '.' || $2, 0))", &p,
               "locking a table's schema", err);
    if (!r)
        return -1;
    got = pg_bool(r, 0, 0);
    PQclear(r);
    return got ? 0 : tl_fail(err, TL_E_LOCKED, "table %s is being changed by another connection", table);
}

static bool is_late(const struct applied *a, const struct tl_schema *schema)
{
    return a->table_id > schema->table_id ||
           (a->table_id == schema->table_id && a->version >= schema->version);
}

int pg_table_apply(struct sink *s, const struct tl_schema *schema, struct tl_error *err)
{
    struct applied a;
    bool stands;

    if (pg_in_transaction(s, err) || pg_applied(s, schema->table, &a, err))
        return -1;
    if (is_late(&a, schema))
        return 0;
    if (lock(s, schema->table, err) || pg_applied(s, schema->table, &a, err))
        return -1;
    if (is_late(&a, schema))
        return 0;
    s->epoch++;
    stands = a.table_id != 0 && !a.dropped;
    if (stands && !schema->dropped && a.table_id == schema->table_id) {
        if (change(s, schema, err))
            return tl_error_prefix(err, "table %s, version %d", schema->table, (int)schema->version);
    } else if ((stands && drop(s, schema->table, err)) || (!schema->dropped && make(s, schema, err))) {
        return tl_error_prefix(err, "table %s", schema->table);
    }
    return table_put(s, schema, err);
}
