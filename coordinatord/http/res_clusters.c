/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/http/router.h"

int clusters_list(struct request *r, struct tl_error *err)
{
    const char *cursor;
    json_t *answer;
    int limit;

    if (request_page(r, &limit, &cursor, err) < 0 ||
        control_clusters(r->control, limit, cursor, &answer, err) < 0)
        return -1;
    return reply_json(r, 200, answer);
}

int clusters_get(struct request *r, struct tl_error *err)
{
    json_t *answer;

    return control_cluster(r->control, r->param[0], &answer, err) < 0 ? -1 : reply_json(r, 200, answer);
}

int clusters_add(struct request *r, struct tl_error *err)
{
    json_t *answer;

    return control_cluster_add(r->control, r->body, r->by.who, &answer, err) < 0 ? -1
                                                                                 : reply_json(r, 201, answer);
}

int clusters_patch(struct request *r, struct tl_error *err)
{
    json_t *answer;

    return control_cluster_patch(r->control, r->param[0], r->body, &answer, err) < 0
               ? -1
               : reply_json(r, 200, answer);
}

int clusters_remove(struct request *r, struct tl_error *err)
{
    return control_cluster_remove(r->control, r->param[0], err) < 0 ? -1 : reply_json(r, 204, NULL);
}
