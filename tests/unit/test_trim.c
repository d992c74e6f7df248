/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What may be trimmed, and when what waits is in danger. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "coordinatord/control/trim.h"

static void test_raw_needed(void **state)
{
    const struct broker_pending none = {.first = 3, .since_ms = -1, .raw_offset = -1};
    const struct broker_pending behind = {.records = 2, .raw_offset = 70};
    const struct broker_pending ahead = {.records = 2, .raw_offset = 130};
    const struct broker_pending unknown = {.records = 1, .raw_offset = -1};

    (void)state;
    assert_true(trim_raw_needed(100, &none) == 100);
    assert_true(trim_raw_needed(100, &behind) == 70);
    assert_true(trim_raw_needed(100, &ahead) == 100);
    assert_true(trim_raw_needed(100, &unknown) == -1);
    assert_true(trim_raw_needed(-1, &none) == -1);
    assert_true(trim_raw_needed(-1, &behind) == -1);
}

/* The alarm's text, or "" for none; `next` is 50, and it is 1,000,000 ms o'clock. */
static const char *alarm(int64_t first, int64_t records, int64_t since, int64_t ms, int64_t bytes)
{
    static char why[300];
    const struct broker_pending pending = {.first = first, .records = records, .since_ms = since};
    const struct tl_topic_limits limits = {.retention_ms = ms, .retention_bytes = bytes};

    return trim_alarm("t", 2, 50, &pending, &limits, 1000000, why, sizeof why) ? why : "";
}

static void test_alarm(void **state)
{
    (void)state;
    assert_string_equal(alarm(0, 0, -1, 1000, 0), "");
    assert_string_equal(alarm(50, 9, 0, -1, -1), "");
    assert_non_null(strstr(alarm(51, 0, -1, -1, -1), "t [2]: records @50 to @50 were deleted"));
    assert_string_equal(alarm(50, 1, 750001, 1000000, -1), "");
    assert_non_null(strstr(alarm(50, 1, 750000, 1000000, -1), "retention.ms=1000000"));
    assert_string_equal(alarm(50, 1, -1, 1000000, -1), "");
    assert_string_equal(alarm(50, 9, 0, -1, (int64_t)40 * TL_BATCH_ROWS_MAX_BYTES), "");
    assert_non_null(strstr(alarm(50, 10, 0, -1, (int64_t)40 * TL_BATCH_ROWS_MAX_BYTES), "retention.bytes="));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_raw_needed),
        cmocka_unit_test(test_alarm),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
