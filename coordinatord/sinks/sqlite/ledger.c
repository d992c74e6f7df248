/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/sinks/sqlite/connection.h"

/* Binding fails for want of memory only; the texts live until the statement was stepped. */
static void bind(sqlite3_stmt *stmt, const char *text, int32_t number)
{
    sqlite3_bind_text(stmt, 1, text, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, number);
}

/* A column's text that was stored from a char[size]. */
static void copy(sqlite3_stmt *stmt, int column, char *out, size_t size)
{
    const unsigned char *text = sqlite3_column_text(stmt, column);

    snprintf(out, size, "%s", text ? (const char *)text : "");
}

/* 1 for a row, 0 for none, -1; a row is reset by the caller. */
static int step(struct sink *s, sqlite3_stmt *stmt, const char *what, struct tl_error *err)
{
    int rc = sqlite3_step(stmt);

    if (rc == SQLITE_ROW)
        return 1;
    if (rc != SQLITE_DONE)
        connection_fail(s, rc, what, err);
    sqlite3_reset(stmt);
    return rc == SQLITE_DONE ? 0 : -1;
}

int ledger_offset(struct sink *s, const char *topic, int32_t partition, int64_t *next, struct tl_error *err)
{
    sqlite3_stmt *stmt = connection_query(s, QUERY_OFFSET_GET, err);
    int found;

    if (!stmt)
        return -1;
    bind(stmt, topic, partition);
    found = step(s, stmt, "reading an offset", err);
    if (found < 0)
        return -1;
    *next = found ? sqlite3_column_int64(stmt, 0) : 0;
    sqlite3_reset(stmt);
    return 0;
}

int ledger_offset_move(struct sink *s, const char *topic, int32_t partition, int64_t from, int64_t to,
                       struct tl_error *err)
{
    sqlite3_stmt *stmt;
    int64_t stored;

    /* The transaction is a writing one from its begin, so nobody moves it between the two statements. */
    if (connection_in_transaction(s, err) || ledger_offset(s, topic, partition, &stored, err))
        return -1;
    if (stored != from)
        return tl_fail(err, TL_E_FENCED,
                       "%s [%d]: the offset is %lld, not %lld: another process has taken over", topic,
                       (int)partition, (long long)stored, (long long)from);
    stmt = connection_query(s, QUERY_OFFSET_PUT, err);
    if (!stmt)
        return -1;
    bind(stmt, topic, partition);
    sqlite3_bind_int64(stmt, 3, to);
    return connection_run(s, stmt, "storing an offset", err);
}

int ledger_row_get(struct sink *s, const char *upload, int32_t partition, struct ledger_row *row,
                   struct tl_error *err)
{
    sqlite3_stmt *stmt = connection_query(s, QUERY_LEDGER_GET, err);
    int found;

    if (!stmt)
        return -1;
    bind(stmt, upload, partition);
    found = step(s, stmt, "reading the ledger", err);
    if (found <= 0)
        return found;
    *row = (struct ledger_row){
        .table_id = sqlite3_column_int64(stmt, 1),
        .partition = partition,
        .last_seq = sqlite3_column_int64(stmt, 2),
        .rows_applied = sqlite3_column_int64(stmt, 3),
        .rows_rejected = sqlite3_column_int64(stmt, 4),
        .ended = sqlite3_column_int(stmt, 5) != 0,
        .rows_read = sqlite3_column_int64(stmt, 6),
        .stopped = sqlite3_column_int(stmt, 7) != 0,
    };
    snprintf(row->upload, sizeof row->upload, "%s", upload);
    copy(stmt, 0, row->table, sizeof row->table);
    copy(stmt, 8, row->reason, sizeof row->reason);
    sqlite3_reset(stmt);
    return 1;
}

