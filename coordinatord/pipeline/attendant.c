/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/pipeline/attendant.h"

#include <stdio.h>
#include <stdlib.h>

#include "coordinatord/pipeline/worker.h"
#include "shared/base/clock.h"

enum {
    SLOTS = 8,      /* of each role: not all that a database has */
    SLOT_MS = 1000, /* one that takes longer waits for something, and the others are not to wait with it */
    FAILED_PAUSE_MS = 100
};

struct calls {
    struct worker *first;
    struct worker **end;
};

struct attendant {
    struct tl_log *log;
    char name[16];
    pthread_t thread;
    pthread_mutex_t mutex; /* the innermost: librdkafka calls with locks of its own held */
    pthread_cond_t changed;
    struct calls urgent;
    struct calls others;
    const struct worker *busy; /* that it looks after now */
    struct slot {
        const struct worker *worker; /* NULL: free */
        int64_t until;               /* tl_clock_ms */
    } slot[SLOTS];
    bool stop;
};

/* ------------------------------------------------------------------ calls, under the mutex */

static void append(struct calls *c, struct worker *w)
{
    w->next_call = NULL;
    *c->end = w;
    c->end = &w->next_call;
}

static void take_out(struct calls *c, struct worker *w)
{
    struct worker **at = &c->first;

    while (*at != w)
        at = &(*at)->next_call;
    *at = w->next_call;
    if (c->end == &w->next_call)
        c->end = at;
}

static struct slot *free_slot(struct attendant *a)
{
    int64_t now = tl_clock_ms();

    for (size_t i = 0; i < SLOTS; i++)
        if (!a->slot[i].worker || a->slot[i].until <= now)
            return &a->slot[i];
    return NULL;
}

/* The next worker to look after; NULL: none now, and it is waited no longer than until *until for a slot. */
static struct worker *next(struct attendant *a, int64_t *until)
{
    struct worker *w = a->urgent.first;
    struct slot *slot;

    *until = INT64_MAX;
    if (w) {
        take_out(&a->urgent, w);
    } else if ((w = a->others.first) != NULL) {
        slot = free_slot(a);
        if (!slot) {
            for (size_t i = 0; i < SLOTS; i++)
                *until = TL_MIN(*until, a->slot[i].until);
            return NULL;
        }
        *slot = (struct slot){.worker = w, .until = tl_clock_ms() + SLOT_MS};
        take_out(&a->others, w);
    } else {
        return NULL;
    }
    w->called = false;
    return w;
}

/* ------------------------------------------------------------------ its thread */

static void wait_until(struct attendant *a, int64_t until)
{
    struct timespec end;

    if (until == INT64_MAX) {
        pthread_cond_wait(&a->changed, &a->mutex);
        return;
    }
    end = tl_clock_after((int)TL_MAX(until - tl_clock_ms(), 1));
    pthread_cond_clockwait(&a->changed, &a->mutex, CLOCK_MONOTONIC, &end);
}

static void attend(struct attendant *a, struct worker *w)
{
    struct tl_error err;
    bool urgent = w->urgent;
    int rc;

    a->busy = w;
    pthread_mutex_unlock(&a->mutex);
    rc = worker_attend(w, urgent, &err);
    if (rc < 0)
        tl_warn(a->log, "daemon", "%s", err.text);
    pthread_mutex_lock(&a->mutex);
    a->busy = NULL;
    pthread_cond_broadcast(&a->changed);
    if (rc < 0) {
        /* Before others are tried, which will fail as well. */
        if (!w->called) {
            w->called = true;
            append(urgent ? &a->urgent : &a->others, w);
        }
        wait_until(a, tl_clock_ms() + FAILED_PAUSE_MS);
    }
}

static void *attendant_main(void *arg)
{
    struct attendant *a = arg;

    pthread_setname_np(pthread_self(), a->name);
    pthread_mutex_lock(&a->mutex);
    while (!a->stop) {
        int64_t until;
        struct worker *w = next(a, &until);

        if (w)
            attend(a, w);
        else
            wait_until(a, until);
    }
    pthread_mutex_unlock(&a->mutex);
    return NULL;
}

/* ------------------------------------------------------------------ from outside */

struct attendant *attendant_new(const char *role, struct tl_log *log, struct tl_error *err)
{
    struct attendant *a = calloc(1, sizeof *a);

    if (!a) {
        tl_fail_nomem(err);
        return NULL;
    }
    pthread_mutex_init(&a->mutex, NULL); /* neither can fail without attributes */
    pthread_cond_init(&a->changed, NULL);
    a->log = log;
    a->urgent.end = &a->urgent.first;
    a->others.end = &a->others.first;
    snprintf(a->name, sizeof a->name, "%.8s+", role);
    if (pthread_create(&a->thread, NULL, attendant_main, a)) {
        tl_fail(err, TL_E_AGAIN, "can't start a thread");
        pthread_cond_destroy(&a->changed);
        pthread_mutex_destroy(&a->mutex);
        free(a);
        return NULL;
    }
    return a;
}

void attendant_free(struct attendant *a)
{
    if (!a)
        return;
    pthread_mutex_lock(&a->mutex);
    a->stop = true;
    pthread_cond_broadcast(&a->changed);
    pthread_mutex_unlock(&a->mutex);
    pthread_join(a->thread, NULL);
    pthread_cond_destroy(&a->changed);
    pthread_mutex_destroy(&a->mutex);
    free(a);
}

void attendant_call(struct attendant *a, struct worker *w, bool urgent)
{
    pthread_mutex_lock(&a->mutex);
    if (w->called && urgent && !w->urgent) {
        take_out(&a->others, w);
        w->called = false;
    }
    if (!w->called) {
        w->called = true;
        w->urgent = urgent;
        append(urgent ? &a->urgent : &a->others, w);
        pthread_cond_broadcast(&a->changed);
    }
    pthread_mutex_unlock(&a->mutex);
}

static void release_slot(struct attendant *a, const struct worker *w)
{
    for (size_t i = 0; i < SLOTS; i++) {
        if (a->slot[i].worker != w)
            continue;
        a->slot[i].worker = NULL;
        pthread_cond_broadcast(&a->changed);
    }
}

void attendant_done(struct attendant *a, const struct worker *w)
{
    pthread_mutex_lock(&a->mutex);
    release_slot(a, w);
    pthread_mutex_unlock(&a->mutex);
}

void attendant_forget(struct attendant *a, struct worker *w)
{
    pthread_mutex_lock(&a->mutex);
    for (;;) {
        if (w->called)
            take_out(w->urgent ? &a->urgent : &a->others, w);
        w->called = false;
        if (a->busy != w)
            break;
        pthread_cond_wait(&a->changed, &a->mutex);
    }
    release_slot(a, w);
    pthread_mutex_unlock(&a->mutex);
}
