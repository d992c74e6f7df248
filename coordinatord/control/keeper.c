/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The one thread that talks to a cluster for control, each cluster's its own. A pass, for the tenants that are there:
 *
 *   topics of tenants that are not ready ──► made (but those that are found at the first look, look.c)
 *   pending versions, wishes to stop     ──► written into every partition of raw-input, by turns (rounds.c)
 *   tenants that are being removed       ──► their topics, then what is known of them, deleted (removal.c)
 *   tenants that are being moved         ──► taken over, or given away when all is applied (move.c)
 *   what is in the cluster               ──► looked at (look.c)
 *
 * Whatever fails is done again in a later pass; every step may be done twice. A pass comes when somebody
 * kicks, soon after a failure, and every few seconds to see whether Kafka is there.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "shared/base/clock.h"
#include "shared/base/failpoint.h"

enum {
    TOPICS_MS = 3000, /* bound of one call */
    AWAIT_MS = 20000,
    RETRY_MIN_MS = 250,
    RETRY_MAX_MS = 5000,
    MOVING_MS = 250,
    BUSY_MS = 3000,
    IDLE_MS = 10000
};

bool pass_note(struct pass *p, const struct tl_error *err)
{
    if (!p->failed)
        p->err = *err;
    p->failed = true;
    return !tl_error_retriable(err) && !atomic_load(&p->cl->stop);
}

/* --- topics --- */

void pass_set_tenant(struct pass *p, struct tenant *t, bool ready, bool broken, const char *trouble)
{
    struct control *c = p->c;

    control_lock(c);
    if (broken && !t->broken)
        tl_warn(c->log, "control", "tenant %s: %s", t->name, trouble);
    if (ready && !t->ready)
        tl_info(c->log, "control", "tenant %s: topics are ready on cluster %s, %d partitions", t->name,
                p->cl->name, (int)t->partitions);
    if (ready != t->ready || broken != t->broken)
        tenant_touch(c, t);
    t->ready = ready;
    t->broken = broken;
    snprintf(t->trouble, sizeof t->trouble, "%s", trouble);
    control_unlock(c);
}

/* That its topics were all there once is stored. */
static int store_ready(struct control *c, struct tenant *t, struct tl_error *err)
{
    int rc = 0;

    control_lock(c);
    if (t->state == TENANT_PREPARING)
        rc = store_tenant_set_state(c->store, t->name, TENANT_READY, err);
    if (rc == 0 && t->state == TENANT_PREPARING)
        t->state = TENANT_READY;
    control_unlock(c);
    return rc;
}

int pass_forget_earlier(struct pass *p, const struct tenant *t, struct tl_error *err)
{
    enum { FORGET_MS = 3000 };

    return p->c->options.broker->forget(p->broker, t->validators, t->topic[TL_TOPIC_RAW_INPUT], t->partitions,
                                        FORGET_MS, err);
}

/* Whether its topics were never ready, and others of the same names were. */
static bool is_made_again(struct control *c, const struct tenant *t)
{
    bool again;

    control_lock(c);
    again = t->state == TENANT_PREPARING && t->epoch > 1;
    control_unlock(c);
    return again;
}

static int make_topics(struct pass *p, struct tenant *t, struct tl_error *err)
{
    TL_FAILPOINT(CONTROL_BEFORE_TOPICS);
    if (p->c->options.broker->make_topics(p->broker, t->name, t->partitions, TOPICS_MS, err) < 0)
        return -1;
    p->spoke = true;
    if (is_made_again(p->c, t) && pass_forget_earlier(p, t, err) < 0) {
        /* Whoever still reads it is about to hear that it is gone. */
        err->code = err->code == TL_E_CONFLICT ? TL_E_AGAIN : err->code;
        return -1;
    }
    TL_FAILPOINT(CONTROL_AFTER_TOPICS);
    return store_ready(p->c, t, err);
}

static bool pass_topics(struct pass *p)
{
    struct tl_error err;

    for (struct tenant *t = atomic_load(&p->c->tenants); t; t = atomic_load(&t->next)) {
        /* Only this thread writes `ready` of a tenant on its cluster. */
        if (!tenant_is_on(p->c, t, p->cl) || t->ready)
            continue;
        if (make_topics(p, t, &err) == 0) {
            pass_set_tenant(p, t, true, false, "");
        } else if (err.code == TL_E_CONFLICT) {
            /* Only somebody can help; until then it holds up nobody else. */
            pass_set_tenant(p, t, false, true, err.text);
        } else {
            pass_set_tenant(p, t, false, false, err.text);
            if (!pass_note(p, &err))
                return false;
        }
    }
    return true;
}

/* --- the thread --- */

