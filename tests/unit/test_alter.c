/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Changes of tables as the API has them, over a Kafka that is pretended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "tests/unit/control_fixture.h"

#define ORDERS_PATH   TABLES "/orders"
#define RENAME        "{\"op\":\"rename\",\"column\":\"qty\",\"to\":\"n\"}"
#define ADD(name)     "{\"op\":\"add\",\"column\":{\"name\":\"" name "\",\"type\":\"int\"}}"
#define CHANGES(list) "{\"changes\":[" list "]}"

static void await_written(size_t n)
{
    for (int64_t until = tl_clock_ms() + AWAIT_MS; fake_written() < n;) {
        assert_true(tl_clock_ms() < until);
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    }
}

static void test_next_version(void **state)
{
    struct fixture *f = *state;
    struct answer a;
    int64_t id;
    char text[80];

    define_orders(f);
    a = ask(f, "PATCH", ORDERS_PATH, CHANGES(RENAME "," ADD("x")), 200);
    id = number_of(&a, "table_id");
    assert_int_equal(number_of(&a, "version"), 2);
    assert_int_equal(json_array_size(json_object_get(a.json, "changes")), 2);
    snprintf(text, sizeof text, "ETag: \"%lld-2\"\r\n", (long long)id);
    assert_contains(a.text, text);
    answer_release(&a);
    assert_int_equal(fake_written(), 2);
    FAKE(assert_int_equal(fake.message[1].version, 2);
         assert_contains(fake.message[1].value, "{\"id\":2,\"name\":\"n\""));
    a = ask(f, "GET", ORDERS_PATH, NULL, 200);
    assert_int_equal(number_of(&a, "version"), 2);
    assert_null(json_object_get(a.json, "pending"));
    assert_contains(text_of(&a, "changed_by"), "uid:");
    answer_release(&a);
}

static void test_refused(void **state)
{
    static const struct {
        const char *body;
        int status;
        const char *part;
    } cases[] = {
        {CHANGES("{\"op\":\"drop\",\"column\":\"id\"}"), 422, "in the key"},
        {CHANGES(RENAME ",{\"op\":\"drop\",\"column\":\"id\"}"), 422, "in the key"},
        {"{}", 422, "list of changes"},
        {"{\"changes\":[],\"force\":true}", 422, "unknown member \"force\""},
        {"{\"changes\":[" RENAME "],\"if_version\":2}", 409, "at version 1, not 2"},
        {"{\"changes\":[" RENAME "],\"if_version\":\"1\"}", 422, "if_version"},
    };
    struct fixture *f = *state;
    struct answer a;

    define_orders(f);
    for (size_t i = 0; i < TL_ARRAY_LEN(cases); i++) {
        a = ask(f, "PATCH", ORDERS_PATH, cases[i].body, cases[i].status);
        assert_contains(a.text, "application/problem+json");
        assert_contains(text_of(&a, "detail"), cases[i].part);
        answer_release(&a);
    }
    ask_only(f, "PATCH", TABLES "/ordrs", CHANGES(RENAME), 404);
    a = ask_with(f, "PATCH", ORDERS_PATH, "If-Match: \"1-1\"\r\n", CHANGES(RENAME));
    assert_int_equal(a.status, 412);
    answer_release(&a);
    assert_int_equal(fake_written(), 1);
}

