/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whose the connections are: there are only so many, and one tenant's clients must leave some to others. A connection
 * is the tenant's that was asked for on it last. Any thread.
 */
#ifndef COORDINATORD_HTTP_SHARE_H
#define COORDINATORD_HTTP_SHARE_H

#include "shared/base/error.h"

struct shares;
struct share;

struct shares *shares_new(struct tl_error *err); /* NULL with *err */
void shares_free(struct shares *s);              /* nobody has a share any more. NULL is fine */

/*
 * The connection is the tenant's from now on; *share is where it is counted, NULL at first. Returns how many of the
 * tenant's there are then; 0 when it could not be counted for want of memory.
 */
size_t shares_take(struct shares *s, struct share **share, const char *tenant);
/* It is closed. NULL is fine. */
void shares_leave(struct shares *s, struct share *share);

#endif
