/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "coordinatord/http/auth.h"
#include "coordinatord/http/router.h"

static void test_parts_of_a_path(void **state)
{
    struct route_match m;

    (void)state;
    route_find("GET", "/v1/tenants/acme/tables/orders/versions/3", &m);
    assert_non_null(m.route);
    assert_ptr_equal(m.route->handler, tables_version);
    assert_string_equal(m.param[0], "acme");
    assert_string_equal(m.param[1], "orders");
    assert_string_equal(m.param[2], "3");
    route_find("GET", "/v1/tenants/acme/tables/orders/versions", &m);
    assert_ptr_equal(m.route->handler, tables_versions);
    assert_true(route_knows_query(m.route, "cursor"));
    route_find("PATCH", "/v1/tenants/acme/tables/orders", &m);
    assert_ptr_equal(m.route->handler, tables_alter);
    assert_int_equal(m.route->access, ACCESS_OWNER);
}

static void test_nothing_there(void **state)
{
    static const char *const paths[] = {"/",
                                        "",
                                        "//",
                                        "/v1",
                                        "/v1/tenants/",
                                        "/v1/tenants//tables",
                                        "/v1/tenants/acme/tables/",
                                        "/v1/tenants/acme/tables/orders/",
                                        "/v1/tenants/acme/tables/orders/versions/",
                                        "/V1/tenants",
                                        "/v1/tenants/acme/uploads/u/errors/x"};

    (void)state;
    for (size_t i = 0; i < TL_ARRAY_LEN(paths); i++) {
        struct route_match m;

        route_find("GET", paths[i], &m);
        assert_null(m.route);
        assert_string_equal(m.allow, "");
    }
}

static void test_method_not_allowed(void **state)
{
    struct route_match m;

    (void)state;
    route_find("PUT", "/v1/tenants/acme/tables/orders", &m);
    assert_null(m.route);
    assert_string_equal(m.allow, "GET, HEAD, PATCH, DELETE");
    route_find("DELETE", "/v1/roles/waiting", &m);
    assert_string_equal(m.allow, "POST");
}

static void test_head_is_get(void **state)
{
    struct route_match m;

    (void)state;
    route_find("HEAD", "/livez", &m);
    assert_non_null(m.route);
    assert_ptr_equal(m.route->handler, health_live);
    assert_int_equal(m.route->access, ACCESS_OPEN);
}

static void test_part_too_long(void **state)
{
    char path[512] = "/v1/tenants/";
    struct route_match m;

    (void)state;
    memset(path + strlen(path), 'a', 400);
    route_find("GET", path, &m);
    assert_null(m.route);
}

static void test_query(void **state)
{
    struct route_match m;

    (void)state;
    route_find("GET", "/v1/tenants/acme/uploads", &m);
    assert_true(route_knows_query(m.route, "state"));
    assert_true(route_knows_query(m.route, "cursor"));
    assert_false(route_knows_query(m.route, "stat"));
    assert_false(route_knows_query(m.route, ""));
    route_find("GET", "/livez", &m);
    assert_false(route_knows_query(m.route, ""));
}

static void test_etags(void **state)
{
    (void)state;
    assert_true(etag_listed("\"1-2\"", "\"1-2\""));
    assert_true(etag_listed("\"1-1\", W/\"1-2\"", "\"1-2\""));
    assert_true(etag_listed("*", "\"1-2\""));
    assert_false(etag_listed("\"1-3\"", "\"1-2\""));
    assert_false(etag_listed("", "\"1-2\""));
}

static void test_loopback_names(void **state)
{
    (void)state;
    assert_true(auth_host_is_loopback("localhost:8470"));
    assert_true(auth_host_is_loopback("127.0.0.1"));
    assert_true(auth_host_is_loopback("[::1]:1"));
    assert_false(auth_host_is_loopback("localhost.evil.example"));
    assert_false(auth_host_is_loopback("evil.example"));
    assert_false(auth_host_is_loopback(NULL));
}

static void test_bearer(void **state)
{
    (void)state;
    assert_string_equal(auth_bearer("Bearer x"), "x");
    assert_string_equal(auth_bearer("bearer   x y"), "x y");
    assert_string_equal(auth_bearer("Bearer "), "");
    assert_null(auth_bearer("Bearer"));
    assert_null(auth_bearer("Bearerx"));
    assert_null(auth_bearer("Basic x"));
    assert_null(auth_bearer(""));
}

/* A role that stood below another by mistake would open what it must not. */
static void test_roles_in_order(void **state)
{
    (void)state;
    assert_true(ACCESS_OPEN < ACCESS_READER);
    assert_true(ACCESS_READER < ACCESS_UPLOADER);
    assert_true(ACCESS_UPLOADER < ACCESS_OWNER);
    assert_true(ACCESS_OWNER < ACCESS_ADMIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_of_a_path),
        cmocka_unit_test(test_nothing_there),
        cmocka_unit_test(test_method_not_allowed),
        cmocka_unit_test(test_head_is_get),
        cmocka_unit_test(test_part_too_long),
        cmocka_unit_test(test_query),
        cmocka_unit_test(test_etags),
        cmocka_unit_test(test_loopback_names),
        cmocka_unit_test(test_bearer),
        cmocka_unit_test(test_roles_in_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
