/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An HTTP server for tests, on a Unix socket: one thread, one connection at a time, answers from a script
 * in order. It keeps what it was sent. After the last answer it stops listening.
 */
#ifndef TESTS_UNIT_HTTP_SERVER_H
#define TESTS_UNIT_HTTP_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct http_answer {
    const char *bytes; /* the whole answer, head and body; NULL: say nothing until the client goes */
    bool close;        /* and then close the connection */
};

struct http_server {
    char dir[40];
    char path[64];
    char url[80];
    int fd;
    pthread_t thread;
    const struct http_answer *script;
    size_t n;
    int connections;
    char request[16][2048]; /* what came for each answer: head and body */
    size_t nrequests;
    int asked[2]; /* a byte is written for every request that came whole */
};

/* Reads a request with its body; false when the client has gone. */
static bool http_read_request(int fd, char *dst, size_t size)
{
    size_t len = 0;

    for (;;) {
        ssize_t n = read(fd, dst + len, size - 1 - len);
        const char *body, *length;

        if (n <= 0)
            return false;
        len += (size_t)n;
        dst[len] = '\0';
        body = strstr(dst, "\r\n\r\n");
        length = strstr(dst, "Content-Length: ");
        if (body && len >= (size_t)(body + 4 - dst) + (length ? strtoul(length + 16, NULL, 10) : 0))
            return true;
    }
}

static void *http_serve(void *app)
{
    struct http_server *s = app;
    size_t at = 0;

    while (at < s->n) {
        int fd = accept(s->fd, NULL, NULL);
        bool open = fd >= 0;

        if (!open)
            return NULL;
        s->connections++;
        while (open && at < s->n) {
            const struct http_answer *a = &s->script[at];
            char byte = 1;

            if (!http_read_request(fd, s->request[at], sizeof s->request[at]))
                break;
            at++;
            s->nrequests = at;
            if (write(s->asked[1], &byte, 1) != 1)
                abort();
            if (!a->bytes) {
                while (read(fd, &byte, 1) > 0)
                    ;
                open = false;
            } else if (send(fd, a->bytes, strlen(a->bytes), MSG_NOSIGNAL) < 0 || a->close) {
                open = false;
            }
        }
        close(fd);
    }
    return NULL;
}

static void http_server_start(struct http_server *s, const struct http_answer *script, size_t n)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};

    *s = (struct http_server){.dir = "/tmp/tload-http-XXXXXX", .script = script, .n = n};
    if (!mkdtemp(s->dir) || pipe(s->asked))
        abort();
    snprintf(s->path, sizeof s->path, "%s/socket", s->dir);
    snprintf(s->url, sizeof s->url, "unix:%s", s->path);
    snprintf(addr.sun_path, sizeof addr.sun_path, "%s", s->path);
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&addr, sizeof addr) || listen(s->fd, 8) ||
        pthread_create(&s->thread, NULL, http_serve, s))
        abort();
}

/* Returns once n requests have come in all. */
static inline void http_server_await(struct http_server *s, int n)
{
    char byte;

    while (n-- > 0)
        if (read(s->asked[0], &byte, 1) != 1)
            abort();
}

/* The client must have gone. */
static void http_server_stop(struct http_server *s)
{
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
    close(s->asked[0]);
    close(s->asked[1]);
    unlink(s->path);
    rmdir(s->dir);
}

#endif
