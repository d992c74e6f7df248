/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A request as a handler sees it, and the answer that it fills in. Lives for one request, in the thread of
 * its connection.
 */
#ifndef COORDINATORD_HTTP_REQUEST_H
#define COORDINATORD_HTTP_REQUEST_H

#include <jansson.h>

#include "coordinatord/control/control.h"
#include "coordinatord/control/tokens.h"
#include "shared/base/buf.h"
#include "shared/base/error.h"
#include "shared/base/log.h"

enum {
    REQUEST_PARAMS = 3,
    REQUEST_PARAM_MAX = 127, /* bytes of one part of a path; no name is longer */
    REQUEST_BODY_MAX = 4 * 1024 * 1024
};

struct MHD_Connection;

/* A body that is made piece by piece, as fast as the client takes it. */
struct reply_stream {
    /* Appends the next piece to out, which is empty: 1, or 0 at the end. */
    int (*next)(void *app, struct tl_buf *out, struct tl_error *err);
    void (*free)(void *app);
    void *app;
    const char *content_type; /* static */
};

struct reply {
    unsigned status;
    json_t *json;               /* owned; NULL: no body, or a stream */
    struct reply_stream stream; /* next NULL: none */
    char etag[64];              /* with its quotes; "" none */
    bool secret;                /* nobody may keep it */
};

struct request {
    struct control *control;
    struct tl_log *log;
    struct MHD_Connection *connection;
    char param[REQUEST_PARAMS][REQUEST_PARAM_MAX + 1]; /* the path's parts in braces, in order */
    struct identity by;                                /* who asks; nobody on an open route */
    bool crowded; /* the tenant's clients have so many connections that none is kept waiting for long */
    json_t *body; /* owned; NULL when the method has none */
    unsigned
        refusal_status; /* set by a handler whose failure has another status than its code's; 0 otherwise */
    struct reply reply;
};

/* NULL when it is not there. Borrowed from the request. */
const char *request_query(const struct request *r, const char *name);
const char *request_header(const struct request *r, const char *name);
/* A number in the query; absent leaves *out alone. TL_E_REFUSED. */
int request_query_number(const struct request *r, const char *name, int64_t min, int64_t max, int64_t *out,
                         struct tl_error *err) TL_MUST_CHECK;
/* "limit" and "cursor". */
int request_page(const struct request *r, int *limit, const char **cursor,
                 struct tl_error *err) TL_MUST_CHECK;

/* Takes over json. Returns 0. */
int reply_json(struct request *r, unsigned status, json_t *json);
void reply_etag(struct request *r, int64_t table_id, int32_t version);
/* Whether a header of entity tags ("*", or a list) names this one. */
bool etag_listed(const char *header, const char *etag);

#endif
