/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/csv/block.h"
#include "shared/csv/scan.h"
#include "tests/unit/csv_reference.h"

static const struct tl_dialect csv = {.delimiter = ',', .quote = '"'};
static const struct tl_dialect unquoted = {.delimiter = ',', .quote = '\0'};
static const struct tl_dialect semicolon = {.delimiter = ';', .quote = ' '};

static void block_forms_agree(void **state)
{
    uint64_t seed = 7;
    char p[TL_BLOCK];

    (void)state;
    for (int round = 0; round < 20000; round++) {
        uint64_t expected = 0;

        for (size_t i = 0; i < sizeof p; i++) {
            p[i] = (char)reference_random(&seed);
            if (reference_random(&seed) % 3 == 0)
                p[i] = ",\"\n\r\0\x01\x80\xff"[reference_random(&seed) % 8];
            if (p[i] == '"' || p[i] == '\n' || p[i] == ',' || p[i] == (char)0x80)
                expected |= (uint64_t)1 << i;
        }
        assert_true(tl_block_plain_any4(p, '"', '\n', ',', (char)0x80) == expected);
#ifdef __SSE2__
        assert_true(tl_block_sse2_any4(p, '"', '\n', ',', (char)0x80) == expected);
#endif
        for (size_t n = 1; n < TL_BLOCK; n += 9)
            assert_true(tl_block_any4(p, n, n, '"', '\n', ',', (char)0x80) ==
                        (expected & (((uint64_t)1 << n) - 1)));
    }
}

struct example {
    const char *input;
    size_t limit;
    enum tl_scan scan;
    size_t len, end_len;
    uint32_t lines;
    enum tl_reject_code why;
};

static void examples(void **state)
{
    static const struct example all[] = {
        {"a,b\nc", 100, TL_SCAN_RECORD, 3, 1, 1, 0},
        {"a,b\r\nc", 100, TL_SCAN_RECORD, 3, 2, 1, 0},
        {"a,b\rc", 100, TL_SCAN_RECORD, 3, 1, 1, 0},
        {"a,b", 100, TL_SCAN_RECORD, 3, 0, 0, 0},
        {"a\r", 100, TL_SCAN_RECORD, 1, 1, 1, 0},
        {"\nx", 100, TL_SCAN_RECORD, 0, 1, 1, 0},
        {"\"a\nb\r\nc\rd\",x\ny", 100, TL_SCAN_RECORD, 12, 1, 4, 0},
        {"\"a\"\"\nb\"\n", 100, TL_SCAN_RECORD, 7, 1, 2, 0},
        {"\"\"\n\"\"\n", 100, TL_SCAN_RECORD, 2, 1, 1, 0},
        {"\"a\"", 100, TL_SCAN_RECORD, 3, 0, 0, 0},
        /* a quote within an unquoted field is data here */
        {"a\"b\nc\"\n", 100, TL_SCAN_RECORD, 3, 1, 1, 0},
        {"a, \"b\nc", 100, TL_SCAN_RECORD, 5, 1, 1, 0},
        /* junk behind a closing quote */
        {"\"a\"b\nc\n", 100, TL_SCAN_MALFORMED, 4, 1, 1, TL_REJECT_BAD_QUOTING},
        {"\"a\"b,\"c\nd\"\n", 100, TL_SCAN_MALFORMED, 7, 1, 1, TL_REJECT_BAD_QUOTING},
        {"\"a\nb\"c\nd", 100, TL_SCAN_MALFORMED, 2, 1, 1, TL_REJECT_BAD_QUOTING},
        {"\"a\"b", 100, TL_SCAN_MALFORMED, 4, 0, 0, TL_REJECT_BAD_QUOTING},
        /* no end */
        {"\"a\r\nb\nc", 100, TL_SCAN_MALFORMED, 2, 2, 1, TL_REJECT_UNTERMINATED},
        {"x,\"abc", 100, TL_SCAN_MALFORMED, 6, 0, 0, TL_REJECT_UNTERMINATED},
        {"\"a\nbcdefghijkl\"\n", 8, TL_SCAN_MALFORMED, 2, 1, 1, TL_REJECT_UNTERMINATED},
        /* too long */
        {"abcdefgh\n", 8, TL_SCAN_RECORD, 8, 1, 1, 0},
        {"abcdefghi\n", 8, TL_SCAN_MALFORMED, 8, 0, 0, TL_REJECT_RECORD_TOO_LONG},
        {"\"bcdefghi\"\n", 8, TL_SCAN_MALFORMED, 8, 0, 0, TL_REJECT_RECORD_TOO_LONG},
        {"\"b\nd\",ghijk\n", 8, TL_SCAN_MALFORMED, 8, 0, 1, TL_REJECT_RECORD_TOO_LONG},
        {"\"bcdef\"\n", 7, TL_SCAN_RECORD, 7, 1, 1, 0},
    };

    (void)state;
    for (size_t i = 0; i < TL_ARRAY_LEN(all); i++) {
        const struct example *e = &all[i];
        struct tl_scan_record got, reference;
        size_t n = strlen(e->input);

        assert_int_equal(tl_csv_scan(&csv, e->input, e->input + n, true, e->limit, &got), e->scan);
        assert_int_equal(got.len, e->len);
        assert_int_equal(got.end_len, e->end_len);
        assert_int_equal(got.lines, e->lines);
        assert_int_equal(got.why, e->why);
        assert_int_equal(reference_scan(&csv, e->input, n, e->limit, &reference), e->scan);
        assert_int_equal(reference.len, e->len);
        assert_int_equal(reference.lines, e->lines);
    }
}

