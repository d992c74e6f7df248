/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The HTTP API on a Unix socket and, if wanted, on TCP. Each connection has a thread of its own, bounded in
 * number; handlers may block (long polls) and are woken by control_stop.
 */
#ifndef COORDINATORD_HTTP_SERVER_H
#define COORDINATORD_HTTP_SERVER_H

#include "coordinatord/control/control.h"
#include "coordinatord/http/listen.h"
#include "shared/base/log.h"

struct http_server;

struct http_options {
    struct control *control; /* borrowed until http_server_free */
    struct tl_log *log;
    const char *socket; /* path */
    const char *listen; /* "" for none */
    bool dev;           /* a loopback address trusts everybody; an address in use is only warned of */
};

struct http_server *http_server_start(const struct http_options *options, struct tl_error *err);
/* Where TCP listens, with the port that it got; "" when it does not. */
const char *http_server_address(const struct http_server *s);
/* No new connection from now on; those that are there go on. The socket's file is gone. */
void http_server_quiesce(struct http_server *s);
/* Ends all connections. Call control_stop before, or it waits for the long polls. NULL is fine. */
void http_server_free(struct http_server *s);

#endif
