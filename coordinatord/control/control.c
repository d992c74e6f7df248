/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "shared/base/clock.h"

void control_lock(struct control *c)
{
    pthread_mutex_lock(&c->lock);
}

void control_unlock(struct control *c)
{
    pthread_mutex_unlock(&c->lock);
}

bool control_wait(struct control *c, pthread_cond_t *cond, int64_t deadline_ms)
{
    struct timespec until = {.tv_sec = deadline_ms / 1000, .tv_nsec = deadline_ms % 1000 * 1000000};

    return pthread_cond_timedwait(cond, &c->lock, &until) != ETIMEDOUT;
}

int control_running(struct control *c, struct tl_error *err)
{
    if (atomic_load(&c->stop))
        return tl_fail(err, TL_E_UNAVAILABLE, "the coordinator is shutting down");
    return 0;
}

int control_answer(json_t *json, json_t **answer, struct tl_error *err)
{
    *answer = json;
    return json ? 0 : tl_fail_nomem(err);
}

json_t *control_time(int64_t wall_ms)
{
    char when[TL_CLOCK_TEXT];

    if (wall_ms == 0)
        return json_null();
    tl_clock_text(wall_ms, when);
    return json_string(when);
}

struct sink *control_open_sink(struct control *c, const struct tenant *t, int patience_ms,
                               struct tl_error *err)
{
    struct sink_conf conf = {
        .url = t->sink_url,
        .tenant = t->name,
        .read_only = true,
        .patience_ms = patience_ms,
        .log = c->log,
        .stop = &c->stop,
    };

    return t->sink_ops->open(&conf, err);
}

void control_kafka_state(struct control *c, char *out, size_t size)
{
    const struct cluster *bad = NULL;
    int n = 0;

    control_lock(c);
    for (struct cluster *cl = atomic_load(&c->clusters); cl; cl = atomic_load(&cl->next)) {
        if (atomic_load(&cl->gone))
            continue;
        n++;
        if (cl->trouble[0] && !bad)
            bad = cl;
    }
    if (bad && n > 1)
        snprintf(out, size, "cluster %s: %s", bad->name, bad->trouble);
    else
        snprintf(out, size, "%s", bad ? bad->trouble : "ok");
    control_unlock(c);
}

/* --- start and stop --- */

static int init_sync(struct control *c, struct tl_error *err)
{
    pthread_cond_t *const conds[] = {&c->changed, &c->settled, &c->tenants_changed, &c->trackers_ended};
    pthread_condattr_t attr;
    int rc = pthread_condattr_init(&attr);

    if (rc == 0)
        rc = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    if (rc == 0)
        rc = pthread_mutex_init(&c->lock, NULL);
    for (size_t i = 0; rc == 0 && i < TL_ARRAY_LEN(conds); i++)
        rc = pthread_cond_init(conds[i], &attr);
    pthread_condattr_destroy(&attr);
    return rc == 0 ? 0 : tl_fail_errno(err, rc, "a mutex");
}

static int load_upload(void *app, struct upload *u, struct tl_error *err)
{
    struct control *c = app;
    struct tenant *t = tenant_find_any(c, u->tenant, err);
    struct live *l = t ? live_add(c, t, u, err) : NULL;

    if (!l)
        return -1;
    if (l->u.state == UPLOAD_QUEUED)
        turns_found(l);
    live_changed(c, l);
    return 0;
}

static const char *place_default(void *app, const struct cluster_room *rooms, size_t n, struct tl_error *err)
{
    (void)app;
    (void)rooms;
    (void)n;
    (void)err;
    return CONTROL_DEFAULT;
}

/*
 * The cluster of the configuration, and the tenant that is there from the first start; one that was removed since does
 * not come back.
 */
static int add_default(struct control *c, struct tl_error *err)
{
    struct cluster_row cluster = {.cluster = CONTROL_DEFAULT, .created_ms = tl_clock_wall_ms()};
    struct tenant_row row = {.tenant = CONTROL_DEFAULT, .partitions = c->options.config->partitions};
    int known;

    row.created_ms = cluster.created_ms;
    if (store_cluster_add(c->store, &cluster, err) < 0 && err->code != TL_E_CONFLICT)
        return -1;
    known = store_tenant_known(c->store, row.tenant, err);
    return known ? TL_MIN(known, 0)
                 : store_tenant_add(c->store, &row, c->options.config->group_partitions, place_default, NULL,
                                    err);
}

static int open_metadata(struct control *c, struct tl_error *err)
{
    char path[PATH_MAX];
    int rc;

    if (snprintf(path, sizeof path, "%s/control.db", c->options.config->state) >= (int)sizeof path)
        return tl_fail(err, TL_E_USAGE, "the path of the state directory is too long");
    c->store = store_open(path, err);
    if (!c->store || add_default(c, err) < 0 || clusters_load(c, err) < 0 || tenants_load(c, err) < 0)
        return -1;
    /* With the first of them there is a thread that looks at it. */
    control_lock(c);
    rc = store_uploads_unfinished(c->store, load_upload, c, err);
    control_unlock(c);
    return rc;
}

static int start_threads(struct control *c, struct tl_error *err)
{
    for (struct cluster *cl = atomic_load(&c->clusters); cl; cl = atomic_load(&cl->next))
        if (cluster_start(cl, err) < 0)
            return -1;
    return 0;
}

struct control *control_start(const struct control_options *options, struct tl_error *err)
{
    struct control *c = calloc(1, sizeof *c);

    if (!c) {
        tl_fail_nomem(err);
        return NULL;
    }
    c->options = *options;
    c->log = options->log;
    c->last_change = tl_clock_wall_ms();
    c->tenants_change = c->last_change;
    if (init_sync(c, err) < 0) {
        free(c);
        return NULL;
    }
    if (open_metadata(c, err) < 0 || start_threads(c, err) < 0) {
        control_free(c);
        return NULL;
    }
    return c;
}

void control_stop(struct control *c)
{
    control_lock(c);
    atomic_store(&c->stop, true);
    pthread_cond_broadcast(&c->changed);
    pthread_cond_broadcast(&c->settled);
    pthread_cond_broadcast(&c->tenants_changed);
    trackers_kick(c);
    for (struct cluster *cl = atomic_load(&c->clusters); cl; cl = atomic_load(&cl->next)) {
        atomic_store(&cl->stop, true);
        pthread_cond_broadcast(&cl->wake);
    }
    control_unlock(c);
}

bool control_stopping(struct control *c)
{
    return atomic_load(&c->stop);
}

void control_free(struct control *c)
{
    if (!c)
        return;
    control_stop(c);
    for (struct cluster *cl = atomic_load(&c->clusters); cl; cl = atomic_load(&cl->next))
        cluster_stop(cl);
    trackers_join(c);
    live_free_all(c);
    tenants_free(c);
    clusters_free(c);
    store_close(c->store);
    pthread_cond_destroy(&c->changed);
    pthread_cond_destroy(&c->settled);
    pthread_cond_destroy(&c->tenants_changed);
    pthread_cond_destroy(&c->trackers_ended);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
