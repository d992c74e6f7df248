/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A tenant moves to another cluster, while it is used:
 *
 *   asked for ──► reserved there too, stored as moving: uploads wait for their turns         (a request, turns.c)
 *      ──► its topics are made there, and are empty                                         (the keeper of the new one)
 *      ──► uploads that are being sent end; all that is in the old topics is applied        (the keeper of the old one)
 *      ──► in one transaction: it lives there, and its epoch is the next                    (the same)
 *      ──► its old topics are deleted, and nothing is reserved there any more               (the same)
 *
 * Each arrow may be the last thing that a process does: what is stored says where to go on. Until the transaction the
 * move can be taken back, and then it is the new topics that are deleted.
 *
 * With the epoch the names of all positions in the sink change, so that the new topics are read from their first
 * message on; whoever still has a message of an old one has one that was applied. Senders lose their turns when the move
 * begins (turns.c), and nobody waits for one that was silent for long. What a sender still has on its way may come into
 * an old topic when that was found to be applied, and go with it: so it says of which epoch it is, learns that there is
 * another one, and begins anew behind what the ledger has.
 */
#include <stdio.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "coordinatord/control/request.h"
#include "shared/base/clock.h"
#include "shared/base/failpoint.h"

enum { TOPICS_MS = 5000, CALL_MS = 3000, PATIENCE_MS = 300 };

/* --- asked for, and taken back --- */

static int begin(struct control *c, struct tenant *t, const char *to, struct tl_error *err)
{
    struct placement place = {.c = c, .cluster = to, .partitions = t->partitions};
    struct cluster *cl = cluster_find(c, to, err);

    if (!cl)
        return tl_fail(err, TL_E_REFUSED, "there is no cluster \"%.40s\"", to);
    if (t->move_to)
        return t->move_to == cl
                   ? 0
                   : tl_fail(err, TL_E_CONFLICT, "tenant \"%s\" is being moved to cluster \"%s\"", t->name,
                             t->move_to->name);
    if (t->cluster == cl)
        return tl_fail(err, TL_E_CONFLICT, "tenant \"%s\" lives on cluster \"%s\" already", t->name,
                       cl->name);
    if (t->move_from)
        return tl_fail(err, TL_E_CONFLICT,
                       "tenant \"%s\" still has topics on cluster \"%s\", from its last move; try again when "
                       "they are deleted",
                       t->name, t->move_from->name);
    if (t->state != TENANT_READY)
        return tl_fail(err, TL_E_CONFLICT, "tenant \"%s\" is %s", t->name, tenant_state_name(t->state));
    if (store_tenant_move(c->store, t->name, placement_choose, &place, err) < 0)
        return -1;
    t->state = TENANT_MOVING;
    t->move_to = cl;
    t->move_made = false;
    snprintf(t->move_waits, sizeof t->move_waits, "its topics are being made");
    tenant_stir(c, t); /* all that it has is read now */
    tl_info(c->log, "control", "tenant %s: moves from cluster %s to %s", t->name, t->cluster->name, cl->name);
    keeper_kick(cl);
    keeper_kick(t->cluster);
    return 0;
}

int control_tenant_move(struct control *c, const char *tenant, const json_t *request, json_t **answer,
                        struct tl_error *err)
{
    struct tenant *t = tenant_find(c, tenant, err);
    const char *to = NULL;
    int rc;

    if (!t || control_running(c, err) < 0 || request_members(request, "the move", "cluster", err) < 0 ||
        request_text(request, "cluster", 4096, &to, err) < 0)
        return -1;
    if (!to)
        return tl_fail(err, TL_E_REFUSED, "\"cluster\" is missing");
    control_lock(c);
    rc = begin(c, t, to, err);
    control_unlock(c);
    return rc < 0 ? -1 : control_tenant(c, tenant, true, answer, err);
}

int control_tenant_stay(struct control *c, const char *tenant, json_t **answer, struct tl_error *err)
{
    struct tenant *t = tenant_find(c, tenant, err);
    int rc;

    if (!t || control_running(c, err) < 0)
        return -1;
    control_lock(c);
    if (!t->move_to)
        rc = tl_fail(err, TL_E_CONFLICT, "tenant \"%s\" is not being moved", t->name);
    else
        rc = store_tenant_stay(c->store, t->name, err);
    if (rc == 0) {
        tl_info(c->log, "control", "tenant %s: stays on cluster %s", t->name, t->cluster->name);
        t->state = TENANT_READY;
        t->move_from = t->move_to;
        t->move_to = NULL;
        keeper_kick(t->move_from);
        tenant_touch(c, t);
        turns_pass(c, t);
    }
    control_unlock(c);
    return rc < 0 ? -1 : control_tenant(c, tenant, true, answer, err);
}

/* --- what the keepers do --- */

static void waits(struct control *c, struct tenant *t, const char *why)
{
    control_lock(c);
    snprintf(t->move_waits, sizeof t->move_waits, "%s", why);
    control_unlock(c);
}

