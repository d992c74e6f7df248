/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/pipeline/member.h"

#include <stdio.h>
#include <stdlib.h>

#include "coordinatord/pipeline/worker.h"
#include "shared/base/clock.h"

enum {
    POLL_MS = 1000,       /* member_tell ends it */
    POLL_LEAVING_MS = 10, /* somebody drains */
    ANEW_MS = 1000,       /* before another consumer is tried */
    FETCH_WAIT_MS = 100   /* what is fetched again waits for the end of the fetch before it */
};

struct member {
    struct member_options options;
    char cluster[TL_TENANT_MAX + 1];
    int32_t group;
    struct tl_kafka_conf kafka;
    pthread_t thread;
    _Atomic bool stop;
    _Atomic bool ended;
    pthread_mutex_t mutex;   /* of the next three, and `consumer` where it changes */
    pthread_cond_t changed;  /* `stop` */
    struct tenant_list told; /* since the thread looked last */
    bool has_told;

    /* The thread's. */
    struct tl_consumer *consumer;
    struct control_api *control;
    struct tenant_list wanted;
    size_t n;
    struct followed **followed; /* in the order of the names */
    bool closing;               /* the workers have ended */
    size_t lanes;               /* that the workers have */
    size_t lanes_logged;
};

/* ------------------------------------------------------------------ tenants */

static int by_name(const void *name, const void *item)
{
    return strcmp(name, (*(struct followed *const *)item)->tenant.name);
}

static int tenant_by_name(const void *name, const void *item)
{
    return strcmp(name, ((const struct tenant_info *)item)->name);
}

static struct followed *find(const struct member *m, const char *tenant)
{
    struct followed **f = m->n ? bsearch(tenant, m->followed, m->n, sizeof(struct followed *), by_name)
                               : NULL;

    return f ? *f : NULL;
}

static struct followed *followed_by_topic(const struct member *m, const char *topic)
{
    char tenant[TL_TENANT_MAX + 1];
    enum tl_topic which;
    struct tl_str name;

    return tl_topic_parse(tl_str(topic), &which, &name) && tl_str_copy(name, tenant, sizeof tenant)
               ? find(m, tenant)
               : NULL;
}

static const struct tenant_info *find_wanted(const struct member *m, const char *tenant)
{
    return m->wanted.n ? bsearch(tenant, m->wanted.item, m->wanted.n, sizeof *m->wanted.item, tenant_by_name)
                       : NULL;
}

/* At its place. */
static int follow(struct member *m, const struct tenant_info *tenant, struct tl_error *err)
{
    struct followed **longer = realloc(m->followed, (m->n + 1) * sizeof *longer), *f;
    size_t at = m->n;

    if (!longer)
        return tl_fail_nomem(err);
    m->followed = longer;
    f = followed_new(m->options.ops, m->options.config, &m->options.times, tenant, err);
    if (!f)
        return -1;
    while (at > 0 && strcmp(m->followed[at - 1]->tenant.name, tenant->name) > 0)
        at--;
    memmove(&m->followed[at + 1], &m->followed[at], (m->n - at) * sizeof *m->followed);
    m->followed[at] = f;
    m->n++;
    tl_info(m->options.log, m->options.ops->name, "follows tenant %s on cluster %s", tenant->name,
            m->cluster);
    return 0;
}

/* ------------------------------------------------------------------ lanes come and go */

static struct worker *worker_for(struct member *m, struct followed *f, int32_t partition,
                                 struct tl_error *err)
{
    const struct member_options *o = &m->options;
    int index = partition % f->width;
    struct worker_options options = {
        .ops = o->ops,
        .config = o->config,
        .tenant = &f->tenant,
        .consumer = m->consumer,
        .attendant = o->attendant,
        .log = o->log,
        .control_url = o->control_url,
        .token = o->token,
        .index = index,
    };

    if (!f->worker[index])
        f->worker[index] = worker_new(&options, err);
    return f->worker[index];
}

static struct tl_kqueue *on_assigned(void *app, const char *topic, int32_t partition, int64_t *begin)
{
    struct member *m = app;
    const struct member_options *o = &m->options;
    struct followed *f = followed_by_topic(m, topic);
    struct tl_error err;
    struct tl_kqueue *queue;
    struct worker *w;

