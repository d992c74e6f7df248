/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HTTP to the coordinator, over its Unix socket or TCP: used by tload and by coordinatord's roles. Over
 * libcurl.
 *
 * A client keeps its connection open between calls. One thread at a time; several clients may live in
 * several threads when the program's main called curl's global set-up once before there were any
 * (tl_http_global_init).
 */
#ifndef TL_HTTP_CLIENT_H
#define TL_HTTP_CLIENT_H

#include <jansson.h>

#include "shared/base/buf.h"
#include "shared/base/error.h"

struct tl_http;

/* Once in main, before any thread and any client; and at the end, when no client is left. */
int tl_http_global_init(struct tl_error *err) TL_MUST_CHECK;
void tl_http_global_release(void);

/* url: "unix:/path", "http://host:port", "https://host:port". token may be NULL. Nothing is connected yet. */
struct tl_http *tl_http_new(const char *url, const char *token, struct tl_error *err);
void tl_http_free(struct tl_http *h); /* NULL is fine */

/*
 * One request. path begins with '/'; its parts are percent-encoded by the caller (tl_http_escape). body may
 * be NULL (borrowed). An answer below 400 gives 0 and, when it has a JSON body, *answer (a new reference;
 * NULL without a body; answer may be NULL). A problem document gives -1 with its code and detail. Not
 * reached at all: TL_E_UNAVAILABLE, "no coordinator answers at …: …". timeout_ms bounds the whole call.
 */
int tl_http_call(struct tl_http *h, const char *method, const char *path, const json_t *body, int timeout_ms,
                 json_t **answer, struct tl_error *err) TL_MUST_CHECK;

/* Whether the last call was answered, be it with a problem: one that was not may have been obeyed all the same. */
bool tl_http_answered(const struct tl_http *h);

/*
 * GET whose body is handed to `sink` as it comes; sink returns 0, or -1 with *err filled to stop. No bound
 * on the time as long as bytes come.
 */
int tl_http_stream(struct tl_http *h, const char *path,
                   int (*sink)(void *app, const char *bytes, size_t n, struct tl_error *err), void *app,
                   struct tl_error *err) TL_MUST_CHECK;

/* Appends text percent-encoded for one part of a path or a query value. */
int tl_http_escape(struct tl_buf *b, const char *text) TL_MUST_CHECK;

/*
 * Makes a call in progress in another thread, and all later ones, fail with TL_E_INTERRUPTED.
 * Async-signal-safe, any thread.
 */
void tl_http_interrupt(struct tl_http *h);

#endif
