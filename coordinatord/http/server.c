/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One request:
 *
 *   headers ──► route, query, who asks, body's type, size ──► body (≤ 4 MiB) ──► JSON ──► handler ──► answer
 *                     │ refused: the body, if there is one, is not read and the connection closed
 *
 * libmicrohttpd calls on_request once with the headers, then for each piece of the body, then for the answer,
 * always in the thread of the connection.
 */
#include "coordinatord/http/server.h"

#include <microhttpd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "coordinatord/http/auth.h"
#include "coordinatord/http/problem.h"
#include "coordinatord/http/router.h"
#include "coordinatord/http/share.h"
#include "coordinatord/http/strangers.h"
#include "shared/base/clock.h"

enum {
    CONNECTIONS_MAX = 1024,                    /* of each listener */
    STRANGERS_MAX = CONNECTIONS_MAX / 2,       /* of these, on the Unix socket */
    CONNECTIONS_CROWDED = CONNECTIONS_MAX / 4, /* a tenant's that has more keeps none of them open */
    CONNECTIONS_SHARE = CONNECTIONS_MAX / 2,   /* and never has more requests at once */
    IDLE_SECONDS = 90,                         /* longer than the longest long poll */
    STACK_BYTES = 1024 * 1024,
    DISCARD_MAX = 4 * REQUEST_BODY_MAX, /* of a body that is too large, before the connection is cut */
    STREAM_BLOCK = 32 * 1024,
    STREAM_LOOK_MS = 1000, /* so often it is looked whether he who reads it still may */
    STREAM_PIECE_MAX = 64 * 1024 * 1024
};

struct listener {
    struct http_server *server;
    struct MHD_Daemon *daemon; /* NULL: not there */
    int fd;
    struct auth_door door;
    struct strangers strangers; /* on the Unix socket */
};

enum { LISTENER_UNIX, LISTENER_TCP, LISTENERS };

struct http_server {
    struct http_options options;
    struct listener listener[LISTENERS];
    struct shares *shares;
    char address[LISTEN_ADDRESS_TEXT];
    bool quiesced;
};

/* One request on its way. */
struct exchange {
    struct listener *listener;
    struct route_match match;
    struct request request;
    struct tl_buf body;
    size_t discarded;
    bool has_body;
    bool refused; /* err, and status and headers where the code does not say them */
    struct tl_error err;
};

/* --- before the body --- */

static void refuse(struct exchange *x, unsigned status)
{
    x->refused = true;
    x->request.refusal_status = status;
}

struct query_check {
    const struct route *route;
    struct tl_error *err;
    bool failed;
};

static enum MHD_Result check_query(void *app, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct query_check *q = app;

    (void)kind;
    (void)value;
    if (route_knows_query(q->route, name))
        return MHD_YES;
    tl_fail(q->err, TL_E_REFUSED, "unknown query parameter \"%.80s\"%s%s", name,
            *q->route->query ? "; known are: " : "", q->route->query);
    q->failed = true;
    return MHD_NO;
}

static bool is_json(const char *content_type)
{
    struct tl_str rest = tl_str(content_type ? content_type : ""), type = tl_str_trim(tl_str_cut(&rest, ';'));

    return type.len == 16 && strncasecmp(type.ptr, "application/json", 16) == 0;
}

static bool wants_body(const char *method)
{
    return strcmp(method, "POST") == 0 || strcmp(method, "PATCH") == 0;
}

/* What the client of one connection is known by between requests. */
struct peer {
    struct share *share;
    void *stranger; /* strangers.h's own */
};