    /* Closing serves an assignment that was on its way, and takes it back at once. */
    if (!f || f->leaving || m->closing)
        return NULL;
    w = worker_for(m, f, partition, &err);
    queue = w ? worker_add_lane(w, topic, partition, begin, &err) : NULL;
    m->lanes += queue != NULL;
    followed_assigned(f);
    if (queue)
        tl_debug(o->log, o->ops->name, "%s [%d] is ours", topic, partition);
    else
        tl_error_log(o->log, o->ops->name, "%s [%d] can't be served: %s", topic, partition, err.text);
    return queue;
}

static void on_revoking(void *app)
{
    struct member *m = app;

    for (size_t i = 0; i < m->n; i++)
        for (int n = 0; n < m->followed[i]->width; n++)
            if (m->followed[i]->worker[n])
                worker_leave(m->followed[i]->worker[n]);
}

static void on_revoked(void *app, const char *topic, int32_t partition)
{
    struct member *m = app;
    struct followed *f = followed_by_topic(m, topic);
    struct worker *w = f ? f->worker[partition % f->width] : NULL;

    if (w && worker_remove_lane(w, topic, partition))
        m->lanes--;
}

static void on_waits(void *app, const char *topic, int32_t partition, const char *why)
{
    struct member *m = app;
    const struct member_options *o = &m->options;
    const struct followed *f = followed_by_topic(m, topic);

    if (!f || f->leaving || m->closing)
        return;
    tl_warn(o->log, o->ops->name, "%s [%d] waits: %s", topic, partition, why);
    control_api_waiting(m->control, o->ops->name, f->tenant.name, partition, why);
}

static void on_trouble(void *app, const char *topic, int32_t partition, const char *text)
{
    struct member *m = app;
    const struct member_options *o = &m->options;

    if (topic)
        tl_error_log(o->log, o->ops->name, "%s [%d]: %s", topic, partition, text);
    else
        tl_warn(o->log, o->ops->name, "cluster %s: %s", m->cluster, text);
}

/* ------------------------------------------------------------------ following */

static int subscribe(struct member *m, struct tl_error *err)
{
    char(*names)[TL_TOPIC_NAME_MAX + 1] = calloc(m->n + 1, sizeof *names);
    const char **topics = calloc(m->n + 1, sizeof *topics);
    size_t n = 0;
    int rc;

    for (size_t i = 0; names && topics && i < m->n; i++) {
        if (m->followed[i]->left)
            continue;
        tl_topic_name(m->options.ops->topic, tl_str(m->followed[i]->tenant.name), names[n]);
        topics[n] = names[n];
        n++;
    }
    rc = names && topics ? tl_consumer_subscribe(m->consumer, topics, n, err) : tl_fail_nomem(err);
    free(names);
    free(topics);
    return rc;
}

/* Tells the workers of those to end that are not wanted, or not as they are. */
static void let_go(struct member *m)
{
    for (size_t i = 0; i < m->n; i++) {
        struct followed *f = m->followed[i];
        const struct tenant_info *wanted = find_wanted(m, f->tenant.name);

        if (f->leaving || (wanted && !wanted->removing && followed_fits(f, wanted)))
            continue;
        f->leaving = true;
        followed_stop(f);
    }
}

/* What leaves goes on with that, a step at a time. Returns whether the topics to be subscribed are others. */
static bool leave(struct member *m)
{
    bool others = false;
    size_t kept = 0;

    for (size_t i = 0; i < m->n; i++) {
        struct followed *f = m->followed[i];

        if (f->leaving && !f->left && followed_drained(f))
            f->left = others = true;
        else if (f->left && !followed_has_lanes(f)) {
            tl_info(m->options.log, m->options.ops->name, "follows tenant %s on cluster %s no more",
                    f->tenant.name, m->cluster);
            followed_join(f);
            followed_free(f);
            continue;
        }
        m->followed[kept++] = f;
    }
    m->n = kept;
    return others;
}

