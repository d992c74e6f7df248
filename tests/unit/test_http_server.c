/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "shared/base/clock.h"
#include "tests/unit/control_fixture.h"

/* --- HTTP --- */

static void test_health(void **state)
{
    struct fixture *f = *state;
    struct answer a = ask(f, "GET", "/livez", NULL, 200);

    assert_string_equal(text_of(&a, "status"), "ok");
    answer_release(&a);
    define_orders(f); /* so that Kafka was met */
    a = ask(f, "GET", "/readyz", NULL, 200);
    assert_string_equal(text_of(&a, "kafka"), "ok");
    answer_release(&a);
}

static void test_what_is_not_there(void **state)
{
    static const char *const paths[] = {"/v2",
                                        "/v1/tenants/acme",
                                        "/v1/tenants/acme/tables",
                                        "/v1/tenants/Default/tables",
                                        "/v1/tenants/acme/uploads/u1",
                                        TABLES "/nothing",
                                        TABLES "/..%2f..",
                                        TABLES "/sqlite_master;drop",
                                        TABLES "/nothing/versions/1",
                                        TABLES "/nothing/versions/x",
                                        UPLOADS "/none",
                                        UPLOADS "/none/errors",
                                        UPLOADS "/%00"};

    for (size_t i = 0; i < TL_ARRAY_LEN(paths); i++) {
        struct answer a = ask(*state, "GET", paths[i], NULL, 404);

        assert_contains(a.text, "application/problem+json");
        assert_string_equal(text_of(&a, "code"), "not_found");
        assert_int_equal(number_of(&a, "status"), 404);
        answer_release(&a);
    }
}

static void test_methods(void **state)
{
    struct answer a = ask(*state, "PUT", TABLES, ORDERS, 405);

    assert_contains(a.text, "Allow: GET, HEAD, POST\r\n");
    answer_release(&a);
    a = ask(*state, "HEAD", "/livez", NULL, 200);
    assert_string_equal(a.body, "");
    assert_contains(a.text, "Content-Length: 15\r\n");
    answer_release(&a);
}

static void test_bad_requests(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    ask_only(f, "GET", UPLOADS "?stat=done", NULL, 422);
    ask_only(f, "GET", UPLOADS "?state=finished", NULL, 422);
    ask_only(f, "GET", UPLOADS "?limit=0", NULL, 422);
    ask_only(f, "GET", UPLOADS "?limit=10x", NULL, 422);
    ask_only(f, "POST", TABLES, "{\"table\":", 400);
    ask_only(f, "POST", TABLES, "{\"table\":\"a\",\"table\":\"b\"}", 400);
    ask_only(f, "POST", TABLES, NULL, 400);
    ask_only(f, "GET", TABLES, "{}", 400);
    ask_only(f, "POST", TABLES, "[]", 422);
    a = ask(f, "POST", TABLES, "{\"table\":\"t\",\"colums\":[]}", 422);
    assert_contains(text_of(&a, "detail"), "colums");
    answer_release(&a);
    a = ask_with(f, "POST", TABLES, "Content-Length: 2\r\nContent-Type: text/plain\r\n", NULL);
    assert_int_equal(a.status, 415);
    answer_release(&a);
    a = ask_with(f, "POST", TABLES, "Content-Length: 4194305\r\nContent-Type: application/json\r\n", NULL);
    assert_int_equal(a.status, 413);
    assert_string_equal(text_of(&a, "code"), "too_large");
    answer_release(&a);
}

static void test_chunked_body_has_a_ceiling(void **state)
{
    enum { CHUNK = 64 * 1024, CHUNKS = 80 };
    static const char head[] = "POST " TABLES " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                               "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
    size_t size = sizeof head + (size_t)CHUNKS * (CHUNK + 16) + 16, n = sizeof head - 1;
    char *bytes = malloc(size);
    struct fixture *f = *state;
    struct answer a;

    memcpy(bytes, head, n);
    for (int i = 0; i < CHUNKS; i++) {
        n += (size_t)snprintf(bytes + n, size - n, "%x\r\n", CHUNK);
        memset(bytes + n, ' ', CHUNK);
        n += CHUNK;
        n += (size_t)snprintf(bytes + n, size - n, "\r\n");
    }
    n += (size_t)snprintf(bytes + n, size - n, "0\r\n\r\n");
    a = exchange_on(connect_unix(f->socket), bytes, n);
    assert_int_equal(a.status, 413);
    answer_release(&a);
    free(bytes);
}

static void test_deep_json(void **state)
{
    char *deep = malloc(1000001);
    struct answer a;

    memset(deep, '[', 1000000);
    deep[1000000] = '\0';
    a = ask(*state, "POST", TABLES, deep, 400);
    answer_release(&a);
    free(deep);
}

/* --- who asks --- */

