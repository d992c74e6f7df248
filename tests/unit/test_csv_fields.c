/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <csv.h>

#include "shared/csv/fields.h"
#include "tests/unit/csv_reference.h"

enum { MANY = 64 };

static const struct tl_dialect csv = {.delimiter = ',', .quote = '"'};
static const struct tl_dialect with_null = {
    .delimiter = ',', .quote = '"', .null_text = "\\N", .null_len = 2};
static const struct tl_dialect unquoted = {.delimiter = ',', .quote = '\0'};
static const struct tl_dialect tabs = {.delimiter = '\t', .quote = '\''};

static struct tl_fields *make(const struct tl_dialect *d, size_t max)
{
    struct tl_error err;
    struct tl_fields *f = tl_fields_new(d, max, &err);

    assert_non_null(f);
    return f;
}

/* expected: values with | between; ~ is a null. */
static void check_split(struct tl_fields *f, const char *record, const char *expected)
{
    const struct tl_str *values;
    struct tl_str rest = tl_str(expected);
    struct tl_reject why;
    size_t n, i = 0;

    assert_int_equal(tl_fields_split(f, tl_str(record), &values, &n, &why), TL_VALUE_OK);
    while (rest.ptr) {
        struct tl_str value = tl_str_cut(&rest, '|');

        assert_true(i < n);
        if (tl_str_eq_z(value, "~")) {
            assert_null(values[i].ptr);
        } else {
            assert_non_null(values[i].ptr);
            assert_true(tl_str_eq(values[i], value));
        }
        i++;
    }
    assert_int_equal(i, n);
}

static void check_reject(struct tl_fields *f, const char *record, enum tl_reject_code code,
                         const char *reason)
{
    const struct tl_str *values;
    struct tl_reject why;
    size_t n;

    assert_int_equal(tl_fields_split(f, tl_str(record), &values, &n, &why), TL_VALUE_REJECT);
    assert_int_equal(why.code, code);
    assert_string_equal(why.reason, reason);
    /* The parser is as new afterwards. */
    check_split(f, "1,\"2\"", "1|2");
}

static void examples(void **state)
{
    struct tl_fields *f = make(&csv, MANY);

    (void)state;
    check_split(f, "a,b", "a|b");
    check_split(f, " a , b ", " a | b ");
    check_split(f, " \t,\"\t \"", " \t|\t ");
    check_split(f, "", "~");
    check_split(f, ",", "~|~");
    check_split(f, ",\"\",", "~||~");
    check_split(f, "\"\"", "");
    check_split(f, "\"a\nb\r\nc\rd\",\"x,\"\"y\"\"\"", "a\nb\r\nc\rd|x,\"y\"");
    check_reject(f, "a,b\"c,d", TL_REJECT_BAD_QUOTING,
                 "has a quote within field 2, which does not begin with one");
    check_reject(f, "a, \"b\"", TL_REJECT_BAD_QUOTING,
                 "has a quote within field 2, which does not begin with one");
    check_reject(f, "\"a\"b", TL_REJECT_BAD_QUOTING, "has something behind the closing quote of field 1");
    check_reject(f, "\"a\" ,b", TL_REJECT_BAD_QUOTING, "has something behind the closing quote of field 1");
    check_reject(f, "x,y,\"ab", TL_REJECT_UNTERMINATED, "has no closing quote in field 3");
    tl_fields_free(f);

    f = make(&tabs, MANY);
    check_split(f, "a b\t'c\t''d'\t\t ", "a b|c\t'd|~| ");
    tl_fields_free(f);
    tl_fields_free(NULL);
}

static void null_text(void **state)
{
    struct tl_fields *f = make(&with_null, MANY);

    (void)state;
    check_split(f, "\\N,a,,\"\",\"\\N\",\\N", "~|a|||\\N|~");
    check_split(f, "\\N,a,,\\N", "~|a||~");
    check_split(f, "\"a\"\"\"\"b\",\\N,\"\"\"\",\\N", "a\"\"b|~|\"|~");

    /* An empty last field, with nothing that may be read behind the record. */
    char *record = malloc(3);
    const struct tl_str *values;
    struct tl_reject why;
    size_t n;

    assert_non_null(record);
    memcpy(record, "\"\",", 3);
    assert_int_equal(tl_fields_split(f, tl_str_n(record, 3), &values, &n, &why), TL_VALUE_OK);
    assert_int_equal(n, 2);
    assert_true(tl_str_eq_z(values[1], ""));
    assert_non_null(values[1].ptr);
    free(record);
    tl_fields_free(f);
}

