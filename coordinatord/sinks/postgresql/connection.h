/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The PostgreSQL sink from within. A tenant is a schema, a table in it has its own name ("acme"."orders"); what
 * the sink keeps beside them is in schema tload, for all tenants of the database together. Thread: as sink.h
 * says, the owner's.
 *
 *   url.c         the URL, and how it is shown      types.c    names, column types and values as SQL writes them
 *   connection.c  open, close, statements           tables.c   tables made and changed
 *   answer.c      waiting for the server            narrow.c   staged rows upserted, refused ones found
 *   failure.c     what an SQLSTATE means            shape.c    which columns a batch has: texts of statements
 *   ledger.c      ledger, errors rows, offsets      copy.c     rows on their way through COPY
 *   alter.c       from one version to a later one   write.c    which way rows take into their table
 *   foreign.c     tables that somebody else made
 *
 * A connection pooler in transaction mode may stand between: nothing is set or kept outside of a transaction.
 */
#ifndef COORDINATORD_SINKS_POSTGRESQL_CONNECTION_H
#define COORDINATORD_SINKS_POSTGRESQL_CONNECTION_H

#include <libpq-fe.h>
#include <stdatomic.h>

#include "coordinatord/sinks/projection.h"
#include "coordinatord/sinks/sink.h"
#include "shared/base/buf.h"

enum {
    SHAPES_KEPT = 8,
    SQL_MAX = 4 * 1024 * 1024,
    PARAMS_MAX = 12,
    NUMBER_TEXT = 24, /* a bigint in decimal */
    CHUNK_MAX = TL_MESSAGE_MAX + 128 * 1024,
    PENALTY_FIRST = 8, /* batches: see write.c */
    PENALTY_MOST = 64,
    COLUMNS_MAX = 1599 /* of a table: PostgreSQL's 1600, less the one that a staging table has more */
};

/* What one version of a table and one set of columns that batches carry make of the statements. */
struct shape {
    struct tl_schema *schema; /* the table's version; NULL: the place is free */
    int32_t batch_version;
    uint32_t *ids;
    size_t nids;
    struct projection projection;
    size_t ncarried;        /* columns that get a value */
    bool cuts;              /* fields fall away: their columns were dropped */
    struct tl_buf columns;  /* "a","b": those that are carried */
    struct tl_buf conflict; /* from ON CONFLICT on; empty without a key */
    struct tl_buf filter;   /* WHERE NOT EXISTS (…): which rows of the batch, _tload_s, change anything */
    struct tl_buf stage;    /* pg_temp.tload_stage_1 */
    uint64_t used;          /* when it was used last, by the sink's count of uses */
    uint64_t checked_in;    /* the epoch in which the table is known to have this version, and is locked */
    uint64_t staged_in;     /* the transaction in which the staging table is there */
    int staged_left;        /* batches that are staged before COPY straight into the table is tried again */
    int penalty;            /* how many, the next time that it is in vain */
};

struct sink {
    PGconn *conn;          /* not blocking: see answer.c */
    bool lost;             /* it was given up: nothing more is to be had of it */
    int64_t patience_ends; /* monotonic ms; 0: never */
    const _Atomic bool *stop;
    struct tl_log *log;
    char tenant[TL_TENANT_MAX + 1];
    uint64_t transactions; /* begun so far */
    uint64_t epoch;        /* moves with each transaction and each table that is changed */
    struct shape shapes[SHAPES_KEPT];
    uint64_t uses;
    unsigned stages;       /* names given to staging tables so far */
    uint64_t refused_in;   /* the transaction in which the table of refused rows is there */
    struct tl_buf sql;     /* of a statement that is being written */
    struct tl_buf chunk;   /* rows on their way to COPY */
    struct tl_str *fields; /* of one row */
    size_t nfields;
};

/* Parameters of a statement, in text form. Made by params_of, which sets $1. */
struct params {
    int n;
    const char *value[PARAMS_MAX];
    char number[PARAMS_MAX][NUMBER_TEXT];
};

/* --- url.c --- */

int pg_check_url(const char *url, struct tl_error *err);

/* --- connection.c --- */

