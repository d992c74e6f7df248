/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/http/strangers.h"

#include <sys/socket.h>

#include "coordinatord/http/auth.h"

void strangers_notify(void *strangers, struct MHD_Connection *connection, void **socket_context,
                      enum MHD_ConnectionNotificationCode code)
{
    struct strangers *s = strangers;
    const union MHD_ConnectionInfo *info;
    struct tl_error err;
    uid_t uid;

    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*socket_context)
            atomic_fetch_sub(&s->n, 1);
        return;
    }
    info = MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (!info || auth_peer(info->connect_fd, &uid, &err) == 1)
        return;
    *socket_context = s;
    if (atomic_fetch_add(&s->n, 1) >= s->max)
        shutdown(info->connect_fd, SHUT_RDWR);
}
