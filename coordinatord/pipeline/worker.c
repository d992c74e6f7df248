/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/pipeline/worker.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "coordinatord/pipeline/attendant.h"
#include "shared/base/clock.h"

enum {
    PARK_MS = 3000, /* without a message: another one may follow soon, and what a start costs is some ms */
    OPEN_AGAIN_MS = 1000
};

/*
 * A lane can be gone after any waiting, even when none was to go before it: `leaving` says what the member
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

/* Lets the member have the mutex, which wants to take the lanes away. */
static void wait_for_member(struct worker *w)
{
    enum { LOOK_AGAIN_MS = 100 };
    struct timespec until = tl_clock_after(LOOK_AGAIN_MS);

    pthread_cond_clockwait(&w->changed, &w->mutex, CLOCK_MONOTONIC, &until);
}

bool worker_has_message(const struct worker *w)
{
    return w->has_first || (w->queue && !tl_kqueue_empty(w->queue));
}

static void drop_first(struct worker *w)
{
    if (w->has_first)
        tl_message_release(&w->first);
    w->has_first = false;
}

/* A message, if there is one; the mutex is held but for the pop. */
static void take(struct worker *w, int wait_ms)
{
    struct tl_kqueue *queue = w->queue;
    struct tl_message m;
    struct lane *lane;
    int got = w->has_first;

    if (got) {
        m = w->first;
        w->has_first = false;
    } else {
        pthread_mutex_unlock(&w->mutex);
        got = tl_kqueue_pop(queue, wait_ms, &m);
        pthread_mutex_lock(&w->mutex);
    }
    if (!got)
        return;
    w->busy_at = tl_clock_ms();
    lane = find_lane(w, m.topic, m.partition);
    if (lane && lane->queue == queue && !atomic_load(&w->leaving)) {
        if (m.lost)
            w->ops->lost(w, lane, &m.why);
        else
            w->ops->message(w, lane, &m);
    }
    tl_message_release(&m);
}

/*
 * One turn: what is due, then at most one message. When lanes are to go nothing more is begun: a message may have been
 * given up in the middle, and the one behind it must not be handled without it.
 */
static void turn(struct worker *w)
{
    int wait_ms;

    if (atomic_load(&w->leaving)) {
        wait_for_member(w);
        return;
    }
    wait_ms = w->ops->idle(w);
    if (!w->busy_at && w->ops->quiet(w))
        wait_ms = 0; /* what it was started for is done */
    if (w->queue)
        take(w, wait_ms);
    else if (wait_ms)
        worker_wait(w, wait_ms, NULL, NULL);
}

/* ------------------------------------------------------------------ parking */

/* In a thread of librdkafka. */
static void on_filled(void *app)
{
    struct worker *w = app;

    if (atomic_load(&w->parked))
        attendant_call(w->attendant, w, true);
}

/*
 * Whether it may park now. What comes into the queue after it was found empty is told, since `parked` was set before;
 * what came earlier is seen.
 */
static bool parks(struct worker *w)
{
    if (atomic_load(&w->stop) || atomic_load(&w->leaving) || !w->ops->quiet(w) ||
        (w->busy_at && tl_clock_ms() - w->busy_at < w->park_ms))
        return false;
    atomic_store(&w->parked, true);
    if (!worker_has_message(w))
        return true;
    atomic_store(&w->parked, false);
    return false;
}

static void close_state(struct worker *w)
{
    w->ops->close(w);
    w->state = NULL;
    control_api_free(w->control);
    w->control = NULL;
}

static int open_state(struct worker *w, struct tl_error *err)
{
    w->control = control_api_new(w->control_url, w->token, err);
    if (w->control && w->ops->open(w, err) == 0)
        return 0;
    close_state(w);
    return -1;
}

/* False: it is to stop before it could begin. */
static bool wakes(struct worker *w)
{
    struct tl_error err;

    while (!atomic_load(&w->stop)) {
        struct timespec until = tl_clock_after(OPEN_AGAIN_MS);

        if (open_state(w, &err) == 0)
            return true;
        tl_warn(w->log, w->ops->name, "tenant %s: %s", w->tenant.name, err.text);
        do
            drop_retired(w);
        while (!atomic_load(&w->stop) &&
               pthread_cond_clockwait(&w->changed, &w->mutex, CLOCK_MONOTONIC, &until) != ETIMEDOUT);
    }
    return false;
}

static void run(struct worker *w)
{
    bool parked = false;

    while (!atomic_load(&w->stop) && !parked) {
        turn(w);
        drop_retired(w);
        parked = parks(w);
    }
    if (parked)
        close_state(w);
    else
        w->ops->drain(w);
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    char name[16];

    snprintf(name, sizeof name, "%.4s/%.9s", w->ops->name, w->tenant.name);
    pthread_setname_np(pthread_self(), name);
    pthread_mutex_lock(&w->mutex);
    if (wakes(w))
        run(w);
    drop_retired(w);
    w->thread_is = THREAD_ENDED;
    pthread_mutex_unlock(&w->mutex);
    attendant_done(w->attendant, w);
    attendant_call(w->attendant, w, true); /* to be joined */
    return NULL;
}

/* What is in the queue may be a word of librdkafka's to itself, after every rebalance for each partition: no message. */
static bool has_work(struct worker *w)
{
    while (!w->has_first && w->queue && !tl_kqueue_empty(w->queue))
        w->has_first = tl_kqueue_pop(w->queue, 0, &w->first);
    return w->has_first || !w->ops->quiet(w);
}

