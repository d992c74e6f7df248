/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/pipeline/followed.h"

#include <stdlib.h>

#include "coordinatord/pipeline/worker.h"
#include "shared/base/clock.h"

enum {
    AWAKE_MS = 10000, /* after the last that may have brought something */
    LOOK_EVERY_MS = 60000,
    LOOK_MS = 1000, /* some fetches, in any case */
    BEGIN_MS = 3000 /* the same when the Kafka client may have to ask first where to begin */
};

struct followed *followed_new(const struct role_ops *ops, const struct config *config,
                              const struct followed_times *times, const struct tenant_info *tenant,
                              struct tl_error *err)
{
    struct followed *f = calloc(1, sizeof *f);

    if (f) {
        f->ops = ops;
        f->width = ops->width(config, tenant);
        f->worker = calloc((size_t)f->width, sizeof(struct worker *));
    }
    if (!f || !f->worker || tenant_info_copy(&f->tenant, tenant, err)) {
        if (f)
            free(f->worker);
        free(f);
        tl_fail_nomem(err);
        return NULL;
    }
    f->times = (struct followed_times){
        .awake_ms = times->awake_ms ? times->awake_ms : AWAKE_MS,
        .look_every_ms = times->look_every_ms ? times->look_every_ms : LOOK_EVERY_MS,
    };
    f->stirred = tenant->stirred;
    f->due_at = tl_clock_ms() + f->times.awake_ms;
    return f;
}

void followed_free(struct followed *f)
{
    for (int i = 0; i < f->width; i++)
        worker_free(f->worker[i]);
    free(f->worker);
    tenant_info_release(&f->tenant);
    free(f);
}

bool followed_fits(const struct followed *f, const struct tenant_info *tenant)
{
    const struct tenant_info *own = &f->tenant;

    return own->epoch == tenant->epoch && own->partitions == tenant->partitions &&
           strcmp(own->sink_url, tenant->sink_url) == 0 && strcmp(own->errors_url, tenant->errors_url) == 0;
}

void followed_stop(struct followed *f)
{
    for (int i = 0; i < f->width; i++)
        if (f->worker[i])
            worker_stop(f->worker[i]);
}

void followed_join(struct followed *f)
{
    for (int i = 0; i < f->width; i++)
        if (f->worker[i])
            worker_join(f->worker[i]);
}

bool followed_drained(const struct followed *f)
{
    for (int i = 0; i < f->width; i++)
        if (f->worker[i] && !worker_has_ended(f->worker[i]))
            return false;
    return true;
}

bool followed_has_lanes(const struct followed *f)
{
    for (int i = 0; i < f->width; i++)
        if (f->worker[i] && f->worker[i]->lanes)
            return true;
    return false;
}

static bool rests(const struct followed *f)
{
    for (int i = 0; i < f->width; i++)
        if (f->worker[i] && !worker_rests(f->worker[i]))
            return false;
    return true;
}

/* ------------------------------------------------------------------ whether it is fetched for */

static void set_paused(struct followed *f, const char *topic, struct tl_consumer *consumer, bool paused,
                       struct tl_log *log)
{
    struct tl_error err;

    if (tl_consumer_fetch(consumer, topic, !paused, &err)) {
        tl_warn(log, f->ops->name, "%s", err.text); /* tried again when it is due the next time */
        return;
    }
    f->paused = paused;
    tl_debug(log, f->ops->name, "%s is %s", topic, paused ? "not fetched any more" : "fetched again");
}

void followed_assigned(struct followed *f)
{
    f->due_at = TL_MAX(f->due_at, tl_clock_ms() + BEGIN_MS);
    f->paused = false;
}

void followed_regard(struct followed *f, const struct tenant_info *wanted, struct tl_consumer *consumer,
                     struct tl_log *log)
{
    int64_t now = tl_clock_ms();
    char topic[TL_TOPIC_NAME_MAX + 1];
    bool stirred = wanted->active || wanted->stirred != f->stirred;

    f->stirred = wanted->stirred;
    if (stirred || (!f->paused && !rests(f)))
        f->due_at = now + f->times.awake_ms;
    if (!followed_has_lanes(f) || (now < f->due_at && !(f->paused && stirred)))
        return;
    tl_topic_name(f->ops->topic, tl_str(f->tenant.name), topic);
    if (f->paused) {
        set_paused(f, topic, consumer, false, log);
        f->due_at = now + (stirred ? f->times.awake_ms : LOOK_MS);
    } else {
        set_paused(f, topic, consumer, true, log);
        f->due_at = now + f->times.look_every_ms;
    }
}
