/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rows of a batch into their table, by the shorter way that they can take:
 *
 *   rows ── COPY ──► the table                 when none of them is there yet, as in a first load; or without a key
 *   rows ── COPY ──► staging table ──merge──►  else
 *
 * The short way is tried behind a savepoint. Once it was in vain, so it would be with most of the batches that
 * follow, and what it wrote before it met the row that was there is waste in the table: they are staged at
 * once, and after a number of them, which doubles each time, the short way is tried again.
 *
 * The staging table is of the transaction, and emptied before each batch.
 */
#include "coordinatord/sinks/postgresql/connection.h"

static int append_copy(struct sink *s, const struct shape *shape)
{
    struct tl_buf *sql = &s->sql;
    int rc = tl_buf_append_z(sql, "SAVEPOINT tload; COPY ");

    if (!rc)
        rc = pg_append_table(sql, s, shape->schema->table);
    return rc ? rc : tl_buf_appendf(sql, " (%s) FROM STDIN; RELEASE tload", shape->columns.data);
}

/* Straight into the table; *done false: it is as it was. */
static int direct(struct sink *s, struct shape *shape, const struct sink_batch *batch, bool *done,
                  struct tl_error *err)
{
    struct copied copied;

    tl_buf_reset(&s->sql);
    if (pg_sql_done(s, append_copy(s, shape), err) || pg_copy(s, shape, batch, false, &copied, err))
        return -1;
    *done = !copied.refused;
    if (*done) {
        shape->penalty = PENALTY_FIRST;
        return 0;
    }
    shape->staged_left = shape->penalty;
    shape->penalty = TL_MIN(shape->penalty * 2, PENALTY_MOST);
    return pg_undo(s, err);
}

/* The staging table has the types of the table's columns, and nothing else of it. */
static int append_stage(struct sink *s, const struct shape *shape)
{
    const char *stage = shape->stage.data;
    struct tl_buf *sql = &s->sql;
    int rc;

    if (shape->staged_in == s->transactions) {
        rc = tl_buf_appendf(sql, "TRUNCATE %s", stage);
    } else {
        rc = tl_buf_appendf(sql, "CREATE TEMP TABLE %s ON COMMIT DROP AS SELECT 0 AS _tload_ord%s%s FROM ",
                            stage, shape->ncarried ? "," : "", shape->columns.data);
        if (!rc)
            rc = pg_append_table(sql, s, shape->schema->table);
        if (!rc)
            rc = tl_buf_append_z(sql, " WITH NO DATA");
    }
    return rc ? rc : tl_buf_appendf(sql, "; COPY %s FROM STDIN", stage);
}

static int stage(struct sink *s, struct shape *shape, const struct sink_batch *batch, struct tl_error *err)
{
    struct copied copied;

    tl_buf_reset(&s->sql);
    if (pg_sql_done(s, append_stage(s, shape), err) || pg_copy(s, shape, batch, true, &copied, err))
        return -1;
    shape->staged_in = s->transactions;
    /* Nothing but the values' types can be in their way here. */
    if (copied.refused)
        return tl_fail(err, TL_E_CORRUPT, "a batch is not what it has to be: %s", copied.reason);
    return 0;
}

static int write_rows(struct sink *s, struct shape *shape, const struct sink_batch *batch,
                      struct tl_error *err)
{
    bool done = false;

    if (shape->staged_left > 0)
        shape->staged_left--;
    else if (shape->ncarried && direct(s, shape, batch, &done, err))
        return -1;
    if (done)
        return 0;
    return stage(s, shape, batch, err) ? -1 : pg_merge(s, shape, batch, err);
}

int pg_write(struct sink *s, const struct sink_batch *batch, struct tl_error *err)
{
    struct shape *shape;

    if (pg_in_transaction(s, err) || pg_check_rows(batch, err))
        return -1;
    shape = shape_for(s, batch, err);
    if (!shape)
        return -1;
    if (write_rows(s, shape, batch, err))
        return tl_error_prefix(err, "table %s", batch->schema->table);
    return 0;
}
