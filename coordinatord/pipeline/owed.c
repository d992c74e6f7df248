/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/pipeline/owed.h"

#include <stdio.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/kafka/fetcher.h"

enum {
    BLOCKED_MS = 1000, /* from the first failure on, which has taken the sink's own time */
    RECENT_MS = 10000, /* failures further apart have nothing to do with each other */
    TRY_EVERY_MS = 1000,
    PAUSE_MS = 20, /* between two transactions that settle something: others have their turn */
    FETCH_MS = 1000
};

/* Something of the table is owed in this partition. */
struct place {
    struct place *next;
    int32_t partition;
};

struct owed_table {
    struct owed_table *next;
    char name[TL_NAME_MAX + 1];
    struct place *places;
    int64_t first_failed; /* of the failures that count, tl_clock_ms; 0: there is none */
    int64_t last_failed;
    int32_t failed_at; /* partition and offset of the last one */
    int64_t failed_offset;
    int64_t due; /* the next try, tl_clock_ms */
    bool blocked;
    bool told;
};

struct owed {
    struct feed *feed;
    struct tl_fetcher *fetcher; /* made at the first need */
    struct owed_table *tables;
};

struct owed *owed_new(struct feed *feed, struct tl_error *err)
{
    struct owed *o = calloc(1, sizeof *o);

    if (!o)
        tl_fail_nomem(err);
    else
        o->feed = feed;
    return o;
}

static void remove_place(struct owed_table *t, int32_t partition)
{
    for (struct place **at = &t->places; *at; at = &(*at)->next) {
        struct place *p = *at;

        if (p->partition != partition)
            continue;
        *at = p->next;
        free(p);
        return;
    }
}

static void remove_table(struct owed *o, struct owed_table *t)
{
    struct owed_table **at = &o->tables;

    while (*at != t)
        at = &(*at)->next;
    *at = t->next;
    while (t->places)
        remove_place(t, t->places->partition);
    free(t);
}

void owed_free(struct owed *o)
{
    if (!o)
        return;
    while (o->tables)
        remove_table(o, o->tables);
    tl_fetcher_free(o->fetcher);
    free(o);
}

static struct owed_table *find_table(const struct owed *o, struct tl_str name)
{
    for (struct owed_table *t = o->tables; t; t = t->next)
        if (tl_str_eq_z(name, t->name))
            return t;
    return NULL;
}

/* NULL with *err. */
static struct owed_table *table_of(struct owed *o, struct tl_str name, struct tl_error *err)
{
    struct owed_table *t = find_table(o, name);

    if (t)
        return t;
    t = calloc(1, sizeof *t);
    if (!t) {
        tl_fail_nomem(err);
        return NULL;
    }
    if (!tl_str_copy(name, t->name, sizeof t->name)) {
        tl_fail(err, TL_E_CORRUPT, "a table's name is longer than %d bytes", TL_NAME_MAX);
        free(t);
        return NULL;
    }
    t->next = o->tables;
    o->tables = t;
    return t;
}

static bool has_place(const struct owed_table *t, int32_t partition)
{
    for (const struct place *p = t->places; p; p = p->next)
        if (p->partition == partition)
            return true;
    return false;
}

static struct place **end_of(struct owed_table *t)
{
    struct place **at = &t->places;

    while (*at)
        at = &(*at)->next;
    return at;
}

/* So that each has its turn. */
static void to_the_end(struct owed_table *t, int32_t partition)
{
    for (struct place **at = &t->places; *at; at = &(*at)->next) {
        struct place *p = *at;

        if (p->partition != partition)
            continue;
        *at = p->next;
        p->next = NULL;
        *end_of(t) = p;
        return;
    }
}

static int add_place(struct owed_table *t, int32_t partition, struct tl_error *err)
{
    struct place *p;

    if (has_place(t, partition))
        return 0;
    p = calloc(1, sizeof *p);
    if (!p)
        return tl_fail_nomem(err);
    p->partition = partition;
    *end_of(t) = p;
    return 0;
}

/* ------------------------------------------------------------------ what is told */

