/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "coordinatord/control/control_impl.h"
#include "tests/unit/control_fixture.h"

/* --- secrets --- */

static void test_secret(void **state)
{
    char a[SECRET_TEXT], b[SECRET_TEXT], id[SECRET_ID_TEXT], hash[SECRET_HASH_TEXT], other[SECRET_HASH_TEXT];
    struct tl_error err;

    (void)state;
    assert_int_equal(secret_make(a, &err), 0);
    assert_int_equal(secret_make(b, &err), 0);
    assert_string_not_equal(a, b);
    assert_int_equal(strlen(a), SECRET_TEXT - 1);
    assert_int_equal(strncmp(a, SECRET_PREFIX, strlen(SECRET_PREFIX)), 0);
    assert_int_equal(secret_make_id(id, &err), 0);
    assert_int_equal(strlen(id), SECRET_ID_TEXT - 1);
    /* FIPS 180-2, appendix B.1. */
    assert_int_equal(secret_hash("abc", hash, &err), 0);
    assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_int_equal(secret_hash("abd", other, &err), 0);
    assert_true(secret_hash_same(hash, hash));
    assert_false(secret_hash_same(hash, other));
    secret_wipe(a, sizeof a);
    assert_int_equal(a[0], 0);
}

/* --- the store --- */

static void sql(const struct fixture *f, const char *text)
{
    char path[64];
    sqlite3 *db;

    snprintf(path, sizeof path, "%s/control.db", f->dir);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", text, sqlite3_errmsg(db));
    sqlite3_close(db);
}

static struct store *open_store(const struct fixture *f)
{
    char path[64];
    struct tl_error err;
    struct store *s;

    snprintf(path, sizeof path, "%s/control.db", f->dir);
    s = store_open(path, &err);
    if (!s)
        fail_msg("%s", err.text);
    return s;
}

static void add_tenant(const struct fixture *f, const char *name)
{
    char text[300];

    store_close(open_store(f));
    snprintf(text, sizeof text,
             "INSERT INTO clusters(cluster) VALUES('default') ON CONFLICT DO NOTHING;"
             "INSERT INTO tenants(tenant, cluster, partitions, created_ms) VALUES('%s', 'default', 4, 1)",
             name);
    sql(f, text);
}

static struct token_row row_of(const char *token, const char *tenant, enum token_role role)
{
    struct token_row row = {.role = role, .created_ms = 1000, .label = "a label", .created_by = "uid:0"};

    snprintf(row.token, sizeof row.token, "%s", token);
    snprintf(row.tenant, sizeof row.tenant, "%s", tenant);
    snprintf(row.hash, sizeof row.hash, "hash of %s", token);
    return row;
}

static void add_row(struct store *s, const char *token, const char *tenant, enum token_role role)
{
    struct token_row row = row_of(token, tenant, role);
    struct tl_error err;

    if (store_token_add(s, &row, &err) < 0)
        fail_msg("%s", err.text);
}

static int collect(void *app, const struct token_row *row, struct tl_error *err)
{
    char *names = app;

    (void)err;
    snprintf(names + strlen(names), 32, "%s ", row->token);
    return 0;
}

static void test_store(void **state)
{
    struct fixture *f = *state;
    struct token_row row;
    struct tl_error err;
    struct store *s;
    char names[64] = "";

    add_tenant(f, "acme");
    add_tenant(f, "other");
    s = open_store(f);
    add_row(s, "c", "acme", TOKEN_OWNER);
    add_row(s, "a", "other", TOKEN_READER);
    add_row(s, "b", "acme", TOKEN_UPLOADER);
    add_row(s, "d", "", TOKEN_ADMIN);

    assert_int_equal(store_token_by_hash(s, "hash of b", &row, &err), 1);
    assert_string_equal(row.token, "b");
    assert_string_equal(row.tenant, "acme");
    assert_string_equal(row.label, "a label");
    assert_string_equal(row.created_by, "uid:0");
    assert_int_equal(row.role, TOKEN_UPLOADER);
    assert_int_equal(row.created_ms, 1000);
    assert_int_equal(row.expires_ms, 0);
    assert_int_equal(store_token_by_hash(s, "hash of ", &row, &err), 0);
    assert_int_equal(store_token_find(s, "d", &row, &err), 1);
    assert_string_equal(row.tenant, "");
    assert_int_equal(store_token_find(s, "e", &row, &err), 0);

    assert_int_equal(store_tokens(s, NULL, "", 10, collect, names, &err), 0);
    assert_string_equal(names, "a b c d ");
    names[0] = '\0';
    assert_int_equal(store_tokens(s, "acme", "b", 10, collect, names, &err), 0);
    assert_string_equal(names, "c ");

    assert_int_equal(store_token_remove(s, "a", "acme", &err), 0);
    assert_int_equal(store_token_remove(s, "a", "other", &err), 1);
    assert_int_equal(store_token_remove(s, "a", NULL, &err), 0);
    assert_int_equal(store_token_remove(s, "d", "acme", &err), 0);
    assert_int_equal(store_token_remove(s, "d", NULL, &err), 1);
    store_close(s);
}

