/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/http/router.h"

static int list(struct request *r, bool secrets, struct tl_error *err)
{
    const char *cursor;
    json_t *answer;
    int limit;

    if (request_page(r, &limit, &cursor, err) < 0 ||
        control_tenants(r->control, secrets, limit, cursor, &answer, err) < 0)
        return -1;
    return reply_json(r, 200, answer);
}

int tenants_list(struct request *r, struct tl_error *err)
{
    return list(r, false, err);
}

/* For the roles, which have to reach what the others only see the names of. */
int roles_tenants(struct request *r, struct tl_error *err)
{
    return list(r, true, err);
}

int tenants_get(struct request *r, struct tl_error *err)
{
    json_t *answer;

    return control_tenant(r->control, r->param[0], &answer, err) < 0 ? -1 : reply_json(r, 200, answer);
}
