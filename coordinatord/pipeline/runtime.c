/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/pipeline/runtime.h"

#include <stdio.h>
#include <stdlib.h>

#include "coordinatord/pipeline/worker.h"
#include "shared/base/clock.h"

enum {
    TENANTS_EVERY_MS = 1000,
    TENANTS_EVERY_MS_AT_FIRST = 50, /* until control has answered once */
    POLL_MS = 50,
    LOG_WAITING_EVERY_MS = 60000
};

/* This role's member of the consumer group of one cluster. */
struct member {
    struct member *next;
    struct role_runtime *role;
    char cluster[TL_TENANT_MAX + 1];
    struct tl_consumer *consumer;
    struct tenant_list tenants; /* those that it follows; their topics are subscribed */
    struct worker *workers;
    bool closing; /* the workers have ended */
};

struct role_runtime {
    const struct role_ops *ops;
    const struct config *config;
    struct tl_log *log;
    char *control_url;
    char *token;
    struct control_api *control; /* the owner thread's */
    struct member *members;
    pthread_t thread;
    pthread_mutex_t mutex; /* of `changed`, with the change of `stop` and `ended` */
    pthread_cond_t changed;
    bool joined;
    _Atomic bool stop;
    _Atomic bool ended;
};

/* ------------------------------------------------------------------ lanes come and go */

static const struct tenant_info *tenant_of(const struct member *m, const char *topic)
{
    struct tl_str name;
    enum tl_topic which;

    if (!tl_topic_parse(tl_str(topic), &which, &name))
        return NULL;
    for (size_t i = 0; i < m->tenants.n; i++)
        if (tl_str_eq_z(name, m->tenants.item[i].name))
            return &m->tenants.item[i];
    return NULL;
}

static struct worker *worker_for(struct member *m, const struct tenant_info *tenant, int32_t partition,
                                 struct tl_error *err)
{
    int width = m->role->ops->width(m->role->config, tenant);
    int index = partition % width;

    for (struct worker *w = m->workers; w; w = w->next)
        if (w->index == index && strcmp(w->tenant.name, tenant->name) == 0)
            return w;
    struct worker_options options = {
        .ops = m->role->ops,
        .config = m->role->config,
        .tenant = tenant,
        .consumer = m->consumer,
        .log = m->role->log,
        .control_url = m->role->control_url,
        .token = m->role->token,
        .index = index,
    };
    struct worker *w = worker_new(&options, err);

    if (w) {
        w->next = m->workers;
        m->workers = w;
    }
    return w;
}

static struct tl_kqueue *on_assigned(void *app, const char *topic, int32_t partition)
{
    struct member *m = app;
    const struct tenant_info *tenant = tenant_of(m, topic);
    struct tl_error err;
    struct tl_kqueue *queue;
    struct worker *w;

    /* Closing serves an assignment that was on its way, and takes it back at once. */
    if (!tenant || m->closing)
        return NULL;
    w = worker_for(m, tenant, partition, &err);
    queue = w ? worker_add_lane(w, topic, partition, &err) : NULL;
    if (queue)
        tl_debug(m->role->log, m->role->ops->name, "%s [%d] is ours", topic, partition);
    else
        tl_error_log(m->role->log, m->role->ops->name, "%s [%d] can't be served: %s", topic, partition,
                     err.text);
    return queue;
}

static void on_revoked(void *app, const char *topic, int32_t partition)
{
    struct member *m = app;

    for (struct worker *w = m->workers; w; w = w->next)
        worker_remove_lane(w, topic, partition);
}

static void on_waits(void *app, const char *topic, int32_t partition, const char *why)
{
    struct member *m = app;
    const struct tenant_info *tenant = tenant_of(m, topic);
    struct role_runtime *r = m->role;

    if (!tenant || m->closing)
        return;
    tl_warn(r->log, r->ops->name, "%s [%d] waits: %s", topic, partition, why);
    control_api_waiting(r->control, r->ops->name, tenant->name, partition, why);
}

static void on_trouble(void *app, const char *topic, int32_t partition, const char *text)
{
    struct member *m = app;

    if (topic)
        tl_error_log(m->role->log, m->role->ops->name, "%s [%d]: %s", topic, partition, text);
    else
        tl_warn(m->role->log, m->role->ops->name, "cluster %s: %s", m->cluster, text);
}

/* ------------------------------------------------------------------ members follow the tenants */

