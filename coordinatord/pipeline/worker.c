/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/pipeline/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/base/clock.h"

/*
 * A lane can be gone after any waiting, even when none was to go before it: `leaving` says what the owner
 * wants, `removed` what it has done meanwhile.
 */
static bool goes_on(const struct worker *w, unsigned removed)
{
    return !atomic_load(&w->stop) && !atomic_load(&w->leaving) && w->removed == removed;
}

bool worker_wait(struct worker *w, int ms, const struct lane *lane, const char *why)
{
    enum { TELL_EVERY_MS = 1000 }; /* control forgets what is not repeated */
    unsigned removed = w->removed;
    int32_t partition = lane ? lane->partition : -1;

    for (bool more = true; more;) {
        struct timespec until = tl_clock_after(TL_MIN(ms, TELL_EVERY_MS));

        if (why && goes_on(w, removed))
            control_api_waiting(w->control, w->ops->name, w->tenant.name, partition, why);
        do {
            if (!goes_on(w, removed))
                return false;
        } while (pthread_cond_clockwait(&w->changed, &w->mutex, CLOCK_MONOTONIC, &until) != ETIMEDOUT);
        ms -= TELL_EVERY_MS;
        more = ms > 0;
    }
    return goes_on(w, removed);
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

/* Lets the owner have the mutex, which wants to take the lanes away. */
static void wait_for_owner(struct worker *w)
{
    enum { LOOK_AGAIN_MS = 100 };
    struct timespec until = tl_clock_after(LOOK_AGAIN_MS);

    pthread_cond_clockwait(&w->changed, &w->mutex, CLOCK_MONOTONIC, &until);
}

/*
 * One turn: what is due, then at most one message. The mutex is held but for the pop. When lanes are to go
 * nothing more is begun: a message may have been given up in the middle, and the one behind it must not be
 * handled without it.
 */
static void turn(struct worker *w)
{
    struct tl_kqueue *queue;
    struct tl_message m;
    struct lane *lane;
    int wait_ms, got;

    if (atomic_load(&w->leaving)) {
        wait_for_owner(w);
        return;
    }
    wait_ms = w->ops->idle(w);
    queue = w->queue;
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
    if (lane && lane->queue == queue && !atomic_load(&w->leaving)) {
        if (m.lost)
            w->ops->lost(w, lane, &m.why);
        else
            w->ops->message(w, lane, &m);
    }
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

void worker_free(struct worker *w)
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

struct worker *worker_new(const struct worker_options *o, struct tl_error *err)
{
    struct worker *w = calloc(1, sizeof *w);

    if (!w || tenant_info_copy(&w->tenant, o->tenant, err)) {
        free(w);
        tl_fail_nomem(err);
        return NULL;
    }
    pthread_mutex_init(&w->mutex, NULL); /* neither can fail without attributes */
    pthread_cond_init(&w->changed, NULL);
    w->ops = o->ops;
    w->config = o->config;
    w->log = o->log;
    w->consumer = o->consumer;
    w->index = o->index;
    w->control = control_api_new(o->control_url, o->token, err);
    if (!w->control || w->ops->open(w, err))
        goto failed;
    if (pthread_create(&w->thread, NULL, worker_main, w)) {
        tl_fail(err, TL_E_AGAIN, "can't start a thread");
        goto failed;
    }
    return w;
failed:
    worker_free(w);
    return NULL;
}

void worker_stop(struct worker *w)
{
    /* Before the mutex is to be had: its thread does not hand it over while there are messages. */
    atomic_store(&w->stop, true);
    pthread_mutex_lock(&w->mutex);
    pthread_cond_broadcast(&w->changed);
    if (w->queue)
        tl_kqueue_wake(w->queue);
    pthread_mutex_unlock(&w->mutex);
}

void worker_join(struct worker *w)
{
    pthread_join(w->thread, NULL);
}

struct tl_kqueue *worker_add_lane(struct worker *w, const char *topic, int32_t partition,
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
        atomic_store(&w->leaving, false);
    } else {
        queue = NULL;
        free(lane);
    }
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
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
        w->removed++;
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

void worker_remove_lane(struct worker *w, const char *topic, int32_t partition)
{
    /* Before the mutex is to be had: whoever holds it and waits gives up. */
    atomic_store(&w->leaving, true);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_lock(&w->mutex);
    remove_lane(w, topic, partition);
    if (!w->lanes)
        atomic_store(&w->leaving, false);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
}
