/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/stat.h>
#include <sys/wait.h>

#include "shared/base/clock.h"
#include "tests/unit/control_fixture.h"

#define TABLES  "/v1/tenants/default/tables"
#define UPLOADS "/v1/tenants/default/uploads"
#define ORDERS                                                                                                    \
    "{\"table\":\"orders\",\"columns\":[{\"name\":\"id\",\"type\":\"int\"},{\"name\":\"qty\",\"type\":\"int\"}]," \
    "\"key\":[\"id\"]}"
#define UPLOAD_U1 "{\"upload\":\"u1\",\"table\":\"orders\",\"files\":[{\"name\":\"a.csv\",\"bytes\":10}]}"

static void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void define_orders(struct fixture *f)
{
    ask_only(f, "POST", TABLES, ORDERS, 201);
}

static void create_upload(struct fixture *f, const char *body)
{
    define_orders(f);
    ask_only(f, "POST", UPLOADS, body, 201);
}

/* Long polls until the state is this one. */
static struct answer await_state(struct fixture *f, const char *state)
{
    int64_t seen = 0, deadline = tl_clock_ms() + 10000;

    for (;;) {
        char path[128];
        struct answer a;

        snprintf(path, sizeof path, UPLOADS "/u1?wait_ms=5000&seen=%lld", (long long)seen);
        a = ask(f, "GET", path, NULL, 200);
        if (strcmp(text_of(&a, "state"), state) == 0)
            return a;
        if (tl_clock_ms() > deadline)
            fail_msg("still %s", a.body);
        assert_true(number_of(&a, "change") >= seen);
        seen = number_of(&a, "change");
        answer_release(&a);
    }
}

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
    assert_int_equal(chmod(f->socket, 0666), 0);
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
    assert_int_equal(st.st_mode & 07777, 0660);
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

/* --- tables --- */

static void test_define(void **state)
{
    struct fixture *f = *state;
    struct answer a = ask(f, "POST", TABLES, ORDERS, 201);

    assert_contains(a.text, "ETag: \"1-1\"\r\n");
    assert_string_equal(text_of(&a, "state"), "active");
    assert_int_equal(number_of(&a, "version"), 1);
    answer_release(&a);
    assert_int_equal(fake.nmessages, 1);
    assert_int_equal(fake.message[0].type, TL_MSG_SCHEMA);
    assert_int_equal(fake.message[0].partitions, 4);
    assert_string_equal(fake.message[0].topic, "tload.default.raw-input");
    assert_contains(fake.message[0].value, "\"table\":\"orders\"");

    ask_only(f, "POST", TABLES, ORDERS, 200);
    ask_only(f, "POST", TABLES, "{\"table\":\"orders\",\"columns\":[{\"name\":\"id\",\"type\":\"text\"}]}",
             409);
    assert_int_equal(fake.nmessages, 1);

    a = ask_with(f, "GET", TABLES "/ORDERS", "If-None-Match: \"1-1\"\r\n", NULL);
    assert_int_equal(a.status, 304);
    answer_release(&a);
    a = ask(f, "GET", TABLES "/ordrs", NULL, 404);
    assert_contains(text_of(&a, "detail"), "did you mean \"orders\"");
    answer_release(&a);
    a = ask(f, "GET", TABLES "/orders/versions/1?table_id=1", NULL, 200);
    assert_null(json_object_get(a.json, "state"));
    assert_int_equal(number_of(&a, "table_id"), 1);
    answer_release(&a);
    ask_only(f, "GET", TABLES "/orders/versions/2", NULL, 404);
}

static void test_define_while_kafka_is_down(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    FAKE(fake.kafka_down = true);
    fixture_start(f, "", false);
    a = ask(f, "POST", TABLES, ORDERS, 503);
    assert_string_equal(text_of(&a, "code"), "unavailable");
    assert_contains(text_of(&a, "detail"), "no broker answers");
    answer_release(&a);
    a = ask(f, "GET", TABLES "/orders", NULL, 200);
    assert_string_equal(text_of(&a, "state"), "pending");
    answer_release(&a);
    ask_only(f, "GET", TABLES "/orders/versions/1", NULL, 404);
    ask_only(f, "POST", UPLOADS, UPLOAD_U1, 503);
    a = ask(f, "GET", "/v1/tenants/default", NULL, 200);
    assert_string_equal(text_of(&a, "state"), "preparing");
    assert_contains(text_of(&a, "waiting"), "no broker answers");
    answer_release(&a);
    a = ask(f, "GET", "/readyz", NULL, 200);
    assert_contains(text_of(&a, "kafka"), "no broker answers");
    answer_release(&a);

    FAKE(fake.kafka_down = false);
    a = ask(f, "POST", TABLES, ORDERS, 200);
    assert_string_equal(text_of(&a, "state"), "active");
    answer_release(&a);
    a = ask(f, "GET", "/v1/tenants/default", NULL, 200);
    assert_string_equal(text_of(&a, "state"), "ready");
    answer_release(&a);
}

