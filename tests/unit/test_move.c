/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tenants that move from one pretended Kafka to another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/tenants_fixture.h"

#define MOVE TENANTS "/a/move"
#define RAW  "tload.a.raw-input"
#define LATE "{\"upload\":\"u2\",\"table\":\"orders\",\"files\":[{\"name\":\"b\"}]}"

static const char here[] = "here:9092", west[] = "west:9092";

static void to_move(struct fixture *f)
{
    ask_only(f, "POST", CLUSTERS, WEST, 201);
    ask_only(f, "POST", TENANTS, "{\"tenant\":\"a\",\"partitions\":2,\"cluster\":\"default\"}", 201);
    ask_only(f, "POST", TENANTS "/a/tables", ORDERS, 201);
}

static void await_moved(struct fixture *f, int64_t epoch)
{
    await_text(f, TENANTS "/a", "cluster", "west");
    await_text(f, TENANTS "/a", "state", "ready");
    expect_number(f, TENANTS "/a", "epoch", epoch);
    /* It has left when nothing is reserved there any more. */
    await_number(f, CLUSTERS "/default", "reserved", 12);
    assert_int_equal(fake_partitions(here, RAW), 0);
    assert_int_equal(fake_partitions(west, RAW), 2);
}

static void test_nothing_on_its_way(void **state)
{
    struct fixture *f = *state;

    to_move(f);
    expect(f, "POST", MOVE, "{\"cluster\":\"west\"}", 202, "\"tenant\":\"a\"");
    await_moved(f, 2);
    expect_number(f, CLUSTERS "/west", "reserved", 6);
    /* A version goes to where it lives now. */
    ask_only(f, "PATCH", TENANTS "/a/tables/orders", "{\"changes\":[{\"op\":\"drop\",\"column\":\"qty\"}]}",
             200);

    fixture_stop(f);
    fixture_start(f, "", false);
    expect_text(f, TENANTS "/a", "cluster", "west");
    expect_number(f, TENANTS "/a", "epoch", 2);
}

static void test_refused(void **state)
{
    struct fixture *f = *state;

    to_move(f);
    expect(f, "POST", MOVE, "{}", 422, "cluster");
    expect(f, "POST", MOVE, "{\"cluster\":\"east\"}", 422, "no cluster");
    expect(f, "POST", MOVE, "{\"cluster\":\"default\"}", 409, "already");
    ask_only(f, "POST", TENANTS "/b/move", "{\"cluster\":\"west\"}", 404);
    expect(f, "DELETE", MOVE, NULL, 409, "not being moved");
    ask_only(f, "POST", TENANTS, "{\"tenant\":\"b\",\"partitions\":1,\"cluster\":\"west\"}", 201);
    expect(f, "POST", MOVE, "{\"cluster\":\"west\"}", 422, "west has 3 free of 6");
    expect_text(f, TENANTS "/a", "state", "ready");
    expect_number(f, CLUSTERS "/west", "reserved", 3);
}

static void test_waits_for_what_is_on_its_way(void **state)
{
    struct fixture *f = *state;

    to_move(f);
    ask_only(f, "POST", TENANTS "/a/uploads", UPLOAD_U1, 201);
    ask_only(f, "POST", MOVE, "{\"cluster\":\"west\"}", 202);
    await_text(f, TENANTS "/a", "waiting", "upload u1");
    expect_text(f, TENANTS "/a", "cluster", "default");
    expect(f, "POST", TENANTS "/a/uploads", LATE, 201, "being moved to cluster west");
    expect(f, "DELETE", TENANTS "/a", NULL, 409, "being moved");
    expect(f, "DELETE", CLUSTERS "/west", NULL, 409, "a");
    /* It ends, but not all of it is applied. */
    FAKE(fake.pending = "tload.a.import-error");
    fake_progress("u1", 10, 10, 0, 0, 2, 0);
    FAKE(fake.sink_there = true);
    await_text(f, TENANTS "/a", "waiting", "import-error [0] has 1 messages");
    FAKE(fake.pending = NULL);
    await_moved(f, 2);
    expect(f, "PATCH", TENANTS "/a/uploads/u2", "{}", 200, "\"sending\"");
}

#define FILES "\"table\":\"orders\",\"files\":[{\"name\":\"a.csv\",\"bytes\":10,\"fingerprint\":\"f\"}]}"

