/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Starts the threads of a role's workers when they are needed, and joins those that parked. It does nothing that waits
 * for a cluster or a sink, so that no tenant waits for another one's.
 *
 *   a message for a worker that is parked ──► at once
 *   a lane whose place is to be read from the sink ──► a few at a time: hundreds of tenants at the start must not
 *                                                      be as many connections to a database
 *
 * Thread: attendant_call and attendant_done by any, the rest by the role's and the members'.
 */
#ifndef COORDINATORD_PIPELINE_ATTENDANT_H
#define COORDINATORD_PIPELINE_ATTENDANT_H

#include "coordinatord/pipeline/runtime.h"

struct attendant *attendant_new(const char *role, struct tl_log *log, struct tl_error *err);
/* No worker may be left. NULL is fine. */
void attendant_free(struct attendant *a);

/* Look after this worker (worker_attend) soon; urgent: now. It only signals: no other lock is taken. */
void attendant_call(struct attendant *a, struct worker *w, bool urgent);
/* What it was started for without urgency is done. */
void attendant_done(struct attendant *a, const struct worker *w);
/* Returns when it does not know the worker any more, and will not, unless it is called again. */
void attendant_forget(struct attendant *a, struct worker *w);

#endif