static void member_free(struct member *m)
{
    struct tl_error err;

    for (struct worker *w = m->workers; w; w = w->next)
        worker_stop(w);
    for (struct worker *w = m->workers; w; w = w->next)
        worker_join(w);
    m->closing = true;
    if (m->consumer && tl_consumer_close(m->consumer, &err))
        tl_warn(m->role->log, m->role->ops->name, "%s", err.text);
    while (m->workers) {
        struct worker *w = m->workers;

        m->workers = w->next;
        worker_free(w);
    }
    tl_consumer_free(m->consumer);
    tenant_list_release(&m->tenants);
    free(m);
}

static struct member *member_new(struct role_runtime *r, const struct tenant_info *tenant,
                                 struct tl_error *err)
{
    struct member *m = calloc(1, sizeof *m);
    struct tl_consumer_events events = {
        .assigned = on_assigned, .revoked = on_revoked, .waits = on_waits, .trouble = on_trouble, .app = m};
    char group[32], client[32];

    if (!m) {
        tl_fail_nomem(err);
        return NULL;
    }
    snprintf(group, sizeof group, TL_GROUP_PREFIX "%s", r->ops->name);
    snprintf(client, sizeof client, "coordinatord-%s", r->ops->name);
    struct tl_consumer_options options = {
        .group = group,
        .client_id = client,
        .queue_bytes = r->ops->queue_bytes,
        .from_stored = r->ops->from_stored,
    };
    m->role = r;
    snprintf(m->cluster, sizeof m->cluster, "%s", tenant->cluster);
    m->consumer = tl_consumer_new(&tenant->kafka, &options, &events, r->log, err);
    if (!m->consumer) {
        free(m);
        return NULL;
    }
    m->next = r->members;
    r->members = m;
    return m;
}

static int subscribe(struct member *m, struct tl_error *err)
{
    char(*names)[TL_TOPIC_NAME_MAX + 1] = calloc(m->tenants.n + 1, sizeof *names);
    const char **topics = calloc(m->tenants.n + 1, sizeof *topics);
    int rc;

    if (!names || !topics) {
        rc = tl_fail_nomem(err);
    } else {
        for (size_t i = 0; i < m->tenants.n; i++) {
            tl_topic_name(m->role->ops->topic, tl_str(m->tenants.item[i].name), names[i]);
            topics[i] = names[i];
        }
        rc = tl_consumer_subscribe(m->consumer, topics, m->tenants.n, err);
    }
    free(names);
    free(topics);
    return rc;
}

static bool follows(const struct member *m, const char *tenant)
{
    for (size_t i = 0; i < m->tenants.n; i++)
        if (strcmp(m->tenants.item[i].name, tenant) == 0)
            return true;
    return false;
}

/* Takes a tenant that is not followed yet into its cluster's member. */
static int follow(struct role_runtime *r, const struct tenant_info *tenant, struct tl_error *err)
{
    struct tenant_info *item;
    struct member *m;

    for (m = r->members; m; m = m->next)
        if (strcmp(m->cluster, tenant->cluster) == 0)
            break;
    if (m && follows(m, tenant->name))
        return 0;
    if (!m)
        m = member_new(r, tenant, err);
    if (!m)
        return -1;
    item = realloc(m->tenants.item, (m->tenants.n + 1) * sizeof *item);
    if (!item)
        return tl_fail_nomem(err);
    m->tenants.item = item;
    if (tenant_info_copy(&item[m->tenants.n], tenant, err))
        return -1;
    m->tenants.n++;
    if (subscribe(m, err)) {
        tenant_info_release(&m->tenants.item[--m->tenants.n]);
        return -1;
    }
    tl_info(r->log, r->ops->name, "follows tenant %s on cluster %s", tenant->name, tenant->cluster);
    return 0;
}

static int refresh_tenants(struct role_runtime *r, struct tl_error *err)
{
    struct tenant_list list;
    int rc = 0;

    if (control_api_tenants(r->control, &list, err))
        return -1;
    for (size_t i = 0; i < list.n && !rc; i++)
        if (list.item[i].ready)
            rc = follow(r, &list.item[i], err);
    tenant_list_release(&list);
    return rc;
}

/* ------------------------------------------------------------------ the role */

static void poll_members(struct role_runtime *r, bool *fatal)
{
    struct tl_error err;

    for (struct member *m = r->members; m; m = m->next) {
        if (tl_consumer_poll(m->consumer, POLL_MS, &err)) {
            tl_error_log(r->log, r->ops->name, "%s", err.text);
            *fatal = true;
        }
    }
}

