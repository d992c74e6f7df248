/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/pipeline/feed.h"

#include <stdio.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/base/failpoint.h"

enum {
    BACKOFF_FIRST_MS = 20,
    BACKOFF_MAX_MS = 5000,
    TELL_FROM_MS = 300,
    TELL_EVERY_MS = 1000,
    UNPLACED_MS = 3000, /* a lane is placed within some ms, or something is wrong */
    OVER_MS = 10000,    /* without a message: what failed does not come again */
    LOCKED_MS = 5
};

int feed_open(struct feed *f, struct worker *w, struct tl_error *err)
{
    f->worker = w;
    f->ops = sink_for_url(w->tenant.sink_url, err);
    f->backoff_ms = BACKOFF_FIRST_MS;
    return f->ops ? 0 : -1;
}

void feed_close(struct feed *f)
{
    if (f->sink)
        f->ops->close(f->sink);
    f->sink = NULL;
    f->in_transaction = false;
    for (struct lane *l = f->worker ? f->worker->lanes : NULL; l; l = l->next) {
        struct feed_lane *fl = l->state;

        if (!fl->placed)
            continue;
        fl->placed = false;
        fl->presumed = fl->next == fl->committed;
        fl->at = fl->next;
    }
}

bool feed_quiet(const struct worker *w, const struct feed *f)
{
    for (const struct lane *l = w->lanes; l; l = l->next) {
        const struct feed_lane *fl = l->state;

        if (fl->halted[0] || !(fl->placed || fl->presumed))
            return false;
    }
    return !f || (!f->in_transaction && !f->failing);
}

/* Where the worker keeps a partition's place, NULL: nowhere. */
static int64_t *kept_at(struct worker *w, int32_t partition)
{
    if (partition >= w->tenant.partitions)
        return NULL;
    if (!w->kept) {
        w->kept = malloc((size_t)w->tenant.partitions * sizeof *w->kept);
        for (int32_t i = 0; w->kept && i < w->tenant.partitions; i++)
            w->kept[i] = -1;
    }
    return w->kept ? &w->kept[partition] : NULL;
}

int feed_lane_added(struct worker *w, struct lane *lane, int64_t *begin, struct tl_error *err)
{
    struct feed_lane *fl = calloc(1, sizeof *fl);
    int64_t *kept = kept_at(w, lane->partition);

    if (!fl)
        return tl_fail_nomem(err);
    fl->gap = -1;
    fl->at = *begin;
    lane->state = fl;
    if (!kept || *kept < 0)
        return 0;
    fl->presumed = fl->known = true;
    fl->at = fl->committed = fl->next = *begin = *kept;
    *kept = -1;
    return 0;
}

void feed_undo(struct feed *f)
{
    if (f->sink)
        f->ops->rollback(f->sink);
    f->in_transaction = false;
    for (struct lane *l = f->worker->lanes; l; l = l->next)
        ((struct feed_lane *)l->state)->held = false;
}

/* Rolls back and places the lanes anew. */
static void abandon(struct feed *f)
{
    feed_undo(f);
    for (struct lane *l = f->worker->lanes; l; l = l->next) {
        struct feed_lane *fl = l->state;

        fl->placed = fl->presumed = false;
        fl->at = -1;
        fl->next = fl->committed; /* a commit before it is placed must not move it */
    }
}

void feed_lane_removed(struct worker *w, struct feed *f, struct lane *lane, bool keep)
{
    struct feed_lane *fl = lane->state;
    int64_t *kept = kept_at(w, lane->partition);

    if (kept)
        *kept = keep && fl->known && !fl->halted[0] ? fl->committed : -1;
    if (f)
        abandon(f);
    free(fl);
    lane->state = NULL;
}

void feed_give_up(struct feed *f, const char *what, const struct tl_error *why)
{
    struct worker *w = f->worker;
    char text[700];
    bool broken = why->code == TL_E_UNAVAILABLE || why->code == TL_E_FATAL || why->code == TL_E_IO;

    snprintf(text, sizeof text, "waiting for %s: %s", what, why->text);
    if (!f->failing)
        f->failing = f->in_transaction ? f->since : tl_clock_ms();
    abandon(f);
    for (struct lane *l = w->lanes; l; l = l->next)
        ((struct feed_lane *)l->state)->known = false;
    /*
     * A connection that failed in a way of its own is made anew: what it was in the middle of is not known.
     */
    if (broken)
        feed_close(f);
    /* A sink may also take its time to fail, such as one that waits for a lock. */
    if (f->backoff_ms >= TELL_FROM_MS || tl_clock_ms() - f->failing >= TELL_EVERY_MS) {
        if (!f->told)
            tl_warn(w->log, w->ops->name, "tenant %s: %s", w->tenant.name, text);
        f->told = true;
    } else {
        tl_debug(w->log, w->ops->name, "tenant %s: %s", w->tenant.name, text);
    }
    worker_wait(w, f->backoff_ms, NULL, f->told ? text : NULL);
    f->backoff_ms = TL_MIN(f->backoff_ms * 2, BACKOFF_MAX_MS);
}

