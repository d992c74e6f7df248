/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tenants that there are: found, and shown. How they come and go is in tenant_admin.c and removal.c. */
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "coordinatord/control/redact.h"
#include "shared/base/clock.h"

enum { ROLES_WAIT_MAX_MS = 30000 };

static void tenant_free(struct tenant *t)
{
    free(t->sink_url);
    free(t->errors_url);
    free(t);
}

/* Its own URL, which is taken over, or a copy of the configuration's. */
static int take_url(char **own, const char *otherwise, char **out, struct tl_error *err)
{
    *out = *own ? *own : strdup(otherwise);
    *own = NULL;
    return *out ? 0 : tl_fail_nomem(err);
}

static int read_move(struct control *c, const struct tenant_row *row, struct tenant *t, struct tl_error *err)
{
    if (row->move_to[0] && !(t->move_to = cluster_find(c, row->move_to, err)))
        return -1;
    if (row->move_from[0] && !(t->move_from = cluster_find(c, row->move_from, err)))
        return -1;
    t->move_made = row->move_step > 0;
    return 0;
}

static struct tenant *tenant_new(struct control *c, struct tenant_row *row, struct tl_error *err)
{
    const struct config *config = c->options.config;
    struct tenant *t = calloc(1, sizeof *t);

    if (!t) {
        tl_fail_nomem(err);
        return NULL;
    }
    memcpy(t->name, row->tenant, sizeof t->name);
    memcpy(t->who, row->who, sizeof t->who);
    t->partitions = row->partitions;
    t->group = row->group;
    tl_group_name("validate", t->group, t->validators);
    t->created_ms = row->created_ms;
    t->state = row->state;
    t->epoch = row->epoch;
    t->max_uploads = row->max_uploads;
    t->max_bytes_per_second = row->max_bytes_per_second;
    t->applied_sum = t->still = -1;
    t->stirred = tl_clock_wall_ms(); /* another number than before a restart, for the roles */
    atomic_init(&t->removing, row->state == TENANT_REMOVING);
    for (int i = 0; i < TL_TOPIC_COUNT; i++)
        tl_topic_name((enum tl_topic)i, tl_str(t->name), t->topic[i]);
    snprintf(t->trouble, sizeof t->trouble, "its topics are being made");
    if (take_url(&row->sink_url, config->sink_url, &t->sink_url, err) == 0 &&
        take_url(&row->errors_url, config->errors_url, &t->errors_url, err) == 0 &&
        (t->sink_ops = c->options.sink_for(t->sink_url, err)) != NULL &&
        (t->errstore = c->options.errstore_for(t->errors_url, err)) != NULL &&
        (t->cluster = cluster_find(c, row->cluster, err)) != NULL && read_move(c, row, t, err) == 0)
        return t;
    tl_error_prefix(err, "tenant \"%s\"", t->name);
    tenant_free(t);
    return NULL;
}

struct tenant *tenant_insert(struct control *c, struct tenant_row *row, struct tl_error *err)
{
    struct tenant *t = tenant_new(c, row, err), *after;
    _Atomic(struct tenant *) *at = &c->tenants;

    if (!t)
        return NULL;
    while ((after = atomic_load(at)) != NULL && strcmp(after->name, t->name) < 0)
        at = &after->next;
    atomic_init(&t->next, after);
    atomic_store(at, t); /* whoever walks the list meets it whole, or not yet */
    c->ntenants++;
    tenant_touch(c, t);
    return t;
}

static int load_tenant(void *app, struct tenant_row *row, struct tl_error *err)
{
    return tenant_insert(app, row, err) ? 0 : -1;
}

int tenants_load(struct control *c, struct tl_error *err)
{
    c->tenants_life = c->tenants_change = tl_clock_wall_ms();
    return store_tenants(c->store, load_tenant, c, err);
}

void tenants_free(struct control *c)
{
    struct tenant *t = atomic_load(&c->tenants), *next;

    for (; t; t = next) {
        next = atomic_load(&t->next);
        tenant_free(t);
    }
    atomic_store(&c->tenants, NULL);
}

int control_no_tenant(struct tl_error *err)
{
    return tl_fail(err, TL_E_NOT_FOUND, "no such tenant");
}

