/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/pipeline/runtime.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

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
    bool joined;
    _Atomic bool stop;
    _Atomic bool ended;
};

/* ------------------------------------------------------------------ workers */

static struct timespec in_ms(int ms)
{
    struct timespec t;
    int64_t end;

    clock_gettime(CLOCK_MONOTONIC, &t);
    end = (int64_t)t.tv_sec * 1000000000 + t.tv_nsec + (int64_t)ms * 1000000;
    t.tv_sec = (time_t)(end / 1000000000);
    t.tv_nsec = (long)(end % 1000000000);
    return t;
}

bool worker_wait(struct worker *w, int ms, const struct lane *lane, const char *why)
{
    enum { TELL_EVERY_MS = 1000 }; /* control forgets what is not repeated */
    unsigned revoked = atomic_load(&w->revoked);
    int32_t partition = lane ? lane->partition : -1;

    for (bool more = true; more;) {
        struct timespec until = in_ms(TL_MIN(ms, TELL_EVERY_MS));

        if (why)
            control_api_waiting(w->control, w->ops->name, w->tenant.name, partition, why);
        do {
            if (atomic_load(&w->stop) || atomic_load(&w->revoked) != revoked)
                return false;
        } while (pthread_cond_timedwait(&w->changed, &w->mutex, &until) != ETIMEDOUT);
        ms -= TELL_EVERY_MS;
        more = ms > 0;
    }
    return !atomic_load(&w->stop) && atomic_load(&w->revoked) == revoked;
}

void worker_goes_on(struct worker *w)
{
    control_api_waiting(w->control, w->ops->name, w->tenant.name, -1, NULL);
}

static struct lane *find_lane(struct worker *w, const char *topic, int32_t partition)
{
    for (struct lane *l = w->lanes; l; l = l->next)
        if (l->partition == partition && strcmp(l->topic, topic) == 0)
            return l;
    return NULL;
}

/* By the worker's thread, which is in no pop now, or when there is none any more. */
static void drop_retired(struct worker *w)
{
    if (!w->retired)
        return;
    tl_kqueue_free(w->retired);
    w->retired = NULL;
    pthread_cond_broadcast(&w->changed);
}

/* One turn: what is due, then at most one message. The mutex is held but for the pop. */
static void turn(struct worker *w)
{
    int wait_ms = w->ops->idle(w);
    struct tl_kqueue *queue = w->queue;
    struct tl_message m;
    struct lane *lane;
    int got;

    if (!queue) {
        worker_wait(w, wait_ms, NULL, NULL);
        return;
    }
    pthread_mutex_unlock(&w->mutex);
    got = tl_kqueue_pop(queue, wait_ms, &m);
    pthread_mutex_lock(&w->mutex);
    if (!got)
        return;
    lane = find_lane(w, m.topic, m.partition);
    if (lane && lane->queue == queue)
        w->ops->message(w, lane, &m);
    tl_message_release(&m);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    char name[16];

    snprintf(name, sizeof name, "%.4s/%.9s", w->ops->name, w->tenant.name);
    pthread_setname_np(pthread_self(), name);
    pthread_mutex_lock(&w->mutex);
    while (!atomic_load(&w->stop)) {
        turn(w);
        drop_retired(w);
    }
    w->ops->drain(w);
    drop_retired(w);
    pthread_mutex_unlock(&w->mutex);
    return NULL;
}

static void worker_free(struct worker *w)
{
    w->ops->close(w);
    while (w->lanes) {
        struct lane *l = w->lanes;

        w->lanes = l->next;
        free(l);
    }
    tl_kqueue_free(w->queue);
    drop_retired(w);
    control_api_free(w->control);
    tenant_info_release(&w->tenant);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->mutex);
    free(w);
}

static int init_sync(struct worker *w)
{
    pthread_condattr_t attr;

    if (pthread_condattr_init(&attr))
        return -1;
    if (pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) || pthread_cond_init(&w->changed, &attr)) {
        pthread_condattr_destroy(&attr);
        return -1;
    }
    pthread_condattr_destroy(&attr);
    if (pthread_mutex_init(&w->mutex, NULL)) {
        pthread_cond_destroy(&w->changed);
        return -1;
    }
    return 0;
}

static struct worker *worker_new(struct member *m, const struct tenant_info *tenant, int index,
                                 struct tl_error *err)
{
    struct role_runtime *r = m->role;
    struct worker *w = calloc(1, sizeof *w);

    if (!w || tenant_info_copy(&w->tenant, tenant, err)) {
        free(w);
        tl_fail_nomem(err);
        return NULL;
    }
    if (init_sync(w)) {
        tenant_info_release(&w->tenant);
        free(w);
        tl_fail_nomem(err);
        return NULL;
    }
    w->ops = r->ops;
    w->config = r->config;
    w->log = r->log;
    w->consumer = m->consumer;
    w->index = index;
    w->control = control_api_new(r->control_url, r->token, err);
    if (!w->control || r->ops->open(w, err))
        goto failed;
    if (pthread_create(&w->thread, NULL, worker_main, w)) {
        tl_fail(err, TL_E_AGAIN, "can't start a thread");
        goto failed;
    }
    w->next = m->workers;
    m->workers = w;
    return w;
failed:
    worker_free(w);
    return NULL;
}

