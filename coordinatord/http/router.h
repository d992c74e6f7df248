/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which handler answers a request, by routes.def. Pure, any thread. */
#ifndef COORDINATORD_HTTP_ROUTER_H
#define COORDINATORD_HTTP_ROUTER_H

#include "coordinatord/http/request.h"

/* The least role that may, or anybody. */
enum access {
    ACCESS_OPEN = -1,
#define X(symbol, name) ACCESS_##symbol = TOKEN_##symbol,
#include "coordinatord/control/token_roles.def"
#undef X
};

struct route {
    const char *method;
    const char *path;
    const char *query;
    /* Fills r->reply and returns 0, or fails. */
    int (*handler)(struct request *r, struct tl_error *err);
    enum access access;
};

enum { ROUTE_ALLOW_TEXT = 64 };

struct route_match {
    const struct route *route; /* NULL: none */
    char param[REQUEST_PARAMS][REQUEST_PARAM_MAX + 1];
    char allow
        /* without a route: the methods that the path has, "" when there is no such path */
        [ROUTE_ALLOW_TEXT];
};

void route_find(const char *method, const char *path, struct route_match *out);
bool route_knows_query(const struct route *route, const char *name);

#define X(method, path, query, handler, access) int handler(struct request *r, struct tl_error *err);
#include "coordinatord/http/routes.def"
#undef X

#endif