struct tenant *tenant_find_any(struct control *c, const char *name, struct tl_error *err)
{
    for (struct tenant *t = atomic_load(&c->tenants); t; t = atomic_load(&t->next))
        if (!atomic_load(&t->gone) && strcmp(t->name, name) == 0)
            return t;
    control_no_tenant(err);
    return NULL;
}

struct tenant *tenant_find(struct control *c, const char *name, struct tl_error *err)
{
    struct tenant *t = tenant_find_any(c, name, err);

    if (!t || !atomic_load(&t->removing))
        return t;
    control_no_tenant(err);
    return NULL;
}

struct cluster *tenant_cluster(struct control *c, const struct tenant *t)
{
    struct cluster *cl;

    control_lock(c);
    cl = t->cluster;
    control_unlock(c);
    return cl;
}

bool tenant_is_on(struct control *c, const struct tenant *t, const struct cluster *cl)
{
    return !atomic_load(&t->removing) && tenant_cluster(c, t) == cl;
}

bool tenant_has_topics(const struct tenant *t, const struct cluster *cl)
{
    return t->cluster == cl || t->move_to == cl || t->move_from == cl;
}

void tenant_touch(struct control *c, struct tenant *t)
{
    t->change = c->tenants_change = TL_MAX(c->tenants_change + 1, tl_clock_wall_ms());
    pthread_cond_broadcast(&c->tenants_changed);
}

void tenant_stir(struct control *c, struct tenant *t)
{
    t->stirred++;
    tenant_touch(c, t);
}

int tenant_usable(struct control *c, struct tenant *t, struct tl_error *err)
{
    enum { FIRST_PASS_MS = 3000 };
    int64_t deadline = tl_clock_ms() + FIRST_PASS_MS;
    int rc = 0;

    control_lock(c);
    /* Right after the start nothing is known of the topics, which most likely are there. */
    while (!t->ready && t->cluster->passes_done == 0 && !atomic_load(&c->stop) &&
           control_wait(c, &c->settled, deadline))
        ;
    if (atomic_load(&t->removing))
        rc = control_no_tenant(err);
    else if (t->broken)
        rc = tl_fail(err, TL_E_FATAL, "tenant \"%s\" can't be used: %s", t->name, t->trouble);
    else if (!t->ready)
        rc = tl_fail(err, TL_E_UNAVAILABLE, "tenant \"%s\" is not ready: %s", t->name, t->trouble);
    control_unlock(c);
    return rc;
}

/* --- JSON --- */

static const char *state_of(const struct tenant *t)
{
    if (t->state == TENANT_REMOVING || t->state == TENANT_MOVING)
        return tenant_state_name(t->state);
    return t->broken ? "broken" : tenant_state_name(t->ready ? TENANT_READY : TENANT_PREPARING);
}

json_t *tenant_to_json(struct control *c, const struct tenant *t, bool secrets)
{
    const struct config *config = c->options.config;
    const char *waiting = t->trouble[0] ? t->trouble
                          : t->move_to  ? t->move_waits
                                        : report_for(c, t->name, NULL, tl_clock_ms());
    json_t *kafka = tl_kafka_conf_to_json(&t->cluster->kafka), *json = NULL;
    char *sink = secrets ? strdup(t->sink_url) : redact_url(t->sink_url);
    char *errors = secrets ? strdup(t->errors_url) : redact_url(t->errors_url);
    char when[TL_CLOCK_TEXT];

    tl_clock_text(t->created_ms, when);
    if (kafka && sink && errors && (secrets || redact_kafka(kafka) == 0))
        json = json_pack(
            "{s:s, s:s, s:i, s:I, s:s, s:b, s:s?, s:s?, s:{s:s, s:s, s:s}, s:O, s:s, s:s, s:s, s:I, s:I, s:I,"
            " s:s, s:s, s:s?, s:s?}",
            "tenant", t->name, "cluster", t->cluster->name, "partitions", (int)t->partitions, "epoch",
            (json_int_t)t->epoch, "state", state_of(t), "ready", (int)t->ready, "waiting", waiting, "alarm",
            t->alarm[0] ? t->alarm : NULL, "topics", "raw_input", t->topic[TL_TOPIC_RAW_INPUT],
            "validated_input", t->topic[TL_TOPIC_VALIDATED_INPUT], "import_error",
            t->topic[TL_TOPIC_IMPORT_ERROR], "kafka", kafka, "compression", config->compression, "sink", sink,
            "errors", errors, "uploads", (json_int_t)t->nlive, "max_uploads", (json_int_t)t->max_uploads,
            "max_bytes_per_second", (json_int_t)t->max_bytes_per_second, "created_at", when, "created_by",
            t->who, "moving_to", t->move_to ? t->move_to->name : NULL, "leaving",
            t->move_from ? t->move_from->name : NULL);
    json_decref(kafka);
    free(sink);
    free(errors);
    return json;
}

