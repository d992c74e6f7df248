/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tenants are made, set and removed:
 *
 *   create ──► reserved and stored as preparing ──► topics ──► ready            store, keeper, store
 *   remove ──► stored as removing ──► its uploads failed ──► topics deleted ──► all of it is deleted
 *                                                     keeper (removal.c)
 *
 * Each arrow may be the last thing that a process does: the keeper finishes both after the next start.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "coordinatord/control/request.h"
#include "shared/base/clock.h"
#include "shared/base/failpoint.h"

enum { NAME_TEXT_MAX = 4096, URL_TEXT_MAX = 4096, PARTITIONS_MAX = 10000, READY_MS = 5000 };

/* --- create --- */

/* Names that a data sink has for itself. */
static int check_name(const char *name, struct tl_error *err)
{
    if (!tl_tenant_valid(tl_str(name)))
        return tl_fail(
            err, TL_E_REFUSED,
            "\"%.60s\" can't be the name of a tenant: small letters, digits and '-', a letter first, at"
            " most %d",
            name, TL_TENANT_MAX);
    if (strcmp(name, "tload") == 0)
        return tl_fail(err, TL_E_REFUSED,
                       "no tenant can be named \"tload\": the ledger has that name in data sinks");
    return 0;
}

static int copy_url(const char *url, char **out, struct tl_error *err)
{
    *out = strdup(url);
    return *out ? 0 : tl_fail_nomem(err);
}

static int read_urls(struct control *c, const json_t *request, struct tenant_row *row, struct tl_error *err)
{
    const char *sink = NULL, *errors = NULL;
    const struct sink_ops *sink_ops;
    const struct errstore_ops *errstore;

    if (request_text(request, "sink", URL_TEXT_MAX, &sink, err) < 0 ||
        request_text(request, "errors", URL_TEXT_MAX, &errors, err) < 0)
        return -1;
    if (sink) {
        sink_ops = c->options.sink_for(sink, err);
        if (!sink_ops || sink_ops->check_url(sink, err) < 0) {
            err->code = TL_E_REFUSED;
            return tl_error_prefix(err, "\"sink\"");
        }
        if (copy_url(sink, &row->sink_url, err) < 0)
            return -1;
    }
    if (errors) {
        errstore = c->options.errstore_for(errors, err);
        if (!errstore || errstore->check_url(errors, err) < 0) {
            err->code = TL_E_REFUSED;
            return tl_error_prefix(err, "\"errors\"");
        }
        if (copy_url(errors, &row->errors_url, err) < 0)
            return -1;
    }
    return 0;
}

static int read_limits(const json_t *request, int64_t *max_uploads, int64_t *max_bytes, struct tl_error *err)
{
    return request_number(request, "max_uploads", 0, LIVE_MAX, max_uploads, err) < 0 ||
                   request_number(request, "max_bytes_per_second", 0, INT64_MAX, max_bytes, err) < 0
               ? -1
               : 0;
}

static int read_request(struct control *c, const json_t *request, struct tenant_row *row,
                        struct placement *place, struct tl_error *err)
{
    const char *name = NULL;
    int64_t partitions = c->options.config->partitions;

    if (request_members(request, "the tenant",
                        "tenant partitions cluster sink errors max_uploads max_bytes_per_second", err) < 0 ||
        request_text(request, "tenant", NAME_TEXT_MAX, &name, err) < 0 ||
        request_text(request, "cluster", NAME_TEXT_MAX, &place->cluster, err) < 0 ||
        request_number(request, "partitions", 1, PARTITIONS_MAX, &partitions, err) < 0 ||
        read_limits(request, &row->max_uploads, &row->max_bytes_per_second, err) < 0)
        return -1;
    if (!name)
        return tl_fail(err, TL_E_REFUSED, "\"tenant\" is missing");
    if (check_name(name, err) < 0)
        return -1;
    snprintf(row->tenant, sizeof row->tenant, "%s", name);
    row->partitions = place->partitions = (int32_t)partitions;
    row->created_ms = tl_clock_wall_ms();
    return read_urls(c, request, row, err);
}

/* Reserved and stored, then seen; all under the lock, so that no two of them look for room at a time. */
static struct tenant *add(struct control *c, struct tenant_row *row, struct placement *place,
                          struct tl_error *err)
{
    struct tenant *t = NULL;

    control_lock(c);
    if (c->ntenants >= TENANTS_MAX)
        tl_fail(err, TL_E_REFUSED, "there are %d tenants already, and no more are possible", TENANTS_MAX);
    else if (store_tenant_add(c->store, row, c->options.config->group_partitions, placement_choose, place,
                              err) == 0)
        t = tenant_insert(c, row, err);
    if (t) {
        tl_info(c->log, "control", "tenant %s: made on cluster %s, %d partitions, epoch %lld", t->name,
                t->cluster->name, (int)t->partitions, (long long)t->epoch);
        t->cluster->look_wanted = true;
    }
    control_unlock(c);
    return t;
}

