/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/sinks/postgresql/connection.h"

int pg_offset(struct sink *s, const char *topic, int32_t partition, int64_t *next, struct tl_error *err)
{
    struct params p;
    PGresult *r;

    params_of(&p, s);
    params_text(&p, topic);
    params_int(&p, partition);
    r = pg_ask(s, "SELECT next FROM tload.offsets WHERE tenant = $1 AND topic = $2 AND partition = $3", &p,
               "reading an offset", err);
    if (!r)
        return -1;
    *next = PQntuples(r) ? pg_int(r, 0, 0) : 0;
    PQclear(r);
    return 0;
}

int pg_offset_move(struct sink *s, const char *topic, int32_t partition, int64_t from, int64_t to,
                   struct tl_error *err)
{
    /* Both wait for whoever has moved it in a transaction that is open, and then look at what it made of it. */
    static const char first[] =
        "INSERT INTO tload.offsets AS o (tenant, topic, partition, next) VALUES ($1, $2, $3, $4)"
        " ON CONFLICT (tenant, topic, partition) DO UPDATE SET next = excluded.next WHERE o.next = $5";
    static const char later[] = "UPDATE tload.offsets SET next = $4"
                                " WHERE tenant = $1 AND topic = $2 AND partition = $3 AND next = $5";
    struct params p;
    int64_t moved;

    if (pg_in_transaction(s, err))
        return -1;
    params_of(&p, s);
    params_text(&p, topic);
    params_int(&p, partition);
    params_int(&p, to);
    params_int(&p, from);
    moved = pg_run(s, from == 0 ? first : later, &p, "storing an offset", err);
    if (moved < 0)
        return -1;
    if (moved == 0)
        return tl_fail(err, TL_E_FENCED, "%s [%d]: the offset is not %lld: another process has taken over",
                       topic, (int)partition, (long long)from);
    return 0;
}

int pg_ledger_get(struct sink *s, const char *upload, int32_t partition, struct ledger_row *row,
                  struct tl_error *err)
{
    struct params p;
    PGresult *r;
    int found;

    params_of(&p, s);
    params_text(&p, upload);
    params_int(&p, partition);
    r = pg_ask(
        s,
        "SELECT table_name, table_id, last_seq, rows_applied, rows_rejected, ended, rows_read, stopped,"
        " reason FROM tload.ledger WHERE tenant = $1 AND upload = $2 AND partition = $3",
        &p, "reading the ledger", err);
    if (!r)
        return -1;
    found = PQntuples(r);
    if (found) {
        *row = (struct ledger_row){
            .table_id = pg_int(r, 0, 1),
            .partition = partition,
            .last_seq = pg_int(r, 0, 2),
            .rows_applied = pg_int(r, 0, 3),
            .rows_rejected = pg_int(r, 0, 4),
            .ended = pg_bool(r, 0, 5),
            .rows_read = pg_int(r, 0, 6),
            .stopped = pg_bool(r, 0, 7),
        };
        snprintf(row->upload, sizeof row->upload, "%s", upload);
        pg_text(r, 0, 0, row->table, sizeof row->table);
        pg_text(r, 0, 8, row->reason, sizeof row->reason);
    }
    PQclear(r);
    return found;
}

int pg_ledger_put(struct sink *s, const struct ledger_row *row, struct tl_error *err)
{
    struct params p;

    if (pg_in_transaction(s, err))
        return -1;
    params_of(&p, s);
    params_text(&p, row->upload);
    params_int(&p, row->partition);
    params_text(&p, row->table);
    params_int(&p, row->table_id);
    params_int(&p, row->last_seq);
    params_int(&p, row->rows_applied);
    params_int(&p, row->rows_rejected);
    params_text(&p, row->ended ? "t" : "f");
    params_int(&p, row->rows_read);
    params_text(&p, row->stopped ? "t" : "f");
    params_text(&p, row->reason);
    if (pg_run(
            s,
            "INSERT INTO tload.ledger (tenant, upload, partition, table_name, table_id, last_seq,"
            " rows_applied, rows_rejected, ended, rows_read, stopped, reason)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
            " ON CONFLICT (tenant, upload, partition) DO UPDATE SET (table_name, table_id, last_seq,"
            " rows_applied, rows_rejected, ended, rows_read, stopped, reason) ="
            " ROW (excluded.table_name, excluded.table_id, excluded.last_seq, excluded.rows_applied,"
            " excluded.rows_rejected, excluded.ended, excluded.rows_read, excluded.stopped, excluded.reason)",
            &p, "writing the ledger", err) < 0)
        return -1;
    return 0;
}