/* What a tenant on the cluster waits for; under the lock. */
static void publish_tenant(struct tenant *t, const char *trouble)
{
    if (t->ready || (!t->broken && *trouble))
        snprintf(t->trouble, sizeof t->trouble, "%s", trouble);
}

static void publish(struct pass *p)
{
    struct control *c = p->c;
    struct cluster *cl = p->cl;
    const char *trouble = p->failed ? p->err.text : "";

    control_lock(c);
    if (*trouble && !cl->trouble[0] && !atomic_load(&cl->stop))
        tl_warn(c->log, "control", "cluster %s: %s", cl->name, trouble);
    if (!*trouble && cl->trouble[0])
        tl_info(c->log, "control", "cluster %s is in reach again", cl->name);
    snprintf(cl->trouble, sizeof cl->trouble, "%s", trouble);
    for (struct tenant *t = atomic_load(&c->tenants); t; t = atomic_load(&t->next))
        if (t->cluster == cl && !atomic_load(&t->removing))
            publish_tenant(t, trouble);
    cl->left = p->left && !p->failed;
    cl->passes_done = cl->passes_begun;
    pthread_cond_broadcast(&c->settled);
    control_unlock(c);
}

/* The broker is there, and reached as the cluster's properties say by now. */
static int need_broker(struct cluster *cl, struct tl_error *err)
{
    struct control *c = cl->control;
    struct tl_kafka_conf fresh;
    bool changed;
    int rc = 0;

    tl_kafka_conf_init(&fresh);
    control_lock(c);
    changed = cl->changed;
    if (changed)
        rc = tl_kafka_conf_copy(&fresh, &cl->kafka, err);
    if (rc == 0)
        cl->changed = false;
    control_unlock(c);
    if (rc < 0) {
        tl_kafka_conf_release(&fresh);
        return -1;
    }
    if (changed) {
        c->options.broker->close(cl->broker);
        cl->broker = NULL;
        tl_kafka_conf_release(&cl->used);
        cl->used = fresh;
    }
    if (!cl->broker)
        cl->broker = c->options.broker->open(c->options.config, &cl->used, c->log, &cl->stop, err);
    return cl->broker ? 0 : -1;
}

static bool run_pass(struct cluster *cl, bool *moving)
{
    struct pass p = {.c = cl->control, .cl = cl};

    *moving = false;
    if (need_broker(cl, &p.err) < 0) {
        p.failed = true;
    } else {
        p.broker = cl->broker;
        if (cl->look_at == 0)
            pass_look(&p);
        if (!p.failed && pass_topics(&p) && pass_rounds(&p) && pass_removals(&p) && pass_moves(&p, moving))
            pass_look(&p);
    }
    publish(&p);
    return !p.failed;
}

void *keeper_run(void *cluster)
{
    struct cluster *cl = cluster;
    struct control *c = cl->control;
    int retry = RETRY_MIN_MS;

    control_lock(c);
    while (!atomic_load(&cl->stop)) {
        int64_t until;
        bool fine, moving;

        cl->kicked = false;
        cl->passes_begun++;
        control_unlock(c);
        fine = run_pass(cl, &moving);
        control_lock(c);
        until = tl_clock_ms() + (!fine ? retry : moving ? MOVING_MS : cl->nlive ? BUSY_MS : IDLE_MS);
        retry = fine ? RETRY_MIN_MS : TL_MIN(retry * 2, RETRY_MAX_MS);
        cl->kicked |= cl->left;
        while (!cl->kicked && !atomic_load(&cl->stop) && control_wait(c, &cl->wake, until))
            ;
    }
    control_unlock(c);
    c->options.broker->close(cl->broker);
    cl->broker = NULL;
    return NULL;
}

void keeper_kick(struct cluster *cl)
{
    cl->kicked = true;
    pthread_cond_broadcast(&cl->wake); /* the trimmer waits there, too */
}

uint64_t keeper_ask(struct cluster *cl)
{
    uint64_t pass;

    control_lock(cl->control);
    pass = cl->passes_begun + 1;
    keeper_kick(cl);
    control_unlock(cl->control);
    return pass;
}

int keeper_await(struct cluster *cl, uint64_t pass, int timeout_ms, struct tl_error *err)
{
    struct control *c = cl->control;
    int64_t deadline = tl_clock_ms() + (timeout_ms ? timeout_ms : AWAIT_MS);
    bool done;

    control_lock(c);
    while (cl->passes_done < pass && !atomic_load(&cl->stop) && control_wait(c, &c->settled, deadline))
        ;
    done = cl->passes_done >= pass;
    control_unlock(c);
    if (!done)
        return control_running(c, err) < 0 ? -1 : tl_fail(err, TL_E_UNAVAILABLE, "Kafka is slow to answer");
    return 0;
}