struct sink *pg_open(const struct sink_conf *conf, struct tl_error *err);
void pg_close(struct sink *s);
int pg_begin(struct sink *s, struct tl_error *err);
/* The same; all that it reads is of one moment. */
int pg_begin_snapshot(struct sink *s, struct tl_error *err) TL_MUST_CHECK;
int pg_patience(struct sink *s, int ms, struct tl_error *err);
int pg_commit(struct sink *s, struct tl_error *err);
void pg_rollback(struct sink *s);

/* Fails when no transaction is open. */
int pg_in_transaction(struct sink *s, struct tl_error *err) TL_MUST_CHECK;
/* $1 is the tenant: what is in schema tload is of one. */
void params_of(struct params *p, const struct sink *s);
void params_text(struct params *p, const char *text);
void params_int(struct params *p, int64_t number);
/* Runs one statement; `what` is being done. The result, of which PQclear is the caller's, or NULL with *err. */
PGresult *pg_ask(struct sink *s, const char *sql, const struct params *p, const char *what,
                 struct tl_error *err);
/* The same, when only the number of rows that changed is of interest; -1 with *err. */
int64_t pg_run(struct sink *s, const char *sql, const struct params *p, const char *what,
               struct tl_error *err);
/* s->sql is complete; `rc` is the TL_BUF_ result of writing it. */
int pg_sql_done(struct sink *s, int rc, struct tl_error *err) TL_MUST_CHECK;
/* Runs the statements in s->sql. The last one's result, good or not, of which PQclear is the caller's. */
PGresult *pg_try(struct sink *s);
/* The same, for statements that have to work. */
int pg_exec(struct sink *s, const char *what, struct tl_error *err) TL_MUST_CHECK;
/* Back to the savepoint "tload", which is no more then. */
int pg_undo(struct sink *s, struct tl_error *err) TL_MUST_CHECK;
/* Values of a result's row; what PostgreSQL writes for the types in question can't be anything else. */
int64_t pg_int(const PGresult *r, int row, int column);
bool pg_bool(const PGresult *r, int row, int column);
void pg_text(const PGresult *r, int row, int column, char *out, size_t size);

/* --- answer.c --- */

/* Whatever is to be sent is on its way; -1: the connection is lost. */
int pg_flush(struct sink *s) TL_MUST_CHECK;
/* The next result of what was sent; NULL: there are no more, or the connection was given up. */
PGresult *pg_result(struct sink *s);
/* The last of them, as PQexec has it. `sent` is what PQsendQuery and its like returned. */
PGresult *pg_answer(struct sink *s, int sent);

/* --- failure.c --- */

/* The classes of SQLSTATE that are about a row, not about the server; as a regular expression has it. */
#define PG_REFUSED_CLASSES "21|22|23|27|38|39|44|45|54|P0"

/* Turns a result (NULL: there is none), or else the connection's state, into an error. Returns -1. */
int pg_fail(struct sink *s, const PGresult *r, const char *what, struct tl_error *err) TL_COLD;
/* Is it the row that is at fault? */
bool pg_refuses(const struct sink *s, const PGresult *r);
/* The server's words, in one line. */
void pg_message(const PGresult *r, char *out, size_t size);

/* --- types.c: TL_BUF_ results --- */

int pg_append_name(struct tl_buf *sql, const char *name) TL_MUST_CHECK;
/* "tenant"."table" */
int pg_append_table(struct tl_buf *sql, const struct sink *s, const char *table) TL_MUST_CHECK;
int pg_append_type(struct tl_buf *sql, const struct tl_type *type) TL_MUST_CHECK;
/* A canonical value of this type. */
int pg_append_literal(struct tl_buf *sql, const struct tl_type *type, const char *text) TL_MUST_CHECK;
/* Name, type, NOT NULL and DEFAULT. */
int pg_append_column(struct tl_buf *sql, const struct tl_column *c) TL_MUST_CHECK;

/* --- tables.c --- */

/* What is applied of a table. */
struct applied {
    int64_t table_id; /* 0: nothing ever was */
    int32_t version;
    bool dropped;
};

