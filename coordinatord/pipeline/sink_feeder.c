/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * validated-input ──► the tables of the tenant, each row once
 *
 *   message (offset o of partition i)
 *     │ feed_wants       not applied yet, as the sink's offset says
 *     │ ledger           seq is last_seq + 1: apply. Lower: a duplicate, passed over. Higher: loss, the lane stops
 *     │ table            of the batch's version or a newer one; DDL at most once, in the same transaction
 *     │ sink->write      COPY text as it came, projected by column id; rows that it refuses: refused.c
 *     │                  a lock on the table that stays: owed.c, and the messages of others go on
 *     ▼
 *   open transaction     many messages of all lanes; rows + ledger + offsets
 *     │ commit           after commit_rows, commit_bytes or commit_ms, or as soon as no message waits
 *     ▼
 *   durable              offset o + 1 told to Kafka, for lag monitors
 *
 * So a transaction is as large as the backlog allows: a lone small batch is visible at once, a flood costs
 * few commits.
 *
 * Memory: one message in hand; what librdkafka fetches ahead (queue_bytes); LEDGER_CACHE_MAX ledger rows.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "coordinatord/pipeline/feed.h"
#include "coordinatord/pipeline/ledger_cache.h"
#include "coordinatord/pipeline/owed.h"
#include "coordinatord/pipeline/refused.h"
#include "shared/base/clock.h"
#include "shared/base/failpoint.h"

enum { QUIET_MS = 2, POP_IDLE_MS = 250, SCHEMA_RETRY_MS = 200, OWED_PATIENCE_MS = 200 };

struct feeder {
    struct feed feed;
    struct ledger_cache ledger;
    struct refused *refused;
    struct owed *owed;
    int64_t rows; /* in the open transaction */
    int64_t bytes;
    bool got; /* a message came since the last idle() */

    /*
     * The table that was written last, as the sink has it; schema NULL: none. Forgotten with every rollback.
     */
    struct tl_schema *applied;
    /* How the fields of the batches that came last are bound. */
    char *bound_columns;
    int64_t bound_table_id;
    int64_t bound_version;
    uint32_t *bound_ids;
    size_t nbound;
};

static void forget(struct feeder *fd)
{
    ledger_cache_forget(&fd->ledger);
    tl_schema_free(fd->applied);
    fd->applied = NULL;
    fd->rows = fd->bytes = 0;
}

/* ------------------------------------------------------------------ tables */

/* Of what was done to a table. */
static enum outcome outcome_of(int rc, const struct tl_error *err)
{
    return rc == 0 ? DONE : err->code == TL_E_LOCKED ? LOCKED : FAILED;
}

/* The version that the batch names, from control; waits for it. */
static enum outcome schema_of(struct feeder *fd, const struct lane *lane, const struct tl_envelope *e,
                              const struct tl_schema **schema)
{
    struct worker *w = fd->feed.worker;
    struct tl_error err;

    while (control_api_schema(w->control, w->tenant.name, e->table, e->table_id, e->version, schema, &err)) {
        if (!worker_wait(w, SCHEMA_RETRY_MS, lane, err.text))
            return GIVEN_UP;
    }
    return DONE;
}

/* Reads what the sink has of the table into fd->applied, unless it is there. */
static int look_up_table(struct feeder *fd, struct tl_str table, struct tl_error *err)
{
    char name[TL_NAME_MAX + 1];

    if (fd->applied && tl_str_eq_z(table, fd->applied->table))
        return 0;
    tl_schema_free(fd->applied);
    fd->applied = NULL;
    if (!tl_str_copy(table, name, sizeof name))
        return tl_fail(err, TL_E_CORRUPT, "a table's name is longer than %d bytes", TL_NAME_MAX);
    return fd->feed.ops->table(fd->feed.sink, name, &fd->applied, err);
}

