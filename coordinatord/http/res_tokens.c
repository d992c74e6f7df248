/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/http/router.h"

int tokens_list(struct request *r, struct tl_error *err)
{
    const char *cursor;
    json_t *answer;
    int limit;

    if (request_page(r, &limit, &cursor, err) < 0 ||
        control_tokens(r->control, &r->by, request_query(r, "tenant"), limit, cursor, &answer, err) < 0)
        return -1;
    return reply_json(r, 200, answer);
}

int tokens_create(struct request *r, struct tl_error *err)
{
    json_t *answer;

    if (control_token_create(r->control, &r->by, r->body, &answer, err) < 0)
        return -1;
    r->reply.secret = true;
    return reply_json(r, 201, answer);
}

int tokens_revoke(struct request *r, struct tl_error *err)
{
    return control_token_revoke(r->control, &r->by, r->param[0], err) < 0 ? -1 : reply_json(r, 204, NULL);
}
