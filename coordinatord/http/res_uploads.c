/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "coordinatord/http/router.h"

enum { WAIT_MAX_MS = 30000, WAIT_CROWDED_MS = 250 };

int uploads_list(struct request *r, struct tl_error *err)
{
    struct upload_query query = {.table = request_query(r, "table"), .state = request_query(r, "state")};
    json_t *answer;

    if (request_page(r, &query.limit, &query.cursor, err) < 0 ||
        control_uploads(r->control, r->param[0], &query, &answer, err) < 0)
        return -1;
    return reply_json(r, 200, answer);
}

int uploads_create(struct request *r, struct tl_error *err)
{
    json_t *answer;

    if (control_upload_create(r->control, r->param[0], r->body, r->by.who, &answer, err) < 0)
        return -1;
    return reply_json(r, 201, answer);
}

int uploads_get(struct request *r, struct tl_error *err)
{
    int64_t wait_ms = 0, seen = -1;
    json_t *answer;

    if (request_query_number(r, "wait_ms", 0, WAIT_MAX_MS, &wait_ms, err) < 0 ||
        request_query_number(r, "seen", 0, INT64_MAX, &seen, err) < 0)
        return -1;
    if (r->crowded)
        wait_ms = TL_MIN(wait_ms, (int64_t)WAIT_CROWDED_MS);
    if (control_upload(r->control, r->param[0], r->param[1], (int)wait_ms, seen, &answer, err) < 0)
        return -1;
    return reply_json(r, 200, answer);
}

int uploads_patch(struct request *r, struct tl_error *err)
{
    json_t *answer;

    if (control_upload_patch(r->control, r->param[0], r->param[1], r->body, &answer, err) < 0)
        return -1;
    return reply_json(r, 200, answer);
}

int uploads_resume(struct request *r, struct tl_error *err)
{
    json_t *answer;

    if (control_upload_resume(r->control, r->param[0], r->param[1], r->body, &answer, err) < 0)
        return -1;
    return reply_json(r, 200, answer);
}

int uploads_source(struct request *r, struct tl_error *err)
{
    json_t *answer;

    if (control_upload_source(r->control, r->param[0], r->param[1], &answer, err) < 0)
        return -1;
    return reply_json(r, 200, answer);
}

int uploads_loaded(struct request *r, struct tl_error *err)
{
    json_t *answer;

    if (control_upload_loaded(r->control, r->param[0], r->body, &answer, err) < 0)
        return -1;
    return reply_json(r, 200, answer);
}

/* --- rejected rows --- */

static int next_rejected(void *app, struct tl_buf *out, struct tl_error *err)
{
    return rejected_reader_next(app, out, err);
}

static void free_rejected(void *app)
{
    rejected_reader_free(app);
}

int uploads_errors(struct request *r, struct tl_error *err)
{
    const char *format = request_query(r, "format");
    enum rejected_form form = REJECTED_JSONL;
    struct rejected_reader *reader;
    int64_t limit = -1;

    if (format && strcmp(format, "csv") == 0)
        form = REJECTED_CSV;
    else if (format && strcmp(format, "jsonl") != 0)
        return tl_fail(err, TL_E_REFUSED, "\"format\" is neither jsonl nor csv");
    if (request_query_number(r, "limit", 0, INT64_MAX, &limit, err) < 0)
        return -1;
    reader = control_rejected_open(r->control, r->param[0], r->param[1], form, limit, err);
    if (!reader)
        return -1;
    r->reply.status = 200;
    r->reply.stream = (struct reply_stream){
        .next = next_rejected,
        .free = free_rejected,
        .app = reader,
        .content_type = form == REJECTED_CSV ? "text/csv; charset=utf-8" : "application/x-ndjson",
    };
    return 0;
}
