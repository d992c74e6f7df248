/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * import-error ──► the error store, each rejected row once
 *
 *   message (batch seq, part, stage)
 *     │ attempt_counts  stage sink: only the attempt that was committed; what is not decided yet is waited for
 *     │ errors row of (upload, partition, stage)   (seq, part) is not behind the last one: a new segment
 *     │ store->put      a segment under a name of its own; writing it again overwrites it with the same bytes
 *     │ store->sync     all segments since the last commit are durable
 *     ▼
 *   sink transaction    rows stored so far (absolute) + offsets, fenced
 *
 * A segment is in the store before the ledger counts it, and never counted twice: the messages of a batch
 * come in the order of their numbers, and a second delivery is known by them. Batches without rejected rows
 * send none, so gaps are the rule here.
 *
 * Memory: one message in hand; STORED_MAX errors rows.
 */
#include <stdlib.h>

#include "coordinatord/errors/errstore.h"
#include "coordinatord/pipeline/feed.h"
#include "shared/base/clock.h"

enum {
    STORED_MAX = 256,
    COMMIT_SEGMENTS = 64,
    COMMIT_MS = 200,
    QUIET_MS = 5,
    POP_IDLE_MS = 250,
    UNDECIDED_MS = 10,
    TELL_AFTER_MS = 2000
};

struct writer {
    struct feed feed;
    const struct errstore_ops *store_ops;
    struct errstore *store; /* NULL: not open */
    bool store_failed;      /* the last failure was the store's, not the sink's */
    size_t nrows;
    struct stored {
        struct errors_row row;
        bool dirty;
    } * rows;
    int segments;  /* put since the last commit */
    int64_t since; /* when the first message came that is not committed; 0: there is none */
    bool got;
};

static void forget(struct writer *wr)
{
    wr->nrows = 0;
    wr->segments = 0;
    wr->since = 0;
}

static void give_up(struct writer *wr, const struct tl_error *err)
{
    forget(wr);
    feed_give_up(&wr->feed, wr->store_failed ? "the error store" : "the sink", err);
    wr->store_failed = false;
}

/* Like ledger_cache_get, for errors rows. NULL with *err; TL_E_AGAIN: commit first. */
static struct stored *row_of(struct writer *wr, const struct tl_envelope *e, int32_t partition,
                             struct tl_error *err)
{
    struct errors_row row = {.partition = partition, .stage = e->stage};
    char id[sizeof row.upload];
    int found;

    for (size_t i = 0; i < wr->nrows; i++) {
        const struct errors_row *r = &wr->rows[i].row;

        if (r->partition == partition && r->stage == e->stage && tl_str_eq_z(e->upload, r->upload))
            return &wr->rows[i];
    }
    if (!tl_str_copy(e->upload, id, sizeof id)) {
        tl_fail(err, TL_E_CORRUPT, "an upload's id is longer than %d bytes", TL_UPLOAD_ID_MAX);
        return NULL;
    }
    found = wr->feed.ops->errors_get(wr->feed.sink, id, partition, e->stage, &row, err);
    if (found < 0)
        return NULL;
    if (!found)
        memcpy(row.upload, id, sizeof id);
    wr->rows[wr->nrows] = (struct stored){.row = row};
    return &wr->rows[wr->nrows++];
}

/*
 * Whether what an attempt at a batch refused is true: *counts. TL_E_AGAIN: the batch is not applied yet, by this
 * attempt or another one.
 */
static int attempt_counts(struct writer *wr, const struct tl_message *m, const char *upload, bool *counts,
                          struct tl_error *err)
{
    const struct tl_envelope *e = &m->envelope;
    const struct sink_ops *ops = wr->feed.ops;
    struct ledger_row row = {0};
    int64_t attempt;
    int found;

    /* The ledger first: a commit between the two questions is seen by the second one. */
    if (ops->ledger_get(wr->feed.sink, upload, m->partition, &row, err) < 0)
        return -1;
    found = ops->refused_get(wr->feed.sink, upload, m->partition, e->seq, &attempt, err);
    if (found < 0)
        return -1;
    if (!found && row.last_seq < e->seq && !row.stopped)
        return tl_fail(err, TL_E_AGAIN, "rows were refused by the sink, which has not committed yet");
    *counts = found && attempt == e->attempt;
    return 0;
}

static int store_segment(struct writer *wr, const struct tl_message *m, struct tl_error *err)
{
    const struct tl_envelope *e = &m->envelope;
    struct stored *s = row_of(wr, e, m->partition, err);
    int64_t part = TL_MAX(e->part, 1);
    bool counts = true;

    if (!s)
        return -1;
    if (e->seq < s->row.last_seq || (e->seq == s->row.last_seq && part <= s->row.last_part))
        return 0; /* stored and counted before */
    if (e->stage == TL_STAGE_SINK && attempt_counts(wr, m, s->row.upload, &counts, err))
        return -1;
    if (!counts)
        return 0;
    struct segment_id id = {
        .tenant = wr->feed.worker->tenant.name,
        .upload = s->row.upload,
        .partition = m->partition,
        .stage = e->stage,
        .seq = e->seq,
        .part = part,
    };
    wr->store_failed = wr->store_ops->put(wr->store, &id, m->value, err) != 0;
    if (wr->store_failed)
        return -1;
    s->row.last_seq = e->seq;
    s->row.last_part = part;
    s->row.rows += e->rows;
    s->dirty = true;
    wr->segments++;
    return 0;
}

