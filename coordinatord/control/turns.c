/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who may send. Of a tenant with a limit so many uploads have a turn at a time; the others are queued, and have theirs
 * in the order in which they came:
 *
 *   made, or gone on with ──► queued ──its turn, and its client is there──► sending ──all sent, ended, silent──► the next
 *                               ^                                             │
 *                               └── not heard from after it was let in, or    │
 *                                   again when its turn was somebody else's ──┘
 *
 * A queued upload's client says every second that it is there (an empty change); when it does not, those behind it pass
 * it by, and it keeps its place for when it comes back. What is durable is the state and the ticket, so a restart
 * changes nothing in the order: nobody is let in before those that are there had the time to say so. Nothing here waits for a sink or for Kafka, and there is no thread: whoever makes a
 * turn free passes it on, and what only time makes free is found by those who wait, when they are heard from.
 *
 * While the tenant is being moved to another cluster nobody is let in, and who has a turn loses it at his next word, unless
 * he reads what can't be read again: the move waits for those alone. They come first when it is done.
 *
 * Those that have a turn share what the tenant may send in a second.
 */
#include <stdio.h>

#include "coordinatord/control/control_impl.h"
#include "shared/base/clock.h"

enum {
    HERE_MS = 5000, /* a client that was heard from so short ago is there */
    SETTLING_MS =
        2500 /* after a start all clients that are there have been heard from: none goes before its turn */
};

static bool has_turn(const struct live *l, int64_t now)
{
    return l->u.state == UPLOAD_SENDING && l->u.wish == UPLOAD_SENDING &&
           now - l->heard_ms <= SENDER_SILENT_MS;
}

static bool is_queued(const struct live *l)
{
    return l->u.state == UPLOAD_QUEUED && l->u.wish == UPLOAD_SENDING;
}

static bool is_here(const struct live *l, int64_t now)
{
    return now - l->heard_ms <= HERE_MS;
}

static int64_t turns_taken(const struct tenant *t, int64_t now)
{
    int64_t n = 0;

    for (const struct live *l = t->lives; l; l = l->after)
        n += has_turn(l, now);
    return n;
}

/* Whether there is a turn for one more than those. */
static bool has_room(const struct tenant *t, int64_t taken)
{
    return !t->move_to && (t->max_uploads == 0 || taken < t->max_uploads);
}

int64_t turns_share(const struct live *l, int64_t now)
{
    const struct tenant *t = l->tenant;

    if (t->max_bytes_per_second == 0 || !has_turn(l, now))
        return 0;
    return TL_MAX(t->max_bytes_per_second / turns_taken(t, now), (int64_t)1);
}

void turns_text(const struct live *l, int64_t now, char *out, size_t size)
{
    const struct tenant *t = l->tenant;
    char when[TL_CLOCK_TEXT];

    if (t->move_to) {
        snprintf(out, size, "queued: tenant %s is being moved to cluster %s: %.300s", t->name,
                 t->move_to->name, t->move_waits);
        return;
    }
    if (!is_here(l, now)) {
        tl_clock_text(l->heard_wall_ms, when);
        snprintf(out, size, "queued: its turn comes when its client is there; nothing heard from it since %s",
                 when);
        return;
    }
    snprintf(out, size, "queued: %lld uploads of tenant %s are sending, its limit is %lld; %zu are before it",
             (long long)turns_taken(t, now), t->name, (long long)t->max_uploads, l->queued_before);
}

/* Stores the other state; what fails is tried again with the next pass. */
static int set_state(struct control *c, struct live *l, enum upload_state state, struct tl_error *err)
{
    struct upload before = l->u;

    l->u.state = state;
    l->u.begun |= state == UPLOAD_SENDING;
    return live_store(c, l, &before, err);
}

static bool let_in(struct control *c, struct live *l, int64_t now)
{
    struct tl_error err;

    if (set_state(c, l, UPLOAD_SENDING, &err) < 0) {
        tl_warn(c->log, "control", "upload %s can't be let in: %s", l->u.id, err.text);
        return false;
    }
    l->let_in_ms = now;
    live_waiting_update(c, l, now);
    live_look_now(l);
    return true;
}

/* Those that were let in, and did not come. */
static void put_back(struct control *c, struct tenant *t, int64_t now)
{
    struct tl_error err;

    for (struct live *l = t->lives; l; l = l->after) {
        if (!l->let_in_ms || now - l->let_in_ms <= HERE_MS || !has_turn(l, now))
            continue;
        if (set_state(c, l, UPLOAD_QUEUED, &err) == 0)
            l->let_in_ms = 0;
        else
            tl_warn(c->log, "control", "upload %s can't be queued again: %s", l->u.id, err.text);
    }
}

static void tell_queued(struct control *c, struct tenant *t, int64_t now)
{
    size_t before = 0;

    for (struct live *l = t->lives; l; l = l->after) {
        if (!is_queued(l))
            continue;
        l->queued_before = before;
        before += is_here(l, now);
        if (live_waiting_update(c, l, now))
            live_changed(c, l);
    }
}

void turns_pass(struct control *c, struct tenant *t)
{
    int64_t now = tl_clock_ms(), taken;

    /* It stores states itself, which calls it again. */
    if (t->turns_passing || t->nqueued == 0 || atomic_load(&t->removing))
        return;
    t->turns_passing = true;
    put_back(c, t, now);
    taken = turns_taken(t, now);
    for (struct live *l = now < t->turns_from ? NULL : t->lives; l && has_room(t, taken); l = l->after) {
        if (!is_queued(l) || !is_here(l, now))
            continue;
        if (!let_in(c, l, now))
            break;
        taken++;
    }
    tell_queued(c, t, now);
    t->turns_passing = false;
}

/* Whether one more may send, after all that wait for it. */
static bool is_full(struct control *c, struct tenant *t)
{
    int64_t now = tl_clock_ms();

    turns_pass(c, t);
    return !has_room(t, turns_taken(t, now)) || (t->max_uploads && t->nqueued && now < t->turns_from);
}

void turns_found(struct live *l)
{
    l->heard_ms -= SENDER_SILENT_MS;
    l->tenant->turns_from = tl_clock_ms() + SETTLING_MS;
}

void turns_enter(struct control *c, struct tenant *t, struct upload *u)
{
    if (!is_full(c, t))
        return;
    u->state = UPLOAD_QUEUED;
    u->begun = false;
    u->ticket = u->change;
}

static int queue_again(struct control *c, struct live *l, struct tl_error *err)
{
    struct upload before = l->u;

    live_to_end(l);
    l->u.state = UPLOAD_QUEUED;
    l->u.ticket = control_next_change(c);
    return live_store(c, l, &before, err);
}

int turns_heard(struct control *c, struct live *l, struct tl_error *err)
{
    bool given_up = l->u.state == UPLOAD_SENDING && l->u.wish == UPLOAD_SENDING &&
                    !has_turn(l, tl_clock_ms());

    if (given_up && is_full(c, l->tenant) && queue_again(c, l, err) < 0)
        return -1;
    /* It keeps its place, which is before all that never had a turn. */
    if (l->tenant->move_to && l->u.resumable && has_turn(l, tl_clock_ms()) &&
        set_state(c, l, UPLOAD_QUEUED, err) < 0)
        return -1;
    l->heard_ms = tl_clock_ms();
    l->heard_wall_ms = tl_clock_wall_ms();
    l->let_in_ms = 0;
    turns_pass(c, l->tenant);
    return 0;
}