static void without_quoting_every_quote_is_data(void **state)
{
    static const char text[] = "\"a\nb\"\n";
    struct tl_scan_record got;

    (void)state;
    assert_int_equal(tl_csv_scan(&unquoted, text, text + sizeof text - 1, true, 100, &got), TL_SCAN_RECORD);
    assert_int_equal(got.len, 2);
}

/* Scans p[0..n) and each beginning of it, in a copy of just that size: reading beyond it is seen. */
static void check_against_reference(const struct tl_dialect *d, const char *p, size_t n, size_t limit)
{
    struct tl_scan_record expected, got;
    enum tl_scan scan = reference_scan(d, p, n, limit, &expected);

    for (size_t part = 0; part <= n; part++) {
        char *copy = malloc(part ? part : 1);
        enum tl_scan found;

        assert_non_null(copy);
        memcpy(copy, p, part);
        found = tl_csv_scan(d, copy, copy + part, part == n, limit, &got);
        free(copy);
        if (found == TL_SCAN_MORE) {
            assert_true(part < n);
            assert_true(part <= limit + 1);
            continue;
        }
        assert_int_equal(found, scan);
        assert_int_equal(got.len, expected.len);
        assert_int_equal(got.end_len, expected.end_len);
        assert_int_equal(got.lines, expected.lines);
        assert_int_equal(got.why, expected.why);
        assert_true(got.seen >= got.len && got.seen <= n);
    }
}

static void random_inputs_as_the_reference(void **state)
{
    const struct tl_dialect *dialects[] = {&csv, &csv, &csv, &unquoted, &semicolon};
    uint64_t seed = 42;
    char p[300];

    (void)state;
    for (int round = 0; round < 12000; round++) {
        size_t n = reference_random(&seed) % 40, limit = reference_random(&seed) % 60;

        reference_fill(&seed, p, n, round % 2);
        check_against_reference(dialects[round % 5], p, n, limit);
    }
    /* Long ones, so that each thing happens on both sides of each block's edge. */
    for (int round = 0; round < 1500; round++) {
        size_t n = 100 + reference_random(&seed) % 200, limit = 60 + reference_random(&seed) % 300;

        memset(p, 'x', sizeof p);
        p[0] = "\"x"[round % 2];
        for (int i = 0; i < 8; i++)
            reference_fill(&seed, p + reference_random(&seed) % (n - 4), 4, round % 3);
        check_against_reference(dialects[round % 5], p, n, limit);
    }
}