static void pause_for(struct role_runtime *r, int ms)
{
    struct timespec until = tl_clock_after(ms);

    pthread_mutex_lock(&r->mutex);
    while (!atomic_load(&r->stop) &&
           pthread_cond_clockwait(&r->changed, &r->mutex, CLOCK_MONOTONIC, &until) == 0)
        ;
    pthread_mutex_unlock(&r->mutex);
}

static void *role_main(void *arg)
{
    struct role_runtime *r = arg;
    int64_t tenants_due = 0, logged = 0;
    bool fatal = false;

    pthread_setname_np(pthread_self(), r->ops->name);
    while (!atomic_load(&r->stop) && !fatal) {
        struct tl_error err;

        if (tl_clock_ms() >= tenants_due) {
            int every = r->members ? TENANTS_EVERY_MS : TENANTS_EVERY_MS_AT_FIRST;

            if (refresh_tenants(r, &err) && (logged == 0 || tl_clock_ms() - logged > LOG_WAITING_EVERY_MS)) {
                tl_warn(r->log, r->ops->name, "waiting for control: %s", err.text);
                logged = tl_clock_ms();
            }
            tenants_due = tl_clock_ms() + every;
        }
        if (r->members)
            poll_members(r, &fatal);
        else
            pause_for(r, TENANTS_EVERY_MS_AT_FIRST);
    }
    while (r->members) {
        struct member *m = r->members;

        r->members = m->next;
        member_free(m);
    }
    pthread_mutex_lock(&r->mutex);
    atomic_store(&r->ended, true);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
    return NULL;
}

static const struct role_ops *ops_of(enum role role)
{
    switch (role) {
    case ROLE_VALIDATE:
        return &validator_role;
    case ROLE_SINK:
        return &sink_role;
    case ROLE_ERRORS:
        return &errors_role;
    case ROLE_CONTROL:
    case ROLE_ALL:
        break;
    }
    return NULL;
}

struct role_runtime *role_start(enum role role, const struct config *config, const char *control_url,
                                const char *token, struct tl_log *log, struct tl_error *err)
{
    struct role_runtime *r = calloc(1, sizeof *r);

    if (!r) {
        tl_fail_nomem(err);
        return NULL;
    }
    pthread_mutex_init(&r->mutex, NULL);
    pthread_cond_init(&r->changed, NULL);
    r->ops = ops_of(role);
    r->config = config;
    r->log = log;
    r->control_url = strdup(control_url);
    r->token = token ? strdup(token) : NULL;
    r->control = control_api_new(control_url, token, err);
    if (!r->control_url || (token && !r->token) || !r->control) {
        if (r->control)
            tl_fail_nomem(err);
        r->joined = true;
        role_free(r);
        return NULL;
    }
    if (pthread_create(&r->thread, NULL, role_main, r)) {
        tl_fail(err, TL_E_AGAIN, "can't start a thread for role %s", r->ops->name);
        r->joined = true;
        role_free(r);
        return NULL;
    }
    return r;
}

void role_stop(struct role_runtime *r)
{
    pthread_mutex_lock(&r->mutex);
    atomic_store(&r->stop, true);
    pthread_cond_broadcast(&r->changed);
    pthread_mutex_unlock(&r->mutex);
}

int role_join(struct role_runtime *r, int timeout_ms, struct tl_error *err)
{
    struct timespec until = tl_clock_after(timeout_ms);
    bool ended;

    if (r->joined)
        return 0;
    pthread_mutex_lock(&r->mutex);
    while (!atomic_load(&r->ended) &&
           pthread_cond_clockwait(&r->changed, &r->mutex, CLOCK_MONOTONIC, &until) == 0)
        ;
    ended = atomic_load(&r->ended);
    pthread_mutex_unlock(&r->mutex);
    if (!ended)
        return tl_fail(err, TL_E_TIMEOUT, "role %s has not stopped within %d ms", r->ops->name, timeout_ms);
    pthread_join(r->thread, NULL);
    r->joined = true;
    return 0;
}

void role_free(struct role_runtime *r)
{
    if (!r)
        return;
    control_api_free(r->control);
    free(r->control_url);
    free(r->token);
    pthread_cond_destroy(&r->changed);
    pthread_mutex_destroy(&r->mutex);
    free(r);
}

bool role_alive(const struct role_runtime *r)
{
    return !atomic_load(&r->ended);
}