static void test_wrong_partitions(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    FAKE(fake.wrong_partitions = true);
    fixture_start(f, "", false);
    a = ask_with(f, "POST", TABLES, "", ORDERS); /* waits for the keeper's turn, whatever comes of it */
    answer_release(&a);
    a = ask(f, "POST", TABLES, ORDERS, 500);
    assert_contains(text_of(&a, "detail"), "9 partitions");
    answer_release(&a);
}

static void test_pending_version_is_finished_at_start(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    FAKE(fake.kafka_down = true);
    fixture_start(f, "", false);
    ask_only(f, "POST", TABLES, ORDERS, 503);
    fixture_stop(f);
    FAKE(fake.kafka_down = false);
    fixture_start(f, "", false);
    ask_only(f, "POST", TABLES, "{\"table\":\"other\",\"columns\":[{\"name\":\"a\",\"type\":\"text\"}]}",
             201);
    a = ask(f, "GET", TABLES "/orders", NULL, 200);
    assert_string_equal(text_of(&a, "state"), "active");
    answer_release(&a);
}

static void test_list_tables(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    define_orders(f);
    ask_only(f, "POST", TABLES, "{\"table\":\"b\",\"columns\":[{\"name\":\"a\",\"type\":\"text\"}]}", 201);
    a = ask(f, "GET", TABLES "?limit=1", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(a.json, "tables")), 1);
    assert_string_equal(text_of(&a, "next"), "b");
    answer_release(&a);
    a = ask(f, "GET", TABLES "?limit=1&cursor=b", NULL, 200);
    assert_contains(a.body, "\"table\":\"orders\"");
    assert_contains(a.body, "\"columns\":2");
    assert_true(json_is_null(json_object_get(a.json, "next")));
    answer_release(&a);
}

static void test_drop(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    define_orders(f);
    a = ask_with(f, "DELETE", TABLES "/orders", "If-Match: \"1-9\"\r\n", NULL);
    assert_int_equal(a.status, 412);
    answer_release(&a);
    a = ask_with(f, "DELETE", TABLES "/orders", "If-Match: \"1-1\"\r\n", NULL);
    assert_int_equal(a.status, 204);
    answer_release(&a);
    assert_contains(fake.message[1].value, "\"dropped\":true");
    ask_only(f, "GET", TABLES "/orders", NULL, 404);
    ask_only(f, "GET", TABLES "/orders/versions/1", NULL, 404);
    ask_only(f, "GET", TABLES "/orders/versions/1?table_id=1", NULL, 200);
    a = ask(f, "POST", TABLES, ORDERS, 201);
    assert_int_equal(number_of(&a, "table_id"), 2);
    answer_release(&a);
}

/* --- uploads --- */

static void test_create_upload(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    define_orders(f);
    a = ask(f, "POST", UPLOADS, UPLOAD_U1, 201);
    assert_string_equal(text_of(&a, "state"), "sending");
    assert_string_equal(text_of(&a, "topic"), "tload.default.raw-input");
    assert_int_equal(number_of(&a, "partitions"), 4);
    assert_int_equal(json_integer_value(json_array_get(json_object_get(a.json, "last_seqs"), 3)), 30);
    assert_contains(a.body, "\"bootstrap.servers\":\"here:9092\"");
    assert_contains(a.body, "\"files\":[\"a.csv\"]");
    answer_release(&a);
    ask_only(f, "POST", UPLOADS, UPLOAD_U1, 409);
    a = ask(f, "POST", UPLOADS, "{\"table\":\"orders\",\"files\":[{\"name\":\"-\"}]}", 201);
    assert_true(tl_upload_id_valid(tl_str(text_of(&a, "upload"))));
    answer_release(&a);
    a = ask(f, "GET", UPLOADS "?table=orders&state=sending", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(a.json, "uploads")), 2);
    answer_release(&a);
    ask_only(f, "POST", UPLOADS, "{\"table\":\"order\",\"files\":[{\"name\":\"-\"}]}", 404);
    ask_only(f, "POST", UPLOADS, "{\"table\":\"orders\",\"files\":[]}", 422);
    ask_only(f, "POST", UPLOADS, "{\"table\":\"orders\",\"files\":[{\"name\":\"-\"}],\"dialect\":\"xml\"}",
             422);
    ask_only(f, "POST", UPLOADS, "{\"upload\":\"../x\",\"table\":\"orders\",\"files\":[{\"name\":\"-\"}]}",
             422);
}

