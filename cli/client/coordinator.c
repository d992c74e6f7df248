/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/client/coordinator.h"

#include <stdarg.h>
#include <stdlib.h>

#include "shared/http/client.h"

enum {
    CALL_MS = 30 * 1000,
    PROGRESS_MS = 2000,     /* not worth waiting for: it is told again a second later */
    CHANGE_MS = 120 * 1000, /* what writes into every partition may take its time */
    PAGE = 500,             /* objects of a list in one answer */
    PATH_MAX_BYTES = 16 << 10
};

struct coordinator {
    struct tl_http *http;
    const struct settings *settings;
};

struct coordinator *coordinator_open(const struct settings *settings, struct tl_error *err)
{
    struct coordinator *c = calloc(1, sizeof *c);
    char *token = NULL;

    if (!c) {
        tl_fail_nomem(err);
        return NULL;
    }
    c->settings = settings;
    if (settings_token(settings, &token, err) == 0)
        c->http = tl_http_new(settings->coordinator, token, err);
    free(token);
    if (!c->http) {
        free(c);
        return NULL;
    }
    return c;
}

void coordinator_close(struct coordinator *c)
{
    if (!c)
        return;
    tl_http_free(c->http);
    free(c);
}

void coordinator_interrupt(void *c)
{
    tl_http_interrupt(((struct coordinator *)c)->http);
}

const char *coordinator_url(const struct coordinator *c)
{
    return c->settings->coordinator;
}

const char *coordinator_tenant(const struct coordinator *c)
{
    return c->settings->tenant;
}

bool coordinator_answered(const struct coordinator *c)
{
    return tl_http_answered(c->http);
}

/* Appends "/" and the escaped part for every part up to NULL, behind /v1/tenants/{t}. */
static int start_path(struct coordinator *c, struct tl_buf *b, struct tl_error *err, ...)
{
    const char *part = c->settings->tenant;
    va_list ap;
    int rc;

    tl_buf_init(b, PATH_MAX_BYTES);
    rc = tl_buf_append_z(b, "/v1/tenants");
    va_start(ap, err);
    for (; !rc && part; part = va_arg(ap, const char *)) {
        rc = tl_buf_append_char(b, '/');
        /* "." and ".." would be taken out of the path on the way. */
        if (!rc && (!*part || strcmp(part, ".") == 0 || strcmp(part, "..") == 0)) {
            tl_fail(err, TL_E_NOT_FOUND, "'%s' is no name", part);
            va_end(ap);
            return -1;
        }
        if (!rc)
            rc = tl_http_escape(b, part);
    }
    va_end(ap);
    if (!rc)
        rc = tl_buf_terminate(b);
    return rc ? tl_buf_fail(rc, b, "the path of the request", err) : 0;
}

/* Appends name=value to the query; value NULL: nothing. */
static int add_query(struct tl_buf *b, const char *name, const char *value, struct tl_error *err)
{
    int rc;

    if (!value)
        return 0;
    rc = tl_buf_append_char(b, memchr(b->data, '?', b->len) ? '&' : '?');
    if (!rc)
        rc = tl_buf_append_z(b, name);
    if (!rc)
        rc = tl_buf_append_char(b, '=');
    if (!rc)
        rc = tl_http_escape(b, value);
    if (!rc)
        rc = tl_buf_terminate(b);
    return rc ? tl_buf_fail(rc, b, "the path of the request", err) : 0;
}

static int add_number(struct tl_buf *b, const char *name, int64_t value, struct tl_error *err)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)value);
    return add_query(b, name, text, err);
}

/* An answer that is not an object is none. */
static int call(struct coordinator *c, const char *method, const char *path, const json_t *body, int ms,
                json_t **out, struct tl_error *err)
{
    json_t *answer = NULL;

    if (tl_http_call(c->http, method, path, body, ms, &answer, err))
        return -1;
    if (out && !json_is_object(answer)) {
        json_decref(answer);
        return tl_fail(err, TL_E_CORRUPT, "%s answers %s %s with something that is no object",
                       coordinator_url(c), method, path);
    }
    if (out)
        *out = answer;
    else
        json_decref(answer);
    return 0;
}

int coordinator_call(struct coordinator *c, const char *method, const char *path, const json_t *body, int ms,
                     json_t **out, struct tl_error *err)
{
    return call(c, method, path, body, ms, out, err);
}

int coordinator_ready(struct coordinator *c, json_t **out, struct tl_error *err)
{
    return call(c, "GET", "/readyz", NULL, CALL_MS, out, err);
}

