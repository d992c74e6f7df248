/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is in the cluster, ours and others', and whether our topics are as they were made: somebody who gives one of them
 * more partitions moves the keys of all rows to come, so its tenant is refused until that is put right.
 */
#include <stdio.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "shared/base/clock.h"

enum { LOOK_MS = 3000, LOOK_EVERY_MS = 3000 };

struct look {
    struct pass *p;
    struct cluster_seen seen;
};

static struct tenant *owner(struct look *k, const char *topic)
{
    char name[TL_TENANT_MAX + 1];
    enum tl_topic which;
    struct tl_str tenant;
    struct tl_error err;
    struct tenant *t;
    bool ours;

    if (!tl_topic_parse(tl_str(topic), &which, &tenant) || !tl_str_copy(tenant, name, sizeof name))
        return NULL;
    t = tenant_find_any(k->p->c, name, &err);
    control_lock(k->p->c);
    ours = t && tenant_has_topics(t, k->p->cl);
    control_unlock(k->p->c);
    return ours ? t : NULL;
}

static void on_topic(void *app, const char *topic, int32_t partitions)
{
    struct look *k = app;
    struct tenant *t = owner(k, topic);
    char trouble[TROUBLE_TEXT];

    if (!t) {
        k->seen.foreign += partitions;
        return;
    }
    k->seen.ours += partitions;
    if (tenant_cluster(k->p->c, t) != k->p->cl)
        return; /* it moves; what is there is looked at when it lives there */
    t->topics_found += partitions == t->partitions;
    /* One that is not ready is looked at when its topics are made. */
    if (!t->ready || partitions == 0 || partitions == t->partitions || atomic_load(&t->removing))
        return;
    snprintf(trouble, sizeof trouble,
             "topic %s has %d partitions, not %d: somebody has changed it, and keys would move", topic,
             (int)partitions, (int)t->partitions);
    pass_set_tenant(k->p, t, false, true, trouble);
}

static void forget_found(struct pass *p)
{
    for (struct tenant *t = atomic_load(&p->c->tenants); t; t = atomic_load(&t->next))
        if (tenant_is_on(p->c, t, p->cl))
            t->topics_found = 0;
}

/* After a start all topics are there, most likely; that is seen in one look, however many tenants there are. */
static void take_found(struct pass *p)
{
    for (struct tenant *t = atomic_load(&p->c->tenants); t; t = atomic_load(&t->next)) {
        bool made;

        if (!tenant_is_on(p->c, t, p->cl) || t->topics_found != TL_TOPIC_COUNT || t->ready)
            continue;
        control_lock(p->c);
        made = t->state != TENANT_PREPARING;
        control_unlock(p->c);
        if (made)
            pass_set_tenant(p, t, true, false, "");
    }
}

/* Under the lock. Kept, so that the same Kafka is not taken for another one later. */
static void note_id(struct cluster *cl, const char *id)
{
    struct cluster_row row;
    struct tl_error err;

    if (!*id || strcmp(id, cl->kafka_id) == 0)
        return;
    snprintf(cl->kafka_id, sizeof cl->kafka_id, "%s", id);
    if (cluster_to_row(cl, &row, &err) < 0 || store_cluster_set(cl->control->store, &row, &err) < 0)
        tl_warn(cl->control->log, "control", "cluster %s: %s", cl->name, err.text);
    cluster_row_release(&row);
}

/* Whether it is due, and wanted no more. */
static bool is_due(struct pass *p)
{
    bool wanted;

    control_lock(p->c);
    wanted = p->cl->look_wanted;
    p->cl->look_wanted = false;
    control_unlock(p->c);
    return wanted || !p->spoke || tl_clock_ms() >= p->cl->look_at;
}

void pass_look(struct pass *p)
{
    struct look k = {.p = p};
    struct tl_cluster_size size;
    struct tl_error err;

    if (!is_due(p))
        return;
    forget_found(p);
    if (p->c->options.broker->survey(p->broker, LOOK_MS, &size, on_topic, &k, &err) < 0) {
        pass_note(p, &err);
        return;
    }
    p->spoke = true;
    p->cl->look_at = tl_clock_ms() + LOOK_EVERY_MS;
    k.seen.brokers = size.brokers;
    k.seen.at_ms = tl_clock_wall_ms();
    control_lock(p->c);
    p->cl->seen = k.seen;
    note_id(p->cl, size.id);
    control_unlock(p->c);
    take_found(p);
}
