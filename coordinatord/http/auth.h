/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who asks, and whether he may. Any thread. */
#ifndef COORDINATORD_HTTP_AUTH_H
#define COORDINATORD_HTTP_AUTH_H

#include "coordinatord/http/request.h"

/* Root and the daemon's own user, by what the kernel says of the other end. Fills who; TL_E_UNAUTHORIZED. */
int auth_unix(int fd, char who[REQUEST_WHO_MAX], struct tl_error *err) TL_MUST_CHECK;
/*
 * Whether a Host header names this machine by its loopback: what a browser sends that was lured here does
 * not.
 */
bool auth_host_is_loopback(const char *host);

#endif