int ledger_row_put(struct sink *s, const struct ledger_row *row, struct tl_error *err)
{
    sqlite3_stmt *stmt;

    if (connection_in_transaction(s, err))
        return -1;
    stmt = connection_query(s, QUERY_LEDGER_PUT, err);
    if (!stmt)
        return -1;
    bind(stmt, row->upload, row->partition);
    sqlite3_bind_text(stmt, 3, row->table, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 4, row->table_id);
    sqlite3_bind_int64(stmt, 5, row->last_seq);
    sqlite3_bind_int64(stmt, 6, row->rows_applied);
    sqlite3_bind_int64(stmt, 7, row->rows_rejected);
    sqlite3_bind_int(stmt, 8, row->ended);
    sqlite3_bind_int64(stmt, 9, row->rows_read);
    sqlite3_bind_int(stmt, 10, row->stopped);
    sqlite3_bind_text(stmt, 11, row->reason, -1, SQLITE_STATIC);
    return connection_run(s, stmt, "writing the ledger", err);
}

int ledger_errors_get(struct sink *s, const char *upload, int32_t partition, enum tl_stage stage,
                      struct errors_row *row, struct tl_error *err)
{
    sqlite3_stmt *stmt = connection_query(s, QUERY_ERRORS_GET, err);
    int found;

    if (!stmt)
        return -1;
    bind(stmt, upload, partition);
    sqlite3_bind_int(stmt, 3, (int)stage);
    found = step(s, stmt, "reading the ledger of errors", err);
    if (found <= 0)
        return found;
    *row = (struct errors_row){
        .partition = partition,
        .stage = stage,
        .last_seq = sqlite3_column_int64(stmt, 0),
        .last_part = sqlite3_column_int64(stmt, 1),
        .rows = sqlite3_column_int64(stmt, 2),
    };
    snprintf(row->upload, sizeof row->upload, "%s", upload);
    sqlite3_reset(stmt);
    return 1;
}

int ledger_errors_put(struct sink *s, const struct errors_row *row, struct tl_error *err)
{
    sqlite3_stmt *stmt;

    if (connection_in_transaction(s, err))
        return -1;
    stmt = connection_query(s, QUERY_ERRORS_PUT, err);
    if (!stmt)
        return -1;
    bind(stmt, row->upload, row->partition);
    sqlite3_bind_int(stmt, 3, (int)row->stage);
    sqlite3_bind_int64(stmt, 4, row->last_seq);
    sqlite3_bind_int64(stmt, 5, row->last_part);
    sqlite3_bind_int64(stmt, 6, row->rows);
    return connection_run(s, stmt, "writing the ledger of errors", err);
}

int ledger_refused_get(struct sink *s, const char *upload, int32_t partition, int64_t seq, int64_t *attempt,
                       struct tl_error *err)
{
    sqlite3_stmt *stmt = connection_query(s, QUERY_REFUSED_GET, err);
    int found;

    if (!stmt)
        return -1;
    bind(stmt, upload, partition);
    sqlite3_bind_int64(stmt, 3, seq);
    found = step(s, stmt, "reading the ledger of refused rows", err);
    if (found <= 0)
        return found;
    *attempt = sqlite3_column_int64(stmt, 0);
    sqlite3_reset(stmt);
    return 1;
}

int ledger_refused_put(struct sink *s, const char *upload, int32_t partition, int64_t seq, int64_t attempt,
                       struct tl_error *err)
{
    sqlite3_stmt *stmt;

    if (connection_in_transaction(s, err))
        return -1;
    stmt = connection_query(s, QUERY_REFUSED_PUT, err);
    if (!stmt)
        return -1;
    bind(stmt, upload, partition);
    sqlite3_bind_int64(stmt, 3, seq);
    sqlite3_bind_int64(stmt, 4, attempt);
    return connection_run(s, stmt, "writing the ledger of refused rows", err);
}

int ledger_owed_first(struct sink *s, const char *topic, int32_t partition, const char *table,
                      int64_t *offset, struct tl_error *err)
{
    sqlite3_stmt *stmt = connection_query(s, QUERY_OWED_FIRST, err);
    int found;

    if (!stmt)
        return -1;
    bind(stmt, topic, partition);
    sqlite3_bind_text(stmt, 3, table, -1, SQLITE_STATIC);
    found = step(s, stmt, "reading what is owed", err);
    if (found <= 0)
        return found;
    found = sqlite3_column_type(stmt, 0) != SQLITE_NULL;
    if (found)
        *offset = sqlite3_column_int64(stmt, 0);
    sqlite3_reset(stmt);
    return found;
}

