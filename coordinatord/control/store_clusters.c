/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Clusters, and what of their budgets is taken. */
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/store_impl.h"

void cluster_row_release(struct cluster_row *row)
{
    free(row->properties);
    row->properties = NULL;
}

static int count(struct store *s, struct tl_error *err)
{
    sqlite3_stmt *st = store_bind(s, ST_CLUSTERS, err, "");
    int n = 0, rc = -1;

    while (st && (rc = store_step(s, st, err)) == 1)
        n++;
    store_done(st);
    return rc < 0 ? -1 : n;
}

static int add(struct store *s, const struct cluster_row *row, struct tl_error *err)
{
    int n = count(s, err);

    if (n < 0)
        return -1;
    if (n >= STORE_CLUSTERS_MAX)
        return tl_fail(err, TL_E_REFUSED, "there are %d clusters already, and no more are possible", n);
    if (store_run(s, ST_CLUSTER_ADD, err, "ttiitit", row->cluster, row->properties,
                  (int64_t)row->max_partitions, (int64_t)row->draining, row->kafka_id, row->created_ms,
                  row->who) < 0)
        return -1;
    if (sqlite3_changes(s->db) == 0)
        return tl_fail(err, TL_E_CONFLICT, "cluster \"%s\" exists already", row->cluster);
    return 0;
}

int store_cluster_add(struct store *s, const struct cluster_row *row, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_begin(s, err);
    if (rc == 0)
        rc = store_end(s, add(s, row, err), err);
    store_unlock(s);
    return rc;
}

int store_cluster_set(struct store *s, const struct cluster_row *row, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_run(s, ST_CLUSTER_SET, err, "ttiit", row->cluster, row->properties,
                   (int64_t)row->max_partitions, (int64_t)row->draining, row->kafka_id);
    store_unlock(s);
    return rc;
}

/* In a transaction: nobody can be placed there in between. */
static int remove_empty(struct store *s, const char *cluster, struct tl_error *err)
{
    sqlite3_stmt *st = store_bind(s, ST_CLUSTER_TENANTS, err, "t", cluster);
    int rc = st ? store_step(s, st, err) : -1;
    int64_t n = rc == 1 ? sqlite3_column_int64(st, 0) : 0;
    char first[TL_TENANT_MAX + 1] = "";

    if (n > 0)
        store_text(st, 1, first, sizeof first);
    store_done(st);
    if (rc < 0)
        return -1;
    if (n > 0)
        return tl_fail(
            err, TL_E_CONFLICT, "%lld tenant%s live%s on cluster \"%s\" (%s%s): move or remove them first",
            (long long)n, n == 1 ? "" : "s", n == 1 ? "s" : "", cluster, first, n == 1 ? "" : ", …");
    return store_run(s, ST_CLUSTER_REMOVE, err, "t", cluster);
}

int store_cluster_remove(struct store *s, const char *cluster, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_begin(s, err);
    if (rc == 0)
        rc = store_end(s, remove_empty(s, cluster, err), err);
    store_unlock(s);
    return rc;
}

static int read_row(sqlite3_stmt *st, struct cluster_row *row, struct tl_error *err)
{
    store_text(st, 0, row->cluster, sizeof row->cluster);
    row->max_partitions = sqlite3_column_int(st, 2);
    row->draining = sqlite3_column_int(st, 3) != 0;
    store_text(st, 4, row->kafka_id, sizeof row->kafka_id);
    row->created_ms = sqlite3_column_int64(st, 5);
    store_text(st, 6, row->who, sizeof row->who);
    return store_text_dup(st, 1, &row->properties, err);
}

int store_clusters(struct store *s,
                   int (*each)(void *app, const struct cluster_row *row, struct tl_error *err), void *app,
                   struct tl_error *err)
{
    sqlite3_stmt *st;
    int rc = -1;

    store_lock(s);
    st = store_bind(s, ST_CLUSTERS, err, "");
    while (st && (rc = store_step(s, st, err)) == 1) {
        struct cluster_row row = {0};

        rc = read_row(st, &row, err);
        if (rc == 0)
            rc = each(app, &row, err);
        cluster_row_release(&row);
        if (rc < 0)
            break;
    }
    store_done(st);
    store_unlock(s);
    return rc < 0 ? -1 : 0;
}

int store_rooms_locked(struct store *s, struct cluster_room *rooms, size_t *n, struct tl_error *err)
{
    sqlite3_stmt *st = store_bind(s, ST_CLUSTER_ROOMS, err, "");
    int rc = -1;

    *n = 0;
    while (st && (rc = store_step(s, st, err)) == 1 && *n < STORE_CLUSTERS_MAX) {
        struct cluster_room *room = &rooms[(*n)++];

        store_text(st, 0, room->cluster, sizeof room->cluster);
        room->max_partitions = sqlite3_column_int(st, 1);
        room->draining = sqlite3_column_int(st, 2) != 0;
        room->reserved = sqlite3_column_int64(st, 3);
    }
    store_done(st);
    return rc < 0 ? -1 : 0;
}

int store_rooms(struct store *s, struct cluster_room *rooms, size_t *n, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_rooms_locked(s, rooms, n, err);
    store_unlock(s);
    return rc;
}
