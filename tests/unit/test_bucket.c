/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cli/upload/bucket.h"

enum { SECOND = 1000000, MB = 1000000 };

/* How many bytes go in so long, in pieces of this size, each as soon as it may. */
static int64_t sent_within(struct bucket *b, int64_t *now, int64_t us, int64_t piece)
{
    int64_t end = *now + us, sent = 0;

    for (;;) {
        *now += bucket_wait_ms(b, *now) * 1000;
        if (*now >= end)
            return sent;
        assert_int_equal(bucket_wait_ms(b, *now), 0);
        bucket_take(b, piece, *now);
        sent += piece;
    }
}

static void test_no_limit(void **state)
{
    struct bucket b = {0};

    (void)state;
    bucket_set(&b, 0, 5);
    bucket_take(&b, INT64_MAX / 2, 5);
    assert_int_equal(bucket_wait_ms(&b, 6), 0);
}

static void test_rate(void **state)
{
    static const int64_t pieces[] = {1, 1000, MB, 30 * MB};

    (void)state;
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        struct bucket b = {0};
        int64_t now = 77, sent;

        bucket_set(&b, 5 * MB, now);
        sent = sent_within(&b, &now, (int64_t)10 * SECOND, pieces[i]);
        /* Something may go at once; then each waits for those before it. */
        assert_in_range(sent, 50 * MB - 5 * MB / 4 - 1, 50 * MB + pieces[i] + 5 * MB / 4);
    }
}

static void test_no_burst_after_a_rest(void **state)
{
    struct bucket b = {0};
    int64_t now = 1;

    (void)state;
    bucket_set(&b, MB, now);
    now += (int64_t)3600 * SECOND;
    assert_true(sent_within(&b, &now, 1000, 1000) <= MB / 4 + 2000);
}

/* Asked much more often than a byte is due. */
static void test_slow(void **state)
{
    struct bucket b = {0};
    int64_t now = 0;

    (void)state;
    bucket_set(&b, 3, now);
    bucket_take(&b, 9, now);
    for (now = 0; bucket_wait_ms(&b, now) > 0; now += 100)
        assert_true(now < 4 * SECOND);
    assert_true(now > 2 * SECOND);
}

static void test_other_rate(void **state)
{
    struct bucket b = {0};
    int64_t now = 1;

    (void)state;
    bucket_set(&b, MB, now);
    bucket_take(&b, 10 * MB, now);
    assert_in_range(bucket_wait_ms(&b, now), 10000, 10001);
    bucket_set(&b, 10 * MB, now);
    assert_in_range(bucket_wait_ms(&b, now), 1000, 1001);
    bucket_set(&b, 0, now);
    assert_int_equal(bucket_wait_ms(&b, now), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_limit),
        cmocka_unit_test(test_rate),
        cmocka_unit_test(test_no_burst_after_a_rest),
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_other_rate),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