int pg_applied(struct sink *s, const char *table, struct applied *a, struct tl_error *err) TL_MUST_CHECK;
int pg_table_get(struct sink *s, const char *table, struct tl_schema **schema, struct tl_error *err);
int pg_table_apply(struct sink *s, const struct tl_schema *schema, struct tl_error *err);

/* --- foreign.c --- */

int pg_foreign(struct sink *s, const char *table, const struct tl_schema *wanted, struct foreign_table **out,
               struct tl_error *err);

/* --- alter.c --- */

/* From one version of a table to a later one of the same. */
int pg_alter(struct sink *s, const struct tl_schema *from, const struct tl_schema *to,
             struct tl_error *err) TL_MUST_CHECK;

/* --- shape.c --- */

/* The table is locked against changes until the transaction ends. NULL with *err. */
struct shape *shape_for(struct sink *s, const struct sink_batch *batch, struct tl_error *err);
void shapes_release(struct sink *s);

/* --- copy.c --- */

struct copied {
    bool refused; /* the server did, for the sake of a row; the rest says how */
    int64_t rows; /* taken in */
    char reason[200];
};

/*
 * Runs the statements in s->sql, one of which is a COPY FROM STDIN, and sends the batch's rows, cut to the
 * columns that the table has, with each row's place in the batch before it when `numbered`. 0 also when
 * the server refused them: then the transaction can only be rolled back, or to a savepoint.
 */
int pg_copy(struct sink *s, const struct shape *shape, const struct sink_batch *batch, bool numbered,
            struct copied *out, struct tl_error *err) TL_MUST_CHECK;
/* TL_E_CORRUPT when the rows are not as many as the batch says, or don't end as they should. */
int pg_check_rows(const struct sink_batch *batch, struct tl_error *err) TL_MUST_CHECK;

/* --- write.c --- */

int pg_write(struct sink *s, const struct sink_batch *batch, struct tl_error *err);

/* --- narrow.c --- */

/*
 * The staged rows of a batch into their table. Those that it refuses are narrowed down to and told, the
 * others are applied.
 */
int pg_merge(struct sink *s, struct shape *shape, const struct sink_batch *batch,
             struct tl_error *err) TL_MUST_CHECK;

/* --- ledger.c --- */

int pg_offset(struct sink *s, const char *topic, int32_t partition, int64_t *next, struct tl_error *err);
int pg_offset_move(struct sink *s, const char *topic, int32_t partition, int64_t from, int64_t to,
                   struct tl_error *err);
int pg_ledger_get(struct sink *s, const char *upload, int32_t partition, struct ledger_row *row,
                  struct tl_error *err);
int pg_ledger_put(struct sink *s, const struct ledger_row *row, struct tl_error *err);
int pg_errors_get(struct sink *s, const char *upload, int32_t partition, enum tl_stage stage,
                  struct errors_row *row, struct tl_error *err);
int pg_errors_put(struct sink *s, const struct errors_row *row, struct tl_error *err);
int pg_refused_get(struct sink *s, const char *upload, int32_t partition, int64_t seq, int64_t *attempt,
                   struct tl_error *err);
int pg_refused_put(struct sink *s, const char *upload, int32_t partition, int64_t seq, int64_t attempt,
                   struct tl_error *err);
int pg_owed_first(struct sink *s, const char *topic, int32_t partition, const char *table, int64_t *offset,
                  struct tl_error *err);
int pg_owed_tables(struct sink *s, const char *topic, int32_t partition,
                   int (*each)(void *app, const char *table, int64_t offset, struct tl_error *err), void *app,
                   struct tl_error *err);
int pg_owe(struct sink *s, const char *topic, int32_t partition, const char *table, int64_t offset,
           struct tl_error *err);
int pg_settle(struct sink *s, const char *topic, int32_t partition, const char *table, int64_t offset,
              struct tl_error *err);
int pg_progress(struct sink *s, const char *upload, struct upload_progress *out, struct tl_error *err);
int pg_last_seqs(struct sink *s, const char *upload, int32_t n, int64_t *seqs, struct tl_error *err);
int pg_forget(struct sink *s, const char *upload, struct tl_error *err);

#endif