static void tell(struct owed *o, struct owed_table *t, const struct tl_error *why)
{
    struct worker *w = o->feed->worker;
    char text[700];

    snprintf(text, sizeof text, "waiting for table \"%s\": %s", t->name, why->text);
    if (!t->told)
        tl_warn(w->log, w->ops->name, "tenant %s: %s", w->tenant.name, text);
    t->told = true;
    control_api_table_waiting(w->control, w->ops->name, w->tenant.name, t->name, text);
}

static void tell_over(const struct owed *o, const struct owed_table *t)
{
    struct worker *w = o->feed->worker;

    if (!t->told)
        return;
    tl_info(w->log, w->ops->name, "tenant %s: table \"%s\" is not waited for any more", w->tenant.name,
            t->name);
    control_api_table_waiting(w->control, w->ops->name, w->tenant.name, t->name, NULL);
}

/* ------------------------------------------------------------------ lanes */

struct reading {
    struct owed *owed;
    int32_t partition;
};

static int on_table(void *app, const char *table, int64_t offset, struct tl_error *err)
{
    struct reading *r = app;
    struct owed_table *t = table_of(r->owed, tl_str(table), err);

    (void)offset;
    return t ? add_place(t, r->partition, err) : -1;
}

int owed_placed(struct owed *o, const struct lane *lane, struct tl_error *err)
{
    struct reading r = {.owed = o, .partition = lane->partition};

    for (struct owed_table *t = o->tables; t; t = t->next)
        remove_place(t, lane->partition);
    return o->feed->ops->owed_tables(o->feed->sink, lane->position, lane->partition, on_table, &r, err);
}

/* What is owed there is another one's to tell of from now on. */
void owed_lane_removed(struct owed *o, const struct lane *lane)
{
    for (struct owed_table *t = o->tables, *next; t; t = next) {
        next = t->next;
        remove_place(t, lane->partition);
        if (!t->places)
            remove_table(o, t);
    }
}

/* The lane of a partition, when it is in order. */
static struct lane *lane_of(const struct owed *o, int32_t partition)
{
    for (struct lane *l = o->feed->worker->lanes; l; l = l->next) {
        const struct feed_lane *fl = l->state;

        if (l->partition == partition && fl->placed && !fl->halted[0])
            return l;
    }
    return NULL;
}

/* ------------------------------------------------------------------ messages */

bool owed_due_for(const struct owed *o, const struct tl_message *m)
{
    const struct owed_table *t = o->tables ? find_table(o, m->envelope.table) : NULL;

    return t && (t->blocked || has_place(t, m->partition));
}

int owed_put(struct owed *o, const struct lane *lane, const struct tl_message *m, struct tl_error *err)
{
    struct owed_table *t = table_of(o, m->envelope.table, err);

    if (!t || o->feed->ops->owe(o->feed->sink, lane->position, m->partition, t->name, m->offset, err))
        return -1;
    return add_place(t, m->partition, err);
}

/* The more tables are blocked, the more seldom each is tried: what goes on has most of the time. */
static void put_off(struct owed *o, struct owed_table *t, int64_t now)
{
    int64_t blocked = 0;

    for (const struct owed_table *other = o->tables; other; other = other->next)
        blocked += other->blocked;
    t->due = now + blocked * TRY_EVERY_MS;
}

static void fails(struct owed_table *t, int32_t partition, int64_t offset, int64_t now)
{
    if (!t->first_failed || now - t->last_failed > RECENT_MS)
        t->first_failed = now;
    t->last_failed = now;
    t->failed_at = partition;
    t->failed_offset = offset;
}

void owed_failed(struct owed *o, const struct tl_message *m, const struct tl_error *why)
{
    int64_t now = tl_clock_ms();
    struct tl_error err;
    struct owed_table *t = table_of(o, m->envelope.table, &err);

    if (!t)
        return; /* it fails again, and then there may be memory */
    fails(t, m->partition, m->offset, now);
    if (now - t->first_failed < BLOCKED_MS)
        return;
    t->blocked = true;
    put_off(o, t, now);
    tell(o, t, why);
}