/* Those that are wanted and not there. Returns whether the topics to be subscribed are others. */
static bool follow_wanted(struct member *m, struct tl_error *err)
{
    bool others = false;

    for (size_t i = 0; i < m->wanted.n; i++) {
        const struct tenant_info *t = &m->wanted.item[i];

        if (!t->ready || find(m, t->name))
            continue; /* one that is leaving has to be gone before */
        if (follow(m, t, err))
            break;
        others = true;
    }
    return others;
}

static bool somebody_leaves(const struct member *m)
{
    for (size_t i = 0; i < m->n; i++)
        if (m->followed[i]->leaving)
            return true;
    return false;
}

static void take_told(struct member *m)
{
    pthread_mutex_lock(&m->mutex);
    if (m->has_told) {
        tenant_list_release(&m->wanted);
        m->wanted = m->told;
        m->told = (struct tenant_list){0};
        m->has_told = false;
    }
    pthread_mutex_unlock(&m->mutex);
}

static void regard(struct member *m)
{
    for (size_t i = 0; i < m->n; i++) {
        struct followed *f = m->followed[i];
        const struct tenant_info *wanted = f->leaving ? NULL : find_wanted(m, f->tenant.name);

        if (wanted)
            followed_regard(f, wanted, m->consumer, m->options.log);
    }
}

/* ------------------------------------------------------------------ its thread */

/* With its workers; for those that left as well. */
static void end_workers(struct member *m)
{
    for (size_t i = 0; i < m->n; i++)
        followed_stop(m->followed[i]);
    for (size_t i = 0; i < m->n; i++)
        followed_join(m->followed[i]);
}

static void close_consumer(struct member *m)
{
    struct tl_consumer *consumer = m->consumer;
    struct tl_error err;

    end_workers(m);
    m->closing = true;
    if (tl_consumer_close(consumer, &err))
        tl_warn(m->options.log, m->options.ops->name, "%s", err.text);
    for (size_t i = 0; i < m->n; i++)
        followed_free(m->followed[i]);
    m->n = 0;
    pthread_mutex_lock(&m->mutex);
    m->consumer = NULL; /* nobody wakes it any more */
    pthread_mutex_unlock(&m->mutex);
    tl_consumer_free(consumer);
    m->closing = false;
}

static int open_consumer(struct member *m, struct tl_error *err)
{
    const struct member_options *o = &m->options;
    struct tl_consumer_events events = {.assigned = on_assigned,
                                        .revoking = on_revoking,
                                        .revoked = on_revoked,
                                        .waits = on_waits,
                                        .trouble = on_trouble,
                                        .app = m};
    char group[TL_GROUP_NAME_MAX + 1], client[32];
    struct tl_consumer_options options = {
        .group = group,
        .client_id = client,
        .queue_bytes = o->ops->queue_bytes,
        .from_stored = o->ops->from_stored,
        .fetch_wait_ms = FETCH_WAIT_MS,
    };
    struct tl_consumer *consumer;

    tl_group_name(o->ops->name, m->group, group);
    snprintf(client, sizeof client, "coordinatord-%s", o->ops->name);
    consumer = tl_consumer_new(&m->kafka, &options, &events, o->log, err);
    pthread_mutex_lock(&m->mutex);
    m->consumer = consumer;
    pthread_mutex_unlock(&m->mutex);
    return consumer ? 0 : -1;
}

static void log_lanes(struct member *m)
{
    if (m->lanes == m->lanes_logged)
        return;
    m->lanes_logged = m->lanes;
    tl_info(m->options.log, m->options.ops->name, "cluster %s, group %d: %zu partitions are ours", m->cluster,
            (int)m->group, m->lanes);
}

/* Until it is to stop; -1 when this consumer can't go on. */
static int serve(struct member *m, struct tl_error *err)
{
    bool subscribed = true;

    while (!atomic_load(&m->stop)) {
        bool others;

        take_told(m);
        let_go(m);
        others = leave(m);
        others |= follow_wanted(m, err);
        if (others || !subscribed) {
            subscribed = subscribe(m, err) == 0;
            if (!subscribed)
                tl_warn(m->options.log, m->options.ops->name, "cluster %s: %s", m->cluster, err->text);
        }
        regard(m);
        log_lanes(m);
        if (tl_consumer_poll(m->consumer, somebody_leaves(m) ? POLL_LEAVING_MS : POLL_MS, err))
            return -1;
    }
    return 0;
}

