/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a data sink has to be able to do. Adding a sink is one struct sink_ops in a file of its own and one
 * line in sinks.def; tests/unit/test_sink_contract.c runs over all of them.
 *
 * A struct sink is one connection to one tenant's data: its tables, and beside them the ledger (what was
 * applied of which upload), the offsets (up to where a topic's partition was applied, but for the messages that
 * are owed) and the applied schema versions. All of it changes in one transaction or not at all; that is what makes re-delivery harmless. The
 * rules (what is a duplicate, what is a gap) are the feeder's, in pipeline/; a sink only stores and finds.
 *
 * Thread: a connection is used by one thread at a time, its owner's. Several connections to the same tenant,
 * in several processes, MUST be safe beside each other; what they may do to each other is to wait, or to fail
 * with a retriable error.
 *
 * Errors: TL_E_FENCED only from offset_move and settle. TL_E_UNAVAILABLE, TL_E_NO_SPACE, TL_E_AGAIN (deadlock,
 * serialization, the whole sink locked), TL_E_LOCKED (one table or row, for longer than is waited for): the
 * caller rolls back, waits and does the transaction again. TL_E_FATAL: it can't work
 * without somebody's help; the caller waits as well, and says so. After any error within a transaction the
 * only call allowed is rollback. No call prints.
 */
#ifndef COORDINATORD_SINKS_SINK_H
#define COORDINATORD_SINKS_SINK_H

#include "coordinatord/sinks/foreign.h"
#include "shared/base/error.h"
#include "shared/base/log.h"
#include "shared/schema/schema.h"
#include "shared/wire/envelope.h"

struct sink;

struct sink_conf {
    const char *url;    /* "sqlite:/var/lib/tload/data" */
    const char *tenant; /* valid (tl_tenant_valid) */
    bool read_only;     /* progress readers: nothing is created; the data may not exist yet */
    bool foreign;       /* read_only as well; open also where nothing of ours is yet, for `foreign` alone */
    int patience_ms;    /* 0: none. So long after open, a server that does not answer is TL_E_UNAVAILABLE */
    struct tl_log *log; /* may be NULL */
    /*
     * May be NULL. Once it is true a call that waits for a server that does not answer gives up within two
     * seconds, with TL_E_UNAVAILABLE.
     */
    const _Atomic bool *stop;
};

/* What is known of one upload in one partition. Every number is absolute: it is set, never added to. */
struct ledger_row {
    char upload[TL_UPLOAD_ID_MAX + 1];
    char table[TL_NAME_MAX + 1];
    int64_t table_id;
    int32_t partition;
    int64_t last_seq; /* of the batches, the end marker included */
    int64_t rows_applied;
    int64_t rows_rejected; /* by the validator and by the sink */
    bool ended;            /* its end marker is applied */
    int64_t rows_read;     /* as the end marker says; 0 before */
    bool stopped;     /* cancelled, aborted or its table dropped: batches that still come are passed over */
    char reason[160]; /* why stopped; "" */
};

/* What the errors role stored of one upload in one partition, by the stage that found the rows. */
struct errors_row {
    char upload[TL_UPLOAD_ID_MAX + 1];
    int32_t partition;
    enum tl_stage stage;
    int64_t last_seq; /* batch and part that were stored last */
    int64_t last_part;
    int64_t rows; /* stored so far */
};

/* All partitions of one upload together. */
struct upload_progress {
    int64_t rows_applied;
    int64_t rows_rejected;
    int64_t rows_read; /* sum over partitions that ended */
    int64_t errors_stored;
    int32_t partitions_ended;
    int32_t partitions_stopped;
    char reason[160]; /* of a stopped one; "" */
};

/* Rows of one batch, all of one schema version. */
struct sink_batch {
    const struct tl_schema *schema; /* the version that the batch was made with */
    const uint32_t *column_ids;     /* what the fields are, in their order */
    size_t ncolumns;
    struct tl_str rows; /* COPY text (shared/wire/rowtext.h) */
    int64_t nrows;
    /*
     * Called for a row that the sink itself refuses (a constraint of the user's own): index is its place in
     * the batch, from 0, ascending. The other rows of the batch are applied. 0 to go on, -1 with *err to fail
     * write with it.
     */
    int (*refused)(void *app, int64_t index, const char *reason, struct tl_error *err);
    void *app;
};

struct sink_ops {
    const char *scheme; /* of the URL, "sqlite" */
    const char *alias;  /* another name for it; NULL: none */
    /*
     * How many connections write a tenant's data side by side unless configured; 1: never more, since they
     * could only wait for each other.
     */
    int connections;
    size_t columns_max; /* of a table */
    bool columns_spent; /* columns that were dropped count among them for ever */

    /*
     * Whether a table that was adopted can be changed like this; TL_E_REFUSED says what can't be done. NULL: all
     * can that evolve.h allows. Pure.
     */
    int (*alter_check)(const struct tl_schema *from, const struct tl_schema *to, struct tl_error *err);

    /* Syntax only, nothing is touched; for --check-config. */
    int (*check_url)(const char *url, struct tl_error *err);

    /*
     * Creates what is missing (ledger tables) unless read_only. NULL with *err; with read_only TL_E_NOT_FOUND
     * when nothing is there yet.
     */
    struct sink *(*open)(const struct sink_conf *conf, struct tl_error *err);
    /* Rolls back an open transaction. NULL is fine. */
    void (*close)(struct sink *s);

    /* --- outside or inside of a transaction --- */