void owed_passed(struct owed *o, const struct tl_message *m)
{
    struct owed_table *t = o->tables ? find_table(o, m->envelope.table) : NULL;

    /* Others of the table may pass all the time: those of an older version, in other partitions. */
    if (t && !t->blocked && !t->places && t->failed_at == m->partition && t->failed_offset == m->offset)
        remove_table(o, t);
}

/* ------------------------------------------------------------------ settling */

bool owed_none(const struct owed *o)
{
    for (const struct owed_table *t = o->tables; t; t = t->next)
        if (t->places || t->blocked)
            return false;
    return true;
}

bool owed_none_in(const struct owed *o, const struct lane *lane)
{
    for (const struct owed_table *t = o->tables; t; t = t->next)
        if (has_place(t, lane->partition))
            return false;
    return true;
}

struct lane *owed_next(struct owed *o, const char **table)
{
    int64_t now = o->tables ? tl_clock_ms() : 0;

    for (struct owed_table *t = o->tables; t; t = t->next) {
        if (t->due > now)
            continue;
        for (const struct place *p = t->places; p; p = p->next) {
            struct lane *lane = lane_of(o, p->partition);

            *table = t->name;
            if (lane)
                return lane;
        }
    }
    return NULL;
}

int owed_wait(const struct owed *o, int most)
{
    int64_t now = o->tables ? tl_clock_ms() : 0, wait = most;

    for (const struct owed_table *t = o->tables; t; t = t->next)
        if (t->places)
            wait = TL_MIN(wait, TL_MAX(t->due - now, 1));
    return (int)wait;
}

static enum outcome fetch(struct owed *o, const struct lane *lane, int64_t offset, struct tl_message *m,
                          struct tl_error *err)
{
    struct worker *w = o->feed->worker;

    if (!o->fetcher)
        o->fetcher = tl_fetcher_new(&w->tenant.kafka, w->log, err);
    if (!o->fetcher)
        return LOCKED;
    if (tl_fetcher_get(o->fetcher, lane->topic, lane->partition, offset, FETCH_MS, m, err))
        return err->code == TL_E_NOT_FOUND ? HALT : LOCKED;
    if (m->ours)
        return DONE;
    tl_fail(err, TL_E_CORRUPT, "%s [%d] @%lld is owed and is no message of ours: %s", lane->topic,
            lane->partition, (long long)offset, m->why.text);
    tl_message_release(m);
    return HALT;
}

enum outcome owed_take(struct owed *o, const struct lane *lane, const char *table, struct tl_message *m,
                       struct tl_error *err)
{
    const struct feed *f = o->feed;
    int64_t offset;
    int found = f->ops->owed_first(f->sink, lane->position, lane->partition, table, &offset, err);

    if (found <= 0)
        return found < 0 ? FAILED : NONE;
    /* Before the ledger is looked at: see owed.h. */
    if (f->ops->settle(f->sink, lane->position, lane->partition, table, offset, err))
        return FAILED;
    return fetch(o, lane, offset, m, err);
}

void owed_blocked(struct owed *o, const struct lane *lane, const char *table, const struct tl_error *why)
{
    struct owed_table *t = find_table(o, tl_str(table));
    int64_t now = tl_clock_ms();

    if (!t)
        return;
    fails(t, lane->partition, 0, now);
    t->blocked = true;
    put_off(o, t, now);
    to_the_end(t, lane->partition);
    tell(o, t, why);
}

void owed_settled(struct owed *o, const struct lane *lane, const char *table, bool all)
{
    struct owed_table *t = find_table(o, tl_str(table));

    if (!t)
        return;
    t->due = tl_clock_ms() + PAUSE_MS;
    if (!all)
        return;
    remove_place(t, lane->partition);
    /* What stood before the message that is locked says nothing about it. */
    if (t->failed_at == lane->partition) {
        t->blocked = false;
        t->first_failed = 0;
    }
    if (t->places)
        return;
    tell_over(o, t);
    remove_table(o, t);
}
