/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A role on one cluster: its member of one of the consumer groups there, in a thread of its own, so that a cluster
 * that is slow or down holds up no other one.
 *
 *   member_tell(list) ──► tenants that are new ────────► subscribed; their partitions come with a rebalance
 *                    └──► gone, or others by epoch ───► workers drain and end ──► subscribed no more ──► lanes gone, freed
 *
 * A member whose consumer can't go on begins anew with another one.
 *
 * Thread: the role's, for all of these functions.
 */
#ifndef COORDINATORD_PIPELINE_MEMBER_H
#define COORDINATORD_PIPELINE_MEMBER_H

#include "coordinatord/pipeline/attendant.h"
#include "coordinatord/pipeline/followed.h"
#include "coordinatord/pipeline/runtime.h"

struct member;

struct member_options {
    const struct role_ops *ops;
    const struct config *config; /* borrowed for the member's life, as are the five below */
    struct tl_log *log;
    struct attendant *attendant;
    const char *control_url;
    const char *token; /* may be NULL */
    struct followed_times times;
};

/* For the cluster and the group that the tenant is on. NULL with *err. */
struct member *member_new(const struct member_options *options, const struct tenant_info *tenant,
                          struct tl_error *err);
/* Whether it is for the tenant's group and cluster, reached as the tenant says. */
bool member_fits(const struct member *m, const struct tenant_info *tenant);
/* Takes over the group's tenants on the cluster, in the order of their names: *list is empty afterwards. */
void member_tell(struct member *m, struct tenant_list *list);
/* Asks it to drain and end; returns at once. */
void member_stop(struct member *m);
bool member_has_ended(const struct member *m);
/* After member_stop; waits until it has ended. NULL is fine. */
void member_free(struct member *m);

#endif
