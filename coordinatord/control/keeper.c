/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The one thread that talks to Kafka for control. A pass:
 *
 *   topics of tenants that are not ready ──► made
 *   pending versions (store)             ──► schema message in every partition of raw-input ──► active
 *     that a table is dropped            ──► its uploads are wished to stop, before all that
 *   wishes to stop (uploads)             ──► cancel message in every partition of raw-input
 *   what has been applied                ──► trimmed from all topics, now and then (trim.c)
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
    WRITE_MS = 5000,
    PING_MS = 3000,
    AWAIT_MS = 20000,
    RETRY_MIN_MS = 250,
    RETRY_MAX_MS = 5000,
    IDLE_MS = 10000
};

struct pass {
    struct control *c;
    struct broker *broker;
    bool failed;
    struct tl_error err; /* the first failure */
    bool spoke;          /* Kafka answered */
};

/* Returns whether the pass may go on: after a failure that has to do with one thing alone it does. */
static bool note_failure(struct pass *p, const struct tl_error *err)
{
    if (!p->failed)
        p->err = *err;
    p->failed = true;
    return !tl_error_retriable(err) && !atomic_load(&p->c->stop);
}

/* --- topics --- */

static void tenant_set(struct control *c, struct tenant *t, bool ready, bool broken, const char *trouble)
{
    control_lock(c);
    if (broken && !t->broken)
        tl_warn(c->log, "control", "tenant %s: %s", t->row.tenant, trouble);
    if (ready && !t->ready)
        tl_info(c->log, "control", "tenant %s: topics are ready, %d partitions", t->row.tenant,
                (int)t->row.partitions);
    t->ready = ready;
    t->broken = broken;
    snprintf(t->trouble, sizeof t->trouble, "%s", trouble);
    control_unlock(c);
}

static bool pass_topics(struct pass *p)
{
    struct tl_error err;

    for (size_t i = 0; i < p->c->ntenants; i++) {
        struct tenant *t = p->c->tenants[i];

        /* Only this thread writes it. */
        if (t->ready)
            continue;
        if (p->c->options.broker->make_topics(p->broker, t->row.tenant, t->row.partitions, TOPICS_MS, &err) ==
            0) {
            p->spoke = true;
            tenant_set(p->c, t, true, false, "");
        } else {
            tenant_set(p->c, t, false, err.code == TL_E_CONFLICT, err.text);
            if (!note_failure(p, &err))
                return false;
        }
    }
    return true;
}

/* --- versions --- */

static int stop_uploads(struct pass *p, const struct tl_schema *schema, struct tl_error *err)
{
    char reason[TL_NAME_MAX + 40];

    snprintf(reason, sizeof reason, "table \"%s\" was dropped", schema->table);
    return live_stop_table(p->c, schema->table_id, reason, err);
}

static int write_version(struct pass *p, const struct tenant *t, const struct pending_version *v,
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
    TL_FAILPOINT(CONTROL_BEFORE_SCHEMA);
    rc = dropped ? stop_uploads(p, schema, err) : 0;
    if (rc == 0)
        rc = p->c->options.broker->write_all(p->broker, t->topic[TL_TOPIC_RAW_INPUT], t->row.partitions, &e,
                                             tl_str(v->schema), WRITE_MS, err);
    if (rc == 0) {
        p->spoke = true;
        TL_FAILPOINT(CONTROL_BEFORE_ACTIVATE);
        rc = store_version_activate(p->c->store, v->table_id, v->version, dropped, err);
    }
    if (rc == 0)
        tl_info(p->c->log, "control", "tenant %s: table %s (%lld) version %d is %s", t->row.tenant,
                schema->table, (long long)v->table_id, (int)v->version, dropped ? "dropped" : "active");
    tl_schema_free(schema);
    return rc;
}

static bool pass_versions(struct pass *p)
{
    struct pending_version v = {0};
    struct tl_error err;
    int64_t table_id = 0;
    int32_t version = 0;
    int rc;

    while ((rc = store_pending_next(p->c->store, table_id, version, &v, &err)) == 1) {
        const struct tenant *t = tenant_find(p->c, v.tenant, &err);

        table_id = v.table_id;
        version = v.version;
        rc = !t ? -1 : t->ready ? write_version(p, t, &v, &err) : 0;
        free(v.schema);
        if (rc < 0 && !note_failure(p, &err))
            return false;
    }
    return rc == 0 || note_failure(p, &err);
}

/* --- cancel messages --- */

/* The next upload behind rowid whose wish is not written yet, with a reference; NULL when there is none. */
static struct live *next_wish(struct control *c, int64_t rowid)
{
    struct live *found = NULL;