static int check_share(struct exchange *x, struct tl_error *err)
{
    static const char prefix[] = "/v1/tenants/{";
    struct request *r = &x->request;
    const union MHD_ConnectionInfo *info;
    struct peer *peer;
    size_t n;

    if (strncmp(x->match.route->path, prefix, sizeof prefix - 1) != 0)
        return 0;
    info = MHD_get_connection_info(r->connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    peer = info ? info->socket_context : NULL;
    if (!peer)
        return tl_fail_nomem(err);
    n = shares_take(x->listener->server->shares, &peer->share, r->param[0]);
    r->crowded = n > CONNECTIONS_CROWDED;
    if (n > CONNECTIONS_SHARE)
        return tl_fail(err, TL_E_AGAIN, "tenant \"%s\" has %d requests under way: come again in a moment",
                       r->param[0], CONNECTIONS_SHARE);
    return 0;
}

/* What the headers say of the body. */
static void check_body(struct exchange *x, const char *method)
{
    struct request *r = &x->request;
    const char *length = request_header(r, "Content-Length");
    int64_t n = 0;

    if (x->refused)
        return;
    if (length && (!tl_str_to_i64(tl_str(length), 0, INT64_MAX, &n) || n > REQUEST_BODY_MAX)) {
        tl_fail(&x->err, TL_E_TOO_LARGE, "a request may have a body of %d bytes at most", REQUEST_BODY_MAX);
        refuse(x, 0);
    } else if (x->has_body && !wants_body(method)) {
        tl_fail(&x->err, TL_E_USAGE, "%s takes no body", method);
        refuse(x, 0);
    } else if (x->has_body && !is_json(request_header(r, "Content-Type"))) {
        tl_fail(&x->err, TL_E_USAGE, "the body has to be application/json");
        refuse(x, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE);
    } else if (!x->has_body && wants_body(method)) {
        tl_fail(&x->err, TL_E_USAGE, "%s needs a JSON body", method);
        refuse(x, 0);
    }
}

static void examine(struct exchange *x, const char *method, const char *url)
{
    struct request *r = &x->request;
    struct query_check q = {.err = &x->err};
    const char *length = request_header(r, "Content-Length");

    x->has_body = (length && strcmp(length, "0") != 0) || request_header(r, "Transfer-Encoding");
    route_find(method, url, &x->match);
    memcpy(r->param, x->match.param, sizeof r->param);
    q.route = x->match.route;
    if (!x->match.route && x->match.allow[0]) {
        tl_fail(&x->err, TL_E_USAGE, "%.20s is not for this path, only %s", method, x->match.allow);
        refuse(x, MHD_HTTP_METHOD_NOT_ALLOWED);
    } else if (!x->match.route) {
        tl_fail(&x->err, TL_E_NOT_FOUND, "there is nothing at this path");
        refuse(x, 0);
    } else if (auth_check(r, x->match.route, &x->listener->door, &x->err) < 0 ||
               check_share(x, &x->err) < 0) {
        refuse(x, 0);
    } else {
        MHD_get_connection_values(r->connection, MHD_GET_ARGUMENT_KIND, check_query, &q);
        if (q.failed)
            refuse(x, 0);
    }
    check_body(x, method);
}

/* --- the answer --- */

struct stream {
    struct reply_stream source;
    struct tl_buf piece;
    size_t sent; /* of piece */
    int more;    /* 1: there may be; 0: no; -1: it failed */
    struct control *control;
    struct identity by;
    int64_t looked_ms;
    struct tl_log *log;
};

/*
 * Fills the block with as many pieces as go into it, since each call here costs a chunk and a write. 1, or what
 * `next` said instead.
 */
static int stream_fill(struct stream *s, size_t block)
{
    struct tl_error err;
    int rc = 1;

    tl_buf_reset(&s->piece);
    s->sent = 0;
    while (rc == 1 && s->piece.len < block)
        rc = s->source.next(s->source.app, &s->piece, &err);
    if (rc < 0)
        tl_warn(s->log, "http", "a streamed answer was cut off: %s", err.text);
    return rc;
}

/* A long answer is not a way to go on reading with a token that was revoked. */
static int stream_look(struct stream *s)
{
    struct tl_error err;
    int64_t now = tl_clock_ms();

    if (now - s->looked_ms < STREAM_LOOK_MS)
        return 0;
    s->looked_ms = now;
    if (auth_again(s->control, &s->by, &err) == 0)
        return 0;
    tl_debug(s->log, "http", "a streamed answer was cut off: %s", err.text);
    return -1;
}

static ssize_t stream_read(void *app, uint64_t pos, char *out, size_t max)
{
    struct stream *s = app;
    size_t n;

    (void)pos;
    if (s->sent == s->piece.len && s->more == 1)
        s->more = stream_look(s) < 0 ? -1 : stream_fill(s, max);
    if (s->sent == s->piece.len) {
        /* After a failure it is cut off, so that it is not taken for whole: the answer's head is out. */
        return s->more == 0 ? MHD_CONTENT_READER_END_OF_STREAM : MHD_CONTENT_READER_END_WITH_ERROR;
    }
    n = TL_MIN(max, s->piece.len - s->sent);
    memcpy(out, s->piece.data + s->sent, n);
    s->sent += n;
    return (ssize_t)n;
}

static void stream_free(void *app)
{
    struct stream *s = app;

    s->source.free(s->source.app);
    tl_buf_release(&s->piece);
    free(s);
}

/* Its first piece is made before the head goes out, so that a failure can still be told as one. */
static struct MHD_Response *stream_response(struct request *r, struct tl_error *err)
{
    struct stream *s = calloc(1, sizeof *s);
    struct MHD_Response *response;

    if (!s) {
        tl_fail_nomem(err);
        return NULL;
    }
    s->source = r->reply.stream;
    s->more = 1;
    s->log = r->log;
    s->control = r->control;
    s->by = r->by;
    s->looked_ms = tl_clock_ms();
    r->reply.stream.next = NULL;
    tl_buf_init(&s->piece, STREAM_PIECE_MAX);
    if (s->source.next(s->source.app, &s->piece, err) < 0) {
        stream_free(s);
        return NULL;
    }
    response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, STREAM_BLOCK, stream_read, s, stream_free);
    if (!response) {
        stream_free(s);
        tl_fail_nomem(err);
        return NULL;
    }
    MHD_add_response_header(response, "Content-Type", s->source.content_type);
    return response;
}

