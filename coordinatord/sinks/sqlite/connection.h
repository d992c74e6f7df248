/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The embedded sink from within: one SQLite file a tenant, /dir/<tenant>.db for the URL sqlite:/dir. A table
 * has its own name, what the sink keeps beside them is in tables _tload_*. Thread: as sink.h says, the
 * owner's.
 *
 *   connection.c  open, close, transactions, errors       types.c   column types, values bound to statements
 *   tables.c      tables made and changed                 write.c   rows upserted
 *   alter.c       changes that need no new table          ledger.c  ledger, errors rows, offsets
 *   foreign.c     tables that somebody else made
 */
#ifndef COORDINATORD_SINKS_SQLITE_CONNECTION_H
#define COORDINATORD_SINKS_SQLITE_CONNECTION_H

#include <sqlite3.h>

#include "coordinatord/sinks/projection.h"
#include "coordinatord/sinks/sink.h"
#include "shared/base/buf.h"

/* The statements with a text that is always the same, each prepared when it is needed first. */
enum query {
#define X(id, sql) QUERY_##id,
#include "coordinatord/sinks/sqlite/queries.def"
#undef X
    QUERY_COUNT
};

enum {
    UPSERTS_KEPT = 8,
    SQL_MAX = 16 * 1024 * 1024,
    VALUE_GROWS =
        64, /* bytes at most, when a column was widened: an int gets the point and zeros of decimal(38,37) */
    VALUES_MAX = 2 * TL_MESSAGE_MAX +
                 VALUE_GROWS * TL_COLUMNS_MAX /* without escapes, and once more widened */
};

/* A prepared upsert: for one version of a table, and one set of columns that batches carry. */
struct upsert {
    sqlite3_stmt *stmt;       /* NULL: the place is free */
    struct tl_schema *schema; /* the table's version */
    int32_t batch_version;
    uint32_t *ids;
    size_t nids;
    struct projection projection;
    uint64_t used; /* when it was used last, by the sink's count of uses */
};

struct sink {
    sqlite3 *db;
    struct tl_log *log;
    sqlite3_stmt *queries[QUERY_COUNT];
    struct upsert upserts[UPSERTS_KEPT];
    uint64_t uses;
    struct tl_buf sql;     /* of a statement that is being written */
    struct tl_buf values;  /* values of one row that are not as in the batch; never grows within a row */
    struct tl_buf widened; /* one value in the canonical form of the column's present type */
    struct tl_str *fields; /* of one row */
    size_t nfields;
};

/* --- connection.c --- */

int connection_check_url(const char *url, struct tl_error *err);
struct sink *connection_open(const struct sink_conf *conf, struct tl_error *err);
void connection_close(struct sink *s);
int connection_begin(struct sink *s, struct tl_error *err);
int connection_patience(struct sink *s, int ms, struct tl_error *err);
int connection_commit(struct sink *s, struct tl_error *err);
void connection_rollback(struct sink *s);

/* Turns SQLite's result, with its message, into an error; `what` was being done. Returns -1. */
int connection_fail(struct sink *s, int rc, const char *what, struct tl_error *err) TL_COLD;
/* Fails when no transaction is open: one that SQLite ended by itself must not go on as single statements. */
int connection_in_transaction(struct sink *s, struct tl_error *err) TL_MUST_CHECK;
/* The statement, reset, or NULL with *err. Whoever steps it resets it. */
sqlite3_stmt *connection_query(struct sink *s, enum query q, struct tl_error *err);
/* Steps a statement that gives no rows, and resets it. */
int connection_run(struct sink *s, sqlite3_stmt *stmt, const char *what, struct tl_error *err) TL_MUST_CHECK;
/* Runs the text in s->sql. */
int connection_exec_sql(struct sink *s, const char *what, struct tl_error *err) TL_MUST_CHECK;

/* --- types.c --- */