static int check_empty(struct pass *p, const struct tenant *t, struct tl_error *err)
{
    for (int i = 0; i < TL_TOPIC_COUNT; i++) {
        for (int32_t n = 0; n < t->partitions; n++) {
            struct broker_pending there;

            if (p->c->options.broker->pending(p->broker, t->topic[i], n, 0, CALL_MS, &there, err) < 0)
                return -1;
            if (there.first || there.records)
                return tl_fail(err, TL_E_CONFLICT,
                               "cluster \"%s\" has a topic %s with messages in it: delete it first",
                               p->cl->name, t->topic[i]);
        }
    }
    return 0;
}

/* By the keeper of the cluster that it moves to. */
static int make_there(struct pass *p, struct tenant *t, struct tl_error *err)
{
    struct control *c = p->c;
    int rc;

    TL_FAILPOINT(MOVE_BEFORE_TOPICS);
    if (c->options.broker->make_topics(p->broker, t->name, t->partitions, TOPICS_MS, err) < 0 ||
        check_empty(p, t, err) < 0 || pass_forget_earlier(p, t, err) < 0)
        return -1;
    p->spoke = true;
    TL_FAILPOINT(MOVE_AFTER_TOPICS);
    control_lock(c);
    rc = t->move_to == p->cl ? store_tenant_move_made(c->store, t->name, err) : 0;
    if (rc == 0 && t->move_to == p->cl) {
        t->move_made = true;
        snprintf(t->move_waits, sizeof t->move_waits, "what is on its way is being applied");
        keeper_kick(t->cluster);
    }
    control_unlock(c);
    return rc;
}

/* An upload that has to end first, under the lock; NULL: none. */
static const struct live *still_runs(const struct tenant *t)
{
    int64_t now = tl_clock_ms();

    for (const struct live *l = t->lives; l; l = l->after)
        if (l->u.state == UPLOAD_PROCESSING || l->u.wish != UPLOAD_SENDING ||
            (l->u.state == UPLOAD_SENDING && now - l->heard_ms <= SENDER_SILENT_MS))
            return l;
    return NULL;
}

static bool is_quiet(struct control *c, struct tenant *t)
{
    const struct live *l;

    control_lock(c);
    l = still_runs(t);
    if (l)
        snprintf(t->move_waits, sizeof t->move_waits, "upload %s has to end first", l->u.id);
    control_unlock(c);
    return !l;
}

/* Whether all of the partition is used by whoever reads it from `next` on; what is not is told. */
static int is_used(struct pass *p, struct tenant *t, enum tl_topic topic, int32_t partition, int64_t next,
                   struct tl_error *err)
{
    char why[TROUBLE_TEXT];
    struct broker_pending left;

    if (p->c->options.broker->pending(p->broker, t->topic[topic], partition, TL_MAX(next, 0), CALL_MS, &left,
                                      err) < 0)
        return -1;
    if (left.records == 0)
        return 1;
    snprintf(why, sizeof why, "%s [%d] has %lld messages that are not used yet", t->topic[topic],
             (int)partition, (long long)left.records);
    waits(p->c, t, why);
    return 0;
}

static int on_owed(void *app, const char *table, int64_t offset, struct tl_error *err)
{
    (void)offset;
    (void)err;
    snprintf(app, TL_NAME_MAX + 1, "%s", table);
    return 0;
}

/* What the sink has of it; 0 when it can't be asked now, which is told and is no matter of the cluster's; or 1. */
static int read_position(struct pass *p, struct tenant *t, struct sink *sink, enum tl_topic topic,
                         int32_t partition, int64_t *next)
{
    char position[TL_POSITION_NAME_MAX + 1], owed[TL_NAME_MAX + 1] = "", why[TROUBLE_TEXT];
    struct tl_error err;

    tl_topic_position(t->topic[topic], t->epoch, position);
    if (t->sink_ops->offset(sink, position, partition, next, &err) < 0 ||
        (topic == TL_TOPIC_VALIDATED_INPUT &&
         t->sink_ops->owed_tables(sink, position, partition, on_owed, owed, &err) < 0)) {
        waits(p->c, t, err.text);
        return 0;
    }
    if (owed[0]) {
        snprintf(why, sizeof why, "table \"%s\" is locked, and owed what came for it", owed);
        waits(p->c, t, why);
        return 0;
    }
    return 1;
}

/* sink NULL: there is nothing in it. */
static int is_applied(struct pass *p, struct tenant *t, struct sink *sink, enum tl_topic topic,
                      int32_t partition, struct tl_error *err)
{
    int64_t next = 0;

    if (sink && !read_position(p, t, sink, topic, partition, &next))
        return 0;
    return is_used(p, t, topic, partition, next, err);
}

/*
 * Whether everything is used: 1, or 0. In the order of the way: what the one before has passed on when all before it
 * was used is there when the next one is asked.
 */