static json_t *for_roles(struct control *c, const struct tenant *t)
{
    json_t *json = tenant_to_json(c, t, true);

    if (json &&
        (json_object_set_new(json, "active", json_boolean(t->nlive > 0 || t->state == TENANT_MOVING)) ||
         json_object_set_new(json, "group", json_integer(t->group)) ||
         json_object_set_new(json, "stirred", json_integer(t->stirred)))) {
        json_decref(json);
        json = NULL;
    }
    return json;
}

/* Roles that have seen nothing yet need not know of those that are being removed; who knew them has to. */
static bool is_due(const struct tenant *t, bool roles, int64_t seen)
{
    if (!roles)
        return !atomic_load(&t->gone);
    return seen < 0 ? !atomic_load(&t->removing) : t->change > seen;
}

/* Under the lock. For users, or for the roles what has changed since `seen`; -1: all that there are. */
static int list(struct control *c, bool roles, int64_t seen, int limit, const char *cursor, json_t **answer,
                struct tl_error *err)
{
    json_t *tenants = json_array();
    const char *before = NULL, *last = NULL, *next = NULL;
    int failed = 0;

    for (struct tenant *t = atomic_load(&c->tenants); t && !failed && !next; t = atomic_load(&t->next)) {
        /* One that was made again comes before those that had its name, which are of no interest then. */
        bool again = before && strcmp(t->name, before) == 0;

        before = t->name;
        if (again || !is_due(t, roles, seen) || (cursor && strcmp(t->name, cursor) <= 0))
            continue;
        if ((int)json_array_size(tenants) == limit)
            next = last;
        else
            failed = json_array_append_new(tenants, roles ? for_roles(c, t) : tenant_to_json(c, t, false));
        last = t->name;
    }
    if (failed) {
        json_decref(tenants);
        return tl_fail_nomem(err);
    }
    return control_answer(json_pack("{s:o, s:s?}", "tenants", tenants, "next", next), answer, err);
}

int control_tenants(struct control *c, int limit, const char *cursor, json_t **answer, struct tl_error *err)
{
    int rc;

    control_lock(c);
    rc = list(c, false, -1, limit, cursor, answer, err);
    control_unlock(c);
    return rc;
}

int control_roles_tenants(struct control *c, int limit, const char *cursor, int wait_ms, int64_t life,
                          int64_t seen, json_t **answer, struct tl_error *err)
{
    int64_t deadline = tl_clock_ms() + TL_MIN(wait_ms, ROLES_WAIT_MAX_MS);
    int rc;

    control_lock(c);
    if (life != c->tenants_life)
        seen = -1; /* of an earlier one: who was removed in that is not known */
    while (wait_ms > 0 && c->tenants_change == seen && !atomic_load(&c->stop) &&
           control_wait(c, &c->tenants_changed, deadline))
        ;
    rc = list(c, true, seen, limit, cursor, answer, err);
    if (rc == 0 && (json_object_set_new(*answer, "life", json_integer(c->tenants_life)) ||
                    json_object_set_new(*answer, "change", json_integer(c->tenants_change)) ||
                    json_object_set_new(*answer, "all", json_boolean(seen < 0)))) {
        json_decref(*answer);
        rc = tl_fail_nomem(err);
    }
    control_unlock(c);
    return rc;
}

int control_tenant(struct control *c, const char *tenant, bool admin, json_t **answer, struct tl_error *err)
{
    struct tenant *t = admin ? tenant_find_any(c, tenant, err) : tenant_find(c, tenant, err);
    json_t *json;

    if (!t)
        return -1;
    control_lock(c);
    json = tenant_to_json(c, t, false);
    control_unlock(c);
    return control_answer(json, answer, err);
}
