/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The HTTP client against a scripted server: answers, problems, connections kept and lost, streams,
 * interrupts.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/base/clock.h"
#include "shared/http/client.h"
#include "tests/unit/http_server.h"

#define JSON_HEAD(length) \
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: " #length "\r\n\r\n"

enum { LONG_MS = 20000 };

static struct tl_http *open_client(const struct http_server *s, const char *token)
{
    struct tl_error err = {0};
    struct tl_http *h = tl_http_new(s->url, token, &err);

    if (!h)
        fail_msg("%s", err.text);
    return h;
}

static void test_answers_over_one_connection(void **state)
{
    static const struct http_answer script[] = {
        {JSON_HEAD(8) "{\"a\": 1}", false},
        {"HTTP/1.1 204 No Content\r\n\r\n", false},
        {"HTTP/1.1 201 Created\r\nContent-Length: 2\r\n\r\n[]", false},
    };
    struct tl_error err = {0};
    struct http_server s;
    struct tl_http *h;
    json_t *answer, *body = json_pack("{s:s}", "table", "orders");

    (void)state;
    http_server_start(&s, script, 3);
    h = open_client(&s, "secret");
    assert_int_equal(tl_http_call(h, "GET", "/v1/x?y=1", NULL, LONG_MS, &answer, &err), 0);
    assert_int_equal(json_integer_value(json_object_get(answer, "a")), 1);
    json_decref(answer);
    assert_int_equal(tl_http_call(h, "DELETE", "/v1/x", NULL, LONG_MS, &answer, &err), 0);
    assert_null(answer);
    assert_int_equal(tl_http_call(h, "POST", "/v1/x", body, LONG_MS, NULL, &err), 0);
    tl_http_free(h);
    http_server_stop(&s);
    assert_int_equal(s.connections, 1);
    assert_memory_equal(s.request[0], "GET /v1/x?y=1 HTTP/1.1\r\n", 24);
    assert_non_null(strstr(s.request[0], "Authorization: Bearer secret\r\n"));
    assert_null(strstr(s.request[0], "Content-Length"));
    assert_memory_equal(s.request[1], "DELETE /v1/x HTTP/1.1\r\n", 23);
    assert_memory_equal(s.request[2], "POST /v1/x HTTP/1.1\r\n", 21);
    assert_non_null(strstr(s.request[2], "\r\n\r\n{\"table\":\"orders\"}"));
    json_decref(body);
}

static void test_problems(void **state)
{
    static const struct http_answer script[] = {
        {"HTTP/1.1 409 Conflict\r\nContent-Type: application/problem+json\r\nContent-Length: 54\r\n\r\n"
         "{\"code\":\"conflict\",\"detail\":\"table orders is another\"}",
         false},
        {"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 15\r\n\r\n{\"code\":\"again\"", false},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 6\r\n\r\n<html>", false},
        {"HTTP/1.1 500 Oh\r\nContent-Length: 35\r\n\r\n{\"code\":\"nothing\",\"detail\":\"later\"}", true},
        {JSON_HEAD(6) "<html>", false},
    };
    struct tl_error err = {0};
    struct http_server s;
    struct tl_http *h;
    json_t *answer;
    char expected[120];

    (void)state;
    http_server_start(&s, script, 5);
    h = open_client(&s, NULL);
    assert_int_equal(tl_http_call(h, "GET", "/a", NULL, LONG_MS, &answer, &err), -1);
    assert_int_equal(err.code, TL_E_CONFLICT);
    assert_string_equal(err.text, "table orders is another");
    assert_null(answer);
    assert_true(tl_http_answered(h));
    assert_int_equal(tl_http_call(h, "GET", "/b", NULL, LONG_MS, &answer, &err), -1);
    assert_int_equal(err.code, TL_E_UNAVAILABLE);
    assert_int_equal(tl_http_call(h, "GET", "/c", NULL, LONG_MS, &answer, &err), -1);
    assert_int_equal(err.code, TL_E_NOT_FOUND);
    snprintf(expected, sizeof expected, "%s answers GET /c with status 404", s.url);
    assert_string_equal(err.text, expected);
    assert_int_equal(tl_http_call(h, "GET", "/d", NULL, LONG_MS, &answer, &err), -1);
    assert_int_equal(err.code, TL_E_FATAL);
    assert_int_equal(tl_http_call(h, "GET", "/e", NULL, LONG_MS, &answer, &err), -1);
    assert_int_equal(err.code, TL_E_CORRUPT);
    tl_http_free(h);
    http_server_stop(&s);
}