/* Brings the table to the batch's version at least. *gone: the batch's table was dropped. */
static enum outcome prepare_table(struct feeder *fd, const struct tl_envelope *e,
                                  const struct tl_schema *schema, bool *gone, struct tl_error *err)
{
    if (look_up_table(fd, e->table, err))
        return FAILED;
    *gone = fd->applied && (fd->applied->table_id > e->table_id ||
                            (fd->applied->table_id == e->table_id && fd->applied->dropped));
    if (*gone)
        return DONE;
    if (fd->applied && fd->applied->table_id == e->table_id && fd->applied->version >= e->version)
        return DONE;
    tl_schema_free(fd->applied);
    fd->applied = NULL;
    return outcome_of(fd->feed.ops->apply_schema(fd->feed.sink, schema, err), err);
}

/* Which column each field is. */
static int bind(struct feeder *fd, const struct tl_envelope *e, const struct tl_schema *schema,
                struct tl_error *err)
{
    struct tl_str rest = e->columns;
    uint32_t *ids;
    size_t n = 0;

    if (fd->bound_columns && fd->bound_table_id == e->table_id && fd->bound_version == e->version &&
        tl_str_eq_z(e->columns, fd->bound_columns))
        return 0;
    ids = realloc(fd->bound_ids, schema->ncolumns * sizeof *ids);
    if (!ids)
        return tl_fail_nomem(err);
    fd->bound_ids = ids;
    free(fd->bound_columns);
    fd->bound_columns = NULL;
    while (rest.ptr) {
        struct tl_str name = tl_str_cut(&rest, ',');
        int at = tl_schema_find(schema, name);

        if (at < 0 || n == schema->ncolumns)
            return tl_fail(err, TL_E_CORRUPT,
                           "column \"%.*s\" of a batch is not in version %lld of table \"%s\"",
                           TL_STR_ARG(name), (long long)e->version, schema->table);
        ids[n++] = schema->columns[at].id;
    }
    fd->nbound = n;
    fd->bound_table_id = e->table_id;
    fd->bound_version = e->version;
    fd->bound_columns = strndup(e->columns.ptr, e->columns.len);
    return fd->bound_columns ? 0 : tl_fail_nomem(err);
}

/* ------------------------------------------------------------------ messages */

static void stop_upload(struct ledger_entry *entry, const char *reason)
{
    entry->row.stopped = true;
    snprintf(entry->row.reason, sizeof entry->row.reason, "%s", reason);
    entry->dirty = true;
}

static int tell_refused(struct feeder *fd, const struct tl_message *m, const struct tl_schema *schema,
                        const struct ledger_row *row, struct tl_error *err)
{
    int64_t attempt;

    return refused_report(fd->refused, m, schema, &attempt, err) ||
                   fd->feed.ops->refused_put(fd->feed.sink, row->upload, row->partition, m->envelope.seq,
                                             attempt, err)
               ? -1
               : 0;
}

static enum outcome write_rows(struct feeder *fd, const struct tl_message *m, const struct tl_schema *schema,
                               const struct ledger_row *row, struct tl_error *err)
{
    struct sink_batch batch = {
        .schema = schema,
        .column_ids = fd->bound_ids,
        .ncolumns = fd->nbound,
        .rows = m->value,
        .nrows = m->envelope.rows,
        .refused = refused_row,
        .app = fd->refused,
    };

    enum outcome outcome = DONE;

    refused_begin(fd->refused);
    if (batch.nrows)
        outcome = outcome_of(fd->feed.ops->write(fd->feed.sink, &batch, err), err);
    if (outcome != DONE)
        return outcome;
    if (refused_count(fd->refused) && tell_refused(fd, m, schema, row, err))
        return FAILED;
    fd->rows += batch.nrows;
    fd->bytes += (int64_t)m->value.len;
    return DONE;
}

static enum outcome apply_rows(struct feeder *fd, struct lane *lane, const struct tl_message *m,
                               struct ledger_entry *entry, struct tl_error *err)
{
    const struct tl_envelope *e = &m->envelope;
    const struct tl_schema *schema;
    enum outcome outcome = schema_of(fd, lane, e, &schema);
    bool gone = false;

