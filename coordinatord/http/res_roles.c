/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/http/router.h"

enum { WAIT_MAX_MS = 30000, ALL_TENANTS = 1000 };

/* What they need to reach Kafka, sink and error store, which the others only see the names of. */
int roles_tenants(struct request *r, struct tl_error *err)
{
    int64_t limit = ALL_TENANTS, wait_ms = 0, life = -1, seen = -1;
    json_t *answer;

    if (request_query_number(r, "limit", 1, ALL_TENANTS, &limit, err) < 0 ||
        request_query_number(r, "wait_ms", 0, WAIT_MAX_MS, &wait_ms, err) < 0 ||
        request_query_number(r, "life", 0, INT64_MAX, &life, err) < 0 ||
        request_query_number(r, "seen", 0, INT64_MAX, &seen, err) < 0 ||
        control_roles_tenants(r->control, (int)limit, request_query(r, "cursor"), (int)wait_ms, life, seen,
                              &answer, err) < 0)
        return -1;
    return reply_json(r, 200, answer);
}

int roles_waiting(struct request *r, struct tl_error *err)
{
    return control_waiting(r->control, r->body, err) < 0 ? -1 : reply_json(r, 204, NULL);
}