/* Kafka is away: stored, shown, and the same request again is not another change. */
static void test_pending(void **state)
{
    struct fixture *f = *state;
    struct answer a;
    json_t *pending;

    define_orders(f);
    FAKE(fake.kafka_down = true);
    a = ask(f, "PATCH", ORDERS_PATH, CHANGES(RENAME), 503);
    assert_contains(text_of(&a, "detail"), "as soon as possible");
    answer_release(&a);
    a = ask(f, "PATCH", ORDERS_PATH, CHANGES(ADD("x")), 503);
    assert_contains(text_of(&a, "detail"), "another change");
    answer_release(&a);
    a = ask(f, "GET", ORDERS_PATH, NULL, 200);
    assert_int_equal(number_of(&a, "version"), 1);
    pending = json_object_get(a.json, "pending");
    assert_int_equal(json_integer_value(json_object_get(pending, "version")), 2);
    assert_string_equal(json_string_value(json_object_get(pending, "state")), "pending");
    assert_int_equal(json_array_size(json_object_get(pending, "changes")), 1);
    answer_release(&a);
    ask_only(f, "GET", ORDERS_PATH "/versions/2", NULL, 404);

    /* After a restart, too; and it is finished when Kafka is there. */
    fixture_stop(f);
    fixture_start(f, "", false);
    FAKE(fake.kafka_down = false);
    a = ask(f, "PATCH", ORDERS_PATH, CHANGES(ADD("x")), 200);
    assert_int_equal(number_of(&a, "version"), 3);
    answer_release(&a);
    assert_int_equal(fake_written(), 3);
    ask_only(f, "PATCH", ORDERS_PATH, CHANGES(RENAME), 422);
}

static void test_versions(void **state)
{
    struct fixture *f = *state;
    struct answer a;
    json_t *list;

    define_orders(f);
    ask_only(f, "PATCH", ORDERS_PATH, CHANGES(RENAME), 200);
    ask_only(f, "PATCH", ORDERS_PATH, CHANGES(ADD("x")), 200);
    a = ask(f, "GET", ORDERS_PATH "/versions?limit=2", NULL, 200);
    list = json_object_get(a.json, "versions");
    assert_int_equal(json_array_size(list), 2);
    assert_int_equal(json_array_size(json_object_get(json_array_get(list, 0), "changes")), 0);
    assert_int_equal(json_array_size(json_object_get(json_array_get(list, 1), "changes")), 1);
    assert_string_equal(text_of(&a, "next"), "2");
    answer_release(&a);
    a = ask(f, "GET", ORDERS_PATH "/versions?cursor=2", NULL, 200);
    list = json_object_get(a.json, "versions");
    assert_int_equal(json_array_size(list), 1);
    assert_contains(a.body, "\"op\":\"add\"");
    assert_true(json_is_null(json_object_get(a.json, "next")));
    answer_release(&a);
    ask_only(f, "GET", ORDERS_PATH "/versions?cursor=x", NULL, 422);
}

static void test_dry_run(void **state)
{
    struct fixture *f = *state;
    struct answer a;
    json_t *upload;

    create_upload(f, UPLOAD_U1);
    a = ask(f, "PATCH", ORDERS_PATH, "{\"changes\":[" RENAME "],\"dry_run\":true}", 200);
    assert_int_equal(number_of(&a, "version"), 2);
    assert_true(json_is_true(json_object_get(a.json, "dry_run")));
    assert_int_equal(number_of(&a, "uploads_under_way"), 1);
    upload = json_array_get(json_object_get(a.json, "uploads"), 0);
    assert_string_equal(json_string_value(json_object_get(upload, "upload")), "u1");
    assert_int_equal(json_array_size(json_object_get(upload, "changes")), 1);
    answer_release(&a);
    ask_only(f, "PATCH", ORDERS_PATH, "{\"changes\":[" RENAME "," RENAME "],\"dry_run\":true}", 422);
    a = ask(f, "GET", ORDERS_PATH, NULL, 200);
    assert_int_equal(number_of(&a, "version"), 1);
    answer_release(&a);
    assert_int_equal(fake_written(), 1);
}

/* Its uploads are told to stop, in every partition. */
static void test_drop_stops_uploads(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    create_upload(f, UPLOAD_U1);
    ask_only(f, "DELETE", ORDERS_PATH, NULL, 204);
    await_written(3);
    fake_progress("u1", 0, 0, 0, 0, 0, 4);
    a = await_state(f, "failed");
    assert_string_equal(text_of(&a, "reason"), "table \"orders\" was dropped");
    answer_release(&a);
    assert_int_equal(fake_written(), 3);
    FAKE(assert_int_equal(fake.message[2].type, TL_MSG_CANCEL);
         assert_string_equal(fake.message[2].upload, "u1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_next_version), RUNNING(test_refused), RUNNING(test_pending),
        RUNNING(test_versions),     RUNNING(test_dry_run), RUNNING(test_drop_stops_uploads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
