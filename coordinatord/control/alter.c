/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The next version of a table:
 *
 *   changes ──tl_schema_evolve──► version N+1, pending ──► schema message in every partition ──► active
 *   of version N                       store                         keeper                      store
 *
 * One at a time for a table: the store takes a pending version only when there is none, and when version N
 * is what is active. Whoever comes second waits for the first and begins anew, by the version that there is
 * then. The same request again while its version is pending is taken to be that, and waits for it.
 */
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "coordinatord/control/request.h"
#include "shared/base/clock.h"
#include "shared/schema/evolve.h"

enum { ROUNDS_MAX = 20, UPLOADS_SHOWN = 100 };

struct alter {
    struct control *c;
    struct tenant *t;
    const char *tenant;
    const char *table;
    const json_t *changes;
    const char *who;
    struct table_match *match;
    int64_t if_version; /* 0: any */
    bool dry_run;
};

/* ------------------------------------------------------------------ what it would do */

/* The uploads into the table that are not finished, {"upload", "version", "state"} each; a new reference. */
static json_t *uploads_under_way(struct control *c, int64_t table_id, int64_t *all)
{
    json_t *list = json_array();
    bool ok = list != NULL;

    *all = 0;
    control_lock(c);
    for (size_t i = 0; ok && i < LIVE_BUCKETS; i++) {
        for (const struct live *l = c->live[i]; ok && l; l = l->next) {
            if (l->u.table_id != table_id || ++*all > UPLOADS_SHOWN)
                continue;
            ok = json_array_append_new(list, json_pack("{s:s, s:i, s:s}", "upload", l->u.id, "version",
                                                       (int)l->u.version, "state",
                                                       upload_state_name(l->u.state))) == 0;
        }
    }
    control_unlock(c);
    if (ok)
        return list;
    json_decref(list);
    return NULL;
}

/* What happens to the rows of an upload that goes on by its own version. */
static int add_effects(const struct alter *a, const struct tl_schema *next, json_t *upload,
                       struct tl_error *err)
{
    int32_t version = (int32_t)json_integer_value(json_object_get(upload, "version"));
    struct tl_schema *schema;
    struct table_row row;
    int rc = store_version_find(a->c->store, a->tenant, next->table, next->table_id, version, &row, err);

    if (rc <= 0)
        return rc < 0 ? -1 : tl_fail(err, TL_E_CORRUPT, "metadata: version %d is missing", (int)version);
    rc = tl_schema_from_text(tl_str(row.schema), &schema, err);
    table_row_release(&row);
    if (rc < 0)
        return -1;
    rc = json_object_set_new(upload, "changes", tl_schema_diff(schema, next)) ? tl_fail_nomem(err) : 0;
    tl_schema_free(schema);
    return rc;
}

static int dry_run(const struct alter *a, const struct tl_schema *now, const struct tl_schema *next,
                   struct table_answer *answer, struct tl_error *err)
{
    int64_t all;
    json_t *uploads = uploads_under_way(a->c, now->table_id, &all), *upload, *more;
    size_t i;
    int rc = uploads ? 0 : tl_fail_nomem(err);

    json_array_foreach(uploads, i, upload)
    {
        if (rc == 0)
            rc = add_effects(a, next, upload, err);
    }
    answer->json = tl_schema_to_json(next);
    answer->table_id = now->table_id;
    answer->version = now->version;
    more = json_pack("{s:b, s:o, s:O, s:I}", "dry_run", 1, "changes", tl_schema_diff(now, next), "uploads",
                     uploads, "uploads_under_way", (json_int_t)all);
    if (rc == 0 && (!answer->json || !more || json_object_update(answer->json, more)))
        rc = tl_fail_nomem(err);
    json_decref(more);
    json_decref(uploads);
    if (rc < 0)
        json_decref(answer->json);
    return rc;
}

/* ------------------------------------------------------------------ doing it */

struct pending {
    int32_t version; /* 0: none */
    char *schema;
};

static int take_pending(void *app, const struct version_row *row, struct tl_error *err)
{
    struct pending *p = app;

    p->version = row->version;
    p->schema = strdup(row->schema);
    return p->schema ? 0 : tl_fail_nomem(err);
}

/* Whether the pending version is what `next` would be. */
static bool is_same(const char *pending, const struct tl_schema *next)
{
    json_t *a = json_loads(pending, 0, NULL), *b = tl_schema_to_json(next);
    bool same = a && b && json_equal(a, b);

    json_decref(a);
    json_decref(b);
    return same;
}

