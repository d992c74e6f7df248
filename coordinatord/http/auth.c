/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/http/auth.h"

#include <errno.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

int auth_unix(int fd, char who[REQUEST_WHO_MAX], struct tl_error *err)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return tl_fail_errno(err, errno, "who is at the other end of the socket");
    if (peer.uid != 0 && peer.uid != geteuid())
        return tl_fail(err, TL_E_UNAUTHORIZED, "the socket serves root and user %u only; you are user %u",
                       (unsigned)geteuid(), (unsigned)peer.uid);
    snprintf(who, REQUEST_WHO_MAX, "uid:%u", (unsigned)peer.uid);
    return 0;
}

bool auth_host_is_loopback(const char *host)
{
    static const char *const names[] = {"localhost", "127.0.0.1", "[::1]"};

    for (size_t i = 0; host && i < TL_ARRAY_LEN(names); i++) {
        size_t n = strlen(names[i]);

        if (strncmp(host, names[i], n) == 0 && (host[n] == '\0' || host[n] == ':'))
            return true;
    }
    return false;
}
