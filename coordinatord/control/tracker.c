/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Threads that follow the ledger, one for each tenant that has unfinished uploads:
 *
 *   ledger (sink, read only) ──► upload_observe ──► counts in memory, final states in the store
 *                                                             └──► who waits is woken
 *
 * So a sink that hangs, or is slow, keeps only its own tenant's uploads waiting. An upload is looked at after 20 ms
 * while it moves, less and less often while it does not, hardly ever when its sender is silent, and not at all before
 * its first turn to send. A thread begins with a tenant's first upload, and ends, closing its connection, when there
 * was none for a while.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "shared/base/clock.h"

enum {
    LOOKS = 64, /* at once */
    LOOK_MIN_MS = 20,
    LOOK_WAITED_MS = 100,
    LOOK_MAX_MS = 250,
    LOOK_SILENT_MS = 2000,
    SINK_RETRY_MS = 500,
    LINGER_MS = 10000, /* the next upload finds thread and connection still there */
    STACK_BYTES = 1024 * 1024
};

struct tracker {
    /* Fixed. */
    struct control *c;
    struct tenant *tenant;
    /* Under the lock. */
    struct tracker *next, *prev; /* of control's */
    pthread_cond_t wake;
    bool kicked;
    /* The thread's own. */
    struct sink *sink;  /* NULL: not open */
    int64_t sink_retry; /* not before this time */
    char sink_trouble[TROUBLE_TEXT];
};

struct look {
    struct live *live;
    struct upload_seen seen;
    char trouble[TROUBLE_TEXT];
};

/* --- reading, without the lock --- */

static struct sink *need_sink(struct tracker *tr, int64_t now)
{
    struct tl_error err;

    if (tr->sink || now < tr->sink_retry)
        return tr->sink;
    tr->sink = control_open_sink(tr->c, tr->tenant, 0, &err);
    /* Nothing there yet: no sink role has begun to apply anything. */
    snprintf(tr->sink_trouble, sizeof tr->sink_trouble, "%s",
             tr->sink || err.code == TL_E_NOT_FOUND ? "" : err.text);
    if (!tr->sink)
        tr->sink_retry = tl_clock_ms() + (tr->sink_trouble[0] ? SINK_RETRY_MS : LOOK_WAITED_MS);
    return tr->sink;
}

/* Whether each partition ended or stopped; asked for only when the sums allow it. */
static int all_settled(struct tracker *tr, const struct upload *u, bool *settled, struct tl_error *err)
{
    *settled = false;
    for (int32_t p = 0; p < u->partitions; p++) {
        struct ledger_row row;
        int rc = tr->tenant->sink_ops->ledger_get(tr->sink, u->id, p, &row, err);

        if (rc < 0)
            return -1;
        if (rc == 0 || (!row.ended && !row.stopped))
            return 0;
    }
    *settled = true;
    return 0;
}

static int read_ledger(struct tracker *tr, const struct upload *u, struct upload_seen *seen,
                       struct tl_error *err)
{
    if (tr->tenant->sink_ops->progress(tr->sink, u->id, &seen->progress, err) < 0)
        return -1;
    if (seen->progress.partitions_stopped == 0 ||
        seen->progress.partitions_ended + seen->progress.partitions_stopped < u->partitions)
        return 0;
    return all_settled(tr, u, &seen->settled, err);
}

static void close_sink(struct tracker *tr)
{
    tr->tenant->sink_ops->close(tr->sink);
    tr->sink = NULL;
}

static void look(struct tracker *tr, struct look *k, int64_t now)
{
    struct tl_error err;

    memset(&k->seen, 0, sizeof k->seen);
    k->trouble[0] = '\0';
    if (need_sink(tr, now) && read_ledger(tr, &k->live->u, &k->seen, &err) < 0) {
        memset(&k->seen, 0, sizeof k->seen);
        snprintf(tr->sink_trouble, sizeof tr->sink_trouble, "%s", err.text);
        close_sink(tr);
        tr->sink_retry = tl_clock_ms() + SINK_RETRY_MS;
    }
    if (!tr->sink)
        memcpy(k->trouble, tr->sink_trouble, sizeof k->trouble);
}

/* --- what follows from it, under the lock --- */

