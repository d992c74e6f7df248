/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * On the Unix socket, users of the machine that nobody trusts without a token have no more than a part of the
 * connections that there may be: else any of them could shut out root.
 */
#ifndef COORDINATORD_HTTP_STRANGERS_H
#define COORDINATORD_HTTP_STRANGERS_H

#include <microhttpd.h>
#include <stdatomic.h>

struct strangers {
    int max;
    atomic_int n;
};

/* For MHD_OPTION_NOTIFY_CONNECTION: a connection that is too many is cut. *context: NULL at first, kept for it. */
void strangers_notify(void *strangers, struct MHD_Connection *connection, void **context,
                      enum MHD_ConnectionNotificationCode code);

#endif
