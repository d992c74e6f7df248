/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who of a tenant may send, and how fast; and that one tenant's sink keeps only its own uploads waiting. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coordinatord/control/control_impl.h"
#include "tests/unit/control_fixture.h"

#define FILES "\"files\":[{\"name\":\"a.csv\",\"bytes\":10,\"fingerprint\":\"x\"}]"

static void limit(struct fixture *f, int uploads, int bytes)
{
    char body[100];

    snprintf(body, sizeof body, "{\"max_uploads\":%d,\"max_bytes_per_second\":%d}", uploads, bytes);
    ask_only(f, "PATCH", "/v1/tenants/default", body, 200);
}

static struct answer make(struct fixture *f, const char *id)
{
    char body[200];

    snprintf(body, sizeof body, "{\"upload\":\"%s\",\"table\":\"orders\"," FILES "}", id);
    return ask(f, "POST", UPLOADS, body, 201);
}

static void make_only(struct fixture *f, const char *id)
{
    struct answer a = make(f, id);

    answer_release(&a);
}

static struct answer patch(struct fixture *f, const char *id, const char *body)
{
    char path[100];

    snprintf(path, sizeof path, UPLOADS "/%s", id);
    return ask(f, "PATCH", path, body, 200);
}

/* The client says that it is there, or more; *state is what the upload is then. */
static void tell(struct fixture *f, const char *id, const char *body, const char *state)
{
    struct answer a = patch(f, id, body);

    if (strcmp(text_of(&a, "state"), state) != 0)
        fail_msg("%s is not %s: %s", id, state, a.body);
    answer_release(&a);
}

static struct answer get(struct fixture *f, const char *id)
{
    char path[100];

    snprintf(path, sizeof path, UPLOADS "/%s", id);
    return ask(f, "GET", path, NULL, 200);
}

static void assert_is(struct fixture *f, const char *id, const char *state, const char *waiting)
{
    struct answer a = get(f, id);

    if (strcmp(text_of(&a, "state"), state) != 0 || !strstr(text_of(&a, "waiting"), waiting))
        fail_msg("%s is not %s, %s: %s", id, state, waiting, a.body);
    answer_release(&a);
}

/* Nothing has been heard from its client for so long. */
static void age(struct fixture *f, const char *id, int ms)
{
    struct live *l;

    control_lock(f->control);
    l = live_find(f->control, "default", id);
    l->heard_ms -= ms;
    if (l->let_in_ms)
        l->let_in_ms -= ms;
    control_unlock(f->control);
}

static struct answer resume(struct fixture *f, const char *id)
{
    char path[100];

    snprintf(path, sizeof path, UPLOADS "/%s/resume", id);
    return ask(f, "POST", path, "{\"table\":\"orders\"," FILES "}", 200);
}

static bool has_session(const struct answer *a)
{
    return json_object_get(a->json, "topic") && json_object_get(a->json, "last_seqs");
}

/* After a start all that are there have had the time to say so. */
static void settled(struct fixture *f)
{
    struct tl_error err;

    control_lock(f->control);
    tenant_find(f->control, "default", &err)->turns_from = 0;
    control_unlock(f->control);
}

static void begin(struct fixture *f, int uploads)
{
    define_orders(f);
    limit(f, uploads, 0);
}

static void test_over_the_limit(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    begin(f, 2);
    make_only(f, "u1");
    a = make(f, "u2");
    assert_true(has_session(&a));
    answer_release(&a);
    a = make(f, "u3");
    assert_string_equal(text_of(&a, "state"), "queued");
    assert_false(has_session(&a));
    assert_string_equal(text_of(&a, "waiting"),
                        "queued: 2 uploads of tenant default are sending, its limit is 2; 0 are before it");
    answer_release(&a);
    make_only(f, "u4");
    assert_is(f, "u4", "queued", "1 are before it");
    a = ask(f, "GET", UPLOADS "?state=queued", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(a.json, "uploads")), 2);
    answer_release(&a);
    ask_only(f, "PATCH", UPLOADS "/u3", "{\"state\":\"processing\"}", 409);

    tell(f, "u1", "{\"state\":\"processing\"}", "processing");
    assert_is(f, "u3", "sending", "");
    assert_is(f, "u4", "queued", "0 are before it");
    a = resume(f, "u3");
    assert_true(has_session(&a));
    answer_release(&a);
    a = resume(f, "u4");
    assert_string_equal(text_of(&a, "state"), "queued");
    assert_false(has_session(&a));
    answer_release(&a);

    limit(f, 3, 0);
    assert_is(f, "u4", "sending", "");
}

/* The same request again, as a client does that has no files to resume with. */
static void test_made_again(void **state)
{
    static const char body[] = "{\"upload\":\"u2\",\"table\":\"orders\",\"resumable\":false," FILES
                               ",\"options\":{\"attempt\":\"1\"}}";
    struct fixture *f = *state;
    struct answer a;

    begin(f, 1);
    make_only(f, "u1");
    a = ask(f, "POST", UPLOADS, body, 201);
    assert_false(has_session(&a));
    answer_release(&a);
    tell(f, "u1", "{\"state\":\"processing\"}", "processing");
    a = ask(f, "POST", UPLOADS, body, 201);
    assert_true(has_session(&a));
    answer_release(&a);
}

