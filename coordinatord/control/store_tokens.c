/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "coordinatord/control/store_impl.h"

enum {
    TOKENS_MAX = 10000,                /* of a tenant, and of administrators */
    EXPIRED_KEPT_MS = 24 * 3600 * 1000 /* so long it is still listed */
};

static const char *const role_names[TOKEN_ROLES] = {
#define X(symbol, name) [TOKEN_##symbol] = name,
#include "coordinatord/control/token_roles.def"
#undef X
};

const char *token_role_name(enum token_role role)
{
    return role_names[role];
}

bool token_role_parse(const char *name, enum token_role *role)
{
    for (int i = 0; i < TOKEN_ROLES; i++) {
        if (strcmp(role_names[i], name) == 0) {
            *role = (enum token_role)i;
            return true;
        }
    }
    return false;
}

/* The tenant as the table has it: null for all. */
static const char *tenant_or_null(const char *tenant)
{
    return *tenant ? tenant : NULL;
}

static int read_row(sqlite3_stmt *st, struct token_row *out, struct tl_error *err)
{
    char role[16];

    store_text(st, 0, out->token, sizeof out->token);
    store_text(st, 1, out->hash, sizeof out->hash);
    store_text(st, 2, role, sizeof role);
    store_text(st, 3, out->tenant, sizeof out->tenant);
    store_text(st, 4, out->label, sizeof out->label);
    store_text(st, 5, out->created_by, sizeof out->created_by);
    out->created_ms = sqlite3_column_int64(st, 6);
    out->expires_ms = sqlite3_column_int64(st, 7);
    if (!token_role_parse(role, &out->role))
        return tl_fail(err, TL_E_CORRUPT, "metadata: a token has the role \"%s\"", role);
    return 0;
}

static int find(struct store *s, enum statement which, const char *key, struct token_row *out,
                struct tl_error *err)
{
    sqlite3_stmt *st;
    int rc = -1;

    store_lock(s);
    st = store_bind(s, which, err, "t", key);
    if (st)
        rc = store_step(s, st, err);
    if (rc == 1 && read_row(st, out, err) < 0)
        rc = -1;
    store_done(st);
    store_unlock(s);
    return rc;
}

int store_token_by_hash(struct store *s, const char *hash, struct token_row *out, struct tl_error *err)
{
    return find(s, ST_TOKEN_BY_HASH, hash, out, err);
}

int store_token_find(struct store *s, const char *token, struct token_row *out, struct tl_error *err)
{
    return find(s, ST_TOKEN_FIND, token, out, err);
}

/* In the transaction. */
static int check_room(struct store *s, const char *tenant, struct tl_error *err)
{
    sqlite3_stmt *st = store_bind(s, ST_TOKEN_COUNT, err, "t", tenant_or_null(tenant));
    int rc = st ? store_step(s, st, err) : -1;
    int64_t n = rc == 1 ? sqlite3_column_int64(st, 0) : 0;

    store_done(st);
    if (rc < 0)
        return -1;
    if (n >= TOKENS_MAX)
        return tl_fail(err, TL_E_REFUSED, "there are %d tokens already: revoke some", TOKENS_MAX);
    return 0;
}

static int insert(struct store *s, const struct token_row *row, struct tl_error *err)
{
    if (store_run(s, ST_TOKENS_TIDY, err, "i", row->created_ms - EXPIRED_KEPT_MS) < 0 ||
        check_room(s, row->tenant, err) < 0)
        return -1;
    return store_run(s, ST_TOKEN_ADD, err, "ttttttii", row->token, row->hash, token_role_name(row->role),
                     tenant_or_null(row->tenant), row->label, row->created_by, row->created_ms,
                     row->expires_ms);
}

int store_token_add(struct store *s, const struct token_row *row, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_begin(s, err);
    if (rc == 0)
        rc = store_end(s, insert(s, row, err), err);
    store_unlock(s);
    return rc;
}

int store_tokens(struct store *s, const char *tenant, const char *after, int limit,
                 int (*each)(void *app, const struct token_row *row, struct tl_error *err), void *app,
                 struct tl_error *err)
{
    struct token_row row;
    sqlite3_stmt *st;
    int rc = -1;

    store_lock(s);
    st = store_bind(s, ST_TOKENS, err, "tti", tenant, after, (int64_t)limit);
    while (st && (rc = store_step(s, st, err)) == 1) {
        rc = read_row(st, &row, err);
        if (rc == 0)
            rc = each(app, &row, err);
        if (rc < 0)
            break;
    }
    store_done(st);
    store_unlock(s);
    return rc < 0 ? -1 : 0;
}

int store_token_remove(struct store *s, const char *token, const char *tenant, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_run(s, ST_TOKEN_REMOVE, err, "tt", token, tenant);
    if (rc == 0)
        rc = sqlite3_changes(s->db) > 0;
    store_unlock(s);
    return rc;
}