static struct MHD_Response *json_response(const json_t *json, const char *content_type)
{
    struct MHD_Response *response;
    char *text;

    if (!json)
        return MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
    text = json_dumps(json, JSON_COMPACT);
    if (!text)
        return NULL;
    response = MHD_create_response_from_buffer(strlen(text), text, MHD_RESPMEM_MUST_FREE);
    if (response)
        MHD_add_response_header(response, "Content-Type", content_type);
    else
        free(text);
    return response;
}

static enum MHD_Result queue(struct exchange *x, unsigned status, struct MHD_Response *response)
{
    enum MHD_Result rc;

    if (!response)
        return MHD_NO;
    MHD_add_response_header(response, "Cache-Control", x->request.reply.secret ? "no-store" : "no-cache");
    if (x->request.crowded)
        MHD_add_response_header(response, "Connection", "close");
    rc = MHD_queue_response(x->request.connection, status, response);
    MHD_destroy_response(response);
    return rc;
}

static enum MHD_Result answer_problem(struct exchange *x)
{
    unsigned status;
    json_t *json = problem_json(&x->err, x->request.refusal_status, &status);
    struct MHD_Response *response = json ? json_response(json, "application/problem+json") : NULL;

    json_decref(json);
    if (response && status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(response, "Allow", x->match.allow);
    if (response && status == MHD_HTTP_UNAUTHORIZED)
        MHD_add_response_header(response, "WWW-Authenticate", "Bearer");
    if (status >= 500)
        tl_debug(x->request.log, "http", "%u: %s", status, x->err.text);
    return queue(x, status, response);
}

static int parse_body(struct exchange *x, struct tl_error *err)
{
    json_error_t why;

    if (!x->has_body)
        return 0;
    x->request.body = json_loadb(tl_buf_str(&x->body).ptr, x->body.len, JSON_REJECT_DUPLICATES, &why);
    if (!x->request.body)
        return tl_fail(err, TL_E_USAGE, "the body is not JSON: line %d, column %d: %s", why.line, why.column,
                       why.text);
    return 0;
}

/*
 * Sending a body, and a long poll, take as long as somebody likes: a token has to hold behind them, too. What
 * changed something is answered, though.
 */
static int handle(struct exchange *x)
{
    const struct route *route = x->match.route;
    struct request *r = &x->request;

    if (parse_body(x, &x->err) < 0 || (x->has_body && auth_again(r->control, &r->by, &x->err) < 0) ||
        route->handler(r, &x->err) < 0)
        return -1;
    return strcmp(route->method, "GET") == 0 ? auth_again(r->control, &r->by, &x->err) : 0;
}

static enum MHD_Result answer(struct exchange *x)
{
    struct request *r = &x->request;
    struct MHD_Response *response;