static void test_absent_one_is_passed_by(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    make_only(f, "u1");
    make_only(f, "u2");
    make_only(f, "u3");
    age(f, "u2", 10000);
    tell(f, "u1", "{\"state\":\"processing\"}", "processing");
    assert_is(f, "u3", "sending", "");
    assert_is(f, "u2", "queued", "nothing heard");
    make_only(f, "u4");
    tell(f, "u2", "{}", "queued");
    tell(f, "u3", "{\"state\":\"processing\"}", "processing");
    assert_is(f, "u2", "sending", "");
    assert_is(f, "u4", "queued", "0 are before it");
}

static void test_let_in_one_does_not_come(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    make_only(f, "u1");
    make_only(f, "u2");
    make_only(f, "u3");
    tell(f, "u1", "{\"state\":\"processing\"}", "processing");
    assert_is(f, "u2", "sending", "");
    age(f, "u2", 10000);
    tell(f, "u3", "{}", "sending");
    assert_is(f, "u2", "queued", "nothing heard");
    /* One that has come keeps its turn. */
    tell(f, "u3", "{}", "sending");
    age(f, "u3", 10000);
    tell(f, "u2", "{}", "queued");
    assert_is(f, "u3", "sending", "");
}

static void test_silent_sender(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    make_only(f, "u1");
    make_only(f, "u2");
    age(f, "u1", SENDER_SILENT_MS + 1000);
    tell(f, "u2", "{}", "sending");
    tell(f, "u2", "{}", "sending");
    /* It comes back behind all others. */
    make_only(f, "u3");
    tell(f, "u1", "{\"rows_read\":5}", "queued");
    assert_is(f, "u1", "queued", "1 are before it");
    tell(f, "u2", "{\"state\":\"processing\"}", "processing");
    assert_is(f, "u3", "sending", "");
    tell(f, "u3", "{\"state\":\"processing\"}", "processing");
    assert_is(f, "u1", "sending", "");
}

static void test_resume_counts_like_a_new_one(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    begin(f, 1);
    make_only(f, "u1");
    a = resume(f, "u1");
    assert_true(has_session(&a));
    answer_release(&a);
    age(f, "u1", SENDER_SILENT_MS + 1000);
    make_only(f, "u2");
    assert_is(f, "u2", "sending", "");
    a = resume(f, "u1");
    assert_string_equal(text_of(&a, "state"), "queued");
    assert_false(has_session(&a));
    answer_release(&a);
}

static size_t cancels(void)
{
    size_t n = 0;

    FAKE(for (size_t i = 0; i < fake.nmessages; i++) n += fake.message[i].type == TL_MSG_CANCEL);
    return n;
}

static void test_cancel_and_drop(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    make_only(f, "u1");
    make_only(f, "u2");
    make_only(f, "u3");
    tell(f, "u2", "{\"state\":\"cancelled\"}", "cancelled");
    assert_is(f, "u2", "cancelled", "");
    assert_is(f, "u3", "queued", "0 are before it");
    assert_int_equal(cancels(), 0);
    ask_only(f, "DELETE", TABLES "/orders", NULL, 204);
    assert_is(f, "u3", "failed", "");
}

/* One that has sent something ends as any other does: by what is in every partition. */
static void test_cancel_of_one_that_sent(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    make_only(f, "u1");
    age(f, "u1", SENDER_SILENT_MS + 1000);
    make_only(f, "u2");
    tell(f, "u1", "{}", "queued");
    tell(f, "u1", "{\"state\":\"cancelled\"}", "queued");
    fake_progress("u1", 0, 7, 0, 0, 0, 4);
    fixture_stop(f);
    fixture_start(f, "", false);
    for (int64_t deadline = tl_clock_ms() + AWAIT_MS;;) {
        struct answer a = get(f, "u1");
        bool is = strcmp(text_of(&a, "state"), "cancelled") == 0;

        answer_release(&a);
        if (is)
            break;
        assert_true(tl_clock_ms() < deadline);
    }
}

static void test_restart_keeps_the_order(void **state)
{
    struct fixture *f = *state;

    begin(f, 1);
    make_only(f, "u1");
    make_only(f, "u2");
    make_only(f, "u3");
    make_only(f, "u4");
    fixture_stop(f);
    fixture_start(f, "", false);
    tell(f, "u1", "{\"state\":\"processing\"}", "processing");
    /* u2 is gone; that u4 speaks first does not make it the first. */
    tell(f, "u4", "{}", "queued");
    make_only(f, "u5");
    tell(f, "u3", "{}", "queued");
    settled(f);
    tell(f, "u4", "{}", "queued");
    assert_is(f, "u3", "sending", "");
    assert_is(f, "u5", "queued", "1 are before it");
}

static int64_t share(struct fixture *f, const char *id)
{
    struct answer a = get(f, id);
    int64_t n = number_of(&a, "bytes_per_second");

    answer_release(&a);
    return n;
}