static void test_other_users(void **state)
{
    struct fixture *f = *state;
    int status;
    pid_t pid;

    if (geteuid() != 0)
        skip();
    assert_int_equal(chmod(f->dir, 0755), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct answer live, list;

        if (setgid(65534) || setuid(65534))
            _exit(9);
        live = ask_with(f, "GET", "/livez", "", NULL);
        list = ask_with(f, "GET", "/v1/tenants", "", NULL);
        _exit(live.status == 200 && list.status == 401 && strcmp(text_of(&list, "code"), "unauthorized") == 0
                  ? 0
                  : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static int connect_tcp(const char *address)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    in.sin_port = htons((uint16_t)strtoul(strrchr(address, ':') + 1, NULL, 10));
    if (connect(fd, (struct sockaddr *)&in, sizeof in) == 0)
        return fd;
    close(fd);
    return -1;
}

static void test_tcp(void **state)
{
    static const char request[] = "GET /v1/tenants HTTP/1.0\r\nHost: localhost:1\r\n\r\n";
    static const char lured[] = "GET /v1/tenants HTTP/1.0\r\nHost: evil.example\r\n\r\n";
    struct fixture *f = *state;
    struct answer a;

    fixture_start(f, "127.0.0.1:0", false);
    a = exchange_on(connect_tcp(http_server_address(f->http)), request, sizeof request - 1);
    assert_int_equal(a.status, 401);
    assert_contains(a.text, "WWW-Authenticate: Bearer\r\n");
    answer_release(&a);
    fixture_stop(f);

    fixture_start(f, "127.0.0.1:0", true);
    a = exchange_on(connect_tcp(http_server_address(f->http)), request, sizeof request - 1);
    assert_int_equal(a.status, 200);
    answer_release(&a);
    a = exchange_on(connect_tcp(http_server_address(f->http)), lured, sizeof lured - 1);
    assert_int_equal(a.status, 401);
    answer_release(&a);
}

static void test_socket_file(void **state)
{
    struct fixture *f = *state;
    struct http_options again = {.control = f->control, .log = &f->log, .socket = f->socket, .listen = ""};
    struct http_server *second;
    struct tl_error err;
    struct stat st;
    int stale;

    assert_int_equal(stat(f->socket, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0666);
    assert_null(http_server_start(&again, &err));
    assert_int_equal(err.code, TL_E_CONFLICT);
    ask_only(f, "GET", "/livez", NULL, 200);
    http_server_quiesce(f->http);
    assert_int_equal(stat(f->socket, &st), -1);
    /* One that a crash left behind. */
    stale = listen_unix(f->socket, &err);
    assert_true(stale >= 0);
    close(stale);
    second = http_server_start(&again, &err);
    assert_non_null(second);
    ask_only(f, "GET", "/livez", NULL, 200);
    http_server_free(second);
}

/* --- many at once --- */

struct worker {
    struct fixture *f;
    pthread_t thread;
    int number;
    int failed;
};

static void *work(void *app)
{
    struct worker *w = app;

    for (int i = 0; i < 20; i++) {
        char body[64];
        struct answer a;

        snprintf(body, sizeof body, "{\"rows_read\":%d}", i * 10 + w->number);
        a = ask_with(w->f, "PATCH", UPLOADS "/u1", "", body);
        w->failed += a.status != 200;
        answer_release(&a);
        a = ask_with(w->f, "GET", UPLOADS "/u1?wait_ms=20&seen=0", "", NULL);
        w->failed += a.status != 200;
        answer_release(&a);
        a = ask_with(w->f, "GET", UPLOADS, "", NULL);
        w->failed += a.status != 200;
        answer_release(&a);
        a = ask_with(w->f, "POST", TABLES, "", ORDERS);
        w->failed += a.status != 200;
        answer_release(&a);
    }
    return NULL;
}

static void test_many_clients(void **state)
{
    enum { WORKERS = 6 };
    struct worker worker[WORKERS];
    struct answer a;

    create_upload(*state, UPLOAD_U1);
    for (int i = 0; i < WORKERS; i++) {
        worker[i] = (struct worker){.f = *state, .number = i};
        assert_int_equal(pthread_create(&worker[i].thread, NULL, work, &worker[i]), 0);
    }
    for (int i = 0; i < 100; i++)
        fake_progress("u1", 0, i, 0, 0, 0, 0);
    for (int i = 0; i < WORKERS; i++) {
        pthread_join(worker[i].thread, NULL);
        assert_int_equal(worker[i].failed, 0);
    }
    fake_progress("u1", 200, 200, 0, 0, 4, 0);
    a = await_state(*state, "done");
    answer_release(&a);
}

static void *poll_long(void *app)
{
    struct worker *w = app;
    struct answer a = ask_with(w->f, "GET", UPLOADS "/u1?wait_ms=30000&seen=99999999999999", "", NULL);

    /* What it saw is not what is there, so it comes back at once and asks again with the right number. */
    char path[100];

    snprintf(path, sizeof path, UPLOADS "/u1?wait_ms=30000&seen=%lld", (long long)number_of(&a, "change"));
    answer_release(&a);
    pthread_mutex_lock(&fake.lock);
    w->number = 1;
    pthread_mutex_unlock(&fake.lock);
    a = ask_with(w->f, "GET", path, "", NULL);
    w->failed = a.status != 200;
    answer_release(&a);
    return NULL;
}

static void test_shutdown_wakes_long_polls(void **state)
{
    struct fixture *f = *state;
    struct worker w = {.f = f};
    int64_t begun = tl_clock_ms();
    bool asking = false;

    create_upload(f, UPLOAD_U1);
    assert_int_equal(pthread_create(&w.thread, NULL, poll_long, &w), 0);
    while (!asking)
        FAKE(asking = w.number == 1);
    ask_only(f, "GET", "/readyz", NULL, 200);
    control_stop(f->control);
    ask_only(f, "GET", "/readyz", NULL, 503);
    ask_only(f, "POST", TABLES, ORDERS, 503);
    pthread_join(w.thread, NULL);
    assert_int_equal(w.failed, 0);
    assert_true(tl_clock_ms() - begun < 20000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_health),
        RUNNING(test_what_is_not_there),
        RUNNING(test_methods),
        RUNNING(test_bad_requests),
        RUNNING(test_chunked_body_has_a_ceiling),
        RUNNING(test_deep_json),
        RUNNING(test_other_users),
        NOT_STARTED(test_tcp),
        RUNNING(test_socket_file),
        RUNNING(test_many_clients),
        RUNNING(test_shutdown_wakes_long_polls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