/* With a tenant its tokens go, and none can be of one that is not there, or of none but an admin's. */
static void test_store_holds_tokens_to_tenants(void **state)
{
    struct fixture *f = *state;
    struct token_row row;
    struct tl_error err;
    struct store *s;

    add_tenant(f, "acme");
    s = open_store(f);
    add_row(s, "a", "acme", TOKEN_OWNER);
    row = row_of("b", "nobody", TOKEN_OWNER);
    assert_int_equal(store_token_add(s, &row, &err), -1);
    row = row_of("b", "", TOKEN_OWNER);
    assert_int_equal(store_token_add(s, &row, &err), -1);
    row = row_of("b", "acme", TOKEN_ADMIN);
    assert_int_equal(store_token_add(s, &row, &err), -1);
    sql(f, "PRAGMA foreign_keys=ON; DELETE FROM tenants WHERE tenant='acme'");
    assert_int_equal(store_token_find(s, "a", &row, &err), 0);
    store_close(s);
}

static void test_store_limits(void **state)
{
    struct fixture *f = *state;
    struct token_row row;
    struct tl_error err;
    struct store *s;

    add_tenant(f, "acme");
    add_tenant(f, "other");
    s = open_store(f);
    sql(f, "WITH n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<10000) INSERT INTO tokens"
           " SELECT 'n'||i, 'h'||i, 'reader', 'acme', '', '', 0, 1000 FROM n");
    row = row_of("more", "acme", TOKEN_READER);
    assert_int_equal(store_token_add(s, &row, &err), -1);
    assert_int_equal(err.code, TL_E_REFUSED);
    add_row(s, "free", "other", TOKEN_READER);
    add_row(s, "admin", "", TOKEN_ADMIN);
    /* A day after their end they are forgotten. */
    row.created_ms += 24 * 3600 * 1000 + 1;
    if (store_token_add(s, &row, &err) < 0)
        fail_msg("%s", err.text);
    assert_int_equal(store_token_find(s, "n1", &row, &err), 0);
    store_close(s);
}

/* Metadata as the version before had it. */
static void test_store_is_brought_up_to_date(void **state)
{
    struct fixture *f = *state;
    struct upload u;
    struct tl_error err;
    struct store *s;

    fixture_start(f, "", false);
    create_upload(f, UPLOAD_U1);
    fixture_stop(f);
    sql(f, "DROP TABLE tokens; ALTER TABLE uploads DROP COLUMN who; DROP INDEX uploads_by_tenant;"
           "DROP INDEX uploads_unfinished; ALTER TABLE uploads DROP COLUMN begun;"
           "ALTER TABLE uploads DROP COLUMN ticket; ALTER TABLE tenants DROP COLUMN consumer_group;"
           "CREATE INDEX uploads_unfinished ON uploads(state) WHERE state IN ('sending', 'processing');"
           "PRAGMA user_version=2");
    s = open_store(f);
    assert_int_equal(store_upload_find(s, "default", "u1", &u, &err), 1);
    assert_string_equal(u.who, "");
    upload_release(&u);
    add_row(s, "a", "default", TOKEN_READER);
    store_close(s);
}

/* --- over HTTP --- */

#define TOKENS "/v1/tokens"

struct token {
    char id[SECRET_ID_TEXT];
    char head[128]; /* "Authorization: Bearer …\r\n" */
};

