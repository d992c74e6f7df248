/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/http/request.h"

#include <microhttpd.h>
#include <stdio.h>
#include <string.h>

enum { PAGE_DEFAULT = 100, PAGE_MOST = 1000 };

const char *request_query(const struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_GET_ARGUMENT_KIND, name);
}

const char *request_header(const struct request *r, const char *name)
{
    return MHD_lookup_connection_value(r->connection, MHD_HEADER_KIND, name);
}

int request_query_number(const struct request *r, const char *name, int64_t min, int64_t max, int64_t *out,
                         struct tl_error *err)
{
    const char *text = request_query(r, name);

    if (text && !tl_str_to_i64(tl_str(text), min, max, out))
        return tl_fail(err, TL_E_REFUSED, "\"%s\" is not a number from %lld to %lld", name, (long long)min,
                       (long long)max);
    return 0;
}

int request_page(const struct request *r, int *limit, const char **cursor, struct tl_error *err)
{
    int64_t n = PAGE_DEFAULT;

    *cursor = request_query(r, "cursor");
    if (request_query_number(r, "limit", 1, PAGE_MOST, &n, err) < 0)
        return -1;
    *limit = (int)n;
    return 0;
}

int reply_json(struct request *r, unsigned status, json_t *json)
{
    r->reply.status = status;
    r->reply.json = json;
    return 0;
}

void reply_etag(struct request *r, int64_t table_id, int32_t version)
{
    snprintf(r->reply.etag, sizeof r->reply.etag, "\"%lld-%d\"", (long long)table_id, (int)version);
}

bool etag_listed(const char *header, const char *etag)
{
    struct tl_str rest = tl_str(header);

    while (rest.ptr) {
        struct tl_str tag = tl_str_trim(tl_str_cut(&rest, ','));

        if (tag.len > 2 && memcmp(tag.ptr, "W/", 2) == 0)
            tag = tl_str_n(tag.ptr + 2, tag.len - 2);
        if (tl_str_eq_z(tag, "*") || tl_str_eq_z(tag, etag))
            return true;
    }
    return false;
}
