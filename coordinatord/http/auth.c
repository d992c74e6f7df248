/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/http/auth.h"

#include <errno.h>
#include <microhttpd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TENANT_PATH "/v1/tenants/{tenant}"

/* In the same words whatever is wrong with it: which tokens there are, or were, is nobody's business. */
static int unauthorized(struct tl_error *err)
{
    return tl_fail(err, TL_E_UNAUTHORIZED,
                   "a token is needed, and none was given, or it is not known here, or has expired");
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

const char *auth_bearer(const char *header)
{
    static const char scheme[] = "Bearer";
    size_t n = sizeof scheme - 1;

    if (strncasecmp(header, scheme, n) != 0 || header[n] != ' ')
        return NULL;
    return header + n + strspn(header + n, " ");
}

static int by_token(struct request *r, const char *header, struct tl_error *err)
{
    const char *token = auth_bearer(header);
    int rc = control_token_check(r->control, token ? token : "", &r->by, err);

    return rc == 0 ? unauthorized(err) : rc < 0 ? -1 : 0;
}

int auth_peer(int fd, uid_t *uid, struct tl_error *err)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return tl_fail_errno(err, errno, "who is at the other end of the socket");
    *uid = peer.uid;
    return peer.uid == 0 || peer.uid == geteuid();
}

static int by_socket(struct request *r, struct tl_error *err)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(r->connection,
                                                                   MHD_CONNECTION_INFO_CONNECTION_FD);
    uid_t uid = 0;
    int rc = info ? auth_peer(info->connect_fd, &uid, err)
                  : tl_fail(err, TL_E_FATAL, "the connection has no socket");

    if (rc != 1)
        return rc == 0 ? unauthorized(err) : -1;
    r->by.role = TOKEN_ADMIN;
    snprintf(r->by.who, sizeof r->by.who, "uid:%u", (unsigned)uid);
    return 0;
}

/* A token that is given counts, also where none is needed. */
static int identify(struct request *r, const struct auth_door *door, struct tl_error *err)
{
    const char *header = request_header(r, "Authorization");

    if (header)
        return by_token(r, header, err);
    if (door->local)
        return by_socket(r, err);
    if (!door->trusting || !auth_host_is_loopback(request_header(r, "Host")))
        return unauthorized(err);
    r->by.role = TOKEN_ADMIN;
    snprintf(r->by.who, sizeof r->by.who, "dev");
    return 0;
}

int auth_check(struct request *r, const struct route *route, const struct auth_door *door,
               struct tl_error *err)
{
    bool of_tenant = strncmp(route->path, TENANT_PATH, sizeof TENANT_PATH - 1) == 0;

    if (route->access == ACCESS_OPEN)
        return 0;
    if (identify(r, door, err) < 0)
        return -1;
    if (of_tenant && *r->by.tenant && strcmp(r->by.tenant, r->param[0]) != 0)
        return control_no_tenant(err);
    if ((int)r->by.role < (int)route->access)
        return tl_fail(err, TL_E_FORBIDDEN, "this is not for a token of role %s",
                       token_role_name(r->by.role));
    return 0;
}

int auth_again(struct control *c, const struct identity *by, struct tl_error *err)
{
    int rc = control_token_holds(c, by, err);

    return rc == 0 ? unauthorized(err) : rc < 0 ? -1 : 0;
}