/* Appends to sql; a TL_BUF_ result. */
int type_append_name(struct tl_buf *sql, const char *name) TL_MUST_CHECK;
int type_append_column(struct tl_buf *sql, const struct tl_column *c) TL_MUST_CHECK;
/* An expression that has the value of column `from` in the form of `to`'s type. */
int type_append_widened(struct tl_buf *sql, const struct tl_column *from,
                        const struct tl_column *to) TL_MUST_CHECK;
/* A decimal that is kept as a number. */
bool type_is_number(const struct tl_type *type);
/* Whether a column of the type is declared like this. */
bool type_is_declared(const struct tl_type *type, const char *declared);
/* Whether values of one type are kept in the very form of the other, in a column declared alike. */
bool type_stays(const struct tl_type *from, const struct tl_type *to);
/*
 * Binds a canonical value, which must live until the statement is stepped. An SQLite result; SQLITE_MISMATCH
 * when the text is not of the type.
 */
int type_bind(sqlite3_stmt *stmt, int index, const struct tl_type *type, struct tl_str value) TL_HOT;

/* --- tables.c --- */

int table_get(struct sink *s, const char *table, struct tl_schema **schema, struct tl_error *err);
int table_apply(struct sink *s, const struct tl_schema *schema, struct tl_error *err);

/* --- foreign.c --- */

int table_foreign(struct sink *s, const char *table, const struct tl_schema *wanted,
                  struct foreign_table **out, struct tl_error *err);
int table_alter_check(const struct tl_schema *from, const struct tl_schema *to, struct tl_error *err);

/* --- alter.c --- */

/* Whether `to` has the columns of `from` as they are but for their names, and then perhaps more. */
bool alter_fits(const struct tl_schema *from, const struct tl_schema *to);
/* 0; 1 when SQLite refuses, for something else refers to the table: what was done of it is to be undone. */
int alter_table(struct sink *s, const struct tl_schema *from, const struct tl_schema *to,
                struct tl_error *err) TL_MUST_CHECK;

/* --- write.c --- */

int write_batch(struct sink *s, const struct sink_batch *batch, struct tl_error *err);
void write_release(struct sink *s);

/* --- ledger.c --- */

int ledger_offset(struct sink *s, const char *topic, int32_t partition, int64_t *next, struct tl_error *err);
int ledger_offset_move(struct sink *s, const char *topic, int32_t partition, int64_t from, int64_t to,
                       struct tl_error *err);
int ledger_row_get(struct sink *s, const char *upload, int32_t partition, struct ledger_row *row,
                   struct tl_error *err);
int ledger_row_put(struct sink *s, const struct ledger_row *row, struct tl_error *err);
int ledger_errors_get(struct sink *s, const char *upload, int32_t partition, enum tl_stage stage,
                      struct errors_row *row, struct tl_error *err);
int ledger_errors_put(struct sink *s, const struct errors_row *row, struct tl_error *err);
int ledger_refused_get(struct sink *s, const char *upload, int32_t partition, int64_t seq, int64_t *attempt,
                       struct tl_error *err);
int ledger_refused_put(struct sink *s, const char *upload, int32_t partition, int64_t seq, int64_t attempt,
                       struct tl_error *err);
int ledger_owed_first(struct sink *s, const char *topic, int32_t partition, const char *table,
                      int64_t *offset, struct tl_error *err);
int ledger_owed_tables(struct sink *s, const char *topic, int32_t partition,
                       int (*each)(void *app, const char *table, int64_t offset, struct tl_error *err),
                       void *app, struct tl_error *err);
int ledger_owe(struct sink *s, const char *topic, int32_t partition, const char *table, int64_t offset,
               struct tl_error *err);
int ledger_settle(struct sink *s, const char *topic, int32_t partition, const char *table, int64_t offset,
                  struct tl_error *err);
int ledger_progress(struct sink *s, const char *upload, struct upload_progress *out, struct tl_error *err);
int ledger_last_seqs(struct sink *s, const char *upload, int32_t n, int64_t *seqs, struct tl_error *err);
int ledger_forget(struct sink *s, const char *upload, struct tl_error *err);

#endif
