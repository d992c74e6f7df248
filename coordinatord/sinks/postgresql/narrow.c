/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Staged rows into their table:
 *
 *   pg_temp.tload_stage_1 ── the last row of each key, in the key's order ──► INSERT … ON CONFLICT … DO UPDATE
 *
 * All at once, which is nearly always all there is to it. When the server refuses a row the statement is undone,
 * and the rows are tried by halves, in their order; what is down to a few is tried row by row by the server
 * itself, which notes those that it refuses. So a row that is refused does not take the place of an earlier one of
 * its key.
 */
#include "coordinatord/sinks/postgresql/connection.h"

enum { ROWS_FEW = 256, REFUSED_AT_ONCE = 10000 };

static const char doing[] = "storing rows";

struct merge {
    struct sink *s;
    struct shape *shape;
    const struct sink_batch *batch;
};

static int append_target(const struct merge *m)
{
    struct tl_buf *sql = &m->s->sql;
    int rc = tl_buf_append_z(sql, "INSERT INTO ");

    if (!rc)
        rc = pg_append_table(sql, m->s, m->shape->schema->table);
    if (!rc)
        rc = tl_buf_append_z(sql, " AS _tload_t ");
    if (!rc && m->shape->ncarried)
        rc = tl_buf_appendf(sql, "(%s) ", m->shape->columns.data);
    return rc;
}

/* The key's columns, each with `order` behind it. */
static int append_key(const struct merge *m, const char *order)
{
    const struct tl_schema *schema = m->shape->schema;
    int rc = TL_BUF_OK;

    for (size_t i = 0; !rc && i < schema->nkey; i++) {
        rc = tl_buf_append_z(&m->s->sql, i ? "," : "");
        if (!rc)
            rc = pg_append_name(&m->s->sql, schema->columns[schema->key[i]].name);
        if (!rc)
            rc = tl_buf_append_z(&m->s->sql, order);
    }
    return rc;
}

/* Rows from, from + 1, … to - 1. */
static int append_range(const struct merge *m, int64_t from, int64_t to)
{
    return tl_buf_appendf(&m->s->sql, " FROM %s WHERE _tload_ord >= %lld AND _tload_ord < %lld ORDER BY ",
                          m->shape->stage.data, (long long)from, (long long)to);
}

/*
 * The last row of each key, without those that would change nothing, in the key's order. They are sorted for that
 * once more, from the other order: so all of them are looked up before the first one is inserted, and a small
 * table that is read from end to end for each row does not grow meanwhile.
 */
static int append_last_rows(const struct merge *m, int64_t from, int64_t to)
{
    struct tl_buf *sql = &m->s->sql;
    const char *columns = m->shape->columns.data;
    int rc = tl_buf_appendf(sql, "SELECT %s FROM (SELECT DISTINCT ON (", columns);

    if (!rc)
        rc = append_key(m, "");
    if (!rc)
        rc = tl_buf_appendf(sql, ") %s", columns);
    if (!rc)
        rc = append_range(m, from, to);
    if (!rc)
        rc = append_key(m, " DESC");
    if (!rc)
        rc = tl_buf_appendf(sql, ",_tload_ord DESC) AS _tload_s%s ORDER BY ", m->shape->filter.data);
    return rc ? rc : append_key(m, "");
}

static int append_all_rows(const struct merge *m, int64_t from, int64_t to)
{
    int rc = tl_buf_appendf(&m->s->sql, "SELECT %s", m->shape->columns.data);

    if (!rc)
        rc = append_range(m, from, to);
    return rc ? rc : tl_buf_append_z(&m->s->sql, "_tload_ord");
}

static int append_merge(const struct merge *m, int64_t from, int64_t to)
{
    struct tl_buf *sql = &m->s->sql;
    int rc = tl_buf_append_z(sql, "SAVEPOINT tload; ");

    if (!rc)
        rc = append_target(m);
    if (!rc)
        rc = m->shape->schema->nkey ? append_last_rows(m, from, to) : append_all_rows(m, from, to);
    if (!rc)
        rc = tl_buf_append_z(sql, m->shape->conflict.data);
    return rc ? rc : tl_buf_append_z(sql, "; RELEASE tload");
}

/* Tries a range at once: 1, with the reason, when a row is refused; then nothing of it has happened. */
static int try_range(const struct merge *m, int64_t from, int64_t to, char *reason, size_t size,
                     struct tl_error *err)
{
    PGresult *r;
    int rc = 0;

    tl_buf_reset(&m->s->sql);
    if (pg_sql_done(m->s, append_merge(m, from, to), err))
        return -1;
    r = pg_try(m->s);
    if (PQresultStatus(r) == PGRES_COMMAND_OK) {
        rc = 0;
    } else if (pg_refuses(m->s, r)) {
        pg_message(r, reason, size);
        rc = 1;
    } else {
        rc = pg_fail(m->s, r, doing, err);
    }
    PQclear(r);
    return rc == 1 && pg_undo(m->s, err) ? -1 : rc;
}

/* ---------------------------------------------------------------- row by row */

