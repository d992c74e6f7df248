/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/http/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "coordinatord/config.h"
#include "shared/base/str.h"

enum {
    BACKLOG = 4096,    /* a client whose connection finds no room here fails at once */
    SOCKET_MODE = 0666 /* who is nobody here may still have a token */
};

/* --- Unix --- */

#define NEW_SUFFIX ".new"

_Static_assert(CONFIG_SOCKET_MAX + sizeof NEW_SUFFIX <= sizeof((struct sockaddr_un *)NULL)->sun_path,
               "every path that the configuration lets through has room for the suffix");

/* 0 when the path is free now. */
static int clear_path(const struct sockaddr_un *sun, struct tl_error *err)
{
    struct stat st;
    int fd, rc;

    if (lstat(sun->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : tl_fail_errno(err, errno, "socket %s", sun->sun_path);
    if (!S_ISSOCK(st.st_mode))
        return tl_fail(err, TL_E_CONFLICT, "%s is there and is no socket", sun->sun_path);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return tl_fail_errno(err, errno, "a socket");
    rc = connect(fd, (const struct sockaddr *)sun, sizeof *sun);
    if (rc == 0 || errno != ECONNREFUSED)
        rc = tl_fail(err, TL_E_CONFLICT, "somebody answers on socket %s", sun->sun_path);
    else if (unlink(sun->sun_path) < 0 && errno != ENOENT)
        rc = tl_fail_errno(err, errno, "can't remove the old socket %s", sun->sun_path);
    else
        rc = 0;
    close(fd);
    return rc;
}

/* The name that a socket has until it is ready. */
static int new_name(const struct sockaddr_un *sun, struct sockaddr_un *fresh, struct tl_error *err)
{
    struct stat st;
    int n;

    *fresh = (struct sockaddr_un){.sun_family = AF_UNIX};
    n = snprintf(fresh->sun_path, sizeof fresh->sun_path, "%s" NEW_SUFFIX, sun->sun_path);
    if (n >= (int)sizeof fresh->sun_path)
        return tl_fail(err, TL_E_USAGE, "socket %s: the path is too long", sun->sun_path);
    if (lstat(fresh->sun_path, &st) < 0)
        return errno == ENOENT ? 0 : tl_fail_errno(err, errno, "socket %s", fresh->sun_path);
    if (!S_ISSOCK(st.st_mode))
        return tl_fail(err, TL_E_CONFLICT, "%s is there and is no socket", fresh->sun_path);
    /* Nobody is told to connect there: a start that did not come to its end left it behind. */
    return unlink(fresh->sun_path) == 0 || errno == ENOENT
               ? 0
               : tl_fail_errno(err, errno, "can't remove the old socket %s", fresh->sun_path);
}

int listen_unix(const char *path, struct tl_error *err)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX}, fresh;
    int fd, why;

    if (!tl_str_copy(tl_str(path), sun.sun_path, sizeof sun.sun_path))
        return tl_fail(err, TL_E_USAGE, "socket %s: the path is too long", path);
    if (clear_path(&sun, err) < 0 || new_name(&sun, &fresh, err) < 0)
        return -1;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return tl_fail_errno(err, errno, "a socket");
    /*
     * bind gives the file the socket's own mode less the umask, which is the process's and not to be changed beside
     * other threads. So it gets its mode under another name: under its own it is complete, and answered, from the
     * first instant on.
     */
    if (fchmod(fd, SOCKET_MODE) == 0 && bind(fd, (const struct sockaddr *)&fresh, sizeof fresh) == 0) {
        if (chmod(fresh.sun_path, SOCKET_MODE) == 0 && listen(fd, BACKLOG) == 0 &&
            rename(fresh.sun_path, path) == 0)
            return fd;
        why = errno;
        unlink(fresh.sun_path);
        errno = why;
    }
    tl_fail_errno(err, errno, "can't listen on socket %s", path);
    close(fd);
    return -1;
}

/* --- TCP --- */

static int split_address(const char *address, char host[64], const char **port, struct tl_error *err)
{
    const char *colon = strrchr(address, ':');
    struct tl_str h;

    if (!colon)
        return tl_fail(err, TL_E_USAGE, "\"%s\" is not ADDRESS:PORT", address);
    h = tl_str_n(address, (size_t)(colon - address));
    if (h.len > 2 && h.ptr[0] == '[' && h.ptr[h.len - 1] == ']')
        h = tl_str_n(h.ptr + 1, h.len - 2);
    if (h.len == 0 || !tl_str_copy(h, host, 64))
        return tl_fail(err, TL_E_USAGE, "\"%s\" is not ADDRESS:PORT", address);
    *port = colon + 1;
    return 0;
}

static int open_tcp(const struct addrinfo *ai)
{
    int on = 1;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, ai->ai_addr, ai->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    on = errno;
    close(fd);
    errno = on;
    return -1;
}

static int describe(int fd, bool *loopback, char actual[LISTEN_ADDRESS_TEXT])
{
    union {
        struct sockaddr sa;
        struct sockaddr_in in;
        struct sockaddr_in6 in6;
    } a = {0};
    socklen_t len = sizeof a;
    char text[INET6_ADDRSTRLEN];

    if (getsockname(fd, &a.sa, &len) < 0)
        return -1;
    if (a.sa.sa_family == AF_INET6) {
        *loopback = IN6_IS_ADDR_LOOPBACK(&a.in6.sin6_addr);
        inet_ntop(AF_INET6, &a.in6.sin6_addr, text, sizeof text);
        snprintf(actual, LISTEN_ADDRESS_TEXT, "[%s]:%u", text, (unsigned)ntohs(a.in6.sin6_port));
    } else {
        *loopback = ntohl(a.in.sin_addr.s_addr) >> 24 == 127;
        inet_ntop(AF_INET, &a.in.sin_addr, text, sizeof text);
        snprintf(actual, LISTEN_ADDRESS_TEXT, "%s:%u", text, (unsigned)ntohs(a.in.sin_port));
    }
    return 0;
}

int listen_tcp(const char *address, bool *loopback, char actual[LISTEN_ADDRESS_TEXT], struct tl_error *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    struct addrinfo *found;
    char host[64];
    const char *port = NULL;
    int fd, rc;

    if (split_address(address, host, &port, err) < 0)
        return -1;
    rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0)
        return tl_fail(err, TL_E_USAGE, "can't listen on %s: %s", address, gai_strerror(rc));
    fd = open_tcp(found);
    if (fd < 0 && errno == EADDRINUSE)
        tl_fail(err, TL_E_CONFLICT, "can't listen on %s: the address is in use", address);
    else if (fd < 0 || describe(fd, loopback, actual) < 0)
        tl_fail_errno(err, errno, "can't listen on %s", address);
    else {
        freeaddrinfo(found);
        return fd;
    }
    if (fd >= 0)
        close(fd);
    freeaddrinfo(found);
    return -1;
}
