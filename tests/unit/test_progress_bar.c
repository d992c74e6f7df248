/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The progress bar at several widths, the plain lines, and how often either is shown. */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/tty/progress.h"
#include "cli/tty/text.h"

static const struct upload_progress half = {
    .table = "orders",
    .upload = "u1",
    .state = "processing",
    .waiting = "",
    .bytes_sent = 1000,
    .bytes_total = 1000,
    .rows_read = 200000,
    .rows_applied = 99000,
    .rows_rejected = 1000,
};
static const struct progress_estimate estimate = {
    .thousandths = 500, .rows_per_second = 210000, .seconds_left = 65};

static void check_bar(const struct upload_progress *p, size_t width, const char *expected)
{
    struct tl_buf b;

    tl_buf_init(&b, 1000);
    assert_int_equal(progress_render_bar(&b, p, &estimate, width), 0);
    assert_int_equal(tl_buf_terminate(&b), 0);
    assert_string_equal(b.data, expected);
    assert_true(text_width(tl_buf_str(&b)) <= width);
    tl_buf_release(&b);
}

static void test_bar_at_widths(void **state)
{
    (void)state;
    check_bar(&half, 200,
              "orders   50% [####################....................] "
              "99,000 rows, 1,000 rejected, 210,000/s, 1:05 left");
    check_bar(&half, 79, "orders   50% [#######.......] 99,000 rows, 1,000 rejected, 210,000/s, 1:05 left");
    check_bar(&half, 75, "orders   50% [#####.....] 99,000 rows, 1,000 rejected, 210,000/s, 1:05 left");
    check_bar(&half, 74, "orders   50% 99,000 rows, 1,000 rejected, 210,000/s, 1:05 left");
    check_bar(&half, 30, "orders   50% 99,000 rows, 1,0…");
    check_bar(&half, 5, "orde…");
    check_bar(&half, 1, "…");
}

static void test_bar_says_what_it_waits_for(void **state)
{
    struct upload_progress p = half;

    (void)state;
    p.waiting = "sink: no room\033[2J";
    check_bar(&p, 90,
              "orders   50% [########........] 99,000 rows, 1,000 rejected, waiting: sink: no room\\x1b[2J");
}

static void test_bar_of_wide_characters_never_passes_the_width(void **state)
{
    struct upload_progress p = half;

    (void)state;
    p.table = "注文テーブル";
    for (size_t width = 1; width < 120; width++) {
        struct tl_buf b;

        tl_buf_init(&b, 1000);
        assert_int_equal(progress_render_bar(&b, &p, &estimate, width), 0);
        assert_true(text_width(tl_buf_str(&b)) <= width);
        tl_buf_release(&b);
    }
}

static void test_how_much_is_done(void **state)
{
    struct upload_progress p = half;

    (void)state;
    assert_int_equal(progress_thousandths(&p), 500);
    p.rows_applied = 198999;
    assert_int_equal(progress_thousandths(&p), 999);
    p.rows_applied = 199000;
    assert_int_equal(progress_thousandths(&p), 1000);
    p.state = "queued";
    assert_int_equal(progress_thousandths(&p), 999);
    p.state = "sending";
    assert_int_equal(progress_thousandths(&p), 999);
    p.bytes_sent = 500;
    assert_int_equal(progress_thousandths(&p), 500);
    p.bytes_sent = 0;
    assert_int_equal(progress_thousandths(&p), 0);
    p.bytes_total = -1;
    assert_int_equal(progress_thousandths(&p), -1);
    p.state = "processing";
    p.rows_read = 0;
    assert_int_equal(progress_thousandths(&p), -1);
    p.state = "done";
    assert_int_equal(progress_thousandths(&p), 1000);
}

static void test_grouped(void **state)
{
    char out[GROUPED_TEXT];

    (void)state;
    assert_string_equal(progress_grouped(0, out), "0");
    assert_string_equal(progress_grouped(999, out), "999");
    assert_string_equal(progress_grouped(1000, out), "1,000");
    assert_string_equal(progress_grouped(INT64_MIN, out), "-9,223,372,036,854,775,808");
    assert_string_equal(progress_grouped(-123, out), "-123");
}

/* A display on a file in memory. */
struct display {
    char *text;
    size_t len;
    FILE *file;
    struct progress *p;
};

