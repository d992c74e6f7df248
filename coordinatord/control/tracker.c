/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The one thread that follows the ledger:
 *
 *   ledger (sink, read only) ──► upload_observe ──► counts in memory, final states in the store
 *                                                             └──► who waits is woken
 *
 * An upload is looked at after 20 ms while it moves, less and less often while it does not, hardly ever when
 * its sender is silent. Without an unfinished upload the thread sleeps, and what it had open of that tenant's sink is
 * closed after a while.
 */
#include <stdio.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "shared/base/clock.h"

enum {
    LOOKS = 64, /* at once */
    LOOK_MIN_MS = 20,
    LOOK_WAITED_MS = 100,
    LOOK_MAX_MS = 250,
    LOOK_SILENT_MS = 2000,
    SILENT_AFTER_MS = 60000,
    SINK_RETRY_MS = 500,
    SINK_IDLE_MS = 5000,
    SINK_PATIENCE = 4
};

struct look {
    struct live *live;
    struct upload_seen seen;
    char trouble[TROUBLE_TEXT];
};

/* --- reading, without the lock --- */

static struct sink *tenant_sink(struct control *c, struct tenant *t, int64_t now)
{
    int64_t began = tl_clock_ms();
    struct tl_error err;

    if (t->sink || now < t->sink_retry)
        return t->sink;
    t->sink = control_open_sink(c, t, &err);
    /* Nothing there yet: no sink role has begun to apply anything. */
    snprintf(t->sink_trouble, sizeof t->sink_trouble, "%s",
             t->sink || err.code == TL_E_NOT_FOUND ? "" : err.text);
    /* One that takes its time to fail is not to take most of it from the others. */
    if (!t->sink)
        t->sink_retry = now + (t->sink_trouble[0] ? SINK_RETRY_MS : LOOK_WAITED_MS) +
                        SINK_PATIENCE * (tl_clock_ms() - began);
    return t->sink;
}

/* Whether each partition ended or stopped; asked for only when the sums allow it. */
static int all_settled(const struct sink_ops *ops, struct sink *sink, const struct upload *u, bool *settled,
                       struct tl_error *err)
{
    *settled = false;
    for (int32_t p = 0; p < u->partitions; p++) {
        struct ledger_row row;
        int rc = ops->ledger_get(sink, u->id, p, &row, err);

        if (rc < 0)
            return -1;
        if (rc == 0 || (!row.ended && !row.stopped))
            return 0;
    }
    *settled = true;
    return 0;
}

static int read_ledger(const struct sink_ops *ops, struct sink *sink, const struct upload *u,
                       struct upload_seen *seen, struct tl_error *err)
{
    if (ops->progress(sink, u->id, &seen->progress, err) < 0)
        return -1;
    if (seen->progress.partitions_stopped == 0 ||
        seen->progress.partitions_ended + seen->progress.partitions_stopped < u->partitions)
        return 0;
    return all_settled(ops, sink, u, &seen->settled, err);
}

static void look(struct control *c, struct look *k, int64_t now)
{
    struct tenant *t = k->live->tenant;
    struct sink *sink = tenant_sink(c, t, now);
    struct tl_error err;

    memset(&k->seen, 0, sizeof k->seen);
    k->trouble[0] = '\0';
    t->sink_used = now;
    if (sink && read_ledger(t->sink_ops, sink, &k->live->u, &k->seen, &err) < 0) {
        memset(&k->seen, 0, sizeof k->seen);
        snprintf(t->sink_trouble, sizeof t->sink_trouble, "%s", err.text);
        t->sink_ops->close(t->sink);
        t->sink = NULL;
        t->sink_retry = now + SINK_RETRY_MS;
    }
    if (!t->sink)
        memcpy(k->trouble, t->sink_trouble, sizeof k->trouble);
}

/* --- what follows from it, under the lock --- */

static void pace(struct live *l, bool moved, int64_t now)
{
    int most = l->waiters ? LOOK_WAITED_MS : LOOK_MAX_MS;

    if (!l->waiters && l->u.state == UPLOAD_SENDING && now - l->heard_ms > SILENT_AFTER_MS)
        most = LOOK_SILENT_MS;
    l->interval = moved ? LOOK_MIN_MS : TL_MIN(TL_MAX(l->interval * 2, LOOK_MIN_MS), most);
    l->next_look = now + l->interval;
}