static struct token keep(struct answer *a)
{
    struct token t;

    assert_int_equal(strlen(text_of(a, "secret")), SECRET_TEXT - 1);
    assert_contains(a->text, "Cache-Control: no-store\r\n");
    snprintf(t.id, sizeof t.id, "%s", text_of(a, "token"));
    snprintf(t.head, sizeof t.head, "Authorization: Bearer %s\r\n", text_of(a, "secret"));
    answer_release(a);
    return t;
}

static struct token make_token(struct fixture *f, const char *role, const char *tenant, const char *more)
{
    char body[200];
    struct answer a;

    snprintf(body, sizeof body, "{\"role\":\"%s\"%s%s%s%s}", role, tenant ? ",\"tenant\":\"" : "",
             tenant ? tenant : "", tenant ? "\"" : "", more);
    a = ask(f, "POST", TOKENS, body, 201);
    return keep(&a);
}

static struct answer ask_as(struct fixture *f, const struct token *t, const char *method, const char *path,
                            const char *body, int status)
{
    struct answer a = ask_with(f, method, path, t->head, body);

    if (a.status != status)
        fail_msg("%s %s: %d instead of %d: %s", method, path, a.status, status, a.body);
    return a;
}

static void only_as(struct fixture *f, const struct token *t, const char *method, const char *path,
                    const char *body, int status)
{
    struct answer a = ask_as(f, t, method, path, body, status);

    answer_release(&a);
}

static int start_with_two(void **state)
{
    if (fixture_new(state) < 0)
        return -1;
    add_tenant(*state, "acme");
    fixture_start(*state, "", false);
    return 0;
}

#define TWO_TENANTS(test) cmocka_unit_test_setup_teardown(test, start_with_two, fixture_teardown)

static void test_roles(void **state)
{
    struct fixture *f = *state;
    struct token reader = make_token(f, "reader", "default", ""),
                 uploader = make_token(f, "uploader", "default", ",\"label\":\"nightly\""),
                 owner = make_token(f, "owner", "default", ""), admin = make_token(f, "admin", NULL, "");
    struct answer a;

    only_as(f, &reader, "POST", TABLES, ORDERS, 403);
    only_as(f, &uploader, "POST", TABLES, ORDERS, 403);
    only_as(f, &owner, "POST", TABLES, ORDERS, 201);
    only_as(f, &reader, "GET", TABLES "/orders", NULL, 200);
    only_as(f, &reader, "POST", UPLOADS, UPLOAD_U1, 403);
    a = ask_as(f, &uploader, "POST", UPLOADS, UPLOAD_U1, 201);
    assert_contains(text_of(&a, "started_by"), "token:");
    assert_contains(text_of(&a, "started_by"), uploader.id);
    assert_contains(text_of(&a, "started_by"), " nightly");
    answer_release(&a);
    only_as(f, &reader, "GET", UPLOADS "/u1", NULL, 200);
    only_as(f, &reader, "GET", "/v1/tenants", NULL, 403);
    only_as(f, &owner, "GET", "/v1/roles/tenants", NULL, 403);
    only_as(f, &admin, "GET", "/v1/roles/tenants", NULL, 200);
    only_as(f, &admin, "GET", "/v1/tenants/acme/tables", NULL, 200);
    a = ask_as(f, &admin, "GET", TABLES "/orders/versions", NULL, 200);
    assert_contains(a.body, owner.id);
    answer_release(&a);
}

/* Status and body; the head has a date. */
static void assert_same_answer(struct answer a, struct answer b)
{
    assert_int_equal(a.status, b.status);
    assert_string_equal(a.body, b.body);
    answer_release(&a);
    answer_release(&b);
}