/* Who can read his files again is not waited for. */
static void test_a_sender_goes_on_there(void **state)
{
    struct fixture *f = *state;

    to_move(f);
    ask_only(f, "POST", TENANTS "/a/uploads", "{\"upload\":\"u1\"," FILES, 201);
    ask_only(f, "POST", MOVE, "{\"cluster\":\"west\"}", 202);
    await_text(f, TENANTS "/a", "waiting", "upload u1");
    expect(f, "PATCH", TENANTS "/a/uploads/u1", "{\"rows_read\":5,\"epoch\":1}", 200, "\"queued\"");
    await_moved(f, 2);
    /* It was sent to where nobody reads any more. */
    expect(f, "PATCH", TENANTS "/a/uploads/u1", "{\"state\":\"processing\",\"epoch\":1}", 200, "\"epoch\":2");
    expect_text(f, TENANTS "/a/uploads/u1", "state", "sending");
    expect(f, "POST", TENANTS "/a/uploads/u1/resume", "{" FILES, 200, "west:9092");
    expect(f, "PATCH", TENANTS "/a/uploads/u1", "{\"state\":\"processing\",\"epoch\":2}", 200,
           "\"processing\"");
}

static void test_a_stream_is_waited_for(void **state)
{
    struct fixture *f = *state;

    to_move(f);
    ask_only(f, "POST", TENANTS "/a/uploads",
             "{\"upload\":\"u1\",\"table\":\"orders\",\"files\":[{\"name\":\"-\"}],\"resumable\":false}",
             201);
    ask_only(f, "POST", MOVE, "{\"cluster\":\"west\"}", 202);
    expect(f, "PATCH", TENANTS "/a/uploads/u1", "{\"rows_read\":5,\"epoch\":1}", 200, "\"sending\"");
    await_text(f, TENANTS "/a", "waiting", "upload u1");
    expect(f, "PATCH", TENANTS "/a/uploads/u1", "{\"state\":\"processing\",\"epoch\":1}", 200,
           "\"processing\"");
    fake_progress("u1", 5, 5, 0, 0, 2, 0);
    FAKE(fake.sink_there = true);
    await_moved(f, 2);
}

static void test_waits_for_who_reads_an_earlier_life(void **state)
{
    struct fixture *f = *state;

    to_move(f);
    FAKE(fake.still_read = true);
    ask_only(f, "POST", MOVE, "{\"cluster\":\"west\"}", 202);
    await_text(f, TENANTS "/a", "waiting", RAW " is still read");
    expect_text(f, TENANTS "/a", "cluster", "default");
    FAKE(fake.still_read = false);
    await_moved(f, 2);
}

static void test_taken_back(void **state)
{
    struct fixture *f = *state;

    to_move(f);
    ask_only(f, "POST", TENANTS "/a/uploads", UPLOAD_U1, 201);
    ask_only(f, "POST", MOVE, "{\"cluster\":\"west\"}", 202);
    await_text(f, TENANTS "/a", "waiting", "upload u1");
    assert_int_equal(fake_partitions(west, RAW), 2);
    ask_only(f, "DELETE", MOVE, NULL, 200);
    await_number(f, CLUSTERS "/west", "reserved", 0);
    assert_int_equal(fake_partitions(west, RAW), 0);
    expect_text(f, TENANTS "/a", "cluster", "default");
    expect_number(f, TENANTS "/a", "epoch", 1);
    ask_only(f, "POST", TENANTS "/a/uploads", LATE, 201);
}

static void test_crash(void **state)
{
    static const char *const steps[] = {"control.after_commit", "move.before_topics", "move.after_topics",
                                        "move.before_switch",   "move.after_switch",  "move.before_cleared"};
    struct fixture *f = *state;

    to_move(f);
    for (size_t i = 0; i < TL_ARRAY_LEN(steps); i++) {
        crash(f, steps[i], "POST", MOVE, "{\"cluster\":\"west\"}");
        await_moved(f, 2 * (int64_t)i + 2);
        ask_only(f, "POST", MOVE, "{\"cluster\":\"default\"}", 202);
        await_text(f, TENANTS "/a", "cluster", "default");
        await_number(f, CLUSTERS "/west", "reserved", 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_on_its_way, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_refused, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_waits_for_what_is_on_its_way, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_sender_goes_on_there, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_a_stream_is_waited_for, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_waits_for_who_reads_an_earlier_life, fixture_setup,
                                        fixture_teardown),
        cmocka_unit_test_setup_teardown(test_taken_back, fixture_setup, fixture_teardown),
        cmocka_unit_test_setup_teardown(test_crash, fixture_setup, fixture_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