    if (x->refused || handle(x) < 0)
        return answer_problem(x);
    if (r->reply.stream.next) {
        response = stream_response(r, &x->err);
        if (!response)
            return answer_problem(x);
    } else {
        response = json_response(r->reply.json, "application/json");
    }
    if (response && r->reply.etag[0])
        MHD_add_response_header(response, "ETag", r->reply.etag);
    return queue(x, r->reply.status, response);
}

/* --- libmicrohttpd's side --- */

static struct exchange *exchange_new(struct listener *l, struct MHD_Connection *connection)
{
    struct exchange *x = calloc(1, sizeof *x);

    if (!x)
        return NULL;
    x->listener = l;
    x->request.control = l->server->options.control;
    x->request.log = l->server->options.log;
    x->request.connection = connection;
    tl_buf_init(&x->body, REQUEST_BODY_MAX);
    return x;
}

static enum MHD_Result take_body(struct exchange *x, const char *data, size_t *n)
{
    if (!x->refused) {
        int rc = tl_buf_append(&x->body, data, *n);

        if (rc == TL_BUF_FULL)
            tl_fail(&x->err, TL_E_TOO_LARGE, "a request may have a body of %d bytes at most",
                    REQUEST_BODY_MAX);
        else if (rc != TL_BUF_OK)
            tl_fail_nomem(&x->err);
        if (rc != TL_BUF_OK) {
            refuse(x, 0);
            tl_buf_release(&x->body);
        }
    }
    if (x->refused)
        x->discarded += *n;
    *n = 0;
    return x->discarded > DISCARD_MAX ? MHD_NO : MHD_YES;
}

static enum MHD_Result on_request(void *app, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *data_size, void **state)
{
    struct exchange *x = *state;

    (void)version;
    if (!x) {
        x = *state = exchange_new(app, connection);
        if (!x)
            return MHD_NO;
        examine(x, method, url);
        /* Answered now, a body is not read at all. */
        return x->refused && x->has_body ? answer_problem(x) : MHD_YES;
    }
    if (*data_size)
        return take_body(x, data, data_size);
    tl_debug(x->request.log, "http", "%s %s", method, url);
    return answer(x);
}

static void on_completed(void *app, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    struct exchange *x = *state;

    (void)app;
    (void)connection;
    (void)code;
    if (!x)
        return;
    if (x->request.reply.stream.next)
        x->request.reply.stream.free(x->request.reply.stream.app);
    json_decref(x->request.reply.json);
    json_decref(x->request.body);
    tl_buf_release(&x->body);
    free(x);
    *state = NULL;
}

static void on_connection(void *app, struct MHD_Connection *connection, void **context,
                          enum MHD_ConnectionNotificationCode code)
{
    struct listener *l = app;
    struct peer *peer = *context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED)
        *context = peer = calloc(1, sizeof *peer);
    if (peer && l->door.local)
        strangers_notify(&l->strangers, connection, &peer->stranger, code);
    if (peer && code == MHD_CONNECTION_NOTIFY_CLOSED) {
        shares_leave(l->server->shares, peer->share);
        free(peer);
        *context = NULL;
    }
}

