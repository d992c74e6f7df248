/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Waiting for an upload to end. One thread. */
#ifndef CLI_CLIENT_FOLLOW_H
#define CLI_CLIENT_FOLLOW_H

#include "cli/client/coordinator.h"
#include "cli/interrupt.h"

/*
 * Called with the upload's object (borrowed) at each change, and once a second. 0, or -1 with *err to stop.
 */
typedef int follow_change(void *app, const json_t *upload, bool changed, struct tl_error *err);

enum follow_end { FOLLOW_FINAL, FOLLOW_TIMED_OUT, FOLLOW_SIGNAL };

/*
 * Until the upload is final, timeout_ms (< 0: none) are over, or a signal comes. *last is the object as it
 * was seen last (a new reference), also when -1 is returned; NULL when it never was. A coordinator that was
 * reached and then stops answering is tried again for half a minute; meanwhile the object's "waiting" says
 * so. known: the object as somebody saw it before, so that it counts as reached; may be NULL. Returns an enum
 * follow_end, or -1 with *err.
 */
int follow_upload(struct coordinator *c, const char *id, struct interrupt *interrupt, int64_t timeout_ms,
                  const json_t *known, follow_change *change, void *app, json_t **last, struct tl_error *err);

#endif