static void goes_on(struct feed *f)
{
    f->backoff_ms = BACKOFF_FIRST_MS;
    f->failing = 0;
    if (!f->told)
        return;
    f->told = false;
    tl_info(f->worker->log, f->worker->ops->name, "tenant %s: the sink works again", f->worker->tenant.name);
    worker_goes_on(f->worker);
}

static int place(struct feed *f, struct lane *lane, struct tl_error *err)
{
    struct feed_lane *fl = lane->state;
    int64_t next;

    if (f->ops->offset(f->sink, lane->position, lane->partition, &next, err))
        return -1;
    if (fl->at != next && tl_consumer_seek(f->worker->consumer, lane->topic, lane->partition, next, err))
        return -1;
    /* Behind the offset: what is owed since then would be missed, what was settled does no harm. */
    if (f->placed && f->placed(f->worker, lane, err))
        return -1;
    fl->committed = fl->next = next;
    fl->placed = fl->known = true;
    fl->presumed = false;
    if (fl->unplaced && tl_clock_ms() - fl->unplaced >= UNPLACED_MS)
        worker_goes_on(f->worker);
    fl->unplaced = 0;
    tl_debug(f->worker->log, f->worker->ops->name, "%s [%d] goes on at @%lld", lane->topic, lane->partition,
             (long long)next);
    return 0;
}

static void tell_of(struct feed *f, const struct lane *lane, const char *why)
{
    struct worker *w = f->worker;
    struct feed_lane *fl = lane->state;
    int64_t now = tl_clock_ms();

    if (now - fl->told < TELL_EVERY_MS)
        return;
    fl->told = now;
    control_api_waiting(w->control, w->ops->name, w->tenant.name, lane->partition, why);
}

/* The lane can't be placed at this moment; the others go on. */
static void not_placed(struct feed *f, struct lane *lane, const struct tl_error *why)
{
    struct worker *w = f->worker;
    struct feed_lane *fl = lane->state;
    int64_t now = tl_clock_ms();

    if (!fl->unplaced) {
        fl->unplaced = fl->told = now;
    } else if (now - fl->unplaced >= UNPLACED_MS && now - fl->told >= TELL_EVERY_MS) {
        tl_warn(w->log, w->ops->name, "%s [%d] waits for %lld s: %s", lane->topic, lane->partition,
                (long long)(now - fl->unplaced) / 1000, why->text);
        tell_of(f, lane, why->text);
    }
}

/* Whether all that there is to do without the sink is to wait for a message. */
static bool needs_no_sink(const struct feed *f)
{
    return !f->sink && feed_quiet(f->worker, f) && !worker_has_message(f->worker);
}

bool feed_ready(struct feed *f)
{
    struct worker *w = f->worker;
    struct tl_error err;
    bool placed = true;

    if (!w->lanes)
        return false;
    if (needs_no_sink(f))
        return true;
    if (!f->sink) {
        struct sink_conf conf = {
            .url = w->tenant.sink_url, .tenant = w->tenant.name, .log = w->log, .stop = &w->stop};

        f->sink = f->ops->open(&conf, &err);
        if (!f->sink) {
            feed_give_up(f, "the sink", &err);
            return false;
        }
    }
    for (struct lane *l = w->lanes; l; l = l->next) {
        struct feed_lane *fl = l->state;

        if (fl->halted[0])
            tell_of(f, l, fl->halted);
        if (fl->placed || place(f, l, &err) == 0)
            continue;
        if (err.code != TL_E_AGAIN) {
            feed_give_up(f, "the sink", &err);
            return false;
        }
        not_placed(f, l, &err);
        placed = false;
    }
    if (!placed)
        worker_wait(w, LOCKED_MS, NULL, NULL);
    else if (f->failing && tl_clock_ms() - w->busy_at >= OVER_MS)
        goes_on(f);
    return placed;
}