static int write_rows(struct writer *wr, struct tl_error *err)
{
    wr->store_failed = wr->store_ops->sync(wr->store, err) != 0;
    if (wr->store_failed)
        return -1;
    if (!feed_begin(&wr->feed))
        return tl_fail(err, TL_E_INTERRUPTED, "given up");
    for (size_t i = 0; i < wr->nrows; i++)
        if (wr->rows[i].dirty && wr->feed.ops->errors_put(wr->feed.sink, &wr->rows[i].row, err))
            return -1;
    return 0;
}

static void commit(struct writer *wr)
{
    struct tl_error err;

    if (write_rows(wr, &err)) {
        if (err.code == TL_E_INTERRUPTED)
            forget(wr);
        else
            give_up(wr, &err);
        return;
    }
    feed_commit(&wr->feed);
    /* Rows are read anew next time: an upload has errors now and then, or so many that it does not matter. */
    forget(wr);
}

/*
 * Stores it, waiting until it can be said what of it counts. False: given up.
 */
static bool store(struct writer *wr, struct lane *lane, const struct tl_message *m)
{
    struct worker *w = wr->feed.worker;
    int64_t began = tl_clock_ms();
    bool long_ago = false;
    struct tl_error err;

    while (store_segment(wr, m, &err)) {
        bool undecided = err.code == TL_E_AGAIN && !wr->store_failed;

        if (!undecided) {
            give_up(wr, &err);
            return false;
        }
        if (wr->since) /* what is in hand must not wait with it */
            commit(wr);
        long_ago = tl_clock_ms() - began >= TELL_AFTER_MS;
        if (!worker_wait(w, UNDECIDED_MS, lane, long_ago ? err.text : NULL))
            return false;
        if (!((const struct feed_lane *)lane->state)->placed)
            return false; /* that commit was given up */
    }
    if (long_ago)
        worker_goes_on(w);
    return true;
}

static void on_message(struct worker *w, struct lane *lane, const struct tl_message *m)
{
    struct writer *wr = w->state;

    wr->got = true;
    if (!feed_wants(&wr->feed, lane, m))
        return;
    if (!m->ours || m->envelope.type != TL_MSG_ROWS || !m->envelope.upload.ptr) {
        tl_warn(w->log, "errors", "%s [%d] @%lld is passed over, it is no message of ours: %s", m->topic,
                m->partition, (long long)m->offset, m->ours ? "no rejected rows" : m->why.text);
    } else if (!store(wr, lane, m)) {
        return;
    }
    feed_applied(lane, m);
    if (wr->since == 0)
        wr->since = tl_clock_ms();
    if (wr->segments >= COMMIT_SEGMENTS || wr->nrows >= STORED_MAX - 1 ||
        tl_clock_ms() - wr->since >= COMMIT_MS)
        commit(wr);
}

static bool store_ready(struct writer *wr)
{
    struct worker *w = wr->feed.worker;
    struct tl_error err;

    if (wr->store)
        return true;
    wr->store = wr->store_ops->open(w->tenant.errors_url, w->log, &err);
    if (wr->store)
        return true;
    wr->store_failed = true;
    give_up(wr, &err);
    return false;
}

static void on_lost(struct worker *w, struct lane *lane, const struct tl_error *why)
{
    struct writer *wr = w->state;

    feed_lost(&wr->feed, lane, why);
}

static int on_idle(struct worker *w)
{
    struct writer *wr = w->state;

    if (wr->since && !wr->got)
        commit(wr);
    wr->got = false;
    if (wr->since)
        return QUIET_MS;
    if (!w->lanes || !store_ready(wr) || !feed_ready(&wr->feed))
        return w->lanes ? QUIET_MS : POP_IDLE_MS;
    return POP_IDLE_MS;
}

static void on_drain(struct worker *w)
{
    struct writer *wr = w->state;

    if (wr->since)
        commit(wr);
}

static void on_lane_removed(struct worker *w, struct lane *lane)
{
    struct writer *wr = w->state;

    if (wr)
        forget(wr);
    feed_lane_removed(w, wr ? &wr->feed : NULL, lane, true);
}

static bool quiet(const struct worker *w)
{
    const struct writer *wr = w->state;

    return feed_quiet(w, wr ? &wr->feed : NULL) && (!wr || wr->since == 0);
}

static int on_open(struct worker *w, struct tl_error *err)
{
    struct writer *wr = calloc(1, sizeof *wr);

    if (!wr)
        return tl_fail_nomem(err);
    w->state = wr;
    wr->rows = calloc(STORED_MAX, sizeof *wr->rows);
    if (!wr->rows)
        return tl_fail_nomem(err);
    wr->store_ops = errstore_for_url(w->tenant.errors_url, err);
    return wr->store_ops ? feed_open(&wr->feed, w, err) : -1;
}

static void on_close(struct worker *w)
{
    struct writer *wr = w->state;

    if (!wr)
        return;
    if (wr->store)
        wr->store_ops->close(wr->store);
    feed_close(&wr->feed);
    free(wr->rows);
    free(wr);
}

static int width(const struct config *config, const struct tenant_info *tenant)
{
    (void)config;
    (void)tenant;
    return 1; /* bound by fsync, not by a core */
}

const struct role_ops errors_role = {
    .name = "errors",
    .topic = TL_TOPIC_IMPORT_ERROR,
    .from_stored = false,
    .queue_bytes = 8 * 1024 * 1024,
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
