/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/pipeline/runtime.h"

#include <stdio.h>
#include <stdlib.h>

#include "coordinatord/pipeline/attendant.h"
#include "coordinatord/pipeline/member.h"
#include "shared/base/clock.h"

enum {
    AGAIN_MS = 1000,        /* after a failure */
    AGAIN_MS_AT_FIRST = 50, /* until control has answered once */
    LOG_WAITING_EVERY_MS = 60000
};

/* A consumer group, on its cluster, that has tenants. */
struct serving {
    struct serving *next;
    struct member *member;
    struct tenant_list tenants; /* of the list that is being looked at */
};

struct role_runtime {
    const struct role_ops *ops;
    const struct config *config;
    struct tl_log *log;
    char *control_url;
    char *token;
    struct control_api *control; /* the thread's, but for the interrupt */
    struct attendant *attendant;
    struct tenant_list tenants; /* all that there are; the thread's */
    struct serving *groups;
    struct serving *ending; /* their members were told to stop */
    bool answered;          /* control, ever */
    int64_t logged;         /* that it is waited for, tl_clock_ms */
    pthread_t thread;
    pthread_mutex_t mutex; /* of `changed`, with the change of `stop` and `ended` */
    pthread_cond_t changed;
    bool joined;
    _Atomic bool stop;
    _Atomic bool ended;
};

/* ------------------------------------------------------------------ members follow the list of tenants */

/* The member for the tenant's group. NULL with *err. */
static struct serving *serving_for(struct role_runtime *r, const struct tenant_info *tenant,
                                   struct tl_error *err)
{
    struct member_options options = {
        .ops = r->ops,
        .config = r->config,
        .log = r->log,
        .attendant = r->attendant,
        .control_url = r->control_url,
        .token = r->token,
    };
    struct serving *s;

    for (s = r->groups; s; s = s->next)
        if (member_fits(s->member, tenant))
            return s;
    s = calloc(1, sizeof *s);
    if (!s) {
        tl_fail_nomem(err);
        return NULL;
    }
    s->member = member_new(&options, tenant, err);
    if (!s->member) {
        free(s);
        return NULL;
    }
    s->next = r->groups;
    r->groups = s;
    return s;
}

static int add_tenant(struct tenant_list *list, const struct tenant_info *tenant, struct tl_error *err)
{
    /* As many as there may ever be, at powers of two. */
    if ((list->n & (list->n - 1)) == 0) {
        struct tenant_info *item = realloc(list->item, TL_MAX(2 * list->n, 1) * sizeof *item);

        if (!item)
            return tl_fail_nomem(err);
        list->item = item;
    }
    if (tenant_info_copy(&list->item[list->n], tenant, err))
        return -1;
    list->n++;
    return 0;
}

/* Ends the members of groups that have no tenants any more, or are reached in another way. */
static void end_unused(struct role_runtime *r)
{
    for (struct serving **at = &r->groups; *at;) {
        struct serving *s = *at;

        if (s->tenants.n) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        member_stop(s->member);
        s->next = r->ending;
        r->ending = s;
    }
}

static void free_ended(struct role_runtime *r, bool all)
{
    for (struct serving **at = &r->ending; *at;) {
        struct serving *s = *at;

        if (!all && !member_has_ended(s->member)) {
            at = &s->next;
            continue;
        }
        *at = s->next;
        member_free(s->member);
        tenant_list_release(&s->tenants);
        free(s);
    }
}

/* Each tenant to the member of its group. */
static int distribute(struct role_runtime *r, struct tl_error *err)
{
    int rc = 0;

    for (size_t i = 0; i < r->tenants.n; i++) {
        const struct tenant_info *tenant = &r->tenants.item[i];
        struct serving *s;

        if (!config_serves(r->config, tenant->cluster))
            continue;
        s = serving_for(r, tenant, err);
        if (!s || add_tenant(&s->tenants, tenant, err))
            rc = -1; /* the others are served all the same */
    }
    end_unused(r);
    for (struct serving *s = r->groups; s; s = s->next)
        member_tell(s->member, &s->tenants);
    return rc;
}

static void tell(struct role_runtime *r, const char *what, const struct tl_error *err)
{
    if (atomic_load(&r->stop) || (r->logged && tl_clock_ms() - r->logged <= LOG_WAITING_EVERY_MS))
        return;
    tl_warn(r->log, r->ops->name, "%s: %s", what, err->text);
    r->logged = tl_clock_ms();
}

/* Returns for how long nothing is to be asked, in ms. */
static int look(struct role_runtime *r)
{
    struct tl_error err;
    int rc;

    if (control_api_tenants(r->control, &r->tenants, &err)) {
        tell(r, "waiting for control", &err);
        return r->answered ? AGAIN_MS : AGAIN_MS_AT_FIRST;
    }
    r->answered = true;
    rc = distribute(r, &err);
    free_ended(r, false);
    if (!rc)
        return 0;
    tell(r, "can't serve all tenants", &err);
    control_api_tenants_again(r->control);
    return AGAIN_MS;
}

/* ------------------------------------------------------------------ the role */

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

    pthread_setname_np(pthread_self(), r->ops->name);
    while (!atomic_load(&r->stop)) {
        int wait_ms = look(r);

        if (wait_ms)
            pause_for(r, wait_ms);
    }
    for (struct serving *s = r->groups; s; s = s->next)
        tenant_list_release(&s->tenants);
    end_unused(r);
    free_ended(r, true);
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
    if (!r->control_url || (token && !r->token))
        tl_fail_nomem(err);
    else if ((r->control = control_api_new(control_url, token, err)) != NULL)
        r->attendant = attendant_new(r->ops->name, log, err);
    if (!r->attendant) {
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
    control_api_interrupt(r->control);
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
    attendant_free(r->attendant);
    control_api_free(r->control);
    tenant_list_release(&r->tenants);
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
