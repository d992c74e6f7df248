/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Clusters and the tenants that live on them. How a cluster is reached is in the configuration, not here. */
#include "coordinatord/control/store_impl.h"

int store_cluster_add(struct store *s, const char *cluster, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_run(s, ST_CLUSTER_ADD, err, "t", cluster);
    store_unlock(s);
    return rc;
}

int store_tenant_add(struct store *s, const struct tenant_row *row, int64_t now_ms, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_run(s, ST_TENANT_ADD, err, "ttii", row->tenant, row->cluster, (int64_t)row->partitions,
                   now_ms);
    store_unlock(s);
    return rc;
}

int store_tenants(struct store *s, int (*each)(void *app, const struct tenant_row *row, struct tl_error *err),
                  void *app, struct tl_error *err)
{
    sqlite3_stmt *st;
    struct tenant_row row;
    int rc = -1;

    store_lock(s);
    st = store_bind(s, ST_TENANTS, err, "");
    while (st && (rc = store_step(s, st, err)) == 1) {
        store_text(st, 0, row.tenant, sizeof row.tenant);
        store_text(st, 1, row.cluster, sizeof row.cluster);
        row.partitions = sqlite3_column_int(st, 2);
        rc = each(app, &row, err);
        if (rc < 0)
            break;
    }
    store_done(st);
    store_unlock(s);
    return rc < 0 ? -1 : 0;
}
