/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The uploads that are not finished: found by tenant and id, numbered at each change. */
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "shared/base/clock.h"

static size_t bucket_of(const char *tenant, const char *id)
{
    uint32_t h = 2166136261U; /* FNV-1a */

    for (const char *p = tenant; *p; p++)
        h = (h ^ (unsigned char)*p) * 16777619U;
    for (const char *p = id; *p; p++)
        h = (h ^ (unsigned char)*p) * 16777619U;
    return h % LIVE_BUCKETS;
}

struct live *live_find(struct control *c, const char *tenant, const char *id)
{
    for (struct live *l = c->live[bucket_of(tenant, id)]; l; l = l->next)
        if (strcmp(l->u.id, id) == 0 && strcmp(l->u.tenant, tenant) == 0)
            return l;
    return NULL;
}

static void link_last(struct live *l)
{
    struct tenant *t = l->tenant;

    l->after = NULL;
    l->before = t->lives_last;
    *(t->lives_last ? &t->lives_last->after : &t->lives) = l;
    t->lives_last = l;
}

static void unlink_of_tenant(struct live *l)
{
    struct tenant *t = l->tenant;

    *(l->before ? &l->before->after : &t->lives) = l->after;
    *(l->after ? &l->after->before : &t->lives_last) = l->before;
}

void live_to_end(struct live *l)
{
    unlink_of_tenant(l);
    link_last(l);
}

struct live *live_add(struct control *c, struct tenant *t, struct upload *u, struct tl_error *err)
{
    struct live *l;
    size_t bucket = bucket_of(u->tenant, u->id);

    if (tracker_start(c, t, err) < 0)
        return NULL;
    l = calloc(1, sizeof *l);
    if (!l) {
        tl_fail_nomem(err);
        return NULL;
    }
    l->tenant = t;
    l->u = *u;
    u->dialect = u->header = u->files = u->content = u->options = NULL;
    l->heard_ms = tl_clock_ms();
    l->heard_wall_ms = tl_clock_wall_ms();
    l->next = c->live[bucket];
    c->live[bucket] = l;
    c->nlive++;
    t->cluster->nlive++;
    link_last(l);
    t->nlive++;
    tenant_stir(c, t);
    t->nqueued += l->u.state == UPLOAD_QUEUED;
    l->looked = !l->u.begun; /* there is nothing of it in the ledger */
    live_look_now(l);
    return l;
}

static void live_free(struct live *l)
{
    upload_release(&l->u);
    free(l);
}

void live_ref(struct live *l)
{
    l->refs++;
}

void live_unref(struct live *l)
{
    if (--l->refs == 0 && l->unlinked)
        live_free(l);
}

void live_unlink(struct control *c, struct live *l)
{
    struct live **at = &c->live[bucket_of(l->u.tenant, l->u.id)];

    while (*at != l)
        at = &(*at)->next;
    *at = l->next;
    c->nlive--;
    unlink_of_tenant(l);
    if (--l->tenant->nlive == 0)
        tenant_touch(c, l->tenant);
    l->tenant->cluster->nlive--;
    l->unlinked = true;
    if (l->refs == 0)
        live_free(l);
}

void live_free_all(struct control *c)
{
    for (size_t i = 0; i < LIVE_BUCKETS; i++) {
        while (c->live[i]) {
            struct live *l = c->live[i];

            c->live[i] = l->next;
            live_free(l);
        }
    }
}

int64_t control_next_change(struct control *c)
{
    /* Wall-clock milliseconds, or one more than the last: so it does not fall over a restart either. */
    c->last_change = TL_MAX(c->last_change + 1, tl_clock_wall_ms());
    return c->last_change;
}

void live_changed(struct control *c, struct live *l)
{
    l->u.change = control_next_change(c);
    pthread_cond_broadcast(&c->changed);
}

int live_store(struct control *c, struct live *l, const struct upload *before, struct tl_error *err)
{
    struct tenant *t = l->tenant;

    if (upload_end_unbegun(&l->u, tl_clock_wall_ms()))
        tl_info(c->log, "control", "upload %s of table %s: %s before its turn: %s", l->u.id, l->u.table,
                upload_state_name(l->u.state), l->u.reason);
    l->u.change = control_next_change(c);
    if (store_upload_save(c->store, &l->u, err) < 0) {
        upload_restore(&l->u, before);
        return -1;
    }
    pthread_cond_broadcast(&c->changed);
    t->nqueued += l->u.state == UPLOAD_QUEUED;
    t->nqueued -= before->state == UPLOAD_QUEUED;
    if (upload_final(l->u.state))
        live_unlink(c, l);
    turns_pass(c, t);
    return 0;
}

void live_look_now(struct live *l)
{
    l->next_look = 0;
    l->interval = 0;
    tracker_kick(l->tenant);
}

/* Those that are queued, or those that are not. */
static int stop_some(struct control *c, int64_t table_id, bool queued, const char *reason,
                     struct tl_error *err)
{
    for (size_t i = 0; i < LIVE_BUCKETS; i++) {
        for (struct live *l = c->live[i], *next; l; l = next) {
            struct upload before = l->u;

            next = l->next;
            if (l->u.table_id == table_id && (l->u.state == UPLOAD_QUEUED) == queued &&
                upload_wish(&l->u, UPLOAD_FAILED, reason) && live_store(c, l, &before, err) < 0)
                return -1;
        }
    }
    return 0;
}

int live_stop_table(struct control *c, int64_t table_id, const char *reason, struct tl_error *err)
{
    int rc;

    control_lock(c);
    /* First those that the end of another one would let in. */
    rc = stop_some(c, table_id, true, reason, err) < 0 ? -1 : stop_some(c, table_id, false, reason, err);
    control_unlock(c);
    return rc;
}

static bool all_looked(const struct tenant *t)
{
    for (const struct live *l = t->lives; l; l = l->after)
        if (!l->looked)
            return false;
    return true;
}

void live_await_looks(struct control *c, const struct tenant *t)
{
    enum { LOOKS_MS = 3000 };
    int64_t deadline = tl_clock_ms() + LOOKS_MS;

    while (!all_looked(t) && !atomic_load(&c->stop) && control_wait(c, &c->changed, deadline))
        ;
}
