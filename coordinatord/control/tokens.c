/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/control/tokens.h"

#include <stdio.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "coordinatord/control/request.h"
#include "shared/base/clock.h"
#include "shared/base/utf8.h"

enum {
    WRONG_MS = 200, /* what a wrong token costs; only the connection that has it waits */
    EXPIRES_IN_MAX = 10 * 366 * 24 * 3600,
    ROLE_TEXT = 32
};

/* --- who it is --- */

static bool expired(const struct token_row *row)
{
    return row->expires_ms && row->expires_ms <= tl_clock_wall_ms();
}

static void wait_a_moment(struct control *c)
{
    int64_t deadline = tl_clock_ms() + WRONG_MS;

    control_lock(c);
    while (!atomic_load(&c->stop) && control_wait(c, &c->settled, deadline))
        ;
    control_unlock(c);
}

int control_token_check(struct control *c, const char *secret, struct identity *out, struct tl_error *err)
{
    char hash[SECRET_HASH_TEXT];
    struct token_row row;
    int rc = secret_hash(secret, hash, err);

    if (rc == 0)
        rc = store_token_by_hash(c->store, hash, &row, err);
    if (rc < 0)
        return -1;
    if (rc == 0 || !secret_hash_same(row.hash, hash) || expired(&row)) {
        wait_a_moment(c);
        return 0;
    }
    *out = (struct identity){.role = row.role, .expires_ms = row.expires_ms};
    memcpy(out->tenant, row.tenant, sizeof out->tenant);
    memcpy(out->token, row.token, sizeof out->token);
    snprintf(out->who, sizeof out->who, "token:%s%s%s", row.token, *row.label ? " " : "", row.label);
    return 1;
}

int control_token_holds(struct control *c, const struct identity *by, struct tl_error *err)
{
    struct token_row row;
    int rc;

    if (!*by->token)
        return 1;
    rc = store_token_find(c->store, by->token, &row, err);
    return rc == 1 ? !expired(&row) : rc;
}

/* --- listing --- */

static json_t *to_json(const struct token_row *row)
{
    return json_pack("{s:s, s:s, s:s?, s:s, s:o, s:s, s:o, s:b}", "token", row->token, "role",
                     token_role_name(row->role), "tenant", *row->tenant ? row->tenant : NULL, "label",
                     row->label, "created_at", control_time(row->created_ms), "created_by", row->created_by,
                     "expires_at", control_time(row->expires_ms), "expired", (int)expired(row));
}

struct token_page {
    json_t *list;
    int limit;
    bool more;
    char last[SECRET_ID_TEXT];
};

static int list_one(void *app, const struct token_row *row, struct tl_error *err)
{
    struct token_page *page = app;

    if ((int)json_array_size(page->list) == page->limit) {
        page->more = true;
        return 0;
    }
    memcpy(page->last, row->token, sizeof page->last);
    return json_array_append_new(page->list, to_json(row)) ? tl_fail_nomem(err) : 0;
}

/*
 * Narrows the tenant, NULL for all, down to what he may see; what he must not see is not there.
 */
static int see_tenant(struct control *c, const struct identity *by, const char **tenant, struct tl_error *err)
{
    if (!*tenant && *by->tenant)
        *tenant = by->tenant;
    if (*tenant && *by->tenant && strcmp(*tenant, by->tenant) != 0)
        return control_no_tenant(err);
    return *tenant && !tenant_find(c, *tenant, err) ? -1 : 0;
}

int control_tokens(struct control *c, const struct identity *by, const char *tenant, int limit,
                   const char *cursor, json_t **answer, struct tl_error *err)
{
    struct token_page page = {.limit = limit};

    if (see_tenant(c, by, &tenant, err) < 0)
        return -1;
    page.list = json_array();
    if (!page.list)
        return tl_fail_nomem(err);
    if (store_tokens(c->store, tenant, cursor ? cursor : "", limit + 1, list_one, &page, err) < 0) {
        json_decref(page.list);
        return -1;
    }
    return control_answer(json_pack("{s:o, s:s?}", "tokens", page.list, "next", page.more ? page.last : NULL),
                          answer, err);
}

/* --- making --- */

static int read_role(const json_t *request, const struct identity *by, struct token_row *row,
                     struct tl_error *err)
{
    const char *role = NULL;

