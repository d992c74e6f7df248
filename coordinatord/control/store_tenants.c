/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The tenants that live on the clusters. */
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/store_impl.h"

static const char *const state_names[TENANT_STATES] = {
    [TENANT_PREPARING] = "preparing",
    [TENANT_READY] = "ready",
    [TENANT_MOVING] = "moving",
    [TENANT_REMOVING] = "removing",
};

const char *tenant_state_name(enum tenant_state state)
{
    return state_names[state];
}

void tenant_row_release(struct tenant_row *row)
{
    free(row->sink_url);
    free(row->errors_url);
    row->sink_url = row->errors_url = NULL;
}

/* That the name is free. In a transaction, as the next ones. */
static int check_name(struct store *s, const char *tenant, struct tl_error *err)
{
    sqlite3_stmt *st = store_bind(s, ST_TENANT_FIND, err, "t", tenant);
    int rc = st ? store_step(s, st, err) : -1;
    bool removing = rc == 1 && strcmp((const char *)sqlite3_column_text(st, 0), "removing") == 0;

    store_done(st);
    if (rc == 1)
        return tl_fail(err, TL_E_CONFLICT,
                       removing ? "tenant \"%s\" is still being removed" : "tenant \"%s\" exists already",
                       tenant);
    return rc;
}

/* 0: there never was one. */
static int last_epoch(struct store *s, const char *tenant, int64_t *epoch, struct tl_error *err)
{
    sqlite3_stmt *st = store_bind(s, ST_EPOCH_FIND, err, "t", tenant);
    int rc = st ? store_step(s, st, err) : -1;

    *epoch = rc == 1 ? sqlite3_column_int64(st, 0) : 0;
    store_done(st);
    return rc < 0 ? -1 : 0;
}

/*
 * Whoever reads a topic of a group that somebody joins, also for one more topic, stands still meanwhile, for the longer
 * the more partitions the group has. So a cluster's tenants are read in several: the first one that has room.
 */
static int choose_group(struct store *s, struct tenant_row *row, int group_partitions, struct tl_error *err)
{
    sqlite3_stmt *st = store_bind(s, ST_TENANT_GROUPS, err, "t", row->cluster);
    int rc = -1;

    row->group = 0;
    while (st && (rc = store_step(s, st, err)) == 1) {
        if (sqlite3_column_int(st, 0) > row->group ||
            sqlite3_column_int64(st, 1) + row->partitions <= group_partitions)
            break;
        row->group++;
    }
    store_done(st);
    return rc < 0 ? -1 : 0;
}

static int add(struct store *s, struct tenant_row *row, int group_partitions, store_place *place, void *app,
               struct tl_error *err)
{
    struct cluster_room rooms[STORE_CLUSTERS_MAX];
    const char *cluster;
    int64_t epoch;
    size_t n;

    if (check_name(s, row->tenant, err) < 0 || store_rooms_locked(s, rooms, &n, err) < 0 ||
        last_epoch(s, row->tenant, &epoch, err) < 0)
        return -1;
    cluster = place(app, rooms, n, err);
    if (!cluster)
        return -1;
    snprintf(row->cluster, sizeof row->cluster, "%s", cluster);
    row->epoch = epoch + 1;
    if (choose_group(s, row, group_partitions, err) < 0 ||
        store_run(s, ST_TENANT_ADD, err, "ttiittiititi", row->tenant, row->cluster, (int64_t)row->partitions,
                  row->epoch, row->sink_url, row->errors_url, row->max_uploads, row->max_bytes_per_second,
                  tenant_state_name(row->state), row->created_ms, row->who, (int64_t)row->group) < 0)
        return -1;
    return store_run(s, ST_EPOCH_SET, err, "ti", row->tenant, row->epoch);
}

