/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A tenant that a member serves: its workers, and whether its partitions are fetched.
 *
 *   awake ──nothing came for a while, and control says that nothing is on its way──► paused
 *     ▲                                                                                │
 *     └── control says that something may come │ a look now and then │ a rebalance ◄───┘
 *
 * A fetch names all partitions that are fetched. Those of tenants for which nothing comes would be most of them, what an
 * idle process is busy with, and what everybody's messages wait for. Control knows when something may come, since
 * whoever writes into a tenant's topics has asked it before. The looks are for what somebody else wrote, or an upload
 * that was given up still sends.
 *
 * Thread: the member's.
 */
#ifndef COORDINATORD_PIPELINE_FOLLOWED_H
#define COORDINATORD_PIPELINE_FOLLOWED_H

#include "coordinatord/pipeline/runtime.h"

struct followed_times {
    int awake_ms;      /* fetched for so long after the last that may have brought something; 0: as usual */
    int look_every_ms; /* when it is not; 0: as usual */
};

struct followed {
    const struct role_ops *ops;
    struct followed_times times;
    struct tenant_info tenant;
    int width;
    struct worker **worker; /* `width` of them, NULL until they are needed */
    bool leaving;           /* its workers were told to end */
    bool left;              /* they have, and its topic is not subscribed any more */
    bool paused;
    int64_t stirred; /* as control said last */
    int64_t due_at;  /* tl_clock_ms: when it may be paused, if all rests, or is looked at, if it is paused */
};

/* NULL with *err. It is awake. */
struct followed *followed_new(const struct role_ops *ops, const struct config *config,
                              const struct followed_times *times, const struct tenant_info *tenant,
                              struct tl_error *err);
/* Its workers have ended. */
void followed_free(struct followed *f);
/* Whether it may go on being served as it is, now that this is said of it. */
bool followed_fits(const struct followed *f, const struct tenant_info *tenant);
/* Asks its workers to end; returns at once. */
void followed_stop(struct followed *f);
/* Waits for them. */
void followed_join(struct followed *f);
/* Whether they have ended. */
bool followed_drained(const struct followed *f);
bool followed_has_lanes(const struct followed *f);
/* Partitions of it were assigned, and are fetched for a while in any case. */
void followed_assigned(struct followed *f);
/* Has its partitions be fetched, or not, by what control says of it, and by the time. */
void followed_regard(struct followed *f, const struct tenant_info *wanted, struct tl_consumer *consumer,
                     struct tl_log *log);

#endif