int coordinator_tenant_get(struct coordinator *c, json_t **out, struct tl_error *err)
{
    struct tl_buf path;
    int rc = start_path(c, &path, err, NULL);

    if (!rc)
        rc = call(c, "GET", path.data, NULL, CALL_MS, out, err);
    tl_buf_release(&path);
    return rc;
}

int coordinator_table_get(struct coordinator *c, const char *name, int64_t version, json_t **out,
                          struct tl_error *err)
{
    struct tl_buf path;
    char number[24];
    int rc;

    snprintf(number, sizeof number, "%lld", (long long)version);
    rc = version ? start_path(c, &path, err, "tables", name, "versions", number, NULL)
                 : start_path(c, &path, err, "tables", name, NULL);
    if (!rc)
        rc = call(c, "GET", path.data, NULL, CALL_MS, out, err);
    tl_buf_release(&path);
    return rc;
}

int coordinator_table_foreign(struct coordinator *c, const char *name, json_t **out, struct tl_error *err)
{
    struct tl_buf path;
    int rc = start_path(c, &path, err, "sink", "tables", name, NULL);

    if (!rc)
        rc = call(c, "GET", path.data, NULL, CALL_MS, out, err);
    tl_buf_release(&path);
    return rc;
}

int coordinator_table_define(struct coordinator *c, const json_t *table, json_t **out, struct tl_error *err)
{
    struct tl_buf path;
    int rc = start_path(c, &path, err, "tables", NULL);

    if (!rc)
        rc = call(c, "POST", path.data, table, CHANGE_MS, out, err);
    tl_buf_release(&path);
    return rc;
}

int coordinator_table_alter(struct coordinator *c, const char *name, const json_t *request, json_t **out,
                            struct tl_error *err)
{
    struct tl_buf path;
    int rc = start_path(c, &path, err, "tables", name, NULL);

    if (!rc)
        rc = call(c, "PATCH", path.data, request, CHANGE_MS, out, err);
    tl_buf_release(&path);
    return rc;
}

int coordinator_table_drop(struct coordinator *c, const char *name, struct tl_error *err)
{
    struct tl_buf path;
    int rc = start_path(c, &path, err, "tables", name, NULL);

    if (!rc)
        rc = call(c, "DELETE", path.data, NULL, CHANGE_MS, NULL, err);
    tl_buf_release(&path);
    return rc;
}

/* Gives the objects of one page; *next is the cursor of the next, malloc'ed, or NULL. */
static int one_page(struct coordinator *c, const char *path, const char *member, coordinator_each *each,
                    void *app, char **next, struct tl_error *err)
{
    json_t *page, *object;
    const json_t *list;
    const char *cursor;
    size_t i;
    int rc = 0;

    *next = NULL;
    if (call(c, "GET", path, NULL, CALL_MS, &page, err))
        return -1;
    list = json_object_get(page, member);
    cursor = json_string_value(json_object_get(page, "next"));
    if (!json_is_array(list))
        rc = tl_fail(err, TL_E_CORRUPT, "%s answers GET %s without \"%s\"", coordinator_url(c), path, member);
    json_array_foreach(list, i, object)
    {
        if (!rc)
            rc = each(app, object, err);
    }
    if (!rc && cursor) {
        *next = strdup(cursor);
        if (!*next)
            rc = tl_fail_nomem(err);
    }
    json_decref(page);
    return rc;
}

/* of: the table whose list it is, NULL: it is the tenant's. table, state: only such ones; NULL: any. */
static int each_page(struct coordinator *c, const char *member, const char *of, const char *table,
                     const char *state, coordinator_each *each, void *app, struct tl_error *err)
{
    char *cursor = NULL;
    int rc;

    do {
        struct tl_buf path;
        char *next = NULL;

        rc = of ? start_path(c, &path, err, "tables", of, member, NULL)
                : start_path(c, &path, err, member, NULL);
        if (!rc)
            rc = add_query(&path, "table", table, err);
        if (!rc)
            rc = add_query(&path, "state", state, err);
        if (!rc)
            rc = add_number(&path, "limit", PAGE, err);
        if (!rc)
            rc = add_query(&path, "cursor", cursor, err);
        if (!rc)
            rc = one_page(c, path.data, member, each, app, &next, err);
        tl_buf_release(&path);
        free(cursor);
        cursor = next;
    } while (!rc && cursor);
    free(cursor);
    return rc;
}