static void pause_for(struct member *m, int ms)
{
    struct timespec until = tl_clock_after(ms);

    pthread_mutex_lock(&m->mutex);
    while (!atomic_load(&m->stop) &&
           pthread_cond_clockwait(&m->changed, &m->mutex, CLOCK_MONOTONIC, &until) == 0)
        ;
    pthread_mutex_unlock(&m->mutex);
}

static void *member_main(void *arg)
{
    struct member *m = arg;
    const struct member_options *o = &m->options;
    char name[16];

    snprintf(name, sizeof name, "%.4s@%.10s", o->ops->name, m->cluster);
    pthread_setname_np(pthread_self(), name);
    while (!atomic_load(&m->stop)) {
        struct tl_error err;

        if (!m->consumer && open_consumer(m, &err)) {
            tl_error_log(o->log, o->ops->name, "cluster %s: %s", m->cluster, err.text);
        } else {
            if (serve(m, &err))
                tl_error_log(o->log, o->ops->name, "cluster %s: begins anew: %s", m->cluster, err.text);
            close_consumer(m);
        }
        pause_for(m, ANEW_MS);
    }
    /* Whoever frees it may be asking control for what is new, for long. */
    control_api_free(m->control);
    m->control = NULL;
    atomic_store(&m->ended, true);
    return NULL;
}

/* ------------------------------------------------------------------ from outside */

static void release(struct member *m)
{
    tl_consumer_free(m->consumer);
    tenant_list_release(&m->told);
    tenant_list_release(&m->wanted);
    free(m->followed);
    control_api_free(m->control);
    tl_kafka_conf_release(&m->kafka);
    pthread_cond_destroy(&m->changed);
    pthread_mutex_destroy(&m->mutex);
    free(m);
}

struct member *member_new(const struct member_options *options, const struct tenant_info *tenant,
                          struct tl_error *err)
{
    struct member *m = calloc(1, sizeof *m);

    if (!m) {
        tl_fail_nomem(err);
        return NULL;
    }
    pthread_mutex_init(&m->mutex, NULL); /* neither can fail without attributes */
    pthread_cond_init(&m->changed, NULL);
    tl_kafka_conf_init(&m->kafka);
    m->options = *options;
    snprintf(m->cluster, sizeof m->cluster, "%s", tenant->cluster);
    m->group = tenant->group;
    if (tl_kafka_conf_copy(&m->kafka, &tenant->kafka, err))
        goto failed;
    m->control = control_api_new(options->control_url, options->token, err);
    if (!m->control || open_consumer(m, err))
        goto failed;
    if (pthread_create(&m->thread, NULL, member_main, m)) {
        tl_fail(err, TL_E_AGAIN, "can't start a thread");
        goto failed;
    }
    return m;
failed:
    release(m);
    return NULL;
}

bool member_fits(const struct member *m, const struct tenant_info *tenant)
{
    return strcmp(m->cluster, tenant->cluster) == 0 && m->group == tenant->group &&
           tl_kafka_conf_equal(&m->kafka, &tenant->kafka);
}

void member_tell(struct member *m, struct tenant_list *list)
{
    pthread_mutex_lock(&m->mutex);
    tenant_list_release(&m->told);
    m->told = *list;
    *list = (struct tenant_list){0};
    m->has_told = true;
    if (m->consumer)
        tl_consumer_wake(m->consumer);
    pthread_mutex_unlock(&m->mutex);
}

void member_stop(struct member *m)
{
    atomic_store(&m->stop, true);
    pthread_mutex_lock(&m->mutex);
    pthread_cond_broadcast(&m->changed);
    if (m->consumer)
        tl_consumer_wake(m->consumer);
    pthread_mutex_unlock(&m->mutex);
}

bool member_has_ended(const struct member *m)
{
    return atomic_load(&m->ended);
}

void member_free(struct member *m)
{
    if (!m)
        return;
    pthread_join(m->thread, NULL);
    release(m);
}