static void test_another_tenant_is_not_there(void **state)
{
    static const struct {
        const char *method, *path, *body;
    } asked[] = {
        {"GET", "", NULL},
        {"GET", "/tables", NULL},
        {"GET", "/tables?limit=nonsense", NULL},
        {"GET", "/tables/orders", NULL},
        {"POST", "/tables", ORDERS},
        {"POST", "/tables", "{"},
        {"POST", "/tables", NULL},
        {"DELETE", "/tables/orders", NULL},
        {"PATCH", "/uploads/u1", "[]"},
        {"HEAD", "/uploads/u1", NULL},
    };
    struct fixture *f = *state;
    struct token owner = make_token(f, "owner", "acme", "");

    create_upload(f, UPLOAD_U1);
    for (size_t i = 0; i < TL_ARRAY_LEN(asked); i++) {
        char there[100], absent[100];

        snprintf(there, sizeof there, "/v1/tenants/default%s", asked[i].path);
        snprintf(absent, sizeof absent, "/v1/tenants/nothing%s", asked[i].path);
        assert_same_answer(ask_as(f, &owner, asked[i].method, there, asked[i].body, 404),
                           ask_as(f, &owner, asked[i].method, absent, asked[i].body, 404));
    }
    assert_same_answer(
        ask_as(f, &owner, "POST", TOKENS, "{\"role\":\"reader\",\"tenant\":\"default\"}", 404),
        ask_as(f, &owner, "POST", TOKENS, "{\"role\":\"reader\",\"tenant\":\"nothing\"}", 404));
    assert_same_answer(ask_as(f, &owner, "GET", TOKENS "?tenant=default", NULL, 404),
                       ask_as(f, &owner, "GET", TOKENS "?tenant=nothing", NULL, 404));
}

static void test_no_token_like_any_other(void **state)
{
    static const struct token empty = {.head = "Authorization: Bearer \r\n"},
                              basic = {.head = "Authorization: Basic dXNlcjpwYXNz\r\n"},
                              unknown = {.head = "Authorization: Bearer tload_0123456789abcdef\r\n"};
    struct fixture *f = *state;
    struct token old = make_token(f, "reader", "default", ",\"expires_in\":1000"), gone = old;
    const struct token *const wrong[] = {&empty, &basic, &unknown, &old, &gone};
    struct answer first;
    char path[64];

    gone = make_token(f, "admin", NULL, "");
    only_as(f, &old, "GET", TABLES, NULL, 200);
    only_as(f, &gone, "DELETE", TOKENS "/nothing", NULL, 404);
    snprintf(path, sizeof path, TOKENS "/%s", gone.id);
    only_as(f, &gone, "DELETE", path, NULL, 204);
    sql(f, "UPDATE tokens SET expires_ms=1");
    first = ask_as(f, &unknown, "GET", TABLES, NULL, 401);
    assert_contains(first.text, "WWW-Authenticate: Bearer\r\n");
    for (size_t i = 0; i < TL_ARRAY_LEN(wrong); i++) {
        struct answer a = ask_as(f, wrong[i], "GET", TABLES, NULL, 401);

        assert_string_equal(a.body, first.body);
        answer_release(&a);
    }
    answer_release(&first);
    /* An open route asks nobody. */
    only_as(f, &unknown, "GET", "/livez", NULL, 200);
}

static void test_making(void **state)
{
    struct fixture *f = *state;
    struct token owner = make_token(f, "owner", "acme", ",\"expires_in\":1000"),
                 reader = make_token(f, "reader", "acme", "");
    struct token made;
    struct answer a;

    ask_only(f, "POST", TOKENS, "{}", 422);
    ask_only(f, "POST", TOKENS, "{\"role\":\"root\"}", 422);
    ask_only(f, "POST", TOKENS, "{\"role\":\"reader\"}", 422);
    ask_only(f, "POST", TOKENS, "{\"role\":\"reader\",\"tenant\":\"nothing\"}", 404);
    ask_only(f, "POST", TOKENS, "{\"role\":\"admin\",\"tenant\":\"acme\"}", 422);
    ask_only(f, "POST", TOKENS, "{\"role\":\"reader\",\"tenant\":\"acme\",\"expires_in\":0}", 422);
    ask_only(f, "POST", TOKENS, "{\"role\":\"reader\",\"tenant\":\"acme\",\"label\":\"a\\u0007\"}", 422);
    ask_only(f, "POST", TOKENS, "{\"role\":\"reader\",\"tenant\":\"acme\",\"secret\":\"x\"}", 422);

    /* Not more than himself, of no other tenant, and not for longer. */
    only_as(f, &owner, "POST", TOKENS, "{\"role\":\"admin\"}", 403);
    only_as(f, &owner, "POST", TOKENS, "{\"role\":\"reader\",\"expires_in\":2000}", 403);
    only_as(f, &reader, "POST", TOKENS, "{\"role\":\"reader\"}", 403);
    only_as(f, &reader, "GET", TOKENS, NULL, 403);
    a = ask_as(f, &owner, "POST", TOKENS, "{\"role\":\"owner\"}", 201);
    assert_string_equal(text_of(&a, "tenant"), "acme");
    assert_true(json_is_string(json_object_get(a.json, "expires_at")));
    assert_contains(text_of(&a, "created_by"), owner.id);
    made = keep(&a);
    a = ask_as(f, &made, "GET", TOKENS "?limit=2", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(a.json, "tokens")), 2);
    assert_non_null(json_string_value(json_object_get(a.json, "next")));
    assert_null(strstr(a.body, "secret"));
    assert_null(strstr(a.body, "hash"));
    answer_release(&a);
}

