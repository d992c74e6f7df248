/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/http/router.h"

#include <stdio.h>
#include <string.h>

static const struct route routes[] = {
#define X(method, path, query, handler, access) {#method, path, query, handler, ACCESS_##access},
#include "coordinatord/http/routes.def"
#undef X
};

/* Part by part; a part in braces takes any that is not empty. */
static bool path_matches(const char *pattern, const char *path, char param[][REQUEST_PARAM_MAX + 1])
{
    struct tl_str want = tl_str(pattern), have = tl_str(path);
    size_t n = 0;

    while (want.ptr && have.ptr) {
        struct tl_str w = tl_str_cut(&want, '/'), h = tl_str_cut(&have, '/');

        if (w.len && w.ptr[0] == '{') {
            if (h.len == 0 || !tl_str_copy(h, param[n++], REQUEST_PARAM_MAX + 1))
                return false;
        } else if (!tl_str_eq(w, h)) {
            return false;
        }
    }
    return !want.ptr && !have.ptr;
}

static void add_allowed(char *allow, const char *method)
{
    size_t len = strlen(allow);

    snprintf(allow + len, ROUTE_ALLOW_TEXT - len, "%s%s", len ? ", " : "", method);
    if (strcmp(method, "GET") == 0)
        add_allowed(allow, "HEAD");
}

void route_find(const char *method, const char *path, struct route_match *out)
{
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;

    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < TL_ARRAY_LEN(routes); i++) {
        if (!path_matches(routes[i].path, path, out->param))
            continue;
        if (strcmp(routes[i].method, wanted) == 0) {
            out->route = &routes[i];
            return;
        }
        add_allowed(out->allow, routes[i].method);
    }
}

bool route_knows_query(const struct route *route, const char *name)
{
    struct tl_str rest = tl_str(route->query);

    while (rest.ptr) {
        struct tl_str known = tl_str_cut(&rest, ' ');

        if (known.len && tl_str_eq_z(known, name))
            return true;
    }
    return false;
}