static int answer_of(const struct alter *a, const struct tl_schema *now, const struct tl_schema *next,
                     struct table_answer *answer, struct tl_error *err)
{
    if (control_version(a->c, a->tenant, next->table, next->table_id, next->version, answer, err) < 0)
        return -1;
    if (json_object_set_new(answer->json, "changes", tl_schema_diff(now, next)) == 0)
        return 0;
    json_decref(answer->json);
    return tl_fail_nomem(err);
}

/* 1: made, and *answer is filled. 0: another change came first, so that all is to be done anew. */
static int make(const struct alter *a, const struct tl_schema *now, const struct tl_schema *next,
                struct table_answer *answer, struct tl_error *err)
{
    struct pending pending = {0};
    bool ours;

    if (store_versions(a->c->store, now->table_id, next->version, 1, take_pending, &pending, err) < 0) {
        free(pending.schema);
        return -1;
    }
    ours = pending.version == 0 || is_same(pending.schema, next);
    free(pending.schema);
    if (pending.version == 0 && store_table_alter(a->c->store, next, a->who, tl_clock_wall_ms(), err) < 0)
        return err->code == TL_E_CONFLICT ? 0 : -1;
    if (table_await_version(a->c, a->t, next->table_id, next->version, next->table, err) < 0)
        return ours ? -1 : tl_error_prefix(err, "another change is under way");
    if (!ours)
        return 0;
    return answer_of(a, now, next, answer, err) < 0 ? -1 : 1;
}

static int check_row(const struct alter *a, const struct table_row *row, struct tl_error *err)
{
    if (!row->active)
        return tl_fail(err, TL_E_CONFLICT, "table \"%s\" is still being made", row->name);
    if (row->dropping)
        return tl_fail(err, TL_E_CONFLICT, "table \"%s\" is being dropped", row->name);
    if (table_check_match(a->match, row, err) < 0)
        return -1;
    if (a->if_version && a->if_version != row->version)
        return tl_fail(err, TL_E_CONFLICT, "table \"%s\" is at version %d, not %d", row->name,
                       (int)row->version, (int)a->if_version);
    return 0;
}

static int one_round(const struct alter *a, struct table_answer *answer, struct tl_error *err)
{
    struct tl_schema *now = NULL, *next = NULL;
    struct table_row row;
    int rc;

    if (table_lookup(a->c, a->tenant, a->table, &row, err) < 0)
        return -1;
    rc = check_row(a, &row, err);
    if (rc == 0)
        rc = tl_schema_from_text(tl_str(row.schema), &now, err);
    table_row_release(&row);
    if (rc == 0)
        rc = tl_schema_evolve(now, a->changes, &next, err);
    if (rc == 0)
        rc = table_check_columns(a->t, next, err);
    if (rc == 0)
        rc = adopt_check_alter(a->c, a->t, now, next, err);
    if (rc == 0 && a->dry_run)
        rc = dry_run(a, now, next, answer, err) < 0 ? -1 : 1;
    else if (rc == 0)
        rc = make(a, now, next, answer, err);
    tl_schema_free(now);
    tl_schema_free(next);
    return rc;
}

static int alter(const struct alter *a, struct table_answer *answer, struct tl_error *err)
{
    for (int i = 0; i < ROUNDS_MAX; i++) {
        int rc = one_round(a, answer, err);

        if (rc != 0)
            return rc < 0 ? -1 : 0;
    }
    return tl_fail(err, TL_E_CONFLICT, "table \"%.63s\" is changed by others all the time", a->table);
}

int control_alter(struct control *c, const char *tenant, const char *table, const json_t *request,
                  const char *who, struct table_match *match, struct table_answer *answer,
                  struct tl_error *err)
{
    struct tenant *t = tenant_find(c, tenant, err);
    struct alter a = {.c = c, .t = t, .tenant = tenant, .table = table, .who = who, .match = match};

    memset(answer, 0, sizeof *answer);
    match->mismatch = false;
    if (!t || control_running(c, err) < 0 ||
        request_members(request, "the change", "changes if_version dry_run", err) < 0 ||
        request_number(request, "if_version", 1, INT32_MAX, &a.if_version, err) < 0 ||
        request_bool(request, "dry_run", &a.dry_run, err) < 0)
        return -1;
    a.changes = json_object_get(request, "changes");
    /* That Kafka is out of reach is no reason to refuse: the version is made when it comes. */
    if (tenant_usable(c, t, err) < 0 && err->code != TL_E_UNAVAILABLE)
        return -1;
    return alter(&a, answer, err);
}
