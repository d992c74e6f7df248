/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/http/share.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Of one tenant. */
struct share {
    struct share *next;
    size_t connections;
    char tenant[];
};

struct shares {
    pthread_mutex_t lock;
    struct share *first;
};

struct shares *shares_new(struct tl_error *err)
{
    struct shares *s = calloc(1, sizeof *s);
    int rc = s ? pthread_mutex_init(&s->lock, NULL) : 0;

    if (s && rc == 0)
        return s;
    free(s);
    if (rc)
        tl_fail_errno(err, rc, "a mutex");
    else
        tl_fail_nomem(err);
    return NULL;
}

void shares_free(struct shares *s)
{
    if (!s)
        return;
    pthread_mutex_destroy(&s->lock);
    free(s);
}

/* Under the lock. */
static struct share *find(struct shares *s, const char *tenant)
{
    struct share *share = s->first;

    while (share && strcmp(share->tenant, tenant) != 0)
        share = share->next;
    if (share)
        return share;
    share = malloc(sizeof *share + strlen(tenant) + 1);
    if (share) {
        share->connections = 0;
        memcpy(share->tenant, tenant, strlen(tenant) + 1);
        share->next = s->first;
        s->first = share;
    }
    return share;
}

/* Under the lock. */
static void leave(struct shares *s, struct share *share)
{
    struct share **at = &s->first;

    if (--share->connections > 0)
        return;
    while (*at != share)
        at = &(*at)->next;
    *at = share->next;
    free(share);
}

size_t shares_take(struct shares *s, struct share **share, const char *tenant)
{
    struct share *next;
    size_t n;

    pthread_mutex_lock(&s->lock);
    if (!*share || strcmp((*share)->tenant, tenant) != 0) {
        next = find(s, tenant);
        if (next)
            next->connections++;
        if (*share)
            leave(s, *share);
        *share = next;
    }
    n = *share ? (*share)->connections : 0;
    pthread_mutex_unlock(&s->lock);
    return n;
}

void shares_leave(struct shares *s, struct share *share)
{
    if (!share)
        return;
    pthread_mutex_lock(&s->lock);
    leave(s, share);
    pthread_mutex_unlock(&s->lock);
}