/* A coordinator that was restarted between two calls is met with a new connection, not an error. */
static void test_lost_connection_is_renewed(void **state)
{
    static const struct http_answer script[] = {{JSON_HEAD(2) "{}", true}, {JSON_HEAD(2) "{}", true}};
    struct tl_error err = {0};
    struct http_server s;
    struct tl_http *h;

    (void)state;
    http_server_start(&s, script, 2);
    h = open_client(&s, NULL);
    assert_int_equal(tl_http_call(h, "PATCH", "/", NULL, LONG_MS, NULL, &err), 0);
    assert_int_equal(tl_http_call(h, "PATCH", "/", NULL, LONG_MS, NULL, &err), 0);
    tl_http_free(h);
    http_server_stop(&s);
    assert_int_equal(s.connections, 2);
}

static void test_out_of_reach(void **state)
{
    struct tl_error err = {0};
    struct tl_http *h = tl_http_new("unix:/nonexistent/socket", NULL, &err);

    (void)state;
    assert_non_null(h);
    assert_int_equal(tl_http_call(h, "GET", "/", NULL, LONG_MS, NULL, &err), -1);
    assert_int_equal(err.code, TL_E_UNAVAILABLE);
    assert_string_equal(err.text,
                        "no coordinator answers at unix:/nonexistent/socket: No such file or directory");
    tl_http_free(h);
    h = tl_http_new("http://127.0.0.1:1/", NULL, &err);
    assert_non_null(h);
    assert_int_equal(tl_http_call(h, "GET", "/", NULL, LONG_MS, NULL, &err), -1);
    assert_int_equal(err.code, TL_E_UNAVAILABLE);
    assert_string_equal(err.text, "no coordinator answers at http://127.0.0.1:1/: Connection refused");
    tl_http_free(h);
}

static void test_answer_that_does_not_come(void **state)
{
    static const struct http_answer script[] = {
        {NULL, false}, {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{", true}, {"", true}};
    struct tl_error err = {0};
    struct http_server s;
    struct tl_http *h;
    json_t *answer;

    (void)state;
    http_server_start(&s, script, 3);
    h = open_client(&s, NULL);
    assert_int_equal(tl_http_call(h, "GET", "/", NULL, 50, NULL, &err), -1);
    assert_int_equal(err.code, TL_E_TIMEOUT);
    assert_false(tl_http_answered(h));
    assert_int_equal(tl_http_call(h, "GET", "/", NULL, LONG_MS, &answer, &err), -1);
    assert_int_equal(err.code, TL_E_UNAVAILABLE);
    assert_false(tl_http_answered(h));
    assert_int_equal(tl_http_call(h, "GET", "/", NULL, LONG_MS, &answer, &err), -1);
    assert_int_equal(err.code, TL_E_UNAVAILABLE);
    tl_http_free(h);
    http_server_stop(&s);
}

static int collect(void *app, const char *bytes, size_t n, struct tl_error *err)
{
    int rc = tl_buf_append(app, bytes, n);

    return rc ? tl_buf_fail(rc, app, "the stream", err) : 0;
}

static void test_streams(void **state)
{
    static const struct http_answer script[] = {
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabc\n\r\n3\r\nde\n\r\n0\r\n\r\n", false},
        {"HTTP/1.1 404 Not Found\r\nContent-Length: 41\r\n\r\n"
         "{\"code\":\"not_found\",\"detail\":\"no upload\"}",
         true},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n123456789", false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabc\n\r\n", true},
    };
    struct tl_error err = {0};
    struct http_server s;
    struct tl_buf got;
    struct tl_http *h;

    (void)state;
    tl_buf_init(&got, 8);
    http_server_start(&s, script, 4);
    h = open_client(&s, NULL);
    assert_int_equal(tl_http_stream(h, "/errors", collect, &got, &err), 0);
    assert_int_equal(got.len, 7);
    assert_memory_equal(got.data, "abc\nde\n", 7);
    tl_buf_reset(&got);
    assert_int_equal(tl_http_stream(h, "/errors", collect, &got, &err), -1);
    assert_int_equal(err.code, TL_E_NOT_FOUND);
    assert_int_equal(got.len, 0);
    assert_int_equal(tl_http_stream(h, "/errors", collect, &got, &err), -1);
    assert_string_equal(err.text, "the stream would be larger than 8 bytes");
    tl_buf_reset(&got);
    assert_int_equal(tl_http_stream(h, "/errors", collect, &got, &err), -1);
    assert_int_equal(err.code, TL_E_UNAVAILABLE);
    tl_http_free(h);
    http_server_stop(&s);
    tl_buf_release(&got);
}

struct waiting {
    struct tl_http *h;
    struct tl_error err;
    int rc;
};

static void *wait_for_answer(void *app)
{
    struct waiting *w = app;

    w->rc = tl_http_call(w->h, "GET", "/", NULL, LONG_MS, NULL, &w->err);
    return NULL;
}

static void test_interrupt(void **state)
{
    static const struct http_answer script[] = {{NULL, false}};
    struct waiting w = {0};
    struct http_server s;
    pthread_t thread;
    int64_t start;

    (void)state;
    http_server_start(&s, script, 1);
    w.h = open_client(&s, NULL);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_answer, &w), 0);
    http_server_await(&s, 1);
    start = tl_clock_ms();
    tl_http_interrupt(w.h);
    pthread_join(thread, NULL);
    assert_true(tl_clock_ms() - start < 500);
    assert_int_equal(w.rc, -1);
    assert_int_equal(w.err.code, TL_E_INTERRUPTED);
    assert_int_equal(tl_http_call(w.h, "GET", "/", NULL, LONG_MS, NULL, &w.err), -1);
    assert_int_equal(w.err.code, TL_E_INTERRUPTED);
    tl_http_free(w.h);
    http_server_stop(&s);
}