static int is_drained(struct pass *p, struct tenant *t, struct sink *sink, struct tl_error *err)
{
    int rc = 1;

    for (int32_t n = 0; n < t->partitions && rc == 1; n++) {
        int64_t checked;

        rc = p->c->options.broker->committed(p->broker, t->validators, t->topic[TL_TOPIC_RAW_INPUT], n,
                                             CALL_MS, &checked, err) < 0
                 ? -1
                 : is_used(p, t, TL_TOPIC_RAW_INPUT, n, checked, err);
    }
    for (int32_t n = 0; n < t->partitions && rc == 1; n++)
        rc = is_applied(p, t, sink, TL_TOPIC_VALIDATED_INPUT, n, err);
    for (int32_t n = 0; n < t->partitions && rc == 1; n++)
        rc = is_applied(p, t, sink, TL_TOPIC_IMPORT_ERROR, n, err);
    return rc;
}

static int drain(struct pass *p, struct tenant *t, struct tl_error *err)
{
    struct tl_error why;
    struct sink *sink = control_open_sink(p->c, t, PATIENCE_MS, &why);
    int rc = 0;

    if (sink || why.code == TL_E_NOT_FOUND)
        rc = is_drained(p, t, sink, err);
    else
        waits(p->c, t, why.text);
    t->sink_ops->close(sink);
    return rc;
}

/* From here on it lives there. Unless an upload came back meanwhile. */
static int switch_over(struct pass *p, struct tenant *t, struct tl_error *err)
{
    struct control *c = p->c;
    int rc = 0;

    TL_FAILPOINT(MOVE_BEFORE_SWITCH);
    control_lock(c);
    if (t->move_to && !still_runs(t)) {
        rc = store_tenant_switch(c->store, t->name, t->epoch + 1, err);
        if (rc == 0) {
            t->cluster->nlive -= t->nlive;
            t->move_to->nlive += t->nlive;
            t->move_from = t->cluster;
            t->cluster = t->move_to;
            t->move_to = NULL;
            t->epoch++;
            t->state = TENANT_READY;
            t->ready = false;    /* until its keeper has seen that its topics are still there */
            t->topics_found = 0; /* those were here */
            snprintf(t->trouble, sizeof t->trouble, "its topics are being looked at");
            t->applied_sum = t->still = -1;
            tenant_touch(c, t);
            keeper_kick(t->cluster);
            turns_pass(c, t);
            tl_info(c->log, "control", "tenant %s: lives on cluster %s now, epoch %lld", t->name,
                    t->cluster->name, (long long)t->epoch);
        }
    }
    control_unlock(c);
    if (rc == 0)
        TL_FAILPOINT(MOVE_AFTER_SWITCH);
    return rc;
}

/* By the keeper of the cluster that it moves from. */
static int leave(struct pass *p, struct tenant *t, struct tl_error *err)
{
    int rc;

    if (!is_quiet(p->c, t))
        return 0;
    rc = drain(p, t, err);
    if (rc == 1)
        rc = switch_over(p, t, err);
    return rc < 0 ? -1 : 0;
}

/* By the keeper of the cluster that it does not live on any more. */
static int clear(struct pass *p, struct tenant *t, struct tl_error *err)
{
    struct control *c = p->c;
    int rc;

    if (c->options.broker->delete_topics(p->broker, t->name, TOPICS_MS, err) < 0)
        return -1;
    p->spoke = true;
    TL_FAILPOINT(MOVE_BEFORE_CLEARED);
    control_lock(c);
    rc = store_tenant_cleared(c->store, t->name, err);
    if (rc == 0) {
        tl_info(c->log, "control", "tenant %s: its topics on cluster %s are deleted", t->name, p->cl->name);
        t->move_from = NULL;
        p->cl->look_wanted = true;
    }
    control_unlock(c);
    return rc;
}

enum task { NOTHING, MAKE, LEAVE, CLEAR };

static enum task task_of(struct pass *p, struct tenant *t)
{
    enum task task = NOTHING;

    control_lock(p->c);
    if (t->move_to == p->cl && !t->move_made)
        task = MAKE;
    else if (t->move_to && t->move_made && t->cluster == p->cl)
        task = LEAVE;
    else if (t->move_from == p->cl)
        task = CLEAR;
    control_unlock(p->c);
    return task;
}

bool pass_moves(struct pass *p, bool *busy)
{
    static int (*const tasks[])(struct pass * p, struct tenant * t, struct tl_error * err) = {
        [MAKE] = make_there, [LEAVE] = leave, [CLEAR] = clear};
    struct tl_error err;

    *busy = false;
    for (struct tenant *t = atomic_load(&p->c->tenants); t; t = atomic_load(&t->next)) {
        enum task task = atomic_load(&t->gone) ? NOTHING : task_of(p, t);

        if (task == NOTHING)
            continue;
        if (tasks[task](p, t, &err) == 0) {
            *busy |= task_of(p, t) != NOTHING;
            continue;
        }
        waits(p->c, t, err.text);
        *busy = true;
        if (err.code != TL_E_CONFLICT && !pass_note(p, &err))
            return false;
    }
    return true;
}