int pg_errors_get(struct sink *s, const char *upload, int32_t partition, enum tl_stage stage,
                  struct errors_row *row, struct tl_error *err)
{
    struct params p;
    PGresult *r;
    int found;

    params_of(&p, s);
    params_text(&p, upload);
    params_int(&p, partition);
    params_int(&p, stage);
    r = pg_ask(s,
               "SELECT last_seq, last_part, rows FROM tload.errors"
               " WHERE tenant = $1 AND upload = $2 AND partition = $3 AND stage = $4",
               &p, "reading the ledger of errors", err);
    if (!r)
        return -1;
    found = PQntuples(r);
    if (found) {
        *row = (struct errors_row){
            .partition = partition,
            .stage = stage,
            .last_seq = pg_int(r, 0, 0),
            .last_part = pg_int(r, 0, 1),
            .rows = pg_int(r, 0, 2),
        };
        snprintf(row->upload, sizeof row->upload, "%s", upload);
    }
    PQclear(r);
    return found;
}

int pg_errors_put(struct sink *s, const struct errors_row *row, struct tl_error *err)
{
    struct params p;

    if (pg_in_transaction(s, err))
        return -1;
    params_of(&p, s);
    params_text(&p, row->upload);
    params_int(&p, row->partition);
    params_int(&p, row->stage);
    params_int(&p, row->last_seq);
    params_int(&p, row->last_part);
    params_int(&p, row->rows);
    if (pg_run(s,
               "INSERT INTO tload.errors (tenant, upload, partition, stage, last_seq, last_part, rows)"
               " VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (tenant, upload, partition, stage)"
               " DO UPDATE SET (last_seq, last_part, rows) ="
               " ROW (excluded.last_seq, excluded.last_part, excluded.rows)",
               &p, "writing the ledger of errors", err) < 0)
        return -1;
    return 0;
}

static void params_batch(struct params *p, const struct sink *s, const char *upload, int32_t partition,
                         int64_t seq)
{
    params_of(p, s);
    params_text(p, upload);
    params_int(p, partition);
    params_int(p, seq);
}

int pg_refused_get(struct sink *s, const char *upload, int32_t partition, int64_t seq, int64_t *attempt,
                   struct tl_error *err)
{
    struct params p;
    PGresult *r;
    int found;

    params_batch(&p, s, upload, partition, seq);
    r = pg_ask(s,
               "SELECT attempt FROM tload.refused"
               " WHERE tenant = $1 AND upload = $2 AND partition = $3 AND seq = $4",
               &p, "reading the ledger of refused rows", err);
    if (!r)
        return -1;
    found = PQntuples(r);
    if (found)
        *attempt = pg_int(r, 0, 0);
    PQclear(r);
    return found;
}

int pg_refused_put(struct sink *s, const char *upload, int32_t partition, int64_t seq, int64_t attempt,
                   struct tl_error *err)
{
    struct params p;

    if (pg_in_transaction(s, err))
        return -1;
    params_batch(&p, s, upload, partition, seq);
    params_int(&p, attempt);
    if (pg_run(
            s,
            "INSERT INTO tload.refused (tenant, upload, partition, seq, attempt) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT (tenant, upload, partition, seq) DO UPDATE SET attempt = excluded.attempt",
            &p, "writing the ledger of refused rows", err) < 0)
        return -1;
    return 0;
}

static void params_owed(struct params *p, const struct sink *s, const char *topic, int32_t partition)
{
    params_of(p, s);
    params_text(p, topic);
    params_int(p, partition);
}

int pg_owed_first(struct sink *s, const char *topic, int32_t partition, const char *table, int64_t *offset,
                  struct tl_error *err)
{
    struct params p;
    PGresult *r;
    int found;

    params_owed(&p, s, topic, partition);
    params_text(&p, table);
    r = pg_ask(
        s,
        "SELECT message FROM tload.owed"
        " WHERE tenant = $1 AND topic = $2 AND partition = $3 AND table_name = $4 ORDER BY message LIMIT 1",
        &p, "reading what is owed", err);
    if (!r)
        return -1;
    found = PQntuples(r);
    if (found)
        *offset = pg_int(r, 0, 0);
    PQclear(r);
    return found;
}

int pg_owed_tables(struct sink *s, const char *topic, int32_t partition,
                   int (*each)(void *app, const char *table, int64_t offset, struct tl_error *err), void *app,
                   struct tl_error *err)
{
    struct params p;
    PGresult *r;
    int rc = 0;

