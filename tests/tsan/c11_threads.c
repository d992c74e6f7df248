/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * C11 threads over POSIX ones, linked into ThreadSanitizer's builds alone.
 *
 * librdkafka starts its threads with thrd_create, which gcc's ThreadSanitizer does not know: it would crash
 * in the first of them, and see no order between what they do. In glibc both kinds are the same objects, so
 * handing over is all there is to it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <threads.h>

struct start {
    thrd_start_t run;
    void *app;
};

static void *run(void *app)
{
    struct start start = *(struct start *)app;

    free(app);
    return (void *)(intptr_t)start.run(start.app);
}

static int as_c11(int rc)
{
    return rc == 0 ? thrd_success : rc == ETIMEDOUT ? thrd_timedout : rc == EBUSY ? thrd_busy : thrd_error;
}

int thrd_create(thrd_t *thread, thrd_start_t function, void *app)
{
    struct start *start = malloc(sizeof *start);

    if (!start)
        return thrd_nomem;
    *start = (struct start){function, app};
    int rc = pthread_create(thread, NULL, run, start);

    if (rc)
        free(start);
    return as_c11(rc);
}

int thrd_join(thrd_t thread, int *result)
{
    void *value;
    int rc = pthread_join(thread, &value);

    if (!rc && result)
        *result = (int)(intptr_t)value;
    return as_c11(rc);
}

int thrd_detach(thrd_t thread)
{
    return as_c11(pthread_detach(thread));
}

void call_once(once_flag *flag, void (*function)(void))
{
    pthread_once((pthread_once_t *)flag, function);
}

int mtx_init(mtx_t *mutex, int type)
{
    pthread_mutexattr_t attr;
    int rc = pthread_mutexattr_init(&attr);

    if (!rc && (type & mtx_recursive))
        rc = pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_RECURSIVE);
    if (!rc)
        rc = pthread_mutex_init((pthread_mutex_t *)mutex, &attr);
    pthread_mutexattr_destroy(&attr);
    return as_c11(rc);
}

int mtx_lock(mtx_t *mutex)
{
    return as_c11(pthread_mutex_lock((pthread_mutex_t *)mutex));
}

int mtx_trylock(mtx_t *mutex)
{
    return as_c11(pthread_mutex_trylock((pthread_mutex_t *)mutex));
}

int mtx_unlock(mtx_t *mutex)
{
    return as_c11(pthread_mutex_unlock((pthread_mutex_t *)mutex));
}

void mtx_destroy(mtx_t *mutex)
{
    pthread_mutex_destroy((pthread_mutex_t *)mutex);
}

int cnd_init(cnd_t *cond)
{
    return as_c11(pthread_cond_init((pthread_cond_t *)cond, NULL));
}

int cnd_signal(cnd_t *cond)
{
    return as_c11(pthread_cond_signal((pthread_cond_t *)cond));
}

int cnd_broadcast(cnd_t *cond)
{
    return as_c11(pthread_cond_broadcast((pthread_cond_t *)cond));
}

int cnd_wait(cnd_t *cond, mtx_t *mutex)
{
    return as_c11(pthread_cond_wait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex));
}

int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *until)
{
    return as_c11(pthread_cond_timedwait((pthread_cond_t *)cond, (pthread_mutex_t *)mutex, until));
}

void cnd_destroy(cnd_t *cond)
{
    pthread_cond_destroy((pthread_cond_t *)cond);
}
