/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/http/router.h"

int tables_list(struct request *r, struct tl_error *err)
{
    const char *cursor;
    json_t *answer;
    int limit;

    if (request_page(r, &limit, &cursor, err) < 0 ||
        control_tables(r->control, r->param[0], limit, cursor, &answer, err) < 0)
        return -1;
    return reply_json(r, 200, answer);
}

static int reply_table(struct request *r, unsigned status, struct table_answer *t)
{
    reply_etag(r, t->table_id, t->version);
    return reply_json(r, status, t->json);
}

int tables_define(struct request *r, struct tl_error *err)
{
    struct table_answer t;

    if (control_define(r->control, r->param[0], r->body, r->by.who, &t, err) < 0)
        return -1;
    return reply_table(r, t.created ? 201 : 200, &t);
}

int tables_get(struct request *r, struct tl_error *err)
{
    const char *known = request_header(r, "If-None-Match");
    struct table_answer t;

    if (control_table(r->control, r->param[0], r->param[1], &t, err) < 0)
        return -1;
    reply_table(r, 200, &t);
    if (known && etag_listed(known, r->reply.etag)) {
        json_decref(r->reply.json);
        return reply_json(r, 304, NULL);
    }
    return 0;
}

int tables_foreign(struct request *r, struct tl_error *err)
{
    json_t *answer;

    return control_foreign(r->control, r->param[0], r->param[1], &answer, err) < 0
               ? -1
               : reply_json(r, 200, answer);
}

int tables_version(struct request *r, struct tl_error *err)
{
    int64_t version, table_id = 0;
    struct table_answer t;

    if (!tl_str_to_i64(tl_str(r->param[2]), 1, INT32_MAX, &version))
        return tl_fail(err, TL_E_NOT_FOUND, "no such version");
    if (request_query_number(r, "table_id", 0, INT64_MAX, &table_id, err) < 0 ||
        control_version(r->control, r->param[0], r->param[1], table_id, (int32_t)version, &t, err) < 0)
        return -1;
    return reply_table(r, 200, &t);
}

int tables_versions(struct request *r, struct tl_error *err)
{
    const char *cursor;
    json_t *answer;
    int limit;

    if (request_page(r, &limit, &cursor, err) < 0 ||
        control_versions(r->control, r->param[0], r->param[1], limit, cursor, &answer, err) < 0)
        return -1;
    return reply_json(r, 200, answer);
}

static bool if_match(void *app, int64_t table_id, int32_t version)
{
    struct request *r = app;
    const char *wanted = request_header(r, "If-Match");
    bool same;

    reply_etag(r, table_id, version);
    same = !wanted || etag_listed(wanted, r->reply.etag);
    r->reply.etag[0] = '\0';
    return same;
}

int tables_alter(struct request *r, struct tl_error *err)
{
    struct table_match match = {.matches = if_match, .app = r};
    struct table_answer t;

    if (control_alter(r->control, r->param[0], r->param[1], r->body, r->by.who, &match, &t, err) == 0)
        return reply_table(r, 200, &t);
    if (match.mismatch)
        r->refusal_status = 412;
    return -1;
}

int tables_drop(struct request *r, struct tl_error *err)
{
    struct table_match match = {.matches = if_match, .app = r};

    if (control_drop(r->control, r->param[0], r->param[1], r->by.who, &match, err) == 0)
        return reply_json(r, 204, NULL);
    if (match.mismatch)
        r->refusal_status = 412;
    return -1;
}