    if (outcome == DONE)
        outcome = prepare_table(fd, e, schema, &gone, err);
    if (outcome != DONE)
        return outcome;
    if (gone) {
        char reason[sizeof entry->row.reason];

        snprintf(reason, sizeof reason, "table \"%s\" was dropped", schema->table);
        stop_upload(entry, reason);
        return DONE;
    }
    if (bind(fd, e, schema, err))
        return err->code == TL_E_CORRUPT ? HALT : FAILED;
    outcome = write_rows(fd, m, schema, &entry->row, err);
    if (outcome != DONE)
        return outcome;
    entry->row.rows_applied += e->rows - refused_count(fd->refused);
    entry->row.rows_rejected += TL_MAX(e->rejected, 0) + refused_count(fd->refused);
    entry->row.last_seq = e->seq;
    entry->dirty = true;
    return DONE;
}

/* A new reference; NULL when it is no JSON. */
static json_t *control_json(const struct tl_message *m)
{
    struct tl_str text = m->envelope.control;

    return text.ptr ? json_loadb(text.ptr, text.len, 0, NULL) : NULL;
}

static enum outcome apply_end(const struct tl_message *m, struct ledger_entry *entry, struct tl_error *err)
{
    json_t *json = control_json(m);
    json_int_t rows;
    int rc = json_unpack(json, "{s:I}", "rows", &rows);

    json_decref(json);
    if (rc) {
        tl_fail(err, TL_E_CORRUPT, "an end marker does not say how many rows there were");
        return HALT;
    }
    entry->row.rows_read = rows;
    entry->row.ended = true;
    entry->row.last_seq = m->envelope.seq;
    entry->dirty = true;
    return DONE;
}

static void apply_cancel(const struct tl_message *m, struct ledger_entry *entry)
{
    json_t *json = control_json(m);
    const char *reason = json_string_value(json_object_get(json, "reason"));

    if (!entry->row.ended)
        stop_upload(entry, reason ? reason : "cancelled");
    json_decref(json);
}

static enum outcome apply_schema(struct feeder *fd, const struct tl_message *m, struct tl_error *err)
{
    struct tl_schema *schema;
    int rc;

    if (tl_schema_from_text(m->envelope.control, &schema, err)) {
        err->code = TL_E_CORRUPT;
        return HALT;
    }
    tl_schema_free(fd->applied);
    fd->applied = NULL;
    rc = fd->feed.ops->apply_schema(fd->feed.sink, schema, err);
    tl_schema_free(schema);
    return outcome_of(rc, err);
}

/* rows, end: in the order of their numbers. */
static enum outcome apply_numbered(struct feeder *fd, struct lane *lane, const struct tl_message *m,
                                   struct ledger_entry *entry, struct tl_error *err)
{
    const struct tl_envelope *e = &m->envelope;

    if (entry->row.stopped || e->seq <= entry->row.last_seq)
        return DONE;
    if (e->seq != entry->row.last_seq + 1) {
        tl_fail(
            err, TL_E_CORRUPT,
            "batch %lld of upload %s is followed by batch %lld: what is between is lost; nothing more of this partition "
            "is applied",
            (long long)entry->row.last_seq, entry->row.upload, (long long)e->seq);
        return HALT;
    }
    return e->type == TL_MSG_END ? apply_end(m, entry, err) : apply_rows(fd, lane, m, entry, err);
}

static enum outcome apply(struct feeder *fd, struct lane *lane, const struct tl_message *m,
                          struct tl_error *err)
{
    const struct tl_envelope *e = &m->envelope;
    struct ledger_entry *entry;

    if (e->type == TL_MSG_SCHEMA)
        return apply_schema(fd, m, err);
    entry = ledger_cache_get(&fd->ledger, fd->feed.ops, fd->feed.sink, e->upload, lane->partition, err);
    if (!entry)
        return FAILED;
    if (!entry->row.table[0]) {
        if (!tl_str_copy(e->table, entry->row.table, sizeof entry->row.table)) {
            tl_fail(err, TL_E_CORRUPT, "a table's name is longer than %d bytes", TL_NAME_MAX);
            return HALT;
        }
        entry->row.table_id = e->table_id;
    }
    if (e->type == TL_MSG_CANCEL) {
        apply_cancel(m, entry);
        return DONE;
    }
    return apply_numbered(fd, lane, m, entry, err);
}

/* ------------------------------------------------------------------ transactions */