int worker_attend(struct worker *w, bool urgent, struct tl_error *err)
{
    bool starts;
    int rc = 0;

    pthread_mutex_lock(&w->mutex);
    /* One that is to stop is worker_join's. */
    if (!atomic_load(&w->stop) && w->thread_is == THREAD_ENDED) {
        pthread_mutex_unlock(&w->mutex);
        pthread_join(w->thread, NULL);
        pthread_mutex_lock(&w->mutex);
        w->thread_is = THREAD_NONE;
    }
    starts = !atomic_load(&w->stop) && w->thread_is == THREAD_NONE && has_work(w);
    if (starts && urgent && !w->has_first) {
        /* No message after all, and a place that is to be read waits for its turn. */
        attendant_call(w->attendant, w, false);
    } else if (starts) {
        atomic_store(&w->parked, false);
        w->busy_at = urgent || w->has_first ? tl_clock_ms() : 0;
        w->thread_is = THREAD_RUNS;
        if (pthread_create(&w->thread, NULL, worker_main, w)) {
            w->thread_is = THREAD_NONE;
            atomic_store(&w->parked, true);
            rc = tl_fail(err, TL_E_AGAIN, "can't start a thread for tenant %s", w->tenant.name);
        }
    }
    if (w->thread_is == THREAD_NONE)
        attendant_done(w->attendant, w);
    pthread_mutex_unlock(&w->mutex);
    return rc;
}

/* ------------------------------------------------------------------ its life */

void worker_free(struct worker *w)
{
    if (!w)
        return;
    close_state(w);
    while (w->lanes) {
        struct lane *l = w->lanes;

        w->lanes = l->next;
        free(l);
    }
    drop_first(w);
    tl_kqueue_free(w->queue);
    drop_retired(w);
    attendant_forget(w->attendant, w); /* the queue called until now */
    tenant_info_release(&w->tenant);
    free(w->kept);
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
    w->control_url = o->control_url;
    w->token = o->token;
    w->attendant = o->attendant;
    w->consumer = o->consumer;
    w->index = o->index;
    w->park_ms = o->park_ms ? o->park_ms : PARK_MS;
    atomic_store(&w->parked, true);
    return w;
}

bool worker_rests(struct worker *w)
{
    bool rests;

    /* Not waited for: while it has messages its thread keeps the mutex. */
    if (!atomic_load(&w->parked) || pthread_mutex_trylock(&w->mutex))
        return false;
    rests = w->thread_is != THREAD_RUNS && w->ops->quiet(w) && !worker_has_message(w);
    pthread_mutex_unlock(&w->mutex);
    return rests;
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

bool worker_has_ended(struct worker *w)
{
    bool ended;

    pthread_mutex_lock(&w->mutex);
    ended = w->thread_is != THREAD_RUNS;
    pthread_mutex_unlock(&w->mutex);
    return ended;
}

void worker_join(struct worker *w)
{
    bool runs;

    /* From here on there is no attendant that joins or starts it: it is to stop. */
    attendant_forget(w->attendant, w);
    pthread_mutex_lock(&w->mutex);
    runs = w->thread_is != THREAD_NONE;
    pthread_mutex_unlock(&w->mutex);
    if (!runs)
        return;
    pthread_join(w->thread, NULL);
    /* The attendant was called once more by the thread's end, and may be looking. */
    pthread_mutex_lock(&w->mutex);
    w->thread_is = THREAD_NONE;
    pthread_mutex_unlock(&w->mutex);
}

struct tl_kqueue *worker_add_lane(struct worker *w, const char *topic, int32_t partition, int64_t *begin,
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
    tl_topic_position(topic, w->tenant.epoch, lane->position);
    pthread_mutex_lock(&w->mutex);
    if (!w->queue)
        w->queue = tl_kqueue_new(w->consumer, on_filled, w, err);
    lane->queue = queue = w->queue;
    if (queue && w->ops->lane_added(w, lane, begin, err) == 0) {
        lane->next = w->lanes;
        w->lanes = lane;
        atomic_store(&w->leaving, false);
        if (atomic_load(&w->parked) && !w->ops->quiet(w))
            attendant_call(w->attendant, w, false);
    } else {
        queue = NULL;
        free(lane);
    }
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    return queue;
}

static bool remove_lane(struct worker *w, const char *topic, int32_t partition)
{
    unsigned before = w->removed;

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
        drop_first(w);
        tl_kqueue_wake(w->queue);
        /* Two rebalances in a row: the thread may still be in the pop of the queue before this one. */
        while (w->retired)
            pthread_cond_wait(&w->changed, &w->mutex);
        w->retired = w->queue;
        w->queue = NULL;
        if (w->thread_is != THREAD_RUNS)
            drop_retired(w);
    }
    return w->removed != before;
}

void worker_leave(struct worker *w)
{
    if (!w->lanes)
        return;
    /* Before the mutex is to be had: whoever holds it and waits gives up. */
    atomic_store(&w->leaving, true);
    pthread_cond_broadcast(&w->changed);
}

bool worker_remove_lane(struct worker *w, const char *topic, int32_t partition)
{
    bool removed;

    worker_leave(w);
    pthread_mutex_lock(&w->mutex);
    removed = remove_lane(w, topic, partition);
    if (!w->lanes)
        atomic_store(&w->leaving, false);
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->mutex);
    return removed;
}
