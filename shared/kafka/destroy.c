/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The end of a client, for which nobody waits too long. */
#include <pthread.h>
#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/kafka/rdkafka_util.h"

/* Between the thread that destroys and the one that waits for it; the last of them frees it. */
struct ending {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    rd_kafka_t *rk;
    void *owned;
    bool destroyed;
    bool left_alone;
};

static void ending_free(struct ending *e)
{
    free(e->owned);
    pthread_cond_destroy(&e->changed);
    pthread_mutex_destroy(&e->mutex);
    free(e);
}

static void *destroy_main(void *arg)
{
    struct ending *e = arg;
    bool left_alone;

    rd_kafka_destroy(e->rk);
    pthread_mutex_lock(&e->mutex);
    e->destroyed = true;
    left_alone = e->left_alone;
    pthread_cond_signal(&e->changed);
    pthread_mutex_unlock(&e->mutex);
    if (left_alone)
        ending_free(e);
    return NULL;
}

static bool wait_for(struct ending *e, int within_ms)
{
    struct timespec until = tl_clock_after(within_ms);
    bool destroyed;

    pthread_mutex_lock(&e->mutex);
    while (!e->destroyed && pthread_cond_clockwait(&e->changed, &e->mutex, CLOCK_MONOTONIC, &until) == 0)
        ;
    destroyed = e->destroyed;
    e->left_alone = !destroyed;
    pthread_mutex_unlock(&e->mutex);
    return destroyed;
}

bool tl_rdkafka_destroy(rd_kafka_t *rk, int within_ms, void *owned)
{
    struct ending *e = calloc(1, sizeof *e);
    pthread_attr_t attr;
    pthread_t thread;
    bool destroyed;
    int rc = -1;

    if (e) {
        pthread_mutex_init(&e->mutex, NULL); /* neither can fail without attributes */
        pthread_cond_init(&e->changed, NULL);
        e->rk = rk;
        e->owned = owned;
        pthread_attr_init(&attr);
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        rc = pthread_create(&thread, &attr, destroy_main, e);
        pthread_attr_destroy(&attr);
    }
    if (rc) {
        rd_kafka_destroy(rk);
        if (e)
            ending_free(e);
        else
            free(owned);
        return true;
    }
    destroyed = wait_for(e, within_ms);
    if (destroyed)
        ending_free(e);
    return destroyed;
}
