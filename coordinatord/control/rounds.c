/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the keeper writes into every partition of a tenant's raw-input, in rounds: of each tenant of the cluster one
 * version and one cancel message, then of each the next ones. So a tenant that has hundreds of them is as far in a
 * round as one that has a single one, and one that comes later waits for no more than what is under way of a round.
 *
 *   pending version (store)     ──► schema message in every partition ──► active, and who waits for it goes on
 *     that a table is dropped   ──► its uploads are wished to stop, before all that
 *   wish to stop (upload)       ──► cancel message in every partition
 *
 * A pass has only so many rounds, since there are other things in it; what is left is for the next, at once.
 */
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "shared/base/clock.h"
#include "shared/base/failpoint.h"

enum { WRITE_MS = 10000, AWAIT_MS = 20000, ROUNDS = 8 };

/* --- versions --- */

static int stop_uploads(struct pass *p, const struct tl_schema *schema, struct tl_error *err)
{
    char reason[TL_NAME_MAX + 40];

    snprintf(reason, sizeof reason, "table \"%s\" was dropped", schema->table);
    return live_stop_table(p->c, schema->table_id, reason, err);
}

static int write_version(struct pass *p, struct tenant *t, const struct pending_version *v,
                         struct tl_error *err)
{
    struct tl_envelope e;
    struct tl_schema *schema;
    bool dropped;
    int rc;

    if (tl_schema_from_text(tl_str(v->schema), &schema, err) < 0)
        return -1;
    tl_envelope_init(&e, TL_MSG_SCHEMA);
    e.table = tl_str(schema->table);
    e.table_id = v->table_id;
    e.version = v->version;
    dropped = schema->dropped;
    control_lock(p->c);
    tenant_stir(p->c, t);
    control_unlock(p->c);
    TL_FAILPOINT(CONTROL_BEFORE_SCHEMA);
    rc = dropped ? stop_uploads(p, schema, err) : 0;
    if (rc == 0)
        rc = p->c->options.broker->write_all(p->broker, t->topic[TL_TOPIC_RAW_INPUT], t->partitions, &e,
                                             tl_str(v->schema), WRITE_MS, err);
    if (rc == 0) {
        p->spoke = true;
        TL_FAILPOINT(CONTROL_BEFORE_ACTIVATE);
        rc = store_version_activate(p->c->store, v->table_id, v->version, dropped, err);
    }
    if (rc == 0)
        tl_info(p->c->log, "control", "tenant %s: table %s (%lld) version %d is %s", t->name, schema->table,
                (long long)v->table_id, (int)v->version, dropped ? "dropped" : "active");
    tl_schema_free(schema);
    return rc;
}

/* The next of the tenant's that was not tried in this pass: 1, or 0 when there is none. */
static int write_next_version(struct pass *p, struct tenant *t, struct tl_error *err)
{
    struct control *c = p->c;
    struct pending_version v;
    int rc = store_pending_next(c->store, t->name, t->tried_table, t->tried_version, &v, err);

    if (rc != 1)
        return rc;
    t->tried_table = v.table_id;
    t->tried_version = v.version;
    rc = write_version(p, t, &v, err);
    free(v.schema);
    control_lock(c);
    p->cl->written += rc == 0;
    pthread_cond_broadcast(&c->settled);
    control_unlock(c);
    return rc < 0 ? -1 : 1;
}

/* Each tenant's next version. */
static bool round_of_versions(struct pass *p, bool *any)
{
    char name[TL_TENANT_MAX + 1] = "";
    struct tl_error err;
    int rc;

    while ((rc = store_pending_tenant(p->c->store, name, name, &err)) == 1) {
        struct tenant *t = tenant_find(p->c, name, &err);

        if (!t || tenant_cluster(p->c, t) != p->cl || !t->ready)
            continue;
        rc = write_next_version(p, t, &err);
        *any |= rc != 0;
        if (rc < 0 && !pass_note(p, &err))
            return false;
    }
    return rc == 0 || pass_note(p, &err);
}

/* --- cancel messages --- */