static void no_quoting(void **state)
{
    struct tl_fields *f = make(&unquoted, MANY);
    const struct tl_str *values;
    struct tl_reject why;
    size_t n;

    (void)state;
    check_split(f, "\"a,b\"\"", "\"a|b\"\"");
    assert_int_equal(tl_fields_split(f, tl_str_n("a\0b,\0", 5), &values, &n, &why), TL_VALUE_OK);
    assert_int_equal(n, 2);
    assert_true(tl_str_eq(values[0], tl_str_n("a\0b", 3)));
    assert_true(tl_str_eq(values[1], tl_str_n("\0", 1)));
    tl_fields_free(f);
}

static void more_fields_than_kept(void **state)
{
    struct tl_fields *f = make(&csv, 2);
    const struct tl_str *values;
    struct tl_reject why;
    size_t n;

    (void)state;
    assert_int_equal(tl_fields_split(f, tl_str("a,b,c,d"), &values, &n, &why), TL_VALUE_OK);
    assert_int_equal(n, 4);
    assert_true(tl_str_eq_z(values[1], "b"));
    assert_int_equal(tl_fields_split(f, tl_str("a,b,\"c\",d,e"), &values, &n, &why), TL_VALUE_OK);
    assert_int_equal(n, 5);
    assert_true(tl_str_eq_z(values[1], "b"));
    tl_fields_free(f);
}

/* A long value, beyond all steps by which buffers grow. */
static void long_values(void **state)
{
    enum { LONG = 300000 };
    struct tl_fields *f = make(&csv, MANY);
    char *record = malloc(2 * LONG + 3);
    const struct tl_str *values;
    struct tl_reject why;
    size_t n;

    (void)state;
    assert_non_null(record);
    memset(record, 'x', 2 * LONG + 3);
    record[0] = '"';
    record[LONG] = '"';
    record[LONG + 1] = ',';
    assert_int_equal(tl_fields_split(f, tl_str_n(record, 2 * LONG + 3), &values, &n, &why), TL_VALUE_OK);
    assert_int_equal(n, 2);
    assert_int_equal(values[0].len, LONG - 1);
    assert_int_equal(values[1].len, LONG + 1);
    for (size_t i = 0; i < values[0].len; i++)
        assert_int_equal(values[0].ptr[i], 'x');
    free(record);
    tl_fields_free(f);
}

/* What libcsv, in strict mode, makes of a record. */
struct libcsv {
    struct csv_parser parser;
    char text[400];
    size_t len, n;
    struct tl_str values[400];
};

static int no_byte(unsigned char c)
{
    (void)c;
    return 0;
}

static void on_field(void *value, size_t len, void *app)
{
    struct libcsv *l = app;

    memcpy(l->text + l->len, value ? value : "", value ? len : 0);
    l->values[l->n++] = tl_str_n(value ? l->text + l->len : NULL, value ? len : 0);
    l->len += len;
}

static bool libcsv_takes(struct libcsv *l, struct tl_str record)
{
    bool fine;

    l->n = l->len = 0;
    assert_int_equal(csv_init(&l->parser, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL), 0);
    csv_set_space_func(&l->parser, no_byte);
    csv_set_term_func(&l->parser, no_byte);
    /* It begins a record at its first byte, and the empty one has one field, too. */
    fine = csv_parse(&l->parser, record.ptr, record.len, on_field, NULL, l) == record.len &&
           csv_fini(&l->parser, on_field, NULL, l) == 0;
    if (fine && record.len == 0)
        on_field(NULL, 0, l);
    csv_free(&l->parser);
    return fine;
}

static void gives_what_libcsv_gives(void **state)
{
    static const char alphabet[] = "ab \"\",,\t\\N\r\n;\0\x80";
    struct tl_fields *f = make(&csv, 400);
    struct libcsv *l = calloc(1, sizeof *l);
    uint64_t seed = 5;
    int taken = 0, refused = 0;

    (void)state;
    assert_non_null(l);
    for (int round = 0; round < 200000; round++) {
        char record[200];
        size_t len = reference_random(&seed) % (round % 8 ? 12 : sizeof record), n;
        const struct tl_str *values;
        struct tl_reject why;
        enum tl_verdict verdict;

        for (size_t i = 0; i < len; i++)
            record[i] = alphabet[reference_random(&seed) % (sizeof alphabet - 1)];
        verdict = tl_fields_split(f, tl_str_n(record, len), &values, &n, &why);
        if (!libcsv_takes(l, tl_str_n(record, len))) {
            assert_int_equal(verdict, TL_VALUE_REJECT);
            refused++;
            continue;
        }
        assert_int_equal(verdict, TL_VALUE_OK);
        assert_int_equal(n, l->n);
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(values[i].ptr == NULL, l->values[i].ptr == NULL);
            assert_true(tl_str_eq(values[i], l->values[i]));
        }
        taken++;
    }
    assert_true(taken > 20000 && refused > 20000);
    free(l);
    tl_fields_free(f);
}

