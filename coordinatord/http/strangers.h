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

/* For MHD_OPTION_NOTIFY_CONNECTION, with the struct: a connection that is too many is cut. */
void strangers_notify(void *strangers, struct MHD_Connection *connection, void **socket_context,
                      enum MHD_ConnectionNotificationCode code);

#endif
