/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who asks, and whether he may. Any thread.
 *
 *   Authorization: Bearer ──► the token's role and tenant ──┐
 *   none, Unix socket: root, the daemon's own user ─► admin ├─► the route's access ──► handler
 *   none, loopback of --dev ────────────────────────► admin ┘        │
 *   anything else: 401                              another tenant's: 404, as if it were not there;
 *                                                   his own, but not for his role: 403
 *
 * All of this is told by headers and path alone, before anything else is looked at.
 */
#ifndef COORDINATORD_HTTP_AUTH_H
#define COORDINATORD_HTTP_AUTH_H

#include <sys/types.h>

#include "coordinatord/http/router.h"

/* Where a request comes in. */
struct auth_door {
    bool local;    /* the Unix socket */
    bool trusting; /* loopback of --dev */
};

/* Fills r->by for a route that is not open. TL_E_UNAUTHORIZED, TL_E_FORBIDDEN, TL_E_NOT_FOUND, or the store's. */
int auth_check(struct request *r, const struct route *route, const struct auth_door *door,
               struct tl_error *err) TL_MUST_CHECK;
/* Whether it still holds, for what took its time. TL_E_UNAUTHORIZED. */
int auth_again(struct control *c, const struct identity *by, struct tl_error *err) TL_MUST_CHECK;
/* Who is at the other end of a Unix socket: 1 for root and the daemon's own user, 0 for others. -1. */
int auth_peer(int fd, uid_t *uid, struct tl_error *err) TL_MUST_CHECK;
/*
 * Whether a Host header names this machine by its loopback: what a browser sends that was lured here does
 * not.
 */
bool auth_host_is_loopback(const char *host);
/* The token of an Authorization header: NULL when it is of another scheme. Borrowed from it. */
const char *auth_bearer(const char *header);

#endif