static void test_upload_to_its_end(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    create_upload(f, UPLOAD_U1);
    a = ask(f, "PATCH", UPLOADS "/u1", "{\"rows_read\":50,\"bytes_sent\":500}", 200);
    assert_int_equal(number_of(&a, "rows_read"), 50);
    answer_release(&a);
    fake_progress("u1", 0, 30, 1, 0, 1, 0);
    ask_only(f, "PATCH", UPLOADS "/u1", "{\"state\":\"processing\",\"rows_read\":100,\"bytes_sent\":1000}",
             200);
    fake_progress("u1", 100, 98, 2, 2, 4, 0);
    a = await_state(f, "done_with_errors");
    assert_int_equal(number_of(&a, "rows_applied"), 98);
    assert_int_equal(number_of(&a, "rows_rejected"), 2);
    assert_int_equal(number_of(&a, "rows_read"), 100);
    assert_int_not_equal(strlen(text_of(&a, "finished_at")), 0);
    answer_release(&a);
    /* Whoever comes late with good news is no conflict; who gives up now is. */
    ask_only(f, "PATCH", UPLOADS "/u1", "{\"state\":\"processing\",\"bytes_sent\":1001}", 200);
    ask_only(f, "PATCH", UPLOADS "/u1", "{\"state\":\"failed\"}", 409);
    a = ask(f, "GET", UPLOADS "/u1", NULL, 200);
    assert_int_equal(number_of(&a, "bytes_sent"), 1001);
    answer_release(&a);
}

static void test_sender_gives_up(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    create_upload(f, UPLOAD_U1);
    ask_only(f, "PATCH", UPLOADS "/u1", "{\"state\":\"failed\",\"reason\":\"the file shrank\"}", 200);
    ask_only(f, "PATCH", UPLOADS "/u1", "{\"state\":\"processing\"}", 409);
    fake_progress("u1", 0, 7, 0, 0, 0, 4);
    a = await_state(f, "failed");
    assert_string_equal(text_of(&a, "reason"), "the file shrank");
    assert_int_equal(number_of(&a, "rows_applied"), 7);
    answer_release(&a);
    /* Another pass of the keeper lies behind this, so the message was written. */
    ask_only(f, "POST", TABLES, "{\"table\":\"b\",\"columns\":[{\"name\":\"a\",\"type\":\"text\"}]}", 201);
}

static void test_error_budget(void **state)
{
    struct fixture *f = *state;
    struct answer a;
    bool written = false;

    create_upload(
        f,
        "{\"upload\":\"u1\",\"table\":\"orders\",\"files\":[{\"name\":\"a\"}],\"max_errors\":{\"rows\":2}}");
    fake_progress("u1", 0, 10, 3, 0, 0, 0);
    /* The reason shows that the wish is stored; the next pass of the keeper writes it. */
    for (int64_t deadline = tl_clock_ms() + 10000;;) {
        a = ask(f, "GET", UPLOADS "/u1", NULL, 200);
        if (*text_of(&a, "reason"))
            break;
        assert_true(tl_clock_ms() < deadline);
        answer_release(&a);
    }
    assert_contains(text_of(&a, "reason"), "at most 2 are allowed");
    answer_release(&a);
    ask_only(f, "POST", TABLES, "{\"table\":\"b\",\"columns\":[{\"name\":\"a\",\"type\":\"text\"}]}", 201);
    FAKE(for (size_t i = 0; i < fake.nmessages; i++) {
        const struct fake_message *m = &fake.message[i];

        if (m->type == TL_MSG_CANCEL && strcmp(m->upload, "u1") == 0 && m->partitions == 4)
            written = strstr(m->value, "\"state\":\"aborted\"") != NULL;
    });
    assert_true(written);
    fake_progress("u1", 0, 10, 3, 3, 0, 4);
    a = await_state(f, "aborted");
    answer_release(&a);
}

static void test_restart(void **state)
{
    struct fixture *f = *state;
    struct answer a;
    int64_t change;

    create_upload(f, UPLOAD_U1);
    a = ask(f, "GET", UPLOADS "/u1", NULL, 200);
    change = number_of(&a, "change");
    answer_release(&a);
    fixture_stop(f);
    fixture_start(f, "", false);
    a = ask(f, "GET", UPLOADS "/u1", NULL, 200);
    assert_true(number_of(&a, "change") > change);
    answer_release(&a);
    fake_progress("u1", 1, 1, 0, 0, 4, 0);
    a = await_state(f, "done");
    answer_release(&a);
}