/* The values of the row that the loop is at. */
static int append_row_values(const struct merge *m)
{
    const struct projection *p = &m->shape->projection;
    struct tl_buf *sql = &m->s->sql;
    int rc = tl_buf_append_z(sql, m->shape->ncarried ? "VALUES (" : "DEFAULT VALUES");
    size_t n = 0;

    for (size_t i = 0; !rc && i < p->nfields; i++) {
        if (p->fields[i].column < 0)
            continue;
        rc = tl_buf_append_z(sql, n++ ? ",_tload_r." : "_tload_r.");
        if (!rc)
            rc = pg_append_name(sql, m->shape->schema->columns[p->fields[i].column].name);
    }
    return rc || !m->shape->ncarried ? rc : tl_buf_append_char(sql, ')');
}

static int append_loop(const struct merge *m, int64_t from, int64_t to)
{
    struct tl_buf *sql = &m->s->sql;
    int rc = tl_buf_append_z(sql, "DO $tload$\n"
                                  "#variable_conflict use_column\n"
                                  "DECLARE _tload_r record;\n"
                                  "BEGIN FOR _tload_r IN SELECT *");

    if (!rc)
        rc = append_range(m, from, to);
    if (!rc)
        rc = tl_buf_append_z(sql, "_tload_ord LOOP BEGIN ");
    if (!rc)
        rc = append_target(m);
    if (!rc)
        rc = append_row_values(m);
    if (!rc)
        rc = tl_buf_append_z(sql, m->shape->conflict.data);
    return rc ? rc
              : tl_buf_append_z(sql,
                                "; EXCEPTION WHEN OTHERS THEN"
                                " IF SQLSTATE !~ '^(" PG_REFUSED_CLASSES ")' THEN RAISE; END IF;"
                                " INSERT INTO pg_temp.tload_refused VALUES (_tload_r._tload_ord, SQLERRM);"
                                " END; END LOOP; END $tload$");
}

static int try_each(const struct merge *m, int64_t from, int64_t to, struct tl_error *err)
{
    tl_buf_reset(&m->s->sql);
    if (pg_sql_done(m->s, append_loop(m, from, to), err) || pg_exec(m->s, doing, err))
        return -1;
    return 0;
}

static int make_refused(struct sink *s, struct tl_error *err)
{
    bool there = s->refused_in == s->transactions;
    int rc;

    tl_buf_reset(&s->sql);
    rc = tl_buf_append_z(&s->sql, there ? "TRUNCATE pg_temp.tload_refused"
                                        : "CREATE TEMP TABLE tload_refused (ord integer, reason text)"
                                          " ON COMMIT DROP");
    if (pg_sql_done(s, rc, err) || pg_exec(s, "making the table of refused rows", err))
        return -1;
    s->refused_in = s->transactions;
    return 0;
}

/* Tells those behind row *after, as many as fit into one answer; *n of them. */
static int tell_some(const struct merge *m, int64_t *after, int *n, struct tl_error *err)
{
    const struct sink_batch *batch = m->batch;
    struct params p = {.n = 0};
    PGresult *r;
    int rc = 0;

    params_int(&p, *after);
    params_int(&p, REFUSED_AT_ONCE);
    r = pg_ask(
        m->s, "SELECT ord, left(reason, 200) FROM pg_temp.tload_refused WHERE ord > $1 ORDER BY ord LIMIT $2",
        &p, "reading the refused rows", err);
    if (!r)
        return -1;
    *n = PQntuples(r);
    for (int i = 0; !rc && i < *n; i++) {
        *after = pg_int(r, i, 0);
        rc = batch->refused(batch->app, *after, PQgetvalue(r, i, 1), err);
    }
    PQclear(r);
    return rc;
}

static int tell_refused(const struct merge *m, struct tl_error *err)
{
    int64_t after = -1;
    int n;

    do {
        if (tell_some(m, &after, &n, err))
            return -1;
    } while (n == REFUSED_AT_ONCE);
    return 0;
}

/* A range that can't be merged at once. */
static int narrow(const struct merge *m, int64_t from, int64_t to, struct tl_error *err)
{
    int64_t middle = from + (to - from) / 2;
    const int64_t halves[2][2] = {{from, middle}, {middle, to}};
    char reason[4];

    if (to - from <= ROWS_FEW)
        return try_each(m, from, to, err);
    for (size_t i = 0; i < TL_ARRAY_LEN(halves); i++) {
        int rc = try_range(m, halves[i][0], halves[i][1], reason, sizeof reason, err);

        if (rc < 0 || (rc && narrow(m, halves[i][0], halves[i][1], err)))
            return -1;
    }
    return 0;
}

int pg_merge(struct sink *s, struct shape *shape, const struct sink_batch *batch, struct tl_error *err)
{
    struct merge m = {s, shape, batch};
    char reason[200];
    int rc = try_range(&m, 0, batch->nrows, reason, sizeof reason, err);

    if (rc <= 0)
        return rc;
    if (!batch->refused)
        return tl_fail(err, TL_E_REFUSED, "%s", reason);
    if (make_refused(s, err) || narrow(&m, 0, batch->nrows, err))
        return -1;
    return tell_refused(&m, err);
}
