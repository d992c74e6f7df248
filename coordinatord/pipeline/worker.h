/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The life of a worker, for the runtime alone; what a role sees of it is in runtime.h. Thread: the owner's.
 */
#ifndef COORDINATORD_PIPELINE_WORKER_H
#define COORDINATORD_PIPELINE_WORKER_H

#include "coordinatord/pipeline/runtime.h"

struct worker_options {
    const struct role_ops *ops;
    const struct config *config;      /* borrowed for the worker's life, as are log and consumer */
    const struct tenant_info *tenant; /* copied */
    struct tl_consumer *consumer;
    struct tl_log *log;
    const char *control_url;
    const char *token; /* may be NULL */
    int index;
};

/* Its thread runs. NULL with *err. */
struct worker *worker_new(const struct worker_options *options, struct tl_error *err);
/* Asks it to drain and end; returns at once. */
void worker_stop(struct worker *w);
void worker_join(struct worker *w);
/* After worker_join. Lanes that are left are taken for lost with it. */
void worker_free(struct worker *w);

/* The queue for the lane's messages, NULL with *err. */
struct tl_kqueue *worker_add_lane(struct worker *w, const char *topic, int32_t partition,
                                  struct tl_error *err);
/*
 * Returns when nothing of the lane is in hand any more. All the worker's lanes are to go, one after the
 * other: from the first on it gives up its waiting and begins nothing more, also when that one is not its
 * own.
 */
void worker_remove_lane(struct worker *w, const char *topic, int32_t partition);

#endif