static void test_waiting(void **state)
{
    static const char report[] =
        "{\"role\":\"sink\",\"tenant\":\"default\",\"partition\":2,\"table\":null,\"reason\":%s}";
    struct fixture *f = *state;
    struct answer a;
    char body[200];

    create_upload(f, UPLOAD_U1);
    snprintf(body, sizeof body, report, "\"no room on the disk\"");
    ask_only(f, "POST", "/v1/roles/waiting", body, 204);
    a = ask(f, "GET", "/v1/tenants/default", NULL, 200);
    assert_string_equal(text_of(&a, "waiting"), "no room on the disk");
    answer_release(&a);
    do {
        a = ask(f, "GET", UPLOADS "/u1?wait_ms=1000&seen=0", NULL, 200);
        snprintf(body, sizeof body, "%s", text_of(&a, "waiting"));
        answer_release(&a);
    } while (strcmp(body, "no room on the disk") != 0);
    snprintf(body, sizeof body, report, "null");
    ask_only(f, "POST", "/v1/roles/waiting", body, 204);
    a = ask(f, "GET", "/v1/tenants/default", NULL, 200);
    assert_string_equal(text_of(&a, "waiting"), "");
    answer_release(&a);
    ask_only(f, "POST", "/v1/roles/waiting", "{\"role\":\"sink\",\"tenant\":\"acme\",\"reason\":\"x\"}", 404);
    ask_only(f, "POST", "/v1/roles/waiting", "{\"role\":\"sink\"}", 422);
}

static void test_sink_in_trouble_is_shown(void **state)
{
    struct fixture *f = *state;
    char waiting[100];
    struct answer a;

    FAKE(fake.sink_broken = true);
    create_upload(f, "{\"table\":\"orders\",\"files\":[{\"name\":\"a\"}]}");
    do {
        a = ask(f, "GET", UPLOADS, NULL, 200);
        snprintf(waiting, sizeof waiting, "%s",
                 json_string_value(
                     json_object_get(json_array_get(json_object_get(a.json, "uploads"), 0), "waiting"))
                     ?: "");
        answer_release(&a);
    } while (!*waiting);
    assert_contains(waiting, "does not answer");
}

static void test_rejected_rows(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    create_upload(
        f, "{\"upload\":\"u1\",\"table\":\"orders\",\"files\":[{\"name\":\"a.csv\"}],\"header\":\"id,qty\"}");
    a = ask(f, "GET", UPLOADS "/u1/errors", NULL, 200);
    assert_string_equal(a.body, "");
    answer_release(&a);
    fake.errors =
        "{\"upload\":\"u1\",\"file\":\"a.csv\",\"line\":3,\"column\":\"qty\",\"raw\":\"1,\\\"x\\\"\"}\n"
        "{\"upload\":\"u1\",\"file\":\"a.csv\",\"line\":7,\"raw_base64\":\"MixcgA==\"}\n";
    a = ask(f, "GET", UPLOADS "/u1/errors?limit=1", NULL, 200);
    assert_contains(a.text, "application/x-ndjson");
    assert_int_equal(number_of(&a, "line"), 3);
    answer_release(&a);
    a = ask(f, "GET", UPLOADS "/u1/errors?format=csv", NULL, 200);
    assert_contains(a.text, "text/csv");
    assert_string_equal(a.body, "id,qty\n1,\"x\"\n2,\\\x80\n");
    answer_release(&a);
    ask_only(f, "GET", UPLOADS "/u1/errors?format=xml", NULL, 422);
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
    assert_true(tl_clock_ms() - begun < 10000);
}

#define RUNNING(test)     cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
#define NOT_STARTED(test) cmocka_unit_test_setup_teardown(test, fixture_new, fixture_teardown)

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
        RUNNING(test_define),
        NOT_STARTED(test_define_while_kafka_is_down),
        NOT_STARTED(test_wrong_partitions),
        NOT_STARTED(test_pending_version_is_finished_at_start),
        RUNNING(test_list_tables),
        RUNNING(test_drop),
        RUNNING(test_create_upload),
        RUNNING(test_upload_to_its_end),
        RUNNING(test_sender_gives_up),
        RUNNING(test_error_budget),
        RUNNING(test_restart),
        RUNNING(test_waiting),
        RUNNING(test_sink_in_trouble_is_shown),
        RUNNING(test_rejected_rows),
        RUNNING(test_many_clients),
        RUNNING(test_shutdown_wakes_long_polls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