static void *many_calls(void *app)
{
    struct waiting *w = app;

    for (int i = 0; i < 10 && !w->rc; i++)
        w->rc = tl_http_call(w->h, "GET", "/", NULL, LONG_MS, NULL, &w->err);
    return NULL;
}

static void test_two_clients_in_two_threads(void **state)
{
    struct http_answer script[10];
    struct http_server s[2];
    struct waiting w[2] = {0};
    pthread_t thread[2];

    (void)state;
    for (size_t i = 0; i < 10; i++)
        script[i] = (struct http_answer){JSON_HEAD(2) "{}", i % 3 == 0};
    for (size_t i = 0; i < 2; i++) {
        http_server_start(&s[i], script, 10);
        w[i].h = open_client(&s[i], NULL);
        assert_int_equal(pthread_create(&thread[i], NULL, many_calls, &w[i]), 0);
    }
    for (size_t i = 0; i < 2; i++) {
        pthread_join(thread[i], NULL);
        if (w[i].rc)
            fail_msg("%s", w[i].err.text);
        tl_http_free(w[i].h);
        http_server_stop(&s[i]);
    }
}

static void test_urls(void **state)
{
    static const char *const bad[] = {"",           "orders",     "unix:socket", "http://",
                                      "http:///",   "ftp://x",    "http://a/b",  "http://u:p@host:1",
                                      "http://a b", "https://a?x"};
    char path[200] = "unix:/";
    struct tl_error err = {0};

    (void)state;
    for (size_t i = 0; i < TL_ARRAY_LEN(bad); i++) {
        if (tl_http_new(bad[i], NULL, &err))
            fail_msg("taken: %s", bad[i]);
        assert_int_equal(err.code, TL_E_USAGE);
    }
    memset(path + 6, 'x', 110);
    assert_null(tl_http_new(path, NULL, &err));
    assert_non_null(strstr(err.text, "too long"));
    assert_null(tl_http_new("http://a", "two\nlines", &err));
}

static void test_escape(void **state)
{
    struct tl_buf b;

    (void)state;
    tl_buf_init(&b, 200);
    assert_int_equal(tl_http_escape(&b, "a-Z_0.~ /?&%\xC3\xA9"), 0);
    assert_int_equal(b.len, strlen("a-Z_0.~%20%2F%3F%26%25%C3%A9"));
    assert_memory_equal(b.data, "a-Z_0.~%20%2F%3F%26%25%C3%A9", b.len);
    tl_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_over_one_connection),
        cmocka_unit_test(test_problems),
        cmocka_unit_test(test_lost_connection_is_renewed),
        cmocka_unit_test(test_out_of_reach),
        cmocka_unit_test(test_answer_that_does_not_come),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_interrupt),
        cmocka_unit_test(test_two_clients_in_two_threads),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_escape),
    };
    struct tl_error err;
    int failed;

    if (tl_http_global_init(&err))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    tl_http_global_release();
    return failed;
}