/* The tenant's next upload whose wish is not written yet and was not tried in this pass, with a reference; or NULL. */
static struct live *next_wish(struct pass *p, struct tenant *t)
{
    struct live *found = NULL;

    control_lock(p->c);
    for (struct live *l = t->cluster == p->cl && t->ready ? t->lives : NULL; l; l = l->after)
        if (l->u.wish != UPLOAD_SENDING && !l->cancel_written && l->u.rowid > t->tried_upload &&
            (!found || l->u.rowid < found->u.rowid))
            found = l;
    if (found) {
        live_ref(found);
        t->tried_upload = found->u.rowid;
    }
    control_unlock(p->c);
    return found;
}

static char *cancel_value(struct control *c, struct live *l)
{
    json_t *json;
    char *text = NULL;

    control_lock(c);
    json = json_pack("{s:s, s:s}", "reason", l->u.reason, "state", upload_state_name(l->u.wish));
    control_unlock(c);
    if (json)
        text = json_dumps(json, JSON_COMPACT | JSON_ENSURE_ASCII);
    json_decref(json);
    return text;
}

static int write_cancel(struct pass *p, struct live *l, struct tl_error *err)
{
    /* What names an upload never changes, so it is read without the lock. */
    const struct tenant *t = l->tenant;
    char *value = cancel_value(p->c, l);
    struct tl_envelope e;
    int rc;

    if (!value)
        return tl_fail_nomem(err);
    tl_envelope_init(&e, TL_MSG_CANCEL);
    e.upload = tl_str(l->u.id);
    e.table = tl_str(l->u.table);
    e.table_id = l->u.table_id;
    e.version = l->u.version;
    rc = p->c->options.broker->write_all(p->broker, t->topic[TL_TOPIC_RAW_INPUT], t->partitions, &e,
                                         tl_str(value), WRITE_MS, err);
    free(value);
    if (rc == 0)
        p->spoke = true;
    return rc;
}

static bool round_of_cancels(struct pass *p, bool *any)
{
    struct control *c = p->c;
    struct tl_error err;

    for (struct tenant *t = atomic_load(&c->tenants); t; t = atomic_load(&t->next)) {
        struct live *l = next_wish(p, t);
        int rc;

        if (!l)
            continue;
        rc = write_cancel(p, l, &err);
        *any = true;
        control_lock(c);
        if (rc == 0) {
            l->cancel_written = true;
            live_look_now(l);
        }
        live_unref(l);
        control_unlock(c);
        if (rc < 0 && !pass_note(p, &err))
            return false;
    }
    return true;
}

/* --- rounds --- */

bool pass_rounds(struct pass *p)
{
    for (struct tenant *t = atomic_load(&p->c->tenants); t; t = atomic_load(&t->next)) {
        if (tenant_cluster(p->c, t) != p->cl)
            continue;
        t->tried_table = 0;
        t->tried_version = 0;
        t->tried_upload = 0;
    }
    for (int i = 0; i < ROUNDS; i++) {
        bool any = false;

        if (!round_of_versions(p, &any) || !round_of_cancels(p, &any))
            return false;
        if (!any)
            return true;
    }
    p->left = true;
    return true;
}

int keeper_await_version(struct cluster *cl, int64_t table_id, int32_t version, struct tl_error *err)
{
    struct control *c = cl->control;
    int64_t deadline = tl_clock_ms() + AWAIT_MS;
    uint64_t written, pass;
    int pending;

    control_lock(c);
    pass = cl->passes_begun + 1;
    keeper_kick(cl);
    for (;;) {
        pending = store_version_pending(c->store, table_id, version, err);
        /* A pass that saw it and left nothing to the next has tried it. */
        if (pending <= 0 || (cl->passes_done >= pass && !cl->left) || atomic_load(&cl->stop))
            break;
        written = cl->written;
        while (cl->written == written && (cl->passes_done < pass || cl->left) && !atomic_load(&cl->stop) &&
               control_wait(c, &c->settled, deadline))
            ;
        if (tl_clock_ms() >= deadline)
            break;
    }
    control_unlock(c);
    return pending;
}
