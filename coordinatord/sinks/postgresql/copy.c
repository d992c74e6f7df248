/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rows of a batch through COPY:
 *
 *   rows as they came ──────────────────────────────► COPY "acme"."orders" ("id","name") FROM STDIN
 *   rows ── number and fields that stay ── s->chunk ──► COPY pg_temp.tload_stage_1 FROM STDIN
 *
 * The text is what COPY reads, in each column's present type too (types.c), so a value is never looked at. Rows
 * are copied only to be numbered, and taken apart only when a column of theirs was dropped.
 */
#include "coordinatord/sinks/postgresql/connection.h"
#include "shared/wire/rowtext.h"

enum { PIECE = 256 * 1024, CHUNK = 64 * 1024 };
_Static_assert(CHUNK_MAX >= CHUNK + TL_MESSAGE_MAX + NUMBER_TEXT, "a chunk and one row more");

int pg_check_rows(const struct sink_batch *batch, struct tl_error *err)
{
    struct tl_str rest = batch->rows;
    int64_t n = 0;

    while (rest.len) {
        const char *end = memchr(rest.ptr, '\n', rest.len);

        if (!end)
            return tl_fail(err, TL_E_CORRUPT, "the last row of a batch has no end");
        /* To COPY this is the end of all rows; no value is written so. */
        if (end - rest.ptr == 2 && rest.ptr[0] == '\\' && rest.ptr[1] == '.')
            return tl_fail(err, TL_E_CORRUPT, "row %lld of a batch is not one", (long long)n + 1);
        rest.len -= (size_t)(end + 1 - rest.ptr);
        rest.ptr = end + 1;
        n++;
    }
    if (n != batch->nrows)
        return tl_fail(err, TL_E_CORRUPT, "a batch of %lld rows has %lld", (long long)batch->nrows,
                       (long long)n);
    return 0;
}

static int put(struct sink *s, const char *bytes, size_t n, struct tl_error *err)
{
    if (PQputCopyData(s->conn, bytes, (int)n) != 1 || pg_flush(s))
        return pg_fail(s, NULL, "sending rows", err);
    return 0;
}

static int flush(struct sink *s, struct tl_error *err)
{
    int rc = put(s, s->chunk.data, s->chunk.len, err);

    tl_buf_reset(&s->chunk);
    return rc;
}

/* A row's fields that have a column, as they stand; a TL_BUF_ result. */
static int append_fields(struct sink *s, const struct shape *shape, bool more)
{
    int rc = TL_BUF_OK;

    for (size_t i = 0; !rc && i < shape->projection.nfields; i++) {
        if (shape->projection.fields[i].column < 0)
            continue;
        if (more)
            rc = tl_buf_append_char(&s->chunk, '\t');
        if (!rc)
            rc = s->fields[i].ptr ? tl_buf_append_str(&s->chunk, s->fields[i])
                                  : tl_buf_append_z(&s->chunk, "\\N");
        more = true;
    }
    return rc;
}

/* Cuts the next row off rest and appends what stays of it; a TL_BUF_ result. */
static int append_row(struct sink *s, const struct shape *shape, struct tl_str *rest, bool more)
{
    struct tl_str row = tl_str_cut(rest, '\n');
    int rc = more && !shape->cuts ? tl_buf_append_char(&s->chunk, '\t') : TL_BUF_OK;

    if (!rc)
        rc = shape->cuts ? append_fields(s, shape, more) : tl_buf_append_str(&s->chunk, row);
    return rc ? rc : tl_buf_append_char(&s->chunk, '\n');
}

/* Fills s->fields with the row that is next. */
static int split(struct sink *s, const struct sink_batch *batch, struct tl_str rest, int64_t index,
                 struct tl_error *err)
{
    int n = tl_rowtext_next(&rest, s->fields, s->nfields);

    if (n < 0 || (size_t)n != batch->ncolumns)
        return tl_fail(err, TL_E_CORRUPT, "row %lld of a batch has not the %zu fields that it should have",
                       (long long)index + 1, batch->ncolumns);
    return 0;
}

static int send_changed(struct sink *s, const struct shape *shape, const struct sink_batch *batch,
                        bool numbered, struct tl_error *err)
{
    struct tl_str rest = batch->rows;

    tl_buf_reset(&s->chunk);
    for (int64_t index = 0; index < batch->nrows; index++) {
        int rc = numbered ? tl_buf_append_i64(&s->chunk, index) : TL_BUF_OK;

        if (shape->cuts && split(s, batch, rest, index, err))
            return -1;
        if (!rc)
            rc = append_row(s, shape, &rest, numbered);
        if (rc)
            return tl_buf_fail(rc, &s->chunk, "rows of a batch", err);
        if (s->chunk.len >= CHUNK && flush(s, err))
            return -1;
    }
    return s->chunk.len ? flush(s, err) : 0;
}

static int send_rows(struct sink *s, const struct shape *shape, const struct sink_batch *batch, bool numbered,
                     struct tl_error *err)
{
    if (numbered || shape->cuts)
        return send_changed(s, shape, batch, numbered, err);
    for (size_t at = 0; at < batch->rows.len; at += PIECE)
        if (put(s, batch->rows.ptr + at, TL_MIN((size_t)PIECE, batch->rows.len - at), err))
            return -1;
    return 0;
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

/* What became of one of the statements. */
static int take_result(struct sink *s, const PGresult *r, struct copied *out, struct tl_error *err)
{
    switch (PQresultStatus(r)) {
    case PGRES_COMMAND_OK:
        if (strncmp(PQcmdStatus((PGresult *)r), "COPY ", 5) == 0 &&
            !tl_str_to_i64(tl_str(PQcmdTuples((PGresult *)r)), 0, INT64_MAX, &out->rows))
            out->rows = -1;
        return 0;
    case PGRES_TUPLES_OK:
        return 0;
    default:
        break;
    }
    if (out->refused)
        return 0;
    if (!pg_refuses(s, r))
        return pg_fail(s, r, "copying rows", err);
    out->refused = true;
    pg_message(r, out->reason, sizeof out->reason);
    return 0;
}

int pg_copy(struct sink *s, const struct shape *shape, const struct sink_batch *batch, bool numbered,
            struct copied *out, struct tl_error *err)
{
    PGresult *r;
    int rc = 0;

    *out = (struct copied){0};
    if (make_fields(s, batch->ncolumns, err))
        return -1;
    if (!PQsendQuery(s->conn, s->sql.data))
        return pg_fail(s, NULL, "copying rows", err);
    while ((r = pg_result(s))) {
        if (PQresultStatus(r) == PGRES_COPY_IN) {
            rc = send_rows(s, shape, batch, numbered, err);
            /* When it is broken off, the server's error that follows is no news. */
            if (PQputCopyEnd(s->conn, rc ? "broken off" : NULL) != 1) {
                PQclear(r);
                return rc ? rc : pg_fail(s, NULL, "sending rows", err);
            }
        } else if (!rc) {
            rc = take_result(s, r, out, err);
        }
        PQclear(r);
    }
    return s->lost && !rc ? pg_fail(s, NULL, "copying rows", err) : rc;
}
