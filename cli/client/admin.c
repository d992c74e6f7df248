/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/client/admin.h"

#include "shared/http/client.h"

enum { CALL_MS = 30 * 1000, CHANGE_MS = 120 * 1000, PATH_MAX_BYTES = 16 << 10 };

static const char *const members[] = {
    [ADMIN_CLUSTERS] = "clusters", [ADMIN_TENANTS] = "tenants", [ADMIN_TOKENS] = "tokens"};

/* name NULL: of the list. behind: what follows it. */
static int start_path(struct tl_buf *b, enum admin what, const char *name, const char *behind,
                      struct tl_error *err)
{
    int rc;

    tl_buf_init(b, PATH_MAX_BYTES);
    /* "." and ".." would be taken out of the path on the way. */
    if (name && (!*name || strcmp(name, ".") == 0 || strcmp(name, "..") == 0))
        return tl_fail(err, TL_E_NOT_FOUND, "'%s' is no name", name);
    rc = tl_buf_appendf(b, "/v1/%s", members[what]);
    if (!rc && name)
        rc = tl_buf_append_char(b, '/');
    if (!rc && name)
        rc = tl_http_escape(b, name);
    if (!rc)
        rc = tl_buf_append_z(b, behind);
    if (!rc)
        rc = tl_buf_terminate(b);
    return rc ? tl_buf_fail(rc, b, "the path of the request", err) : 0;
}

static int call(struct coordinator *c, const char *method, enum admin what, const char *name,
                const char *behind, const json_t *body, int ms, json_t **out, struct tl_error *err)
{
    struct tl_buf path;
    int rc = start_path(&path, what, name, behind, err);

    if (!rc)
        rc = coordinator_call(c, method, path.data, body, ms, out, err);
    tl_buf_release(&path);
    return rc;
}

int admin_list(struct coordinator *c, enum admin what, coordinator_each *each, void *app,
               struct tl_error *err)
{
    struct tl_buf path;
    int rc = start_path(&path, what, NULL, "", err);

    if (!rc)
        rc = coordinator_pages(c, path.data, members[what], each, app, err);
    tl_buf_release(&path);
    return rc;
}

int admin_tokens(struct coordinator *c, const char *tenant, coordinator_each *each, void *app,
                 struct tl_error *err)
{
    struct tl_buf path;
    int rc = start_path(&path, ADMIN_TOKENS, NULL, "", err);

    if (!rc && tenant) {
        int full = tl_buf_append_z(&path, "?tenant=");

        if (!full)
            full = tl_http_escape(&path, tenant);
        if (!full)
            full = tl_buf_terminate(&path);
        rc = full ? tl_buf_fail(full, &path, "the path of the request", err) : 0;
    }
    if (!rc)
        rc = coordinator_pages(c, path.data, members[ADMIN_TOKENS], each, app, err);
    tl_buf_release(&path);
    return rc;
}

int admin_get(struct coordinator *c, enum admin what, const char *name, json_t **out, struct tl_error *err)
{
    return call(c, "GET", what, name, "", NULL, CALL_MS, out, err);
}

int admin_create(struct coordinator *c, enum admin what, const json_t *request, json_t **out,
                 struct tl_error *err)
{
    return call(c, "POST", what, NULL, "", request, CHANGE_MS, out, err);
}

int admin_change(struct coordinator *c, enum admin what, const char *name, const json_t *request,
                 json_t **out, struct tl_error *err)
{
    return call(c, "PATCH", what, name, "", request, CHANGE_MS, out, err);
}

int admin_remove(struct coordinator *c, enum admin what, const char *name, struct tl_error *err)
{
    return call(c, "DELETE", what, name, "", NULL, CHANGE_MS, NULL, err);
}

int admin_move(struct coordinator *c, const char *tenant, const json_t *request, json_t **out,
               struct tl_error *err)
{
    return call(c, "POST", ADMIN_TENANTS, tenant, "/move", request, CALL_MS, out, err);
}

int admin_stay(struct coordinator *c, const char *tenant, json_t **out, struct tl_error *err)
{
    return call(c, "DELETE", ADMIN_TENANTS, tenant, "/move", NULL, CALL_MS, out, err);
}
