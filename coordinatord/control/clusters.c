/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The clusters that there are: found, started, stopped, and shown. How they come and go is in cluster_admin.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "coordinatord/control/redact.h"
#include "shared/base/clock.h"

enum { LOOK_MS = 2000 };

static int read_properties(const struct cluster_row *row, struct tl_kafka_conf *out, struct tl_error *err)
{
    json_t *json = json_loads(row->properties, 0, NULL);
    int rc = json ? tl_kafka_conf_from_json(out, json, err)
                  : tl_fail(err, TL_E_CORRUPT, "metadata: the properties of cluster \"%s\" can't be read",
                            row->cluster);

    json_decref(json);
    return rc;
}

static int init_wake(struct cluster *cl, struct tl_error *err)
{
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);

    if (rc == 0)
        rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (rc == 0)
        rc = pthread_cond_init(&cl->wake, &attr);
    pthread_condattr_destroy(&attr);
    return rc == 0 ? 0 : tl_fail_errno(err, rc, "a condition");
}

struct cluster *cluster_new(struct control *c, const struct cluster_row *row, struct tl_error *err)
{
    const struct config *config = c->options.config;
    struct cluster *cl = calloc(1, sizeof *cl);

    if (!cl) {
        tl_fail_nomem(err);
        return NULL;
    }
    if (init_wake(cl, err) < 0) {
        free(cl);
        return NULL;
    }
    cl->control = c;
    memcpy(cl->name, row->cluster, sizeof cl->name);
    memcpy(cl->who, row->who, sizeof cl->who);
    memcpy(cl->kafka_id, row->kafka_id, sizeof cl->kafka_id);
    cl->configured = !row->properties;
    cl->created_ms = row->created_ms;
    cl->draining = row->draining;
    cl->max_partitions = cl->configured ? config->max_partitions : row->max_partitions;
    cl->changed = true;
    tl_kafka_conf_init(&cl->kafka);
    tl_kafka_conf_init(&cl->used);
    if ((cl->configured ? tl_kafka_conf_copy(&cl->kafka, &config->kafka, err)
                        : read_properties(row, &cl->kafka, err)) == 0)
        return cl;
    cluster_free(cl);
    return NULL;
}

void cluster_free(struct cluster *cl)
{
    tl_kafka_conf_release(&cl->kafka);
    tl_kafka_conf_release(&cl->used);
    pthread_cond_destroy(&cl->wake);
    free(cl);
}

void cluster_insert(struct control *c, struct cluster *cl)
{
    _Atomic(struct cluster *) *at = &c->clusters;
    struct cluster *after;

    while ((after = atomic_load(at)) != NULL && strcmp(after->name, cl->name) < 0)
        at = &after->next;
    atomic_init(&cl->next, after);
    atomic_store(at, cl); /* whoever walks the list meets it whole, or not yet */
}

/* Else it would have the name of the thread that starts it, which may be one that serves requests. */
static int start_thread(pthread_t *thread, const char *what, void *(*run)(void *cluster), struct cluster *cl)
{
    char name[16];
    int rc = pthread_create(thread, NULL, run, cl);

    snprintf(name, sizeof name, "%s@%.10s", what, cl->name);
    if (rc == 0)
        pthread_setname_np(*thread, name);
    return rc;
}

int cluster_start(struct cluster *cl, struct tl_error *err)
{
    int rc = start_thread(&cl->keeper, "keep", keeper_run, cl);

    cl->keeper_runs = rc == 0;
    if (rc == 0)
        rc = start_thread(&cl->trimmer, "trim", trim_run, cl);
    cl->trimmer_runs = cl->keeper_runs && rc == 0;
    return rc == 0 ? 0 : tl_fail_errno(err, rc, "a thread");
}

void cluster_stop(struct cluster *cl)
{
    control_lock(cl->control);
    atomic_store(&cl->stop, true);
    pthread_cond_broadcast(&cl->wake);
    control_unlock(cl->control);
    if (cl->keeper_runs)
        pthread_join(cl->keeper, NULL);
    if (cl->trimmer_runs)
        pthread_join(cl->trimmer, NULL);
    cl->keeper_runs = cl->trimmer_runs = false;
}

static int load_cluster(void *app, const struct cluster_row *row, struct tl_error *err)
{
    struct cluster *cl = cluster_new(app, row, err);

    if (!cl)
        return -1;
    cluster_insert(app, cl);
    return 0;
}

int clusters_load(struct control *c, struct tl_error *err)
{
    return store_clusters(c->store, load_cluster, c, err);
}

void clusters_free(struct control *c)
{
    struct cluster *cl = atomic_load(&c->clusters), *next;

    for (; cl; cl = next) {
        next = atomic_load(&cl->next);
        cluster_free(cl);
    }
    atomic_store(&c->clusters, NULL);
}

struct cluster *cluster_find(struct control *c, const char *name, struct tl_error *err)
{
    for (struct cluster *cl = atomic_load(&c->clusters); cl; cl = atomic_load(&cl->next))
        if (!atomic_load(&cl->gone) && strcmp(cl->name, name) == 0)
            return cl;
    tl_fail(err, TL_E_NOT_FOUND, "no such cluster");
    return NULL;
}

