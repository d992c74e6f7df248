/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/interrupt.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct interrupt {
    pthread_t thread;
    sigset_t signals; /* SIGINT, SIGTERM and, to end the thread, SIGUSR2 */
    sigset_t before;
    atomic_int got;
    pthread_mutex_t lock; /* of `call`, `app`, and `came` with the change of `got` */
    pthread_cond_t came;
    void (*call)(void *app);
    void *app;
};

static void note(struct interrupt *in, int number)
{
    pthread_mutex_lock(&in->lock);
    atomic_store(&in->got, number);
    pthread_cond_broadcast(&in->came);
    if (in->call)
        in->call(in->app);
    pthread_mutex_unlock(&in->lock);
}

static void *take_signals(void *app)
{
    struct interrupt *in = app;
    int number;

    while (sigwait(&in->signals, &number) == 0 && number != SIGUSR2) {
        if (atomic_load(&in->got))
            _exit(interrupt_exit_code(number));
        note(in, number);
    }
    return NULL;
}

struct interrupt *interrupt_start(struct tl_error *err)
{
    struct interrupt *in = calloc(1, sizeof *in);
    pthread_condattr_t attr;
    int rc;

    if (!in) {
        tl_fail_nomem(err);
        return NULL;
    }
    atomic_init(&in->got, 0);
    pthread_mutex_init(&in->lock, NULL);
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&in->came, &attr);
    pthread_condattr_destroy(&attr);
    sigemptyset(&in->signals);
    sigaddset(&in->signals, SIGINT);
    sigaddset(&in->signals, SIGTERM);
    sigaddset(&in->signals, SIGUSR2);
    pthread_sigmask(SIG_BLOCK, &in->signals, &in->before);
    rc = pthread_create(&in->thread, NULL, take_signals, in);
    if (rc) {
        pthread_sigmask(SIG_SETMASK, &in->before, NULL);
        pthread_cond_destroy(&in->came);
        pthread_mutex_destroy(&in->lock);
        free(in);
        tl_fail_errno(err, rc, "starting a thread");
        return NULL;
    }
    return in;
}

void interrupt_stop(struct interrupt *in)
{
    if (!in)
        return;
    pthread_kill(in->thread, SIGUSR2);
    pthread_join(in->thread, NULL);
    pthread_sigmask(SIG_SETMASK, &in->before, NULL);
    pthread_cond_destroy(&in->came);
    pthread_mutex_destroy(&in->lock);
    free(in);
}

int interrupt_signal(const struct interrupt *in)
{
    return in ? atomic_load(&in->got) : 0;
}

bool interrupt_wait(struct interrupt *in, int ms)
{
    struct timespec until;
    bool came;

    if (!in) {
        until = (struct timespec){.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
        nanosleep(&until, NULL);
        return false;
    }
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += ms % 1000 * 1000000L;
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    pthread_mutex_lock(&in->lock);
    while (!atomic_load(&in->got) && pthread_cond_timedwait(&in->came, &in->lock, &until) != ETIMEDOUT)
        ;
    came = atomic_load(&in->got) != 0;
    pthread_mutex_unlock(&in->lock);
    return came;
}

void interrupt_on(struct interrupt *in, void (*call)(void *app), void *app)
{
    if (!in)
        return;
    pthread_mutex_lock(&in->lock);
    in->call = call;
    in->app = app;
    if (call && atomic_load(&in->got))
        call(app);
    pthread_mutex_unlock(&in->lock);
}

int interrupt_exit_code(int signal_number)
{
    return 128 + signal_number;
}