int coordinator_pages(struct coordinator *c, const char *path, const char *member, coordinator_each *each,
                      void *app, struct tl_error *err)
{
    char *cursor = NULL, *next = NULL;
    int rc;

    do {
        struct tl_buf b;

        tl_buf_init(&b, PATH_MAX_BYTES);
        rc = tl_buf_append_z(&b, path);
        if (!rc)
            rc = tl_buf_terminate(&b);
        rc = rc ? tl_buf_fail(rc, &b, "the path of the request", err) : add_number(&b, "limit", PAGE, err);
        if (!rc)
            rc = add_query(&b, "cursor", cursor, err);
        if (!rc)
            rc = one_page(c, b.data, member, each, app, &next, err);
        tl_buf_release(&b);
        free(cursor);
        cursor = next;
        next = NULL;
    } while (!rc && cursor);
    free(cursor);
    return rc;
}

int coordinator_tables(struct coordinator *c, coordinator_each *each, void *app, struct tl_error *err)
{
    return each_page(c, "tables", NULL, NULL, NULL, each, app, err);
}

int coordinator_versions(struct coordinator *c, const char *name, coordinator_each *each, void *app,
                         struct tl_error *err)
{
    return each_page(c, "versions", name, NULL, NULL, each, app, err);
}

int coordinator_uploads(struct coordinator *c, const char *table, const char *state, coordinator_each *each,
                        void *app, struct tl_error *err)
{
    return each_page(c, "uploads", NULL, table, state, each, app, err);
}

int coordinator_upload_create(struct coordinator *c, const json_t *upload, json_t **out, struct tl_error *err)
{
    struct tl_buf path;
    int rc = start_path(c, &path, err, "uploads", NULL);

    if (!rc)
        rc = call(c, "POST", path.data, upload, CALL_MS, out, err);
    tl_buf_release(&path);
    return rc;
}

int coordinator_upload_patch(struct coordinator *c, const char *id, const json_t *change, json_t **out,
                             struct tl_error *err)
{
    struct tl_buf path;
    int rc = start_path(c, &path, err, "uploads", id, NULL);

    if (!rc)
        rc = call(c, "PATCH", path.data, change, json_object_get(change, "state") ? CALL_MS : PROGRESS_MS,
                  out, err);
    tl_buf_release(&path);
    return rc;
}

int coordinator_upload_resume(struct coordinator *c, const char *id, const json_t *request, json_t **out,
                              struct tl_error *err)
{
    struct tl_buf path;
    int rc = start_path(c, &path, err, "uploads", id, "resume", NULL);

    if (!rc)
        rc = call(c, "POST", path.data, request, CALL_MS, out, err);
    tl_buf_release(&path);
    return rc;
}

int coordinator_upload_source(struct coordinator *c, const char *id, json_t **out, struct tl_error *err)
{
    struct tl_buf path;
    int rc = start_path(c, &path, err, "uploads", id, "source", NULL);

    if (!rc)
        rc = call(c, "GET", path.data, NULL, CALL_MS, out, err);
    tl_buf_release(&path);
    return rc;
}

int coordinator_loaded(struct coordinator *c, const json_t *request, json_t **out, struct tl_error *err)
{
    struct tl_buf path;
    int rc = start_path(c, &path, err, "loaded", NULL);

    if (!rc)
        rc = call(c, "POST", path.data, request, CALL_MS, out, err);
    tl_buf_release(&path);
    return rc;
}

int coordinator_upload_get(struct coordinator *c, const char *id, int wait_ms, int64_t seen, json_t **out,
                           struct tl_error *err)
{
    struct tl_buf path;
    int rc = start_path(c, &path, err, "uploads", id, NULL);

    if (!rc && wait_ms > 0)
        rc = add_number(&path, "wait_ms", wait_ms, err);
    if (!rc && wait_ms > 0)
        rc = add_number(&path, "seen", seen, err);
    if (!rc)
        rc = call(c, "GET", path.data, NULL, wait_ms + CALL_MS, out, err);
    tl_buf_release(&path);
    return rc;
}

int coordinator_upload_errors(struct coordinator *c, const char *id, const char *format, int64_t limit,
                              int (*sink)(void *app, const char *bytes, size_t n, struct tl_error *err),
                              void *app, struct tl_error *err)
{
    struct tl_buf path;
    int rc = start_path(c, &path, err, "uploads", id, "errors", NULL);

    if (!rc)
        rc = add_query(&path, "format", format, err);
    if (!rc && limit > 0)
        rc = add_number(&path, "limit", limit, err);
    if (!rc)
        rc = tl_http_stream(c->http, path.data, sink, app, err);
    tl_buf_release(&path);
    return rc;
}
