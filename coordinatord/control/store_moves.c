/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tenants that move from cluster to cluster; each function is one transaction. */
#include "coordinatord/control/store_impl.h"

static int reserve(struct store *s, const char *tenant, store_place *place, void *app, struct tl_error *err)
{
    struct cluster_room rooms[STORE_CLUSTERS_MAX];
    const char *cluster;
    size_t n;

    if (store_rooms_locked(s, rooms, &n, err) < 0)
        return -1;
    cluster = place(app, rooms, n, err);
    return cluster ? store_run(s, ST_MOVE_BEGIN, err, "tt", tenant, cluster) : -1;
}

int store_tenant_move(struct store *s, const char *tenant, store_place *place, void *app,
                      struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_begin(s, err);
    if (rc == 0)
        rc = store_end(s, reserve(s, tenant, place, app, err), err);
    store_unlock(s);
    return rc;
}

static int run_one(struct store *s, enum statement statement, const char *tenant, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_run(s, statement, err, "t", tenant);
    store_unlock(s);
    return rc;
}

int store_tenant_move_made(struct store *s, const char *tenant, struct tl_error *err)
{
    return run_one(s, ST_MOVE_MADE, tenant, err);
}

int store_tenant_stay(struct store *s, const char *tenant, struct tl_error *err)
{
    return run_one(s, ST_MOVE_BACK, tenant, err);
}

int store_tenant_cleared(struct store *s, const char *tenant, struct tl_error *err)
{
    return run_one(s, ST_MOVE_CLEARED, tenant, err);
}

int store_tenant_switch(struct store *s, const char *tenant, int64_t epoch, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_begin(s, err);
    if (rc == 0) {
        rc = store_run(s, ST_MOVE_SWITCH, err, "ti", tenant, epoch);
        if (rc == 0)
            rc = store_run(s, ST_EPOCH_SET, err, "ti", tenant, epoch);
        rc = store_end(s, rc, err);
    }
    store_unlock(s);
    return rc;
}
