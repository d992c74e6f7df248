/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables, uploads and roles as the API has them, over a Kafka and a sink that are pretended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/control_fixture.h"

static struct fake_message fake_message(size_t i)
{
    struct fake_message m;

    FAKE(m = fake.message[i]);
    return m;
}

/* --- tables --- */

static void test_define(void **state)
{
    struct fixture *f = *state;
    struct answer a = ask(f, "POST", TABLES, ORDERS, 201);
    int64_t id = number_of(&a, "table_id");
    char text[120];

    assert_true(id > 1);
    snprintf(text, sizeof text, "ETag: \"%lld-1\"\r\n", (long long)id);
    assert_contains(a.text, text);
    assert_string_equal(text_of(&a, "state"), "active");
    assert_int_equal(number_of(&a, "version"), 1);
    answer_release(&a);
    assert_int_equal(fake_written(), 1);
    assert_int_equal(fake_message(0).type, TL_MSG_SCHEMA);
    assert_int_equal(fake_message(0).partitions, 4);
    assert_string_equal(fake_message(0).topic, "tload.default.raw-input");
    assert_contains(fake_message(0).value, "\"table\":\"orders\"");

    ask_only(f, "POST", TABLES, ORDERS, 200);
    ask_only(f, "POST", TABLES, "{\"table\":\"orders\",\"columns\":[{\"name\":\"id\",\"type\":\"text\"}]}",
             409);
    assert_int_equal(fake_written(), 1);

    snprintf(text, sizeof text, "If-None-Match: \"%lld-1\"\r\n", (long long)id);
    a = ask_with(f, "GET", TABLES "/ORDERS", text, NULL);
    assert_int_equal(a.status, 304);
    answer_release(&a);
    a = ask(f, "GET", TABLES "/ordrs", NULL, 404);
    assert_contains(text_of(&a, "detail"), "did you mean \"orders\"");
    answer_release(&a);
    snprintf(text, sizeof text, TABLES "/orders/versions/1?table_id=%lld", (long long)id);
    a = ask(f, "GET", text, NULL, 200);
    assert_null(json_object_get(a.json, "state"));
    assert_int_equal(number_of(&a, "table_id"), id);
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
    char text[120];
    int64_t id;

    define_orders(f);
    a = ask(f, "GET", TABLES "/orders", NULL, 200);
    id = number_of(&a, "table_id");
    answer_release(&a);
    a = ask_with(f, "DELETE", TABLES "/orders", "If-Match: \"1-9\"\r\n", NULL);
    assert_int_equal(a.status, 412);
    answer_release(&a);
    snprintf(text, sizeof text, "If-Match: \"%lld-1\"\r\n", (long long)id);
    a = ask_with(f, "DELETE", TABLES "/orders", text, NULL);
    assert_int_equal(a.status, 204);
    answer_release(&a);
    assert_contains(fake_message(1).value, "\"dropped\":true");
    ask_only(f, "GET", TABLES "/orders", NULL, 404);
    ask_only(f, "GET", TABLES "/orders/versions/1", NULL, 404);
    snprintf(text, sizeof text, TABLES "/orders/versions/1?table_id=%lld", (long long)id);
    ask_only(f, "GET", text, NULL, 200);
    a = ask(f, "POST", TABLES, ORDERS, 201);
    assert_int_equal(number_of(&a, "table_id"), id + 1);
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
    for (int64_t deadline = tl_clock_ms() + AWAIT_MS;;) {
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

static void report_table(struct fixture *f, const char *table, const char *reason)
{
    char body[200];

    snprintf(body, sizeof body, "{\"role\":\"sink\",\"tenant\":\"default\",\"table\":\"%s\",\"reason\":%s}",
             table, reason);
    ask_only(f, "POST", "/v1/roles/waiting", body, 204);
}

static void await_waiting(struct fixture *f, const char *due)
{
    char waiting[200];

    do {
        struct answer a = ask(f, "GET", UPLOADS "/u1?wait_ms=100&seen=0", NULL, 200);

        snprintf(waiting, sizeof waiting, "%s", text_of(&a, "waiting"));
        answer_release(&a);
    } while (strcmp(waiting, due) != 0);
}

/* Two tables wait, each for its own reason; the upload is into one of them. */
static void test_waiting_for_a_table(void **state)
{
    struct fixture *f = *state;

    create_upload(f, UPLOAD_U1);
    report_table(f, "another", "\"another is locked\"");
    report_table(f, "orders", "\"orders is locked\"");
    await_waiting(f, "orders is locked");
    report_table(f, "another", "\"another is still locked\"");
    report_table(f, "orders", "\"orders is still locked\"");
    await_waiting(f, "orders is still locked");
    report_table(f, "orders", "null");
    await_waiting(f, "");
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
    FAKE(fake.errors =
             "{\"upload\":\"u1\",\"file\":\"a.csv\",\"line\":3,\"column\":\"qty\",\"raw\":\"1,\\\"x\\\"\"}\n"
             "{\"upload\":\"u1\",\"file\":\"a.csv\",\"line\":7,\"raw_base64\":\"MixcgA==\"}\n");
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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
        RUNNING(test_waiting_for_a_table),
        RUNNING(test_sink_in_trouble_is_shown),
        RUNNING(test_rejected_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