static void stop_workers(struct member *m)
{
    for (struct worker *w = m->workers; w; w = w->next) {
        pthread_mutex_lock(&w->mutex);
        atomic_store(&w->stop, true);
        pthread_cond_broadcast(&w->changed);
        if (w->queue)
            tl_kqueue_wake(w->queue);
        pthread_mutex_unlock(&w->mutex);
    }
    for (struct worker *w = m->workers; w; w = w->next)
        pthread_join(w->thread, NULL);
}

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
    return worker_new(m, tenant, index, err);
}

static struct tl_kqueue *add_lane(struct worker *w, const char *topic, int32_t partition,
                                  struct tl_error *err)
{
    struct lane *lane = calloc(1, sizeof *lane);
    struct tl_kqueue *queue;

    if (!lane) {
        tl_fail_nomem(err);
        return NULL;
    }
    lane->worker = w;
    lane->partition = partition;
    snprintf(lane->topic, sizeof lane->topic, "%s", topic);
    pthread_mutex_lock(&w->mutex);
    if (!w->queue)
        w->queue = tl_kqueue_new(w->consumer, err);
    lane->queue = queue = w->queue;
    if (queue && w->ops->lane_added(w, lane, err) == 0) {
        lane->next = w->lanes;
        w->lanes = lane;
    } else {
        queue = NULL;
        free(lane);
    }
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    return queue;
}

static struct tl_kqueue *on_assigned(void *app, const char *topic, int32_t partition)
{
    struct member *m = app;
    const struct tenant_info *tenant = tenant_of(m, topic);
    struct tl_error err;
    struct tl_kqueue *queue;
    struct worker *w;

    if (!tenant)
        return NULL;
    w = worker_for(m, tenant, partition, &err);
    queue = w ? add_lane(w, topic, partition, &err) : NULL;
    if (queue)
        tl_debug(m->role->log, m->role->ops->name, "%s [%d] is ours", topic, partition);
    else
        tl_error_log(m->role->log, m->role->ops->name, "%s [%d] can't be served: %s", topic, partition,
                     err.text);
    return queue;
}

static void remove_lane(struct worker *w, const char *topic, int32_t partition)
{
    for (struct lane **at = &w->lanes; *at; at = &(*at)->next) {
        struct lane *lane = *at;

        if (lane->partition != partition || strcmp(lane->topic, topic) != 0)
            continue;
        w->ops->lane_removed(w, lane);
        *at = lane->next;
        free(lane);
        break;
    }
    if (!w->lanes && w->queue) {
        tl_kqueue_wake(w->queue);
        /* Two rebalances in a row: the thread may still be in the pop of the queue before this one. */
        while (w->retired)
            pthread_cond_wait(&w->changed, &w->mutex);
        w->retired = w->queue;
        w->queue = NULL;
    }
}

static void on_revoked(void *app, const char *topic, int32_t partition)
{
    struct member *m = app;

    for (struct worker *w = m->workers; w; w = w->next) {
        /* Before the mutex is to be had: whoever holds it and waits gives up. */
        atomic_fetch_add(&w->revoked, 1);
        pthread_cond_broadcast(&w->changed);
        pthread_mutex_lock(&w->mutex);
        remove_lane(w, topic, partition);
        pthread_mutex_unlock(&w->mutex);
    }
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

    stop_workers(m);
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
        .assigned = on_assigned, .revoked = on_revoked, .trouble = on_trouble, .app = m};
    char group[32], client[32];

    if (!m) {
        tl_fail_nomem(err);
        return NULL;
    }
    snprintf(group, sizeof group, "tload-%s", r->ops->name);
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
    struct timespec step = {.tv_nsec = (long)TL_MIN(ms, 20) * 1000000};

    for (int64_t end = tl_clock_ms() + ms; tl_clock_ms() < end && !atomic_load(&r->stop);)
        nanosleep(&step, NULL);
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
    atomic_store(&r->ended, true);
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
    atomic_store(&r->stop, true);
}

int role_join(struct role_runtime *r, int timeout_ms, struct tl_error *err)
{
    struct timespec until;

    if (r->joined)
        return 0;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    if (pthread_clockjoin_np(r->thread, NULL, CLOCK_MONOTONIC, &until))
        return tl_fail(err, TL_E_TIMEOUT, "role %s has not stopped within %d ms", r->ops->name, timeout_ms);
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
    free(r);
}

bool role_alive(const struct role_runtime *r)
{
    return !atomic_load(&r->ended);
}