int control_tenant_create(struct control *c, const json_t *request, const char *who, json_t **answer,
                          struct tl_error *err)
{
    struct placement place = {.c = c};
    struct tenant_row row = {.state = TENANT_PREPARING};
    struct tl_error late;
    struct cluster *cl;
    struct tenant *t = NULL;

    snprintf(row.who, sizeof row.who, "%s", who);
    if (control_running(c, err) == 0 && read_request(c, request, &row, &place, err) == 0)
        t = add(c, &row, &place, err);
    tenant_row_release(&row);
    if (!t)
        return -1;
    cl = tenant_cluster(c, t);
    /* That its topics are not there yet is no failure: its state says so. */
    if (keeper_await(cl, keeper_ask(cl), READY_MS, &late) < 0)
        tl_info(c->log, "control", "tenant %s: %s", t->name, late.text);
    return control_tenant(c, t->name, true, answer, err);
}

/* --- set --- */

int control_tenant_patch(struct control *c, const char *tenant, const json_t *request, json_t **answer,
                         struct tl_error *err)
{
    struct tenant *t = tenant_find(c, tenant, err);
    struct tenant_row row = {0};
    int rc;

    if (!t || control_running(c, err) < 0 ||
        request_members(request, "the change", "max_uploads max_bytes_per_second", err) < 0)
        return -1;
    snprintf(row.tenant, sizeof row.tenant, "%s", t->name);
    control_lock(c);
    row.max_uploads = t->max_uploads;
    row.max_bytes_per_second = t->max_bytes_per_second;
    rc = read_limits(request, &row.max_uploads, &row.max_bytes_per_second, err);
    if (rc == 0)
        rc = store_tenant_set_limits(c->store, &row, err);
    if (rc == 0) {
        t->max_uploads = row.max_uploads;
        t->max_bytes_per_second = row.max_bytes_per_second;
        tenant_touch(c, t);
        turns_pass(c, t);
    }
    control_unlock(c);
    return rc < 0 ? -1 : control_tenant(c, tenant, false, answer, err);
}

/* --- remove --- */

static int stop_upload(struct control *c, struct live *l, const char *reason, struct tl_error *err)
{
    struct upload before = l->u;

    /* There is no way to tell the partitions any more, and nobody reads them: it is over at once. */
    l->u.state = UPLOAD_FAILED;
    l->u.wish = UPLOAD_FAILED;
    l->u.finished_ms = tl_clock_wall_ms();
    snprintf(l->u.reason, sizeof l->u.reason, "%s", reason);
    return live_store(c, l, &before, err);
}

int tenant_stop_uploads(struct control *c, const struct tenant *t, struct tl_error *err)
{
    char reason[TL_TENANT_MAX + 40];
    int rc = 0;

    snprintf(reason, sizeof reason, "tenant \"%s\" was removed", t->name);
    control_lock(c);
    for (struct live *l = t->lives, *next; l && rc == 0; l = next) {
        next = l->after;
        rc = stop_upload(c, l, reason, err);
    }
    tracker_kick(t);
    control_unlock(c);
    return rc;
}

/* That it is to be removed is durable, and from then on nobody finds it. */
static int begin_removal(struct control *c, struct tenant *t, struct tl_error *err)
{
    int rc = 0;

    control_lock(c);
    if (t->state == TENANT_MOVING)
        rc = tl_fail(err, TL_E_CONFLICT, "tenant \"%s\" is being moved; remove it after that", t->name);
    else if (t->move_from)
        rc = tl_fail(err, TL_E_CONFLICT,
                     "tenant \"%s\" still has topics on cluster \"%s\"; remove it when they are deleted",
                     t->name, t->move_from->name);
    else if (t->state != TENANT_REMOVING)
        rc = store_tenant_set_state(c->store, t->name, TENANT_REMOVING, err);
    if (rc == 0) {
        t->state = TENANT_REMOVING;
        atomic_store(&t->removing, true);
        snprintf(t->trouble, sizeof t->trouble, "it is being removed");
        t->cluster->look_wanted = true;
        tenant_touch(c, t);
    }
    control_unlock(c);
    return rc;
}

int control_tenant_remove(struct control *c, const char *tenant, struct tl_error *err)
{
    struct tenant *t = tenant_find_any(c, tenant, err);
    struct cluster *cl;
    struct tl_error late = {.text = ""};

    if (!t || control_running(c, err) < 0 || begin_removal(c, t, err) < 0 ||
        tenant_stop_uploads(c, t, err) < 0)
        return -1;
    TL_FAILPOINT(CONTROL_BEFORE_REMOVAL);
    cl = tenant_cluster(c, t);
    if (keeper_await(cl, keeper_ask(cl), 0, &late) == 0 && !atomic_load(&t->gone)) {
        control_lock(c);
        snprintf(late.text, sizeof late.text, "%s", t->trouble);
        control_unlock(c);
    }
    if (atomic_load(&t->gone))
        return 0;
    return tl_fail(err, TL_E_UNAVAILABLE,
                   "tenant \"%s\" is being removed, and will be gone as soon as possible: %.400s", t->name,
                   late.text);
}