static void test_revoking(void **state)
{
    struct fixture *f = *state;
    struct token owner = make_token(f, "owner", "acme", ""), mine = make_token(f, "reader", "acme", ""),
                 other = make_token(f, "reader", "default", "");
    char path[64];

    snprintf(path, sizeof path, TOKENS "/%s", other.id);
    assert_same_answer(ask_as(f, &owner, "DELETE", path, NULL, 404),
                       ask_as(f, &owner, "DELETE", TOKENS "/0123456789ab", NULL, 404));
    only_as(f, &other, "GET", TABLES, NULL, 200);
    snprintf(path, sizeof path, TOKENS "/%s", mine.id);
    only_as(f, &mine, "GET", "/v1/tenants/acme/tables", NULL, 200);
    only_as(f, &owner, "DELETE", path, NULL, 204);
    only_as(f, &mine, "GET", "/v1/tenants/acme/tables", NULL, 401);
    only_as(f, &owner, "DELETE", path, NULL, 404);
}

/* --- what takes its time --- */

struct poller {
    struct fixture *f;
    struct token token;
    pthread_t thread;
    int64_t seen;
    int status;
};

static void *poll_long(void *app)
{
    struct poller *p = app;
    char path[128];
    struct answer a;

    snprintf(path, sizeof path, UPLOADS "/u1?wait_ms=30000&seen=%lld", (long long)p->seen);
    a = ask_with(p->f, "GET", path, p->token.head, NULL);
    p->status = a.status;
    answer_release(&a);
    return NULL;
}

static int waiters_of_u1(struct fixture *f)
{
    struct live *l;
    int n = 0;

    control_lock(f->control);
    l = live_find(f->control, "default", "u1");
    if (l)
        n = l->waiters;
    control_unlock(f->control);
    return n;
}

static void test_long_poll_of_a_revoked_token(void **state)
{
    struct fixture *f = *state;
    struct poller p = {.f = f};
    struct answer a;
    char path[64];

    create_upload(f, UPLOAD_U1);
    p.token = make_token(f, "reader", "default", "");
    a = ask(f, "GET", UPLOADS "/u1", NULL, 200);
    p.seen = number_of(&a, "change");
    answer_release(&a);
    assert_int_equal(pthread_create(&p.thread, NULL, poll_long, &p), 0);
    while (waiters_of_u1(f) == 0)
        ;
    snprintf(path, sizeof path, TOKENS "/%s", p.token.id);
    ask_only(f, "DELETE", path, NULL, 204);
    ask_only(f, "PATCH", UPLOADS "/u1", "{\"rows_read\":7}", 200);
    pthread_join(p.thread, NULL);
    assert_int_equal(p.status, 401);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_secret),
        NOT_STARTED(test_store),
        NOT_STARTED(test_store_holds_tokens_to_tenants),
        NOT_STARTED(test_store_limits),
        NOT_STARTED(test_store_is_brought_up_to_date),
        TWO_TENANTS(test_roles),
        TWO_TENANTS(test_another_tenant_is_not_there),
        TWO_TENANTS(test_no_token_like_any_other),
        TWO_TENANTS(test_making),
        TWO_TENANTS(test_revoking),
        RUNNING(test_long_poll_of_a_revoked_token),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