static void conclude(struct control *c, struct look *k, int64_t now)
{
    struct live *l = k->live;
    struct upload before = l->u;
    struct tl_error err;
    enum upload_step step;

    memcpy(l->trouble, k->trouble, sizeof l->trouble);
    if (!l->looked && !k->trouble[0]) {
        l->looked = true;
        pthread_cond_broadcast(&c->changed);
    }
    step = upload_observe(&l->u, &k->seen, tl_clock_wall_ms());
    if (step == UPLOAD_WISHED || step == UPLOAD_FINISHED) {
        if (live_store(c, l, &before, &err) < 0) {
            snprintf(l->trouble, sizeof l->trouble, "%s", err.text);
            step = UPLOAD_SAME;
        } else if (step == UPLOAD_WISHED) {
            keeper_kick(l->tenant->cluster);
        } else {
            tl_info(c->log, "control", "upload %s of table %s: %s%s%s", l->u.id, l->u.table,
                    upload_state_name(l->u.state), l->u.reason[0] ? ": " : "", l->u.reason);
        }
    }
    if (l->unlinked)
        return;
    if (live_waiting_update(c, l, now) || step == UPLOAD_MOVED)
        live_changed(c, l);
    pace(l, step != UPLOAD_SAME, now);
}

/* Takes references to those that are due; *next becomes the time at which the first of the others is. */
static size_t collect(struct control *c, struct look *looks, int64_t now, int64_t *next)
{
    size_t n = 0;

    *next = INT64_MAX;
    for (size_t i = 0; i < LIVE_BUCKETS; i++) {
        for (struct live *l = c->live[i]; l; l = l->next) {
            if (l->next_look <= now && n < LOOKS) {
                live_ref(l);
                l->next_look = now + LOOK_MAX_MS; /* so that a kick during the look is seen */
                looks[n++].live = l;
            } else {
                *next = TL_MIN(*next, l->next_look);
            }
        }
    }
    return n;
}

/*
 * Closes the connections of tenants that have no unfinished upload, and had none for a while; all of them with
 * at_once. Returns when the next one is due, INT64_MAX when none is. Under the lock, which is let go for each.
 */
static int64_t close_sinks(struct control *c, int64_t now, bool at_once)
{
    int64_t next = INT64_MAX;

    for (struct tenant *t = atomic_load(&c->tenants); t; t = atomic_load(&t->next)) {
        if (!t->sink || (t->nlive && !at_once))
            continue;
        if (at_once || atomic_load(&t->removing) || now - t->sink_used >= SINK_IDLE_MS) {
            control_unlock(c);
            t->sink_ops->close(t->sink);
            t->sink = NULL;
            control_lock(c);
        } else {
            next = TL_MIN(next, t->sink_used + SINK_IDLE_MS);
        }
    }
    return next;
}

void *tracker_run(void *control)
{
    struct control *c = control;
    struct look looks[LOOKS];

    control_lock(c);
    while (!atomic_load(&c->stop)) {
        int64_t now = tl_clock_ms(), next;
        size_t n = collect(c, looks, now, &next);

        if (n == 0) {
            next = TL_MIN(next, close_sinks(c, now, false));
            if (!c->tracker_kicked && next == INT64_MAX)
                pthread_cond_wait(&c->tracker_wake, &c->lock);
            else if (!c->tracker_kicked)
                control_wait(c, &c->tracker_wake, next);
            c->tracker_kicked = false;
            continue;
        }
        control_unlock(c);
        for (size_t i = 0; i < n; i++)
            look(c, &looks[i], now);
        control_lock(c);
        for (size_t i = 0; i < n; i++) {
            bool kicked = looks[i].live->next_look == 0;

            if (!looks[i].live->unlinked) {
                conclude(c, &looks[i], now);
                if (kicked)
                    looks[i].live->next_look = 0;
            }
            live_unref(looks[i].live);
        }
    }
    close_sinks(c, 0, true);
    control_unlock(c);
    return NULL;
}

void tracker_kick(struct control *c)
{
    c->tracker_kicked = true;
    pthread_cond_signal(&c->tracker_wake);
}
