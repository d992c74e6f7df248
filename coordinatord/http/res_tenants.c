/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/http/router.h"

int tenants_list(struct request *r, struct tl_error *err)
{
    const char *cursor;
    json_t *answer;
    int limit;

    if (request_page(r, &limit, &cursor, err) < 0 ||
        control_tenants(r->control, limit, cursor, &answer, err) < 0)
        return -1;
    return reply_json(r, 200, answer);
}

int tenants_get(struct request *r, struct tl_error *err)
{
    json_t *answer;

    return control_tenant(r->control, r->param[0], r->by.role == TOKEN_ADMIN, &answer, err) < 0
               ? -1
               : reply_json(r, 200, answer);
}

int tenants_create(struct request *r, struct tl_error *err)
{
    json_t *answer;

    return control_tenant_create(r->control, r->body, r->by.who, &answer, err) < 0
               ? -1
               : reply_json(r, 201, answer);
}

int tenants_patch(struct request *r, struct tl_error *err)
{
    json_t *answer;

    return control_tenant_patch(r->control, r->param[0], r->body, &answer, err) < 0
               ? -1
               : reply_json(r, 200, answer);
}

int tenants_move(struct request *r, struct tl_error *err)
{
    json_t *answer;

    return control_tenant_move(r->control, r->param[0], r->body, &answer, err) < 0
               ? -1
               : reply_json(r, 202, answer);
}

int tenants_stay(struct request *r, struct tl_error *err)
{
    json_t *answer;

    return control_tenant_stay(r->control, r->param[0], &answer, err) < 0 ? -1 : reply_json(r, 200, answer);
}

int tenants_remove(struct request *r, struct tl_error *err)
{
    return control_tenant_remove(r->control, r->param[0], err) < 0 ? -1 : reply_json(r, 204, NULL);
}