static void give_up(struct feeder *fd, const struct tl_error *err)
{
    forget(fd);
    feed_give_up(&fd->feed, "the sink", err);
}

static bool commit(struct feeder *fd)
{
    struct tl_error err;

    if (!fd->feed.in_transaction)
        return true;
    if (TL_FAILPOINT_FAILS(SINK_BEFORE_LEDGER, &err) ||
        ledger_cache_flush(&fd->ledger, fd->feed.ops, fd->feed.sink, &err)) {
        give_up(fd, &err);
        return false;
    }
    if (!feed_commit(&fd->feed)) {
        forget(fd);
        return false;
    }
    ledger_cache_committed(&fd->ledger);
    fd->rows = fd->bytes = 0;
    return true;
}

static bool commit_due(const struct feeder *fd)
{
    const struct config *c = fd->feed.worker->config;

    return fd->rows >= c->sink_commit_rows || fd->bytes >= c->sink_commit_bytes ||
           tl_clock_ms() - fd->feed.since >= c->sink_commit_ms || ledger_cache_full(&fd->ledger);
}

static enum outcome apply_or_owe(struct feeder *fd, struct lane *lane, const struct tl_message *m,
                                 struct tl_error *err)
{
    enum outcome outcome;

    if (owed_due_for(fd->owed, m))
        return owed_put(fd->owed, lane, m, err) ? FAILED : DONE;
    outcome = apply(fd, lane, m, err);
    if (outcome == LOCKED)
        owed_failed(fd->owed, m, err);
    else if (outcome == DONE)
        owed_passed(fd->owed, m);
    return outcome;
}

static void on_message(struct worker *w, struct lane *lane, const struct tl_message *m)
{
    struct feeder *fd = w->state;
    struct tl_error err;

    fd->got = true;
    if (!feed_wants(&fd->feed, lane, m))
        return;
    /* It may be in vain for a lock, over and over; what is in hand before it is not. */
    if (m->ours && m->envelope.type == TL_MSG_SCHEMA && !commit(fd))
        return;
    if (!feed_begin(&fd->feed)) {
        forget(fd);
        return;
    }
    if (!m->ours) {
        tl_warn(w->log, "sink", "%s [%d] @%lld is passed over, it is no message of ours: %s", m->topic,
                m->partition, (long long)m->offset, m->why.text);
    } else {
        switch (apply_or_owe(fd, lane, m, &err)) {
        case DONE:
        case NONE:
            break;
        case HALT:
            feed_halt(&fd->feed, lane, &err);
            return;
        case LOCKED:
        case FAILED:
            give_up(fd, &err);
            return;
        case GIVEN_UP:
            return;
        }
    }
    feed_applied(lane, m);
    if (commit_due(fd))
        commit(fd);
}

static enum outcome settle_one(struct feeder *fd, struct lane *lane, const char *table, struct tl_error *err)
{
    struct tl_message m;
    enum outcome outcome = owed_take(fd->owed, lane, table, &m, err);

    if (outcome != DONE)
        return outcome;
    outcome = apply(fd, lane, &m, err);
    tl_message_release(&m);
    return outcome;
}

/* Some of what is owed to a table in a partition, in a transaction that is begun. NONE: all of it. */
static enum outcome settle_some(struct feeder *fd, struct lane *lane, const char *table, struct tl_error *err)
{
    const struct worker *w = fd->feed.worker;
    enum outcome outcome;

    if (fd->feed.ops->patience(fd->feed.sink, OWED_PATIENCE_MS, err))
        return FAILED;
    do {
        if (atomic_load(&w->stop) || atomic_load(&w->leaving))
            return GIVEN_UP;
        outcome = settle_one(fd, lane, table, err);
    } while (outcome == DONE && !commit_due(fd));
    return outcome;
}