    params_owed(&p, s, topic, partition);
    r = pg_ask(s,
               "SELECT table_name, min(message) FROM tload.owed"
               " WHERE tenant = $1 AND topic = $2 AND partition = $3 GROUP BY table_name",
               &p, "reading what is owed", err);
    if (!r)
        return -1;
    for (int i = 0; !rc && i < PQntuples(r); i++)
        rc = each(app, PQgetvalue(r, i, 0), pg_int(r, i, 1), err);
    PQclear(r);
    return rc ? -1 : 0;
}

int pg_owe(struct sink *s, const char *topic, int32_t partition, const char *table, int64_t offset,
           struct tl_error *err)
{
    struct params p;

    if (pg_in_transaction(s, err))
        return -1;
    params_owed(&p, s, topic, partition);
    params_text(&p, table);
    params_int(&p, offset);
    if (pg_run(
            s,
            "INSERT INTO tload.owed (tenant, topic, partition, table_name, message) VALUES ($1, $2, $3, $4, $5)"
            " ON CONFLICT DO NOTHING",
            &p, "writing down what is owed", err) < 0)
        return -1;
    return 0;
}

int pg_settle(struct sink *s, const char *topic, int32_t partition, const char *table, int64_t offset,
              struct tl_error *err)
{
    struct params p;
    int64_t settled;

    if (pg_in_transaction(s, err))
        return -1;
    params_owed(&p, s, topic, partition);
    params_text(&p, table);
    params_int(&p, offset);
    settled = pg_run(s,
                     "DELETE FROM tload.owed WHERE tenant = $1 AND topic = $2 AND partition = $3"
                     " AND table_name = $4 AND message = $5",
                     &p, "settling what is owed", err);
    if (settled < 0)
        return -1;
    if (settled == 0)
        return tl_fail(err, TL_E_FENCED, "%s [%d] @%lld is not owed: another process has taken over", topic,
                       (int)partition, (long long)offset);
    return 0;
}

int pg_progress(struct sink *s, const char *upload, struct upload_progress *out, struct tl_error *err)
{
    struct params p;
    PGresult *r;

    *out = (struct upload_progress){0};
    params_of(&p, s);
    params_text(&p, upload);
    r = pg_ask(s,
               "SELECT coalesce(sum(rows_applied), 0)::bigint, coalesce(sum(rows_rejected), 0)::bigint,"
               " coalesce(sum(rows_read) FILTER (WHERE ended), 0)::bigint,"
               " (SELECT coalesce(sum(rows), 0)::bigint FROM tload.errors WHERE tenant = $1 AND upload = $2),"
               " count(*) FILTER (WHERE ended), count(*) FILTER (WHERE stopped),"
               " coalesce(max(reason) FILTER (WHERE stopped), '')"
               " FROM tload.ledger WHERE tenant = $1 AND upload = $2",
               &p, "reading the ledger", err);
    if (!r)
        return -1;
    out->rows_applied = pg_int(r, 0, 0);
    out->rows_rejected = pg_int(r, 0, 1);
    out->rows_read = pg_int(r, 0, 2);
    out->errors_stored = pg_int(r, 0, 3);
    out->partitions_ended = (int32_t)pg_int(r, 0, 4);
    out->partitions_stopped = (int32_t)pg_int(r, 0, 5);
    pg_text(r, 0, 6, out->reason, sizeof out->reason);
    PQclear(r);
    return 0;
}

int pg_last_seqs(struct sink *s, const char *upload, int32_t n, int64_t *seqs, struct tl_error *err)
{
    struct params p;
    PGresult *r;

    params_of(&p, s);
    params_text(&p, upload);
    r = pg_ask(s, "SELECT partition, last_seq FROM tload.ledger WHERE tenant = $1 AND upload = $2", &p,
               "reading the ledger", err);
    if (!r)
        return -1;
    for (int32_t i = 0; i < n; i++)
        seqs[i] = 0;
    for (int i = 0; i < PQntuples(r); i++) {
        int64_t partition = pg_int(r, i, 0);

        if (partition >= 0 && partition < n)
            seqs[partition] = pg_int(r, i, 1);
    }
    PQclear(r);
    return 0;
}

int pg_forget(struct sink *s, const char *upload, struct tl_error *err)
{
    static const char *const all[] = {"DELETE FROM tload.ledger WHERE tenant = $1 AND upload = $2",
                                      "DELETE FROM tload.errors WHERE tenant = $1 AND upload = $2",
                                      "DELETE FROM tload.refused WHERE tenant = $1 AND upload = $2"};
    struct params p;

    if (pg_in_transaction(s, err))
        return -1;
    params_of(&p, s);
    params_text(&p, upload);
    for (size_t i = 0; i < TL_ARRAY_LEN(all); i++)
        if (pg_run(s, all[i], &p, "forgetting an upload", err) < 0)
            return -1;
    return 0;
}