    if (request_text(request, "role", ROLE_TEXT, &role, err) < 0)
        return -1;
    if (!role)
        return tl_fail(err, TL_E_REFUSED, "\"role\" is missing");
    if (!token_role_parse(role, &row->role))
        return tl_fail(err, TL_E_REFUSED, "\"%s\" is none of the roles reader, uploader, owner, admin", role);
    if (row->role > by->role)
        return tl_fail(err, TL_E_FORBIDDEN, "a token of role %s makes none of role %s",
                       token_role_name(by->role), role);
    return 0;
}

static int read_tenant(struct control *c, const json_t *request, const struct identity *by,
                       struct token_row *row, struct tl_error *err)
{
    const char *tenant = NULL;

    if (request_text(request, "tenant", TL_TENANT_MAX, &tenant, err) < 0)
        return -1;
    if (row->role == TOKEN_ADMIN) {
        return tenant ? tl_fail(err, TL_E_REFUSED, "a token of role admin is of no tenant: it may all") : 0;
    }
    if (see_tenant(c, by, &tenant, err) < 0)
        return -1;
    if (!tenant)
        return tl_fail(err, TL_E_REFUSED, "\"tenant\" is missing");
    snprintf(row->tenant, sizeof row->tenant, "%s", tenant);
    return 0;
}

static int read_label(const json_t *request, struct token_row *row, struct tl_error *err)
{
    const char *label = NULL;

    if (request_text(request, "label", TOKEN_LABEL_MAX, &label, err) < 0)
        return -1;
    for (const char *p = label; p && *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            return tl_fail(err, TL_E_REFUSED, "\"label\" has a control character in it");
    snprintf(row->label, sizeof row->label, "%s", label ? label : "");
    return 0;
}

static int read_expiry(const json_t *request, const struct identity *by, struct token_row *row,
                       struct tl_error *err)
{
    int64_t seconds = 0;
    int given = request_number(request, "expires_in", 1, EXPIRES_IN_MAX, &seconds, err);

    if (given < 0)
        return -1;
    row->expires_ms = given ? row->created_ms + seconds * 1000 : by->expires_ms;
    if (by->expires_ms && row->expires_ms > by->expires_ms)
        return tl_fail(err, TL_E_FORBIDDEN, "a token makes none that lives longer than itself");
    return 0;
}

static int read_request(struct control *c, const json_t *request, const struct identity *by,
                        struct token_row *row, struct tl_error *err)
{
    row->created_ms = tl_clock_wall_ms();
    memcpy(row->created_by, by->who, sizeof row->created_by);
    if (request_members(request, "the token", "role tenant label expires_in", err) < 0 ||
        read_role(request, by, row, err) < 0 || read_tenant(c, request, by, row, err) < 0)
        return -1;
    return read_label(request, row, err) < 0 ? -1 : read_expiry(request, by, row, err);
}

static int create(struct control *c, struct token_row *row, const char *secret, json_t **answer,
                  struct tl_error *err)
{
    json_t *json;

    if (secret_make_id(row->token, err) < 0 || secret_hash(secret, row->hash, err) < 0)
        return -1;
    json = to_json(row);
    if (!json || json_object_set_new(json, "secret", json_string(secret))) {
        json_decref(json);
        return tl_fail_nomem(err);
    }
    /* Last: there is none that nobody was told. */
    if (store_token_add(c->store, row, err) < 0) {
        json_decref(json);
        return -1;
    }
    tl_info(c->log, "control", "token %s made by %s: %s%s%s", row->token, row->created_by,
            token_role_name(row->role), *row->tenant ? " of " : "", row->tenant);
    *answer = json;
    return 0;
}

int control_token_create(struct control *c, const struct identity *by, const json_t *request, json_t **answer,
                         struct tl_error *err)
{
    char secret[SECRET_TEXT];
    struct token_row row = {0};
    int rc;

    if (control_running(c, err) < 0 || read_request(c, request, by, &row, err) < 0 ||
        secret_make(secret, err) < 0)
        return -1;
    rc = create(c, &row, secret, answer, err);
    secret_wipe(secret, sizeof secret);
    return rc;
}

int control_token_revoke(struct control *c, const struct identity *by, const char *token,
                         struct tl_error *err)
{
    int rc;

    if (control_running(c, err) < 0)
        return -1;
    rc = store_token_remove(c->store, token, *by->tenant ? by->tenant : NULL, err);
    if (rc == 0)
        return tl_fail(err, TL_E_NOT_FOUND, "no such token");
    if (rc < 0)
        return -1;
    tl_info(c->log, "control", "token %s revoked by %s", token, by->who);
    return 0;
}