static void pace(struct live *l, bool moved, int64_t now)
{
    int most = l->waiters ? LOOK_WAITED_MS : LOOK_MAX_MS;

    if (!l->waiters && l->u.state == UPLOAD_SENDING && now - l->heard_ms > SENDER_SILENT_MS)
        most = LOOK_SILENT_MS;
    l->interval = moved ? LOOK_MIN_MS : TL_MIN(TL_MAX(l->interval * 2, LOOK_MIN_MS), most);
    l->next_look = l->u.begun ? now + l->interval : INT64_MAX;
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
static size_t collect(const struct tenant *t, struct look *looks, int64_t now, int64_t *next)
{
    size_t n = 0;

    *next = INT64_MAX;
    for (struct live *l = t->lives; l; l = l->after) {
        if (l->next_look <= now && n < LOOKS) {
            live_ref(l);
            l->next_look = now + LOOK_MAX_MS; /* so that a kick during the look is seen */
            looks[n++].live = l;
        } else {
            *next = TL_MIN(*next, l->next_look);
        }
    }
    return n;
}

static void look_at_all(struct tracker *tr, struct look *looks, size_t n, int64_t now)
{
    struct control *c = tr->c;

    control_unlock(c);
    for (size_t i = 0; i < n; i++)
        look(tr, &looks[i], now);
    control_lock(c);
    now = tl_clock_ms();
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

/* Until the tenant has had no upload for a while. Under the lock. */
static void follow(struct tracker *tr)
{
    struct control *c = tr->c;
    struct look looks[LOOKS];
    int64_t used = tl_clock_ms();

    while (!atomic_load(&c->stop)) {
        int64_t now = tl_clock_ms(), next;
        size_t n = collect(tr->tenant, looks, now, &next);

        if (tr->tenant->lives)
            used = now;
        else if (now - used >= LINGER_MS || atomic_load(&tr->tenant->removing))
            return;
        else
            next = used + LINGER_MS;
        if (n > 0) {
            look_at_all(tr, looks, n, now);
            continue;
        }
        if (!tr->kicked && next == INT64_MAX)
            pthread_cond_wait(&tr->wake, &c->lock);
        else if (!tr->kicked)
            control_wait(c, &tr->wake, next);
        tr->kicked = false;
    }
}

/* --- threads --- */

/* The last that its thread does with anything of control's. Under the lock. */
static void tracker_free(struct tracker *tr)
{
    struct control *c = tr->c;

    *(tr->prev ? &tr->prev->next : &c->trackers) = tr->next;
    if (tr->next)
        tr->next->prev = tr->prev;
    tr->tenant->tracker = NULL;
    pthread_cond_destroy(&tr->wake);
    free(tr);
    pthread_cond_signal(&c->trackers_ended);
}

static void *tracker_main(void *app)
{
    struct tracker *tr = app;
    struct control *c = tr->c;
    struct sink *sink;

    control_lock(c);
    for (;;) {
        follow(tr);
        /* Closing may take a while; an upload may come meanwhile. */
        sink = tr->sink;
        tr->sink = NULL;
        if (!sink)
            break;
        control_unlock(c);
        tr->tenant->sink_ops->close(sink);
        control_lock(c);
        if (!tr->tenant->lives || atomic_load(&c->stop))
            break;
    }
    tracker_free(tr);
    control_unlock(c);
    return NULL;
}

static int init_wake(pthread_cond_t *wake)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);

    if (rc)
        return rc;
    rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (!rc)
        rc = pthread_cond_init(wake, &attr);
    pthread_condattr_destroy(&attr);
    return rc;
}

/* Detached: that it has ended is seen by its being in no list. */
static int create_thread(struct tracker *tr)
{
    pthread_attr_t attr;
    pthread_t thread;
    char name[16];
    int rc = pthread_attr_init(&attr);

    if (rc)
        return rc;
    rc = pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    if (!rc)
        rc = pthread_attr_setstacksize(&attr, STACK_BYTES);
    if (!rc)
        rc = pthread_create(&thread, &attr, tracker_main, tr);
    pthread_attr_destroy(&attr);
    if (rc)
        return rc;
    /* It can't have ended: it needs the lock for that. */
    snprintf(name, sizeof name, "track %.9s", tr->tenant->name);
    pthread_setname_np(thread, name);
    return 0;
}

int tracker_start(struct control *c, struct tenant *t, struct tl_error *err)
{
    struct tracker *tr;
    int rc;

    if (t->tracker)
        return 0;
    tr = calloc(1, sizeof *tr);
    if (!tr)
        return tl_fail_nomem(err);
    tr->c = c;
    tr->tenant = t;
    rc = init_wake(&tr->wake);
    if (rc) {
        free(tr);
        return tl_fail_errno(err, rc, "a mutex");
    }
    rc = create_thread(tr);
    if (rc) {
        pthread_cond_destroy(&tr->wake);
        free(tr);
        return tl_fail_errno(err, rc, "a thread");
    }
    tr->next = c->trackers;
    if (tr->next)
        tr->next->prev = tr;
    c->trackers = t->tracker = tr;
    return 0;
}

void tracker_kick(const struct tenant *t)
{
    if (!t->tracker)
        return;
    t->tracker->kicked = true;
    pthread_cond_signal(&t->tracker->wake);
}

void trackers_kick(struct control *c)
{
    for (struct tracker *tr = c->trackers; tr; tr = tr->next)
        tracker_kick(tr->tenant);
}

void trackers_join(struct control *c)
{
    control_lock(c);
    while (c->trackers)
        pthread_cond_wait(&c->trackers_ended, &c->lock);
    control_unlock(c);
}