/* libmicrohttpd's own complaints: about clients, mostly. */
static TL_PRINTF(2, 0) void on_log(void *app, const char *fmt, va_list ap)
{
    struct http_server *s = app;
    char line[512];

    vsnprintf(line, sizeof line, fmt, ap);
    tl_debug(s->options.log, "http", "%.*s", (int)strcspn(line, "\n"), line);
}

static int start_listener(struct http_server *s, struct listener *l, struct tl_error *err)
{
    l->server = s;
    l->strangers.max = STRANGERS_MAX;
    l->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION | MHD_USE_POLL | MHD_USE_ITC |
            MHD_USE_ERROR_LOG,
        0, NULL, NULL, on_request, l, MHD_OPTION_EXTERNAL_LOGGER, on_log, s, MHD_OPTION_LISTEN_SOCKET, l->fd,
        MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_NOTIFY_CONNECTION, on_connection, l,
        MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_SECONDS, MHD_OPTION_THREAD_STACK_SIZE, (size_t)STACK_BYTES, MHD_OPTION_END);
    return l->daemon ? 0 : tl_fail(err, TL_E_FATAL, "the HTTP server does not start");
}

static int start_unix(struct http_server *s, struct tl_error *err)
{
    struct listener *l = &s->listener[LISTENER_UNIX];

    l->door.local = true;
    l->fd = listen_unix(s->options.socket, err);
    return l->fd < 0 ? -1 : start_listener(s, l, err);
}

static int start_tcp(struct http_server *s, struct tl_error *err)
{
    struct listener *l = &s->listener[LISTENER_TCP];
    bool loopback = false;

    if (!*s->options.listen)
        return 0;
    l->fd = listen_tcp(s->options.listen, &loopback, s->address, err);
    if (l->fd < 0 && s->options.dev && err->code == TL_E_CONFLICT) {
        tl_warn(s->options.log, "http", "%s; going on without", err->text);
        return 0;
    }
    l->door.trusting = loopback && s->options.dev;
    return l->fd < 0 ? -1 : start_listener(s, l, err);
}

struct http_server *http_server_start(const struct http_options *options, struct tl_error *err)
{
    struct http_server *s = calloc(1, sizeof *s);

    if (!s) {
        tl_fail_nomem(err);
        return NULL;
    }
    s->options = *options;
    for (int i = 0; i < LISTENERS; i++)
        s->listener[i].fd = -1;
    s->shares = shares_new(err);
    if (s->shares && start_unix(s, err) == 0 && start_tcp(s, err) == 0)
        return s;
    http_server_free(s);
    return NULL;
}

const char *http_server_address(const struct http_server *s)
{
    return s->address;
}

void http_server_quiesce(struct http_server *s)
{
    if (s->quiesced)
        return;
    s->quiesced = true;
    if (s->listener[LISTENER_UNIX].fd >= 0)
        unlink(s->options.socket);
    for (int i = 0; i < LISTENERS; i++) {
        struct listener *l = &s->listener[i];

        if (l->daemon)
            MHD_quiesce_daemon(l->daemon);
        /*
         * libmicrohttpd may look at it until it is stopped, so it stays open; but nobody gets through any
         * more.
         */
        if (l->fd >= 0)
            shutdown(l->fd, SHUT_RDWR);
    }
}

void http_server_free(struct http_server *s)
{
    if (!s)
        return;
    http_server_quiesce(s);
    for (int i = 0; i < LISTENERS; i++) {
        if (s->listener[i].daemon)
            MHD_stop_daemon(s->listener[i].daemon);
        if (s->listener[i].fd >= 0)
            close(s->listener[i].fd);
    }
    shares_free(s->shares);
    free(s);
}
