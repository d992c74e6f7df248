/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "shared/base/clock.h"

#define DEFAULT_TENANT "default"

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

struct sink *control_open_sink(struct control *c, const char *tenant, struct tl_error *err)
{
    struct sink_conf conf = {
        .url = c->options.config->sink_url,
        .tenant = tenant,
        .read_only = true,
        .log = c->log,
        .stop = &c->stop,
    };

    return c->options.sink->open(&conf, err);
}

void control_kafka_state(struct control *c, char *out, size_t size)
{
    control_lock(c);
    snprintf(out, size, "%s", c->kafka_trouble[0] ? c->kafka_trouble : "ok");
    control_unlock(c);
}

/* --- start and stop --- */

static int init_sync(struct control *c, struct tl_error *err)
{
    pthread_cond_t *const conds[] = {&c->changed, &c->settled, &c->keeper_wake, &c->tracker_wake};
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
    struct tenant *t = tenant_find(c, u->tenant, err);
    struct live *l = t ? live_add(c, t, u, err) : NULL;

    if (!l)
        return -1;
    live_changed(c, l);
    return 0;
}

/* The cluster and the tenant that are there from the first start. */
static int add_default(struct control *c, struct tl_error *err)
{
    struct tenant_row row = {.tenant = DEFAULT_TENANT, .cluster = DEFAULT_TENANT};

    row.partitions = c->options.config->partitions;
    if (store_cluster_add(c->store, row.cluster, err) < 0)
        return -1;
    return store_tenant_add(c->store, &row, tl_clock_wall_ms(), err);
}

static int open_metadata(struct control *c, struct tl_error *err)
{
    char path[PATH_MAX];

    if (snprintf(path, sizeof path, "%s/control.db", c->options.config->state) >= (int)sizeof path)
        return tl_fail(err, TL_E_USAGE, "the path of the state directory is too long");
    c->store = store_open(path, err);
    if (!c->store || add_default(c, err) < 0 || tenants_load(c, err) < 0)
        return -1;
    return store_uploads_unfinished(c->store, load_upload, c, err);
}

static int start_threads(struct control *c, struct tl_error *err)
{
    int rc = pthread_create(&c->keeper, NULL, keeper_run, c);

    if (rc != 0)
        return tl_fail_errno(err, rc, "a thread");
    c->keeper_runs = true;
    rc = pthread_create(&c->tracker, NULL, tracker_run, c);
    if (rc != 0)
        return tl_fail_errno(err, rc, "a thread");
    c->tracker_runs = true;
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
    pthread_cond_broadcast(&c->keeper_wake);
    pthread_cond_broadcast(&c->tracker_wake);
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
    if (c->keeper_runs)
        pthread_join(c->keeper, NULL);
    if (c->tracker_runs)
        pthread_join(c->tracker, NULL);
    live_free_all(c);
    tenants_free(c);
    store_close(c->store);
    pthread_cond_destroy(&c->changed);
    pthread_cond_destroy(&c->settled);
    pthread_cond_destroy(&c->keeper_wake);
    pthread_cond_destroy(&c->tracker_wake);
    pthread_mutex_destroy(&c->lock);
    free(c);
}