    /* Next offset of the topic's partition to apply, 0 when none was ever stored. */
    int (*offset)(struct sink *s, const char *topic, int32_t partition, int64_t *next, struct tl_error *err);
    /*
     * The table as it was applied last, made by the sink and freed by the caller; *schema NULL when it never
     * was. A dropped one has `dropped`.
     */
    int (*table)(struct sink *s, const char *table, struct tl_schema **schema, struct tl_error *err);
    /*
     * What the database has by the table's name, as far as it is not ours: made by somebody else, or adopted.
     * *out is made by the sink and freed by the caller; NULL when there is no such thing. Where a type of the
     * database is several of ours it is the one that `wanted` (may be NULL) has for that column, or else the
     * one that takes most values.
     */
    int (*foreign)(struct sink *s, const char *table, const struct tl_schema *wanted,
                   struct foreign_table **out, struct tl_error *err);
    /* Returns 1 and fills *row, 0 when there is none, -1. */
    int (*ledger_get)(struct sink *s, const char *upload, int32_t partition, struct ledger_row *row,
                      struct tl_error *err);
    int (*errors_get)(struct sink *s, const char *upload, int32_t partition, enum tl_stage stage,
                      struct errors_row *row, struct tl_error *err);
    /*
     * 1 and the attempt at batch seq that refused_put told; 0: there is none.
     */
    int (*refused_get)(struct sink *s, const char *upload, int32_t partition, int64_t seq, int64_t *attempt,
                       struct tl_error *err);
    /* Sums over the partitions; all zero when there is none. */
    int (*progress)(struct sink *s, const char *upload, struct upload_progress *out, struct tl_error *err);
    /* Fills seqs[0..n) with last_seq of an upload in partitions 0..n-1, 0 where there is no row. */
    int (*last_seqs)(struct sink *s, const char *upload, int32_t n, int64_t *seqs, struct tl_error *err);

    /* 1 and the offset of the first message that is owed to the table in a topic's partition; 0: none is. */
    int (*owed_first)(struct sink *s, const char *topic, int32_t partition, const char *table,
                      int64_t *offset, struct tl_error *err);
    /*
     * Calls `each` for the tables that something is owed to in a topic's partition, with the offset of the first
     * such message; not for longer than it returns 0. It must not use the sink.
     */
    int (*owed_tables)(struct sink *s, const char *topic, int32_t partition,
                       int (*each)(void *app, const char *table, int64_t offset, struct tl_error *err),
                       void *app, struct tl_error *err);

    /* --- the transaction --- */

    int (*begin)(struct sink *s, struct tl_error *err);
    /* Until it ends, a table or row that somebody has locked is waited for no longer than this. */
    int (*patience)(struct sink *s, int ms, struct tl_error *err);
    /*
     * Brings the table to this version: creates it, changes it, or drops it (schema->dropped). A version that
     * is applied already, or that is of an older table_id, changes nothing. A table in the way that is not
     * ours is TL_E_FATAL, saying so; but with schema->adopted it is taken over instead of made, when it still
     * agrees with the schema (foreign.h), and is left as it is when it is dropped.
     */
    int (*apply_schema)(struct sink *s, const struct tl_schema *schema, struct tl_error *err);
    /*
     * Upserts the rows by the table's key (later ones win), or appends them when it has none. Columns are
     * projected by id to the version that the table has now; a column that the batch does not carry gets its
     * default in a new row and keeps its value in an existing one. TL_E_NOT_FOUND when the table is not
     * there, or has another table_id; TL_E_CORRUPT when the batch is not what it says; TL_E_REFUSED for a row
     * that the sink refuses when nobody is called for it.
     */
    int (*write)(struct sink *s, const struct sink_batch *batch, struct tl_error *err);
    int (*ledger_put)(struct sink *s, const struct ledger_row *row, struct tl_error *err);
    int (*errors_put)(struct sink *s, const struct errors_row *row, struct tl_error *err);
    /*
     * This attempt at batch seq had rows refused, which are in import-error under its number. Of several
     * attempts only the one that is committed counts, and this is how the errors role knows it.
     */
    int (*refused_put)(struct sink *s, const char *upload, int32_t partition, int64_t seq, int64_t attempt,
                       struct tl_error *err);
    /* This message is not applied though the offset moves past it. A second time it changes nothing. */
    int (*owe)(struct sink *s, const char *topic, int32_t partition, const char *table, int64_t offset,
               struct tl_error *err);
    /*
     * The message is owed no more. TL_E_FENCED when it is not: then somebody else has applied it. Of two
     * connections at the same message the second one waits for what becomes of the first one's transaction.
     */
    int (*settle)(struct sink *s, const char *topic, int32_t partition, const char *table, int64_t offset,
                  struct tl_error *err);
    /*
     * Compare and set: TL_E_FENCED when the stored offset is not `from` (0: none stored); also when `to` is the
     * same.
     */
    int (*offset_move)(struct sink *s, const char *topic, int32_t partition, int64_t from, int64_t to,
                       struct tl_error *err);
    /*
     * Durable when it returns 0. When it fails the caller does not know whether it happened, rolls back, and
     * looks at the offset to find out.
     */
    int (*commit)(struct sink *s, struct tl_error *err);
    void (*rollback)(struct sink *s); /* also without a transaction */

    /* --- upkeep --- */

    /* Forgets all rows of an upload in the ledger. In a transaction. */
    int (*forget)(struct sink *s, const char *upload, struct tl_error *err);
};

/* The sink for this URL, or NULL with TL_E_REFUSED naming the schemes that there are. */
const struct sink_ops *sink_for_url(const char *url, struct tl_error *err);

#endif
