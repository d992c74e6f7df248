/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Waiting for an upload: its outcomes as exit codes, the time, signals, a coordinator that goes and comes
 * back; lists page by page.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/client/follow.h"
#include "cli/client/outcome.h"
#include "shared/base/clock.h"
#include "shared/http/client.h"
#include "tests/unit/http_server.h"

/* An answer with the body; static storage for the tests of one run. */
static const char *answer(const char *body)
{
    static char store[16][1024];
    static size_t next;
    char *dst = store[next++ % TL_ARRAY_LEN(store)];

    snprintf(dst, sizeof store[0], "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    return dst;
}

static void test_exit_codes(void **state)
{
    static const struct {
        const char *state;
        int code;
    } cases[] = {{"queued", -1},   {"sending", -1},         {"processing", -1},
                 {"done", 0},      {"done_with_errors", 3}, {"failed", 1},
                 {"cancelled", 1}, {"aborted", 4},          {"something new", 1}};

    (void)state;
    for (size_t i = 0; i < TL_ARRAY_LEN(cases); i++) {
        json_t *upload = json_pack("{s:s}", "state", cases[i].state);

        assert_int_equal(outcome_exit_code(upload), cases[i].code);
        assert_int_equal(outcome_final(upload), cases[i].code >= 0);
        json_decref(upload);
    }
    assert_int_equal(interrupt_exit_code(SIGINT), 130);
    assert_int_equal(interrupt_exit_code(SIGTERM), 143);
}

struct seen {
    int changes;
    int ticks;
    bool lost;
};

static int on_change(void *app, const json_t *upload, bool changed, struct tl_error *err)
{
    struct seen *seen = app;

    (void)err;
    seen->changes += changed;
    seen->ticks++;
    seen->lost |= strcmp(upload_text(upload, "waiting"), "the coordinator does not answer") == 0;
    return 0;
}

/* Everything that a test needs to follow the upload u1. */
struct following {
    struct http_server server;
    struct settings settings;
    struct coordinator *c;
    struct seen seen;
    struct tl_error err;
    json_t *last;
};

static void start(struct following *f, const struct http_answer *script, size_t n)
{
    *f = (struct following){0};
    http_server_start(&f->server, script, n);
    f->settings = (struct settings){
        .coordinator = f->server.url, .tenant = (char *)"a b", .token_file = (char *)""};
    f->c = coordinator_open(&f->settings, &f->err);
    if (!f->c)
        fail_msg("%s", f->err.text);
}

static int follow(struct following *f, struct interrupt *in, int64_t timeout_ms)
{
    return follow_upload(f->c, "u1", in, timeout_ms, NULL, on_change, &f->seen, &f->last, &f->err);
}

static void stop(struct following *f)
{
    json_decref(f->last);
    coordinator_close(f->c);
    http_server_stop(&f->server);
}

static void test_until_final(void **state)
{
    const struct http_answer script[] = {
        {answer("{\"state\":\"sending\",\"change\":4}"), false},
        {answer("{\"state\":\"sending\",\"change\":4}"), false},
        {answer("{\"state\":\"processing\",\"change\":5}"), false},
        {answer("{\"state\":\"done_with_errors\",\"change\":6,\"rows_rejected\":2}"), false},
    };
    struct following f;

    (void)state;
    start(&f, script, 4);
    assert_int_equal(follow(&f, NULL, -1), FOLLOW_FINAL);
    assert_int_equal(f.seen.changes, 3);
    assert_int_equal(f.seen.ticks, 4);
    assert_int_equal(upload_number(f.last, "rows_rejected", -1), 2);
    stop(&f);
    assert_memory_equal(f.server.request[0], "GET /v1/tenants/a%20b/uploads/u1 HTTP", 37);
    assert_memory_equal(f.server.request[1], "GET /v1/tenants/a%20b/uploads/u1?wait_ms=1000&seen=4 HTTP", 57);
    assert_memory_equal(f.server.request[3], "GET /v1/tenants/a%20b/uploads/u1?wait_ms=1000&seen=5 HTTP", 57);
}

static void test_timeout(void **state)
{
    const struct http_answer script[] = {{answer("{\"state\":\"processing\",\"change\":1}"), false}};
    struct following f;

    (void)state;
    start(&f, script, 1);
    assert_int_equal(follow(&f, NULL, 0), FOLLOW_TIMED_OUT);
    assert_string_equal(upload_text(f.last, "state"), "processing");
    stop(&f);
}

static void test_unknown_upload(void **state)
{
    static const struct http_answer script[] = {{"HTTP/1.1 404 Not Found\r\nContent-Length: 38\r\n\r\n"
                                                 "{\"code\":\"not_found\",\"detail\":\"no such\"}",
                                                 false}};
    struct following f;

    (void)state;
    start(&f, script, 1);
    assert_int_equal(follow(&f, NULL, -1), -1);
    assert_int_equal(f.err.code, TL_E_NOT_FOUND);
    assert_null(f.last);
    stop(&f);
}

static void test_coordinator_that_comes_back(void **state)
{
    const struct http_answer script[] = {
        {answer("{\"state\":\"processing\",\"change\":1}"), false},
        {"HTTP/1.1 503 Away\r\nContent-Length: 0\r\n\r\n", true},
        {answer("{\"state\":\"done\",\"change\":2}"), false},
    };
    struct following f;

    (void)state;
    start(&f, script, 3);
    assert_int_equal(follow(&f, NULL, -1), FOLLOW_FINAL);
    assert_true(f.seen.lost);
    assert_string_equal(upload_text(f.last, "waiting"), "");
    stop(&f);
}

static void *terminate(void *app)
{
    struct http_server *s = app;

    http_server_await(s, 2);
    kill(getpid(), SIGTERM);
    return NULL;
}

static void test_signal(void **state)
{
    const struct http_answer script[] = {{answer("{\"state\":\"processing\",\"change\":1}"), false},
                                         {NULL, false}};
    struct following f;
    struct tl_error err;
    struct interrupt *in = interrupt_start(&err);
    pthread_t thread;
    int64_t began;

    (void)state;
    assert_non_null(in);
    start(&f, script, 2);
    assert_int_equal(pthread_create(&thread, NULL, terminate, &f.server), 0);
    began = tl_clock_ms();
    assert_int_equal(follow(&f, in, -1), FOLLOW_SIGNAL);
    assert_true(tl_clock_ms() - began < 900);
    assert_int_equal(interrupt_signal(in), SIGTERM);
    assert_true(interrupt_wait(in, 10000));
    pthread_join(thread, NULL);
    stop(&f);
    interrupt_stop(in);
}

static int count_object(void *app, const json_t *object, struct tl_error *err)
{
    (void)object;
    (void)err;
    (*(int *)app)++;
    return 0;
}

static void test_pages(void **state)
{
    const struct http_answer script[] = {
        {answer("{\"uploads\":[{},{}],\"next\":\"c/1\"}"), false},
        {answer("{\"uploads\":[{}],\"next\":null}"), false},
        {answer("{\"tables\":3}"), false},
    };
    struct following f;
    int n = 0;

    (void)state;
    start(&f, script, 3);
    assert_int_equal(coordinator_uploads(f.c, "orders", "failed", count_object, &n, &f.err), 0);
    assert_int_equal(n, 3);
    assert_int_equal(coordinator_tables(f.c, count_object, &n, &f.err), -1);
    assert_int_equal(f.err.code, TL_E_CORRUPT);
    assert_int_equal(coordinator_upload_get(f.c, "..", 0, 0, &f.last, &f.err), -1);
    assert_int_equal(f.err.code, TL_E_NOT_FOUND);
    stop(&f);
    assert_non_null(strstr(f.server.request[0], "/uploads?table=orders&state=failed&limit=500 HTTP"));
    assert_non_null(
        strstr(f.server.request[1], "/uploads?table=orders&state=failed&limit=500&cursor=c%2F1 HTTP"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exit_codes),
        cmocka_unit_test(test_until_final),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_unknown_upload),
        cmocka_unit_test(test_coordinator_that_comes_back),
        cmocka_unit_test(test_signal),
        cmocka_unit_test(test_pages),
    };
    struct tl_error err;
    int failed;

    if (tl_http_global_init(&err))
        return 1;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    tl_http_global_release();
    return failed;
}