/* What is taken in one look is what a scan for the record's end and a split find, and all good records are taken. */
static void take_is_scan_and_split(void **state)
{
    static const char alphabet[] = "abcdefgh\"\",,,\t\\N\r\n\n;'\0\x80";
    const struct tl_dialect *dialects[] = {&csv, &with_null, &unquoted, &tabs};
    uint64_t seed = 8;
    int taken = 0, left = 0;

    (void)state;
    for (size_t d = 0; d < sizeof dialects / sizeof dialects[0]; d++) {
        struct tl_fields *f = make(dialects[d], 400), *g = make(dialects[d], 400);

        for (int round = 0; round < 50000; round++) {
            size_t len = reference_random(&seed) % (round % 4 ? 24 : 300), n, due_n, at;
            char *text = malloc(len ? len : 1); /* of just this size: a sanitizer sees a read beyond it */
            const struct tl_str *values, *due;
            struct tl_scan_record record;
            struct tl_reject why;
            bool good;

            assert_non_null(text);
            for (size_t i = 0; i < len; i++)
                text[i] = alphabet[reference_random(&seed) % (sizeof alphabet - 1)];
            good = tl_csv_scan(dialects[d], text, text + len, true, 1000, &record) == TL_SCAN_RECORD &&
                   record.end_len == 1 && text[record.len] == '\n' &&
                   tl_fields_split(g, tl_str_n(text, record.len), &due, &due_n, &why) == TL_VALUE_OK;
            assert_int_equal(tl_fields_take(f, tl_str_n(text, len), &at, &values, &n), good);
            if (good) {
                assert_int_equal(at, record.len);
                assert_int_equal(n, due_n);
                for (size_t i = 0; i < n; i++) {
                    assert_int_equal(values[i].ptr == NULL, due[i].ptr == NULL);
                    assert_true(tl_str_eq(values[i], due[i]));
                }
            }
            *(good ? &taken : &left) += 1;
            free(text);
        }
        tl_fields_free(f);
        tl_fields_free(g);
    }
    assert_true(taken > 20000 && left > 20000);
}

/* The splitter's way to a field (pick, unquote) and the validator's (split) must see the same value. */
static void keys_are_what_the_fields_are(void **state)
{
    uint64_t seed = 6;
    struct tl_fields *f = make(&csv, MANY);
    struct tl_buf scratch;
    int compared = 0;

    (void)state;
    tl_buf_init(&scratch, 1000);
    for (int round = 0; round < 60000; round++) {
        char text[40];
        size_t len = reference_random(&seed) % sizeof text, n;
        struct tl_scan_record record;
        const struct tl_str *values;
        struct tl_reject why;

        reference_fill(&seed, text, len, round % 2);
        if (tl_csv_scan(&csv, text, text + len, true, sizeof text, &record) != TL_SCAN_RECORD)
            continue;
        if (tl_fields_split(f, tl_str_n(text, record.len), &values, &n, &why) != TL_VALUE_OK) {
            assert_int_equal(why.code, TL_REJECT_BAD_QUOTING);
            continue;
        }
        for (uint32_t i = 0; i < n + 1; i++) {
            struct tl_str raw, value;
            bool is_null;

            if (i == n) {
                assert_int_equal(tl_csv_pick(&csv, tl_str_n(text, record.len), &i, 1, &raw), 0);
                continue;
            }
            tl_buf_reset(&scratch);
            assert_int_equal(tl_csv_pick(&csv, tl_str_n(text, record.len), &i, 1, &raw), 1);
            assert_int_equal(tl_csv_unquote(&csv, raw, &scratch, &value, &is_null), TL_VALUE_OK);
            assert_int_equal(is_null, values[i].ptr == NULL);
            assert_true(tl_str_eq(value, values[i]));
            compared++;
        }
    }
    assert_true(compared > 10000);
    tl_buf_release(&scratch);
    tl_fields_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(examples),
        cmocka_unit_test(null_text),
        cmocka_unit_test(no_quoting),
        cmocka_unit_test(more_fields_than_kept),
        cmocka_unit_test(long_values),
        cmocka_unit_test(gives_what_libcsv_gives),
        cmocka_unit_test(take_is_scan_and_split),
        cmocka_unit_test(keys_are_what_the_fields_are),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