int ledger_owed_tables(struct sink *s, const char *topic, int32_t partition,
                       int (*each)(void *app, const char *table, int64_t offset, struct tl_error *err),
                       void *app, struct tl_error *err)
{
    sqlite3_stmt *stmt = connection_query(s, QUERY_OWED_TABLES, err);
    char table[TL_NAME_MAX + 1];
    int found;

    if (!stmt)
        return -1;
    bind(stmt, topic, partition);
    while ((found = step(s, stmt, "reading what is owed", err)) > 0) {
        copy(stmt, 0, table, sizeof table);
        if (each(app, table, sqlite3_column_int64(stmt, 1), err)) {
            sqlite3_reset(stmt);
            return -1;
        }
    }
    return found;
}

static int run_owed(struct sink *s, enum query q, const char *topic, int32_t partition, const char *table,
                    int64_t offset, struct tl_error *err)
{
    sqlite3_stmt *stmt;

    if (connection_in_transaction(s, err))
        return -1;
    stmt = connection_query(s, q, err);
    if (!stmt)
        return -1;
    bind(stmt, topic, partition);
    sqlite3_bind_text(stmt, 3, table, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 4, offset);
    return connection_run(s, stmt, "writing down what is owed", err);
}

int ledger_owe(struct sink *s, const char *topic, int32_t partition, const char *table, int64_t offset,
               struct tl_error *err)
{
    return run_owed(s, QUERY_OWE, topic, partition, table, offset, err);
}

int ledger_settle(struct sink *s, const char *topic, int32_t partition, const char *table, int64_t offset,
                  struct tl_error *err)
{
    if (run_owed(s, QUERY_SETTLE, topic, partition, table, offset, err))
        return -1;
    if (sqlite3_changes(s->db) == 0)
        return tl_fail(err, TL_E_FENCED, "%s [%d] @%lld is not owed: another process has taken over", topic,
                       (int)partition, (long long)offset);
    return 0;
}

int ledger_progress(struct sink *s, const char *upload, struct upload_progress *out, struct tl_error *err)
{
    sqlite3_stmt *stmt = connection_query(s, QUERY_PROGRESS, err);
    int found;

    *out = (struct upload_progress){0};
    if (!stmt)
        return -1;
    sqlite3_bind_text(stmt, 1, upload, -1, SQLITE_STATIC);
    found = step(s, stmt, "reading the ledger", err);
    if (found <= 0)
        return found;
    out->rows_applied = sqlite3_column_int64(stmt, 0);
    out->rows_rejected = sqlite3_column_int64(stmt, 1);
    out->rows_read = sqlite3_column_int64(stmt, 2);
    out->errors_stored = sqlite3_column_int64(stmt, 3);
    out->partitions_ended = sqlite3_column_int(stmt, 4);
    out->partitions_stopped = sqlite3_column_int(stmt, 5);
    copy(stmt, 6, out->reason, sizeof out->reason);
    sqlite3_reset(stmt);
    return 0;
}

int ledger_last_seqs(struct sink *s, const char *upload, int32_t n, int64_t *seqs, struct tl_error *err)
{
    sqlite3_stmt *stmt = connection_query(s, QUERY_LAST_SEQS, err);
    int found;

    if (!stmt)
        return -1;
    for (int32_t i = 0; i < n; i++)
        seqs[i] = 0;
    sqlite3_bind_text(stmt, 1, upload, -1, SQLITE_STATIC);
    while ((found = step(s, stmt, "reading the ledger", err)) > 0) {
        int64_t partition = sqlite3_column_int64(stmt, 0);

        if (partition >= 0 && partition < n)
            seqs[partition] = sqlite3_column_int64(stmt, 1);
    }
    return found;
}

int ledger_forget(struct sink *s, const char *upload, struct tl_error *err)
{
    static const enum query all[] = {QUERY_LEDGER_FORGET, QUERY_ERRORS_FORGET, QUERY_REFUSED_FORGET};

    if (connection_in_transaction(s, err))
        return -1;
    for (size_t i = 0; i < TL_ARRAY_LEN(all); i++) {
        sqlite3_stmt *stmt = connection_query(s, all[i], err);

        if (!stmt)
            return -1;
        sqlite3_bind_text(stmt, 1, upload, -1, SQLITE_STATIC);
        if (connection_run(s, stmt, "forgetting an upload", err))
            return -1;
    }
    return 0;
}
