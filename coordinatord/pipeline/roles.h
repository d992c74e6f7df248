/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The three roles that move data, each started and stopped by the daemon. A role owns its threads, its Kafka
 * clients and its connections to the sink; it meets the others only in topics, in the sink's ledger, and at
 * control's HTTP API.
 */
#ifndef COORDINATORD_PIPELINE_ROLES_H
#define COORDINATORD_PIPELINE_ROLES_H

#include "coordinatord/config.h"
#include "shared/base/log.h"

struct role_runtime;

/*
 * Starts one role (ROLE_VALIDATE, ROLE_SINK or ROLE_ERRORS). control_url: where control answers
 * ("unix:/path"), token may be NULL. config and log are borrowed until role_free. Control and Kafka may be
 * out of reach: the role waits for them, and says so in the log.
 */
struct role_runtime *role_start(enum role role, const struct config *config, const char *control_url,
                                const char *token, struct tl_log *log, struct tl_error *err);
/* Asks it to drain: what is in hand is finished and committed. Returns at once; any thread. */
void role_stop(struct role_runtime *r);
/*
 * Waits until it has stopped, at most timeout_ms (TL_E_TIMEOUT: something hangs; the process may exit all the
 * same, nothing is lost).
 */
int role_join(struct role_runtime *r, int timeout_ms, struct tl_error *err) TL_MUST_CHECK;
void role_free(struct role_runtime *r); /* after role_join returned 0 */
/* False once the role ended by itself, which it does only when it can't go on at all. */
bool role_alive(const struct role_runtime *r);

#endif
