/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How the state of an upload follows from what the ledger says. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "coordinatord/control/upload.h"

static struct upload_seen seen(int64_t read, int64_t applied, int64_t rejected, int64_t stored, int ended,
                               int stopped)
{
    struct upload_seen s = {{applied, rejected, read, stored, ended, stopped, ""}, ended + stopped >= 4};

    return s;
}

static void new_upload(struct upload *u)
{
    upload_init(u);
    u->partitions = 4;
}

static enum upload_step observe(struct upload *u, struct upload_seen s)
{
    return upload_observe(u, &s, 42);
}

static void test_counts_never_fall(void **state)
{
    struct upload u;

    (void)state;
    new_upload(&u);
    assert_true(upload_sent(&u, 10, 100));
    assert_false(upload_sent(&u, 5, 50));
    assert_int_equal(observe(&u, seen(0, 20, 3, 0, 0, 0)), UPLOAD_MOVED);
    assert_int_equal(u.rows_read, 23);
    assert_int_equal(observe(&u, seen(0, 10, 3, 0, 0, 0)), UPLOAD_SAME);
    assert_int_equal(u.rows_applied, 20);
}

static void test_done(void **state)
{
    struct upload u;

    (void)state;
    new_upload(&u);
    assert_int_equal(observe(&u, seen(10, 10, 0, 0, 3, 0)), UPLOAD_MOVED);
    assert_int_equal(observe(&u, seen(10, 10, 0, 0, 4, 0)), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_DONE);
    assert_int_equal(u.finished_ms, 42);
    assert_int_equal(observe(&u, seen(11, 11, 0, 0, 4, 0)), UPLOAD_SAME);
}

static void test_done_waits_for_stored_errors(void **state)
{
    struct upload u;

    (void)state;
    new_upload(&u);
    assert_int_equal(observe(&u, seen(10, 8, 2, 1, 4, 0)), UPLOAD_MOVED);
    assert_int_equal(u.state, UPLOAD_SENDING);
    assert_int_equal(observe(&u, seen(10, 8, 2, 2, 4, 0)), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_DONE_WITH_ERRORS);
}

static void test_lost_rows_are_a_failure(void **state)
{
    struct upload u;

    (void)state;
    new_upload(&u);
    assert_int_equal(observe(&u, seen(10, 8, 1, 1, 4, 0)), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_FAILED);
    assert_non_null(strstr(u.reason, "missing"));
}

static void test_budget(void **state)
{
    struct upload u;

    (void)state;
    new_upload(&u);
    u.max_errors_rows = 2;
    assert_int_equal(observe(&u, seen(0, 8, 2, 0, 0, 0)), UPLOAD_MOVED);
    assert_int_equal(observe(&u, seen(0, 8, 3, 0, 0, 0)), UPLOAD_WISHED);
    assert_int_equal(u.wish, UPLOAD_ABORTED);
    assert_int_equal(observe(&u, seen(0, 9, 3, 0, 0, 0)), UPLOAD_MOVED);
    assert_int_equal(observe(&u, seen(0, 9, 3, 3, 0, 4)), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_ABORTED);

    new_upload(&u); /* found out when all is applied already */
    u.max_errors_rows = 0;
    assert_int_equal(observe(&u, seen(5, 4, 1, 1, 4, 0)), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_ABORTED);
}

static void test_budget_in_percent(void **state)
{
    struct upload u;

    (void)state;
    new_upload(&u);
    u.max_errors_percent = 10;
    assert_int_equal(observe(&u, seen(0, 100, 50, 0, 0, 0)), UPLOAD_MOVED); /* too few to tell */
    assert_int_equal(observe(&u, seen(0, 1000, 100, 0, 0, 0)), UPLOAD_MOVED);
    assert_int_equal(observe(&u, seen(0, 1000, 120, 0, 0, 0)), UPLOAD_WISHED);
}

static void test_stopped(void **state)
{
    struct upload u;
    struct upload_seen s;
    struct tl_error err;

    (void)state;
    new_upload(&u);
    assert_true(upload_wish(&u, UPLOAD_FAILED, "the file shrank"));
    assert_false(upload_wish(&u, UPLOAD_ABORTED, "later"));
    assert_int_equal(upload_processing(&u, &err), -1);
    assert_int_equal(observe(&u, seen(0, 5, 0, 0, 1, 2)), UPLOAD_MOVED);
    assert_int_equal(observe(&u, seen(3, 5, 0, 0, 1, 3)), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_FAILED);
    assert_string_equal(u.reason, "the file shrank");

    new_upload(&u); /* nobody wished it: the table went away */
    s = seen(0, 0, 0, 0, 0, 4);
    snprintf(s.progress.reason, sizeof s.progress.reason, "the table was dropped");
    assert_int_equal(observe(&u, s), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_FAILED);
    assert_string_equal(u.reason, "the table was dropped");

    new_upload(&u); /* the wish came too late */
    assert_true(upload_wish(&u, UPLOAD_FAILED, "gave up"));
    assert_int_equal(observe(&u, seen(9, 9, 0, 0, 4, 0)), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_DONE);
    assert_string_equal(u.reason, "");
}

/* Before its first turn nothing of it can be anywhere. */
static void test_not_begun(void **state)
{
    struct tl_error err;
    struct upload u;

    (void)state;
    new_upload(&u);
    assert_false(upload_end_unbegun(&u, 42));
    u.state = UPLOAD_QUEUED;
    assert_int_equal(upload_processing(&u, &err), -1);
    assert_int_equal(err.code, TL_E_CONFLICT);
    u.begun = false;
    assert_false(upload_end_unbegun(&u, 42));
    assert_true(upload_wish(&u, UPLOAD_CANCELLED, "cancelled"));
    assert_true(upload_end_unbegun(&u, 42));
    assert_int_equal(u.state, UPLOAD_CANCELLED);
    assert_int_equal(u.finished_ms, 42);
    assert_false(upload_end_unbegun(&u, 43));

    new_upload(&u); /* one that has sent something goes the long way */
    u.state = UPLOAD_QUEUED;
    assert_true(upload_wish(&u, UPLOAD_CANCELLED, "cancelled"));
    assert_false(upload_end_unbegun(&u, 42));
    assert_int_equal(observe(&u, seen(0, 7, 0, 0, 0, 4)), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_CANCELLED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_never_fall),
        cmocka_unit_test(test_done),
        cmocka_unit_test(test_done_waits_for_stored_errors),
        cmocka_unit_test(test_lost_rows_are_a_failure),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_budget_in_percent),
        cmocka_unit_test(test_stopped),
        cmocka_unit_test(test_not_begun),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
