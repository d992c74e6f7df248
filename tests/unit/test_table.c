/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What people are shown: aligned columns, text without control characters, the message of a rejected row;
 * and output that can't be written.
 */
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/tty/reject.h"
#include "cli/tty/table.h"
#include "cli/tty/text.h"

static const struct table_column columns[] = {{"NAME", false}, {"ROWS", true}, {"REMARK", false}};

struct sheet {
    char *text;
    size_t len;
    struct output out;
    struct table *table;
};

static void open_sheet(struct sheet *s, bool bold)
{
    struct tl_error err;

    *s = (struct sheet){0};
    s->out.file = open_memstream(&s->text, &s->len);
    assert_non_null(s->out.file);
    s->table = table_new(&s->out, columns, TL_ARRAY_LEN(columns), bold, &err);
    assert_non_null(s->table);
}

static void add(struct sheet *s, const char *name, int64_t rows, const char *remark)
{
    struct tl_error err;

    assert_int_equal(table_cell(s->table, name, &err), 0);
    assert_int_equal(table_number(s->table, rows, &err), 0);
    assert_int_equal(table_cell(s->table, remark, &err), 0);
}

static void close_sheet(struct sheet *s, const char *expected)
{
    struct tl_error err;

    assert_int_equal(table_finish(s->table, &err), 0);
    assert_int_equal(output_flush(&s->out, &err), 0);
    assert_string_equal(s->text, expected);
    table_free(s->table);
    fclose(s->out.file);
    free(s->text);
}

static void test_columns_are_aligned(void **state)
{
    struct sheet s;

    (void)state;
    open_sheet(&s, false);
    add(&s, "orders", 1234567, "");
    add(&s, "注文", 5, "wide");
    add(&s, "e\xCC\x81t\xC3\xA9", -1, "combining");
    add(&s, "a\tb\033", 0, "escaped");
    close_sheet(&s, "NAME         ROWS  REMARK\n"
                    "orders    1234567\n"
                    "注文            5  wide\n"
                    "e\xCC\x81t\xC3\xA9                combining\n"
                    "a\\tb\\x1b        0  escaped\n");
}

static void test_no_rows_and_bold(void **state)
{
    struct sheet s;

    (void)state;
    open_sheet(&s, false);
    close_sheet(&s, "NAME  ROWS  REMARK\n");
    open_sheet(&s, true);
    add(&s, "a", 1, "x");
    close_sheet(&s, "\033[1mNAME  ROWS  REMARK\n\033[0ma        1  x\n");
}

/* Any number of rows, headings once; what comes later may be wider. */
static void test_many_rows(void **state)
{
    struct sheet s;
    size_t lines = 0;

    (void)state;
    open_sheet(&s, false);
    for (int i = 0; i < 1000; i++)
        add(&s, "t", i, "r");
    add(&s, "a longer name", 1, "r");
    assert_int_equal(table_finish(s.table, &(struct tl_error){0}), 0);
    fflush(s.out.file);
    for (size_t i = 0; i < s.len; i++)
        lines += s.text[i] == '\n';
    assert_int_equal(lines, 1002);
    assert_non_null(strstr(s.text, "\na longer name     1  r\n"));
    table_free(s.table);
    fclose(s.out.file);
    free(s.text);
}

static void check_text(const char *text, size_t max, const char *expected, size_t expected_columns)
{
    struct tl_buf b;
    size_t shown;

    tl_buf_init(&b, 1000);
    assert_int_equal(text_append(&b, tl_str(text), max, &shown), 0);
    assert_int_equal(tl_buf_terminate(&b), 0);
    assert_string_equal(b.data, expected);
    assert_int_equal(shown, expected_columns);
    tl_buf_release(&b);
}

static void test_text(void **state)
{
    (void)state;
    check_text("abc", 3, "abc", 3);
    check_text("abcd", 3, "ab…", 3);
    check_text("注文", 4, "注文", 4);
    check_text("注文", 3, "注…", 3);
    check_text("注文", 2, "…", 1);
    check_text("abc", 0, "", 0);
    check_text("a\xFF\xC2\x9B", 20, "a\\xff\\xc2\\x9b", 13);
    check_text("\r\n\t\x7f", 20, "\\r\\n\\t\\x7f", 10);
    assert_int_equal(text_width(tl_str("a\033注")), 7);
}

static void check_reject(const char *json, const char *expected)
{
    json_t *row = json_loads(json, 0, NULL);
    struct tl_buf b;

    assert_non_null(row);
    tl_buf_init(&b, 1000);
    assert_int_equal(reject_append(&b, row), 0);
    assert_int_equal(tl_buf_terminate(&b), 0);
    assert_string_equal(b.data, expected);
    tl_buf_release(&b);
    json_decref(row);
}

static void test_rejected_row(void **state)
{
    (void)state;
    check_reject("{\"file\":\"orders.csv\",\"line\":1042,"
                 "\"column\":\"qty\",\"value\":\"12x\",\"reason\":\"is not an integer\"}",
                 "orders.csv:1042: column \"qty\": \"12x\" is not an integer\n");
    check_reject(
        "{\"file\":\"a.csv\",\"line\":7,\"column\":null,\"value\":null,\"reason\":\"has 3 fields, not 4\"}",
        "a.csv:7: has 3 fields, not 4\n");
    check_reject("{\"file\":\"a.csv\",\"line\":7,\"column\":\"id\","
                 "\"value\":null,\"reason\":\"is not null and has no value\"}",
                 "a.csv:7: column \"id\": is not null and has no value\n");
    check_reject(
        "{\"file\":\"a\\nb.csv\",\"line\":1,\"column\":\"c\",\"value\":\"\\u001b[2J\",\"reason\":\"r\"}",
        "a\\nb.csv:1: column \"c\": \"\\x1b[2J\" r\n");
}

static void test_output_that_fails(void **state)
{
    struct output out = {.file = fopen("/dev/full", "w")};
    struct tl_error err = {0};

    (void)state;
    assert_non_null(out.file);
    assert_int_equal(output_print(&out, &err, "x\n"), 0);
    assert_int_equal(output_flush(&out, &err), -1);
    assert_int_equal(err.code, TL_E_NO_SPACE);
    assert_false(out.reader_gone);
    fclose(out.file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_aligned), cmocka_unit_test(test_no_rows_and_bold),
        cmocka_unit_test(test_many_rows),           cmocka_unit_test(test_text),
        cmocka_unit_test(test_rejected_row),        cmocka_unit_test(test_output_that_fails),
    };

    if (!setlocale(LC_CTYPE, "C.UTF-8"))
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