int store_tenant_add(struct store *s, struct tenant_row *row, int group_partitions, store_place *place,
                     void *app, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_begin(s, err);
    if (rc == 0)
        rc = store_end(s, add(s, row, group_partitions, place, app, err), err);
    store_unlock(s);
    return rc;
}

int store_tenant_known(struct store *s, const char *tenant, struct tl_error *err)
{
    int64_t epoch;
    int rc;

    store_lock(s);
    rc = last_epoch(s, tenant, &epoch, err);
    store_unlock(s);
    return rc < 0 ? -1 : epoch > 0;
}

int store_tenant_set_state(struct store *s, const char *tenant, enum tenant_state state, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_run(s, ST_TENANT_STATE, err, "tt", tenant, tenant_state_name(state));
    store_unlock(s);
    return rc;
}

int store_tenant_set_limits(struct store *s, const struct tenant_row *row, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_run(s, ST_TENANT_LIMITS, err, "tii", row->tenant, row->max_uploads, row->max_bytes_per_second);
    store_unlock(s);
    return rc;
}

int store_tenant_remove(struct store *s, const char *tenant, struct tl_error *err)
{
    /* What refers to another comes first. */
    static const enum statement steps[] = {ST_TENANT_REMOVE_UPLOADS, ST_TENANT_REMOVE_VERSIONS,
                                           ST_TENANT_REMOVE_TABLES, ST_TENANT_REMOVE};
    int rc;

    store_lock(s);
    rc = store_begin(s, err);
    if (rc == 0) {
        for (size_t i = 0; i < TL_ARRAY_LEN(steps) && rc == 0; i++)
            rc = store_run(s, steps[i], err, "t", tenant);
        rc = store_end(s, rc, err);
    }
    store_unlock(s);
    return rc;
}

static int read_state(sqlite3_stmt *st, int column, enum tenant_state *out, struct tl_error *err)
{
    const char *name = (const char *)sqlite3_column_text(st, column);

    for (int i = 0; name && i < TENANT_STATES; i++) {
        if (strcmp(name, state_names[i]) == 0) {
            *out = (enum tenant_state)i;
            return 0;
        }
    }
    return tl_fail(err, TL_E_CORRUPT, "metadata: \"%s\" is no state of a tenant", name ? name : "");
}

static int read_row(sqlite3_stmt *st, struct tenant_row *row, struct tl_error *err)
{
    store_text(st, 0, row->tenant, sizeof row->tenant);
    store_text(st, 1, row->cluster, sizeof row->cluster);
    row->partitions = sqlite3_column_int(st, 2);
    row->epoch = sqlite3_column_int64(st, 3);
    row->max_uploads = sqlite3_column_int64(st, 6);
    row->max_bytes_per_second = sqlite3_column_int64(st, 7);
    store_text(st, 9, row->move_to, sizeof row->move_to);
    store_text(st, 10, row->move_from, sizeof row->move_from);
    row->move_step = sqlite3_column_int(st, 11);
    row->created_ms = sqlite3_column_int64(st, 12);
    store_text(st, 13, row->who, sizeof row->who);
    row->group = sqlite3_column_int(st, 14);
    if (read_state(st, 8, &row->state, err) < 0 || store_text_dup(st, 4, &row->sink_url, err) < 0)
        return -1;
    return store_text_dup(st, 5, &row->errors_url, err);
}

int store_tenants(struct store *s, int (*each)(void *app, struct tenant_row *row, struct tl_error *err),
                  void *app, struct tl_error *err)
{
    sqlite3_stmt *st;
    int rc = -1;

    store_lock(s);
    st = store_bind(s, ST_TENANTS, err, "");
    while (st && (rc = store_step(s, st, err)) == 1) {
        struct tenant_row row = {0};

        rc = read_row(st, &row, err);
        if (rc == 0)
            rc = each(app, &row, err);
        tenant_row_release(&row);
        if (rc < 0)
            break;
    }
    store_done(st);
    store_unlock(s);
    return rc < 0 ? -1 : 0;
}