static void open_display(struct display *d, enum progress_mode mode)
{
    d->file = open_memstream(&d->text, &d->len);
    assert_non_null(d->file);
    d->p = progress_new(d->file, mode);
    assert_non_null(d->p);
}

static void close_display(struct display *d)
{
    progress_free(d->p);
    fclose(d->file);
    free(d->text);
}

static size_t count(const char *text, const char *what)
{
    size_t n = 0;

    while ((text = strstr(text, what))) {
        n++;
        text++;
    }
    return n;
}

static void test_lines_at_changes_and_every_ten_seconds(void **state)
{
    struct upload_progress p = half;
    struct display d;

    (void)state;
    open_display(&d, PROGRESS_LINES);
    for (int ms = 0; ms < 25000; ms += 100)
        progress_show(d.p, &p, ms);
    assert_int_equal(count(d.text, "\n"), 3);
    assert_memory_equal(d.text, "tload: orders: processing, 50%, 99,000 rows, 1,000 rejected\n", 60);
    p.waiting = "sink: no room";
    progress_show(d.p, &p, 25000);
    progress_show(d.p, &p, 25100);
    assert_int_equal(count(d.text, "\n"), 4);
    assert_non_null(strstr(d.text, "1,000 rejected, waiting: sink: no room\n"));
    assert_int_equal(count(d.text, "\033"), 0);
    close_display(&d);
}

static void test_bar_ten_times_a_second(void **state)
{
    struct upload_progress p = half;
    struct display d;

    (void)state;
    open_display(&d, PROGRESS_BAR);
    for (int ms = 0; ms < 1000; ms++)
        progress_show(d.p, &p, ms);
    assert_int_equal(count(d.text, "\r"), 10);
    assert_int_equal(count(d.text, "\n"), 0);
    progress_clear(d.p);
    progress_clear(d.p);
    assert_int_equal(count(d.text, "\r"), 11);
    assert_string_equal(d.text + d.len - 4, "\r\033[K");
    close_display(&d);
}

static void test_nothing_when_quiet(void **state)
{
    struct display d;

    (void)state;
    open_display(&d, PROGRESS_NONE);
    progress_show(d.p, &half, 0);
    progress_clear(d.p);
    fflush(d.file);
    assert_int_equal(d.len, 0);
    close_display(&d);
}

/* While it is sent, the number of rows is only estimated; a worse estimate does not take the bar back. */
static void test_bar_does_not_go_back(void **state)
{
    struct upload_progress p = half;
    struct display d;

    (void)state;
    p.state = "sending";
    open_display(&d, PROGRESS_BAR);
    progress_show(d.p, &p, 0);
    assert_non_null(strstr(d.text, " 50% "));
    p.rows_read = 400000;
    progress_show(d.p, &p, 1000);
    assert_int_equal(count(d.text, " 50% "), 2);
    close_display(&d);
}

static void test_limit(void **state)
{
    struct upload_progress p = half;
    struct progress_estimate e = {.thousandths = -1, .rows_per_second = -1, .seconds_left = -1};
    char out[RATE_TEXT];
    struct tl_buf b;

    (void)state;
    assert_string_equal(progress_rate(10000000, out), "10 MB/s");
    assert_string_equal(progress_rate(999, out), "999 B/s");
    assert_string_equal(progress_rate(1500, out), "1.5 kB/s");
    assert_string_equal(progress_rate(999600, out), "1 MB/s");
    assert_string_equal(progress_rate(INT64_MAX, out), "9.22e+06 TB/s");
    p.bytes_per_second = 10000000;
    tl_buf_init(&b, 1000);
    assert_int_equal(progress_render_line(&b, &p, &e), TL_BUF_OK); /* it sends no more */
    assert_null(memmem(b.data, b.len, "limited", 7));
    p.state = "sending";
    assert_int_equal(progress_render_line(&b, &p, &e), TL_BUF_OK);
    assert_non_null(memmem(b.data, b.len, "limited to 10 MB/s", 18));
    tl_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bar_at_widths),
        cmocka_unit_test(test_bar_says_what_it_waits_for),
        cmocka_unit_test(test_bar_of_wide_characters_never_passes_the_width),
        cmocka_unit_test(test_how_much_is_done),
        cmocka_unit_test(test_grouped),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_lines_at_changes_and_every_ten_seconds),
        cmocka_unit_test(test_bar_ten_times_a_second),
        cmocka_unit_test(test_nothing_when_quiet),
        cmocka_unit_test(test_bar_does_not_go_back),
    };

    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