static void test_share(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    begin(f, 2);
    limit(f, 2, 101);
    make_only(f, "u1");
    assert_int_equal(share(f, "u1"), 101);
    a = make(f, "u2");
    assert_int_equal(number_of(&a, "bytes_per_second"), 50);
    answer_release(&a);
    make_only(f, "u3");
    a = get(f, "u3");
    assert_true(json_is_null(json_object_get(a.json, "bytes_per_second")));
    answer_release(&a);
    a = patch(f, "u1", "{\"rows_read\":1}");
    assert_int_equal(number_of(&a, "bytes_per_second"), 50);
    answer_release(&a);
    age(f, "u2", SENDER_SILENT_MS + 1000);
    assert_int_equal(share(f, "u1"), 101);
    assert_int_equal(share(f, "u2"), 0);
    limit(f, 2, 0);
    assert_int_equal(share(f, "u1"), 0);
}

/* --- one tenant's sink and another's --- */

static int start_with_two(void **state)
{
    if (fixture_setup(state) < 0)
        return -1;
    ask_only(*state, "POST", "/v1/tenants", "{\"tenant\":\"other\"}", 201);
    return 0;
}

#define TWO_TENANTS(test) cmocka_unit_test_setup_teardown(test, start_with_two, fixture_teardown)
#define OTHER             "/v1/tenants/other"

static void test_a_sink_that_hangs(void **state)
{
    struct fixture *f = *state;
    struct answer a;
    bool known;

    define_orders(f);
    ask_only(f, "POST", OTHER "/tables", ORDERS, 201);
    FAKE(fake.hangs = "other");
    /* Without an id, as nothing is to be asked of the sink for it. */
    ask_only(f, "POST", OTHER "/uploads", "{\"table\":\"orders\"," FILES "}", 201);
    /* Once it has begun to wait for that sink. */
    do
        FAKE(known = fake.hanging > 0);
    while (!known);
    make_only(f, "u1");
    fake_progress("u1", 1, 1, 0, 0, 4, 0);
    a = await_state(f, "done");
    answer_release(&a);
    a = ask(f, "GET", OTHER "/uploads?state=sending", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(a.json, "uploads")), 1);
    answer_release(&a);
    FAKE(fake.hangs = NULL);
}

/* After a start it is not known what its ledger says; who asks for another tenant's uploads does not wait for it. */
static void test_a_sink_that_hangs_from_the_start(void **state)
{
    struct fixture *f = *state;
    int64_t began;

    define_orders(f);
    ask_only(f, "POST", OTHER "/tables", ORDERS, 201);
    make_only(f, "u1");
    ask_only(f, "POST", OTHER "/uploads", "{\"table\":\"orders\"," FILES "}", 201);
    fixture_stop(f);
    FAKE(fake.hangs = "other");
    fixture_start(f, "", false);
    began = tl_clock_ms();
    assert_is(f, "u1", "sending", "");
    assert_true(tl_clock_ms() - began < 2000);
    FAKE(fake.hangs = NULL);
}

/* A tenant that has many versions to be written is as far after a round as one that has a single one. */
static void test_versions_by_turns(void **state)
{
    enum { MANY = 12 };
    struct fixture *f = *state;
    size_t before, written = 0, other = 0;
    char body[200];

    FAKE(before = fake.nmessages; fake.kafka_down = true);
    for (int i = 0; i < MANY; i++) {
        snprintf(body, sizeof body, "{\"table\":\"t%d\",\"columns\":[{\"name\":\"a\",\"type\":\"text\"}]}",
                 i);
        ask_only(f, "POST", TABLES, body, 503);
    }
    ask_only(f, "POST", OTHER "/tables", ORDERS, 503);
    assert_int_equal(before, 0);
    FAKE(fake.kafka_down = false);
    for (int64_t deadline = tl_clock_ms() + AWAIT_MS; written <= MANY; assert_true(tl_clock_ms() < deadline))
        FAKE(written = fake.nmessages);
    FAKE(while (strcmp(fake.message[other].topic, "tload.other.raw-input") != 0) other++);
    assert_true(other <= 1);
    assert_int_equal(written, MANY + 1);
    /* More than a pass has rounds for: the next one came at once. */
    for (int i = 0; i < MANY; i++) {
        struct answer a;

        snprintf(body, sizeof body, TABLES "/t%d", i);
        do {
            a = ask(f, "GET", body, NULL, 200);
            written = strcmp(text_of(&a, "state"), "active") == 0;
            answer_release(&a);
        } while (!written);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_over_the_limit),
        RUNNING(test_made_again),
        RUNNING(test_absent_one_is_passed_by),
        RUNNING(test_let_in_one_does_not_come),
        RUNNING(test_silent_sender),
        RUNNING(test_resume_counts_like_a_new_one),
        RUNNING(test_cancel_and_drop),
        RUNNING(test_cancel_of_one_that_sent),
        RUNNING(test_restart_keeps_the_order),
        RUNNING(test_share),
        TWO_TENANTS(test_versions_by_turns),
        TWO_TENANTS(test_a_sink_that_hangs),
        TWO_TENANTS(test_a_sink_that_hangs_from_the_start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