bool feed_wants(struct feed *f, struct lane *lane, const struct tl_message *m)
{
    struct feed_lane *fl = lane->state;

    if (!f->sink || !fl->placed) {
        fl->presumed = false;
        fl->at = -1; /* it is passed over: the lane has to come back to it */
        return false;
    }
    if (fl->halted[0] || m->offset < fl->next)
        return false;
    if (m->offset == fl->next)
        return true;
    tl_warn(f->worker->log, f->worker->ops->name, "%s [%d]: @%lld was expected, @%lld came", lane->topic,
            lane->partition, (long long)fl->next, (long long)m->offset);
    /* Again after it was placed anew: they are in the topic no more, or what others wrote takes offsets. */
    if (fl->gap == fl->next)
        return true;
    fl->gap = fl->next;
    fl->placed = false;
    return false;
}

bool feed_begin(struct feed *f)
{
    struct tl_error err;

    if (f->in_transaction)
        return true;
    TL_FAILPOINT(SINK_BEFORE_BEGIN);
    while (f->ops->begin(f->sink, &err)) {
        /* Nothing is in hand yet, so another writer's lock is waited for without giving anything up. */
        if (err.code == TL_E_AGAIN && worker_wait(f->worker, LOCKED_MS, NULL, NULL))
            continue;
        feed_give_up(f, "the sink", &err);
        return false;
    }
    f->in_transaction = true;
    f->since = tl_clock_ms();
    return true;
}

void feed_applied(struct lane *lane, const struct tl_message *m)
{
    struct feed_lane *fl = lane->state;

    fl->next = m->offset + 1;
}

static int move_offsets(struct feed *f, struct tl_error *err)
{
    if (TL_FAILPOINT_FAILS(SINK_BEFORE_OFFSETS, err))
        return -1;
    for (struct lane *l = f->worker->lanes; l; l = l->next) {
        struct feed_lane *fl = l->state;

        if ((fl->held || fl->next != fl->committed) &&
            f->ops->offset_move(f->sink, l->position, l->partition, fl->committed, fl->next, err))
            return -1;
    }
    if (TL_FAILPOINT_FAILS(SINK_BEFORE_COMMIT, err) || f->ops->commit(f->sink, err))
        return -1;
    return TL_FAILPOINT_FAILS(SINK_AFTER_COMMIT, err) ? -1 : 0;
}

bool feed_commit(struct feed *f)
{
    struct worker *w = f->worker;
    struct tl_error err;

    if (!f->in_transaction)
        return true;
    if (move_offsets(f, &err)) {
        feed_give_up(f, "the sink", &err);
        return false;
    }
    f->in_transaction = false;
    for (struct lane *l = w->lanes; l; l = l->next) {
        struct feed_lane *fl = l->state;

        fl->held = false;
        if (fl->next == fl->committed)
            continue;
        fl->committed = fl->next;
        /* For lag monitors only. */
        if (tl_consumer_store(w->consumer, l->topic, l->partition, fl->committed, &err))
            tl_debug(w->log, w->ops->name, "%s", err.text);
        TL_FAILPOINT(SINK_AFTER_STORE);
    }
    goes_on(f);
    return true;
}

void feed_halt(struct feed *f, struct lane *lane, const struct tl_error *why)
{
    struct worker *w = f->worker;
    struct feed_lane *fl = lane->state;

    snprintf(fl->halted, sizeof fl->halted, "%.*s", (int)sizeof fl->halted - 1, why->text);
    tl_error_log(w->log, w->ops->name, "%s [%d] is stopped at @%lld: %s", lane->topic, lane->partition,
                 (long long)fl->next, why->text);
    control_api_waiting(w->control, w->ops->name, w->tenant.name, lane->partition, fl->halted);
}

void feed_lost(struct feed *f, struct lane *lane, const struct tl_error *why)
{
    struct feed_lane *fl = lane->state;
    struct tl_error err;

    if (!fl->placed) {
        /*
         * Only where it was presumed, or was to stand still: others have applied more since, and that is trimmed. There is
         * no seek out of this, so the assignment begins anew, and this lane where the topic ends.
         */
        fl->presumed = fl->known = false;
        fl->at = -1;
        tl_consumer_begin_anew(f->worker->consumer);
        return;
    }
    tl_fail(
        &err, TL_E_CORRUPT,
        "%s [%d] has no message @%lld any more, and what followed it may be lost; nothing more of this partition "
        "is applied (%s)",
        lane->topic, lane->partition, (long long)fl->next, why->text);
    feed_halt(f, lane, &err);
}