static void settle(struct feeder *fd, struct lane *lane, const char *table)
{
    struct tl_error err;
    enum outcome outcome;

    forget(fd); /* who else had the lane may have settled something, and moved no offset */
    if (!feed_begin(&fd->feed))
        return;
    outcome = settle_some(fd, lane, table, &err);
    if (outcome == DONE || outcome == NONE) {
        ((struct feed_lane *)lane->state)->held = true;
        if (commit(fd))
            owed_settled(fd->owed, lane, table, outcome == NONE);
        return;
    }
    if (outcome == FAILED) {
        give_up(fd, &err);
        return;
    }
    forget(fd);
    feed_undo(&fd->feed);
    if (outcome == HALT)
        feed_halt(&fd->feed, lane, &err);
    else if (outcome == LOCKED)
        owed_blocked(fd->owed, lane, table, &err);
}

/* False: nothing is to be settled now. */
static bool settle_due(struct feeder *fd)
{
    const char *table;
    struct lane *lane = owed_next(fd->owed, &table);

    if (!lane)
        return false;
    /* That may have been given up, and the lanes are in place no more. */
    if (commit(fd) && (lane = owed_next(fd->owed, &table)) != NULL)
        settle(fd, lane, table);
    return true;
}

static void on_lost(struct worker *w, struct lane *lane, const struct tl_error *why)
{
    struct feeder *fd = w->state;

    feed_lost(&fd->feed, lane, why);
}

static int on_idle(struct worker *w)
{
    struct feeder *fd = w->state;

    if (fd->feed.in_transaction && (!fd->got || commit_due(fd)))
        commit(fd);
    fd->got = false;
    if (!fd->feed.in_transaction && !feed_ready(&fd->feed)) {
        forget(fd);
        return w->lanes ? QUIET_MS : POP_IDLE_MS;
    }
    if (settle_due(fd))
        return QUIET_MS;
    return fd->feed.in_transaction ? QUIET_MS : owed_wait(fd->owed, POP_IDLE_MS);
}

static void on_drain(struct worker *w)
{
    commit(w->state);
}

static void on_lane_removed(struct worker *w, struct lane *lane)
{
    struct feeder *fd = w->state;
    /* While it is parked nothing is owed. */
    bool keep = !fd || owed_none_in(fd->owed, lane);

    if (fd) {
        forget(fd);
        owed_lane_removed(fd->owed, lane);
    }
    feed_lane_removed(w, fd ? &fd->feed : NULL, lane, keep);
}

static bool quiet(const struct worker *w)
{
    const struct feeder *fd = w->state;

    return feed_quiet(w, fd ? &fd->feed : NULL) && (!fd || owed_none(fd->owed));
}

static int on_placed(struct worker *w, const struct lane *lane, struct tl_error *err)
{
    const struct feeder *fd = w->state;

    return owed_placed(fd->owed, lane, err);
}

static int on_open(struct worker *w, struct tl_error *err)
{
    struct feeder *fd = calloc(1, sizeof *fd);

    if (!fd)
        return tl_fail_nomem(err);
    w->state = fd;
    if (ledger_cache_init(&fd->ledger, err))
        return -1;
    fd->refused = refused_new(w, err);
    fd->owed = owed_new(&fd->feed, err);
    fd->feed.placed = on_placed;
    if (!fd->refused || !fd->owed)
        return -1;
    return feed_open(&fd->feed, w, err);
}

static void on_close(struct worker *w)
{
    struct feeder *fd = w->state;

    if (!fd)
        return;
    feed_close(&fd->feed);
    forget(fd);
    ledger_cache_release(&fd->ledger);
    refused_free(fd->refused);
    owed_free(fd->owed);
    free(fd->bound_columns);
    free(fd->bound_ids);
    free(fd);
}

static int width(const struct config *config, const struct tenant_info *tenant)
{
    struct tl_error err;
    const struct sink_ops *ops = sink_for_url(tenant->sink_url, &err);

    if (!ops || ops->connections == 1)
        return 1;
    return config->sink_connections ? config->sink_connections : ops->connections;
}

const struct role_ops sink_role = {
    .name = "sink",
    .topic = TL_TOPIC_VALIDATED_INPUT,
    .from_stored = false,
    .queue_bytes = 32 * 1024 * 1024,
    .width = width,
    .open = on_open,
    .close = on_close,
    .lane_added = feed_lane_added,
    .lane_removed = on_lane_removed,
    .message = on_message,
    .quiet = quiet,
    .lost = on_lost,
    .idle = on_idle,
    .drain = on_drain,
};