static void each_edge_of_a_block(void **state)
{
    static const char *const bits[] = {"\n",       "\r\n",    "\r",    "\"\n", "\"\"\n",
                                       "\"\"\"\n", "\",\"\n", "\"x\n", "\",\n"};
    char p[400];

    (void)state;
    for (size_t bit = 0; bit < TL_ARRAY_LEN(bits); bit++) {
        for (size_t at = 1; at < 140; at++) {
            for (int opened = 0; opened < 2; opened++) {
                size_t n = at + strlen(bits[bit]) + 3;

                memset(p, 'x', sizeof p);
                p[0] = opened ? '"' : 'x';
                memcpy(p + at, bits[bit], strlen(bits[bit]));
                check_against_reference(&csv, p, n, 500);
                check_against_reference(&csv, p, n, at);
                check_against_reference(&csv, p, n, at + 1);
            }
        }
    }
}

static void skip_line(void **state)
{
    char p[200];

    (void)state;
    for (size_t at = 0; at < 150; at++) {
        memset(p, '"', sizeof p);
        p[at] = '\n';
        assert_int_equal(tl_csv_skip_line(p, p + sizeof p, false), at + 1);
        assert_int_equal(tl_csv_skip_line(p, p + at, false), 0);
        p[at] = '\r';
        assert_int_equal(tl_csv_skip_line(p, p + sizeof p, false), at + 1);
        assert_int_equal(tl_csv_skip_line(p, p + at + 1, false), 0);
        assert_int_equal(tl_csv_skip_line(p, p + at + 1, true), at + 1);
        p[at + 1] = '\n';
        assert_int_equal(tl_csv_skip_line(p, p + sizeof p, false), at + 2);
    }
}

static void pick_and_unquote(void **state)
{
    static const char record[] = "7,\"a,\"\"b\"\"\",,\"\",\\N,x\"y,\"end\"";
    static const uint32_t want[] = {0, 1, 2, 3, 4, 5, 6, 9};
    static const char *const raw[] = {"7", "\"a,\"\"b\"\"\"", "", "\"\"", "\\N", "x\"y", "\"end\""};
    static const char *const values[] = {"7", "a,\"b\"", "", "", "\\N", "x\"y", "end"};
    struct tl_dialect with_null = csv;
    struct tl_str out[8];
    struct tl_buf scratch;

    (void)state;
    memcpy(with_null.null_text, "\\N", 2);
    with_null.null_len = 2;
    tl_buf_init(&scratch, 1000);
    assert_int_equal(tl_csv_pick(&csv, tl_str(record), want, 8, out), 7);
    for (size_t i = 0; i < 7; i++) {
        struct tl_str value;
        bool is_null;

        assert_true(tl_str_eq_z(out[i], raw[i]));
        assert_int_equal(tl_csv_unquote(&csv, out[i], &scratch, &value, &is_null), TL_VALUE_OK);
        assert_true(tl_str_eq_z(value, values[i]));
        assert_int_equal(is_null, i == 2);
        assert_int_equal(tl_csv_unquote(&with_null, out[i], &scratch, &value, &is_null), TL_VALUE_OK);
        assert_int_equal(is_null, i == 4);
    }
    assert_int_equal(tl_csv_pick(&csv, tl_str(record), want + 6, 1, out), 1);
    assert_true(tl_str_eq_z(out[0], "\"end\""));
    assert_int_equal(tl_csv_pick(&csv, tl_str(""), want, 2, out), 1);
    assert_int_equal(out[0].len, 0);
    assert_int_equal(tl_csv_pick(&csv, tl_str("a,"), want, 3, out), 2);
    assert_int_equal(out[1].len, 0);
    tl_buf_release(&scratch);

    /* No room: said, not ignored. */
    tl_buf_init(&scratch, 3);
    struct tl_str value;
    bool is_null;
    assert_int_equal(tl_csv_unquote(&csv, tl_str("\"a\"\"bcdef\""), &scratch, &value, &is_null),
                     TL_VALUE_NOMEM);
    tl_buf_release(&scratch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(block_forms_agree),
        cmocka_unit_test(examples),
        cmocka_unit_test(without_quoting_every_quote_is_data),
        cmocka_unit_test(random_inputs_as_the_reference),
        cmocka_unit_test(each_edge_of_a_block),
        cmocka_unit_test(skip_line),
        cmocka_unit_test(pick_and_unquote),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
