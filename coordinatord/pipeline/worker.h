/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The life of a worker, for the runtime alone; what a role sees of it is in runtime.h. Thread: the member's,
 * unless said otherwise.
 */
#ifndef COORDINATORD_PIPELINE_WORKER_H
#define COORDINATORD_PIPELINE_WORKER_H

#include "coordinatord/pipeline/runtime.h"

struct worker_options {
    const struct role_ops *ops;
    const struct config *config;      /* borrowed for the worker's life, as is all the rest */
    const struct tenant_info *tenant; /* copied */
    struct tl_consumer *consumer;
    struct attendant *attendant;
    struct tl_log *log;
    const char *control_url;
    const char *token; /* may be NULL */
    int index;
    int park_ms; /* without a message, until it parks; 0: as usual */
};

/* It is parked. NULL with *err. */
struct worker *worker_new(const struct worker_options *options, struct tl_error *err);
/* Whether it is parked, and nothing is to wake it: neither a message nor a lane whose place is to be read. */
bool worker_rests(struct worker *w);
/* Asks it to drain and end; returns at once. */
void worker_stop(struct worker *w);
/* Whether it has, after worker_stop. */
bool worker_has_ended(struct worker *w);
/* After worker_stop: waits until it has ended. */
void worker_join(struct worker *w);
/* After worker_join. Lanes that are left are taken for lost with it. NULL is fine. */
void worker_free(struct worker *w);

/*
 * In the attendant's thread: joins the thread of a worker that parked, and starts one when there is something to do.
 * urgent: it stays for a while, also when that is soon done.
 */
int worker_attend(struct worker *w, bool urgent, struct tl_error *err) TL_MUST_CHECK;

/* The queue for the lane's messages, NULL with *err. *begin: see struct tl_consumer_events. */
struct tl_kqueue *worker_add_lane(struct worker *w, const char *topic, int32_t partition, int64_t *begin,
                                  struct tl_error *err);
/* All its lanes are to go: from now on it gives up its waiting and begins nothing more. */
void worker_leave(struct worker *w);
/*
 * Returns when nothing of the lane is in hand any more. All the worker's lanes are to go, one after the other: see
 * worker_leave. Whether it had it.
 */
bool worker_remove_lane(struct worker *w, const char *topic, int32_t partition);

#endif