    control_lock(c);
    for (size_t i = 0; i < LIVE_BUCKETS; i++)
        for (struct live *l = c->live[i]; l; l = l->next)
            if (l->u.wish != UPLOAD_SENDING && !l->cancel_written && l->tenant->ready && l->u.rowid > rowid &&
                (!found || l->u.rowid < found->u.rowid))
                found = l;
    if (found)
        live_ref(found);
    control_unlock(c);
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
    rc = p->c->options.broker->write_all(p->broker, t->topic[TL_TOPIC_RAW_INPUT], t->row.partitions, &e,
                                         tl_str(value), WRITE_MS, err);
    free(value);
    if (rc == 0)
        p->spoke = true;
    return rc;
}

static bool pass_cancels(struct pass *p)
{
    struct control *c = p->c;
    struct tl_error err;
    struct live *l;
    int64_t rowid = 0;

    while ((l = next_wish(c, rowid)) != NULL) {
        int rc = write_cancel(p, l, &err);

        rowid = l->u.rowid;
        control_lock(c);
        if (rc == 0) {
            l->cancel_written = true;
            live_look_now(c, l);
        }
        live_unref(l);
        control_unlock(c);
        if (rc < 0 && !note_failure(p, &err))
            return false;
    }
    return true;
}

/* --- the thread --- */

static void publish(struct pass *p)
{
    struct control *c = p->c;
    const char *trouble = p->failed && p->err.code != TL_E_CONFLICT ? p->err.text : "";

    control_lock(c);
    if (*trouble && !c->kafka_trouble[0] && !atomic_load(&c->stop))
        tl_warn(c->log, "control", "%s", trouble);
    if (!*trouble && c->kafka_trouble[0])
        tl_info(c->log, "control", "Kafka is in reach again");
    snprintf(c->kafka_trouble, sizeof c->kafka_trouble, "%s", trouble);
    for (size_t i = 0; i < c->ntenants; i++)
        if (c->tenants[i]->ready)
            snprintf(c->tenants[i]->trouble, sizeof c->tenants[i]->trouble, "%s", trouble);
        else if (!c->tenants[i]->broken && *trouble)
            snprintf(c->tenants[i]->trouble, sizeof c->tenants[i]->trouble, "%s", trouble);
    c->passes_done = c->passes_begun;
    pthread_cond_broadcast(&c->settled);
    control_unlock(c);
}

static void ping(struct pass *p)
{
    struct tl_error err;

    if (!p->spoke && p->c->ntenants &&
        p->c->options.broker->ping(p->broker, p->c->tenants[0]->topic[TL_TOPIC_RAW_INPUT], PING_MS, &err) < 0)
        note_failure(p, &err);
}

static bool run_pass(struct control *c, struct broker **broker)
{
    struct pass p = {.c = c};

    if (!*broker)
        *broker = c->options.broker->open(c->options.config, c->log, &c->stop, &p.err);
    if (!*broker) {
        p.failed = true;
    } else {
        p.broker = *broker;
        if (pass_topics(&p) && pass_versions(&p) && pass_cancels(&p))
            ping(&p);
    }
    publish(&p);
    return !p.failed;
}

void *keeper_run(void *control)
{
    struct control *c = control;
    struct broker *broker = NULL;
    int64_t trim_every = (int64_t)c->options.config->trim_seconds * 1000;
    int64_t trim_at = tl_clock_ms() + trim_every;
    int retry = RETRY_MIN_MS;

    control_lock(c);
    while (!atomic_load(&c->stop)) {
        int64_t until;
        bool fine;

        c->keeper_kicked = false;
        c->passes_begun++;
        control_unlock(c);
        fine = run_pass(c, &broker);
        /* Nobody waits for this. */
        if (fine && tl_clock_ms() >= trim_at && trim_pass(c, broker))
            trim_at = tl_clock_ms() + trim_every;
        control_lock(c);
        until = fine ? TL_MIN(tl_clock_ms() + IDLE_MS, trim_at) : tl_clock_ms() + retry;
        retry = fine ? RETRY_MIN_MS : TL_MIN(retry * 2, RETRY_MAX_MS);
        while (!c->keeper_kicked && !atomic_load(&c->stop) && control_wait(c, &c->keeper_wake, until))
            ;
    }
    control_unlock(c);
    c->options.broker->close(broker);
    return NULL;
}

void keeper_kick(struct control *c)
{
    c->keeper_kicked = true;
    pthread_cond_signal(&c->keeper_wake);
}

uint64_t keeper_ask(struct control *c)
{
    uint64_t pass;

    control_lock(c);
    pass = c->passes_begun + 1;
    keeper_kick(c);
    control_unlock(c);
    return pass;
}

int keeper_await(struct control *c, uint64_t pass, struct tl_error *err)
{
    int64_t deadline = tl_clock_ms() + AWAIT_MS;
    bool done;

    control_lock(c);
    while (c->passes_done < pass && !atomic_load(&c->stop) && control_wait(c, &c->settled, deadline))
        ;
    done = c->passes_done >= pass;
    control_unlock(c);
    if (!done)
        return control_running(c, err) < 0 ? -1 : tl_fail(err, TL_E_UNAVAILABLE, "Kafka is slow to answer");
    return 0;
}