int cluster_to_row(const struct cluster *cl, struct cluster_row *row, struct tl_error *err)
{
    json_t *json = NULL;

    *row = (struct cluster_row){.draining = cl->draining, .created_ms = cl->created_ms};
    memcpy(row->cluster, cl->name, sizeof row->cluster);
    memcpy(row->who, cl->who, sizeof row->who);
    memcpy(row->kafka_id, cl->kafka_id, sizeof row->kafka_id);
    if (cl->configured)
        return 0;
    row->max_partitions = cl->max_partitions;
    json = tl_kafka_conf_to_json(&cl->kafka);
    row->properties = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return row->properties ? 0 : tl_fail_nomem(err);
}

/* --- JSON --- */

static json_t *used_json(const struct cluster_seen *seen)
{
    char when[TL_CLOCK_TEXT];

    if (seen->at_ms == 0)
        return json_null();
    tl_clock_text(seen->at_ms, when);
    return json_pack("{s:I, s:I, s:s}", "ours", (json_int_t)seen->ours, "foreign", (json_int_t)seen->foreign,
                     "seen_at", when);
}

static int64_t reserved_on(const struct cluster_room *rooms, size_t n, const char *cluster)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(rooms[i].cluster, cluster) == 0)
            return rooms[i].reserved;
    return 0;
}

static int64_t tenants_on(struct control *c, const struct cluster *cl)
{
    int64_t n = 0;

    for (struct tenant *t = atomic_load(&c->tenants); t; t = atomic_load(&t->next))
        n += !atomic_load(&t->gone) && t->cluster == cl;
    return n;
}

/* Under the lock. NULL: memory is short. */
static json_t *to_json(struct control *c, const struct cluster *cl, int64_t reserved)
{
    json_t *kafka = tl_kafka_conf_to_json(&cl->kafka), *json = NULL;
    char when[TL_CLOCK_TEXT];

    tl_clock_text(cl->created_ms, when);
    if (kafka && redact_kafka(kafka) == 0)
        json = json_pack("{s:s, s:b, s:O, s:i, s:I, s:I, s:o, s:o, s:I, s:b, s:s?, s:s?, s:o, s:s}",
                         "cluster", cl->name, "configured", (int)cl->configured, "kafka", kafka,
                         "max_partitions", (int)cl->max_partitions, "reserved", (json_int_t)reserved, "free",
                         (json_int_t)TL_MAX(cl->max_partitions - reserved, 0), "used", used_json(&cl->seen),
                         "brokers", cl->seen.at_ms ? json_integer(cl->seen.brokers) : json_null(), "tenants",
                         (json_int_t)tenants_on(c, cl), "draining", (int)cl->draining, "waiting",
                         cl->trouble[0] ? cl->trouble : NULL, "kafka_id",
                         cl->kafka_id[0] ? cl->kafka_id : NULL, "created_at",
                         cl->created_ms ? json_string(when) : json_null(), "created_by", cl->who);
    json_decref(kafka);
    return json;
}

int control_clusters(struct control *c, int limit, const char *cursor, json_t **answer, struct tl_error *err)
{
    struct cluster_room rooms[STORE_CLUSTERS_MAX];
    json_t *list = json_array();
    const char *last = NULL, *next = NULL;
    size_t n;
    int failed = 0;

    control_lock(c);
    if (store_rooms(c->store, rooms, &n, err) < 0) {
        control_unlock(c);
        json_decref(list);
        return -1;
    }
    for (struct cluster *cl = atomic_load(&c->clusters); cl && !failed && !next;
         cl = atomic_load(&cl->next)) {
        if (atomic_load(&cl->gone) || (cursor && strcmp(cl->name, cursor) <= 0))
            continue;
        if ((int)json_array_size(list) == limit)
            next = last;
        else
            failed = json_array_append_new(list, to_json(c, cl, reserved_on(rooms, n, cl->name)));
        last = cl->name;
    }
    control_unlock(c);
    if (failed) {
        json_decref(list);
        return tl_fail_nomem(err);
    }
    return control_answer(json_pack("{s:o, s:s?}", "clusters", list, "next", next), answer, err);
}

void cluster_look(struct cluster *cl)
{
    struct tl_error late;

    control_lock(cl->control);
    cl->look_wanted = true;
    control_unlock(cl->control);
    if (keeper_await(cl, keeper_ask(cl), LOOK_MS, &late) < 0)
        tl_debug(cl->control->log, "control", "cluster %s: %s", cl->name, late.text);
}

int control_cluster(struct control *c, const char *cluster, json_t **answer, struct tl_error *err)
{
    struct cluster *cl = cluster_find(c, cluster, err);
    struct cluster_room rooms[STORE_CLUSTERS_MAX];
    json_t *json = NULL;
    size_t n;
    int rc;

    if (!cl)
        return -1;
    cluster_look(cl);
    control_lock(c);
    rc = store_rooms(c->store, rooms, &n, err);
    if (rc == 0)
        json = to_json(c, cl, reserved_on(rooms, n, cl->name));
    control_unlock(c);
    return rc < 0 ? -1 : control_answer(json, answer, err);
}
