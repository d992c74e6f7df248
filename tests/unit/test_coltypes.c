/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A contract that every type of coltypes.def keeps whatever it is given, and tests/data/types/TYPE.cases. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/coltype_contract.h"

enum { LINE_MAX_BYTES = 4096 };

static struct tl_type type_of(enum tl_type_id id)
{
    static const struct tl_type with_args[TL_TYPE_COUNT] = {
        [TL_TYPE_DECIMAL] = {.length = 12, .scale = 3},
        [TL_TYPE_VARCHAR] = {.length = 10},
    };
    struct tl_type type = with_args[id];

    type.id = id;
    return type;
}

static void test_registry(void **state)
{
    (void)state;
    for (int i = 0; i < TL_TYPE_COUNT; i++) {
        const struct tl_coltype *coltype = tl_coltype((enum tl_type_id)i);
        struct tl_type type = type_of((enum tl_type_id)i), parsed;
        char text[TL_TYPE_FORMAT];
        struct tl_error err;

        assert_non_null(coltype);
        assert_int_equal((coltype->nargs != 0), (coltype->set_args != NULL));
        assert_memory_equal(coltype->usage, coltype->name, strlen(coltype->name));
        assert_int_equal(coltype->can_be_key, i != TL_TYPE_DOUBLE && i != TL_TYPE_JSON && i != TL_TYPE_BYTEA);
        tl_type_format(&type, text);
        assert_int_equal(tl_type_parse(tl_str(text), &parsed, &err), 0);
        assert_true(tl_type_eq(&type, &parsed));
    }
}

static void test_reject_names(void **state)
{
    (void)state;
    for (int code = 1; code < TL_REJECT_COUNT; code++) {
        const char *name = tl_reject_name((enum tl_reject_code)code);

        assert_int_equal(tl_reject_by_name(tl_str(name)), code);
    }
    assert_int_equal(tl_reject_by_name(tl_str("none")), TL_REJECT_NONE);
    assert_int_equal(tl_reject_by_name(tl_str("")), TL_REJECT_NONE);
}

/* What no type may stumble over, and for most what none may take. */
static void test_contract_edges(void **state)
{
    static const struct tl_str bad[] = {
        {"\0", 1},        {"1\0", 2},          {"a\0b", 3},         {"\xFF", 1},
        {"1\xC0\xAF", 3}, {"\xED\xA0\x80", 3}, {"\xF0\x9F\x98", 3},
    };
    static const char *const others[] = {"",   " ",   "\t\r\n ", "-",  "+", ".", "{",
                                         "\\", "\\x", "[",       "\"", "e", "0", "%s"};

    (void)state;
    for (int i = 0; i < TL_TYPE_COUNT; i++) {
        struct tl_type type = type_of((enum tl_type_id)i);
        enum tl_reject_code code;

        for (size_t k = 0; k < TL_ARRAY_LEN(bad); k++) {
            assert_int_equal(check_value(&type, bad[k], NULL, &code), TL_VALUE_REJECT);
            assert_int_equal(code,
                             memchr(bad[k].ptr, 0, bad[k].len) ? TL_REJECT_NUL_BYTE : TL_REJECT_INVALID_UTF8);
        }
        for (size_t k = 0; k < TL_ARRAY_LEN(others); k++)
            check_value(&type, tl_str(others[k]), NULL, &code);
    }
}

static void test_contract_megabyte(void **state)
{
    static const char fills[] = "0 x9-.[\"\x80\xF0{e\\f";
    char *junk = malloc(MEGABYTE);

    (void)state;
    assert_non_null(junk);
    for (size_t k = 0; k < sizeof fills; k++) {
        memset(junk, fills[k], MEGABYTE);
        for (int i = 0; i < TL_TYPE_COUNT; i++) {
            struct tl_type type = type_of((enum tl_type_id)i);
            enum tl_reject_code code;

            check_value(&type, tl_str_n(junk, MEGABYTE), NULL, &code);
        }
    }
    /* A number, however long it is written. */
    memset(junk, '0', MEGABYTE);
    junk[MEGABYTE - 1] = '7';
    for (int i = 0; i < TL_TYPE_COUNT; i++) {
        struct tl_type type = type_of((enum tl_type_id)i);
        bool number = i == TL_TYPE_INT || i == TL_TYPE_BIGINT || i == TL_TYPE_DOUBLE || i == TL_TYPE_DECIMAL;
        enum tl_reject_code code;
        enum tl_verdict verdict = check_value(&type, tl_str_n(junk, MEGABYTE), NULL, &code);

        assert_int_equal(verdict == TL_VALUE_OK, number || i == TL_TYPE_TEXT);
    }
    free(junk);
}

/* Blanks around are a part of text and varchar, and nothing to all others. */
static void test_contract_blanks(void **state)
{
    static const char *const examples[TL_TYPE_COUNT] = {
        [TL_TYPE_BOOLEAN] = "t",
        [TL_TYPE_INT] = "12",
        [TL_TYPE_BIGINT] = "-12",
        [TL_TYPE_DOUBLE] = "1.5",
        [TL_TYPE_DECIMAL] = "1.500",
        [TL_TYPE_VARCHAR] = "abc",
        [TL_TYPE_TEXT] = "abc",
        [TL_TYPE_DATE] = "2026-01-31",
        [TL_TYPE_TIMESTAMP] = "2026-01-31 00:00:00",
        [TL_TYPE_TIMESTAMPTZ] = "2026-01-31 00:00:00+00",
        [TL_TYPE_UUID] = "00000000-0000-0000-0000-000000000001",
        [TL_TYPE_JSON] = "[1, 2]",
        [TL_TYPE_BYTEA] = "\\x00",
    };

    (void)state;
    for (int i = 0; i < TL_TYPE_COUNT; i++) {
        bool kept = i == TL_TYPE_VARCHAR || i == TL_TYPE_TEXT;
        struct tl_type type = type_of((enum tl_type_id)i);
        enum tl_reject_code code;
        struct tl_buf canonical;
        char padded[80];

        assert_non_null(examples[i]);
        tl_buf_init(&canonical, MEGABYTE);
        snprintf(padded, sizeof padded, " \t%s \r\n", examples[i]);
        assert_int_equal(check_value(&type, tl_str(padded), &canonical, &code), TL_VALUE_OK);
        assert_true(tl_str_eq_z(tl_buf_str(&canonical), kept ? padded : examples[i]));
        tl_buf_release(&canonical);
    }
}

static uint64_t next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Bytes of the kind that gets far into each type's reader, and now and then any byte. */
static void test_contract_random(void **state)
{
    static const char alphabet[] = "0123456789009.-+eE:-TZ {}\\xabfnitrue\"[],";
    uint64_t seed = 20260131;
    unsigned long taken[TL_TYPE_COUNT] = {0};
    char value[48];

    (void)state;
    for (int round = 0; round < 12000; round++) {
        size_t len = next_random(&seed) % (round % 3 ? 6 : sizeof value);
        bool wild = round % 7 == 0;

        for (size_t k = 0; k < len; k++) {
            uint64_t r = next_random(&seed) >> 11;

            value[k] = wild ? (char)(r % 256) : alphabet[r % (sizeof alphabet - 1)];
        }
        for (int i = 0; i < TL_TYPE_COUNT; i++) {
            struct tl_type type = type_of((enum tl_type_id)i);
            enum tl_reject_code code;

            taken[i] += check_value(&type, tl_str_n(value, len), NULL, &code) == TL_VALUE_OK;
        }
    }
    assert_true(taken[TL_TYPE_INT] > 100 && taken[TL_TYPE_DECIMAL] > 100 && taken[TL_TYPE_DOUBLE] > 100);
}

/* Good values with one byte changed, put in or taken away. */
static void test_contract_mutations(void **state)
{
    static const char *const good[] = {
        "2026-01-31 12:34:56.123456+05:30",
        "2024-02-29T23:59:59Z",
        "9999-12-31 23:59:59.999999",
        "-123456789.125",
        "0123abcd-89ef-4012-8345-6789abcdef01",
        "{\"a\": [1, -2.5e3, \"\\u00e4\"]}",
        "\\xdeadbeef",
        "-2147483648",
        "1.7976931348623157e308",
    };
    uint64_t seed = 42;
    char value[64];

    (void)state;
    for (int round = 0; round < 8000; round++) {
        const char *from = good[(size_t)round % TL_ARRAY_LEN(good)];
        size_t len = strlen(from), at = next_random(&seed) % len;
        char byte = (char)(next_random(&seed) >> 9);

        memcpy(value, from, len);
        switch (next_random(&seed) % 3) {
        case 0:
            value[at] = byte;
            break;
        case 1:
            memmove(value + at + 1, value + at, len - at);
            value[at] = (char)('0' + (unsigned char)byte % 10);
            len++;
            break;
        default:
            memmove(value + at, value + at + 1, len - at - 1);
            len--;
            break;
        }
        for (int i = 0; i < TL_TYPE_COUNT; i++) {
            struct tl_type type = type_of((enum tl_type_id)i);
            enum tl_reject_code code;

            check_value(&type, tl_str_n(value, len), NULL, &code);
        }
    }
}

static void test_no_memory(void **state)
{
    struct tl_type type = type_of(TL_TYPE_INT);
    struct tl_reject why;
    struct tl_buf scratch;
    struct tl_str out;

    (void)state;
    tl_buf_init(&scratch, 2);
    assert_int_equal(tl_type_canon(&type, tl_str("-0123"), &scratch, &out, &why), TL_VALUE_NOMEM);
    assert_int_equal(tl_type_canon(&type, tl_str("123"), &scratch, &out, &why), TL_VALUE_OK);
    tl_buf_release(&scratch);
}

/* Every double that is written shortest reads back as itself, through the fast path and the slow one. */
static void test_double_reads_back(void **state)
{
    struct tl_type type = type_of(TL_TYPE_DOUBLE);
    uint64_t seed = 7;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        char text[80], canonical_text[64];
        struct tl_buf canonical;
        enum tl_reject_code code;
        double value, back;
        uint64_t bits = next_random(&seed);

        if (round % 2)
            value = (double)(int64_t)(bits % 2000000000) / 1000.0 - 1000000;
        else
            memcpy(&value, &bits, sizeof value);
        snprintf(text, sizeof text, "%.17g", value);
        if (strpbrk(text, "in"))
            continue;
        tl_buf_init(&canonical, MEGABYTE);
        assert_int_equal(check_value(&type, tl_str(text), &canonical, &code), TL_VALUE_OK);
        assert_true(tl_str_copy(tl_buf_str(&canonical), canonical_text, sizeof canonical_text));
        back = strtod(canonical_text, NULL);
        assert_memory_equal(&back, &value, sizeof back);
        /* The same number with zeros behind it has the same canonical form. */
        if (!strchr(canonical_text, 'e')) {
            struct tl_buf second;

            snprintf(text, sizeof text, "%s%s", canonical_text, strchr(canonical_text, '.') ? "00" : ".00");
            tl_buf_init(&second, MEGABYTE);
            assert_int_equal(check_value(&type, tl_str(text), &second, &code), TL_VALUE_OK);
            assert_true(tl_str_eq(tl_buf_str(&canonical), tl_buf_str(&second)));
            tl_buf_release(&second);
        }
        tl_buf_release(&canonical);
    }
}

static int hex(char c)
{
    return c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
}

static struct tl_str decode(struct tl_str text, char out[LINE_MAX_BYTES])
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] == '%' && i + 2 < text.len) {
            out[n++] = (char)(hex(text.ptr[i + 1]) * 16 + hex(text.ptr[i + 2]));
            i += 2;
        } else {
            out[n++] = text.ptr[i];
        }
    return tl_str_n(out, n);
}

static void check_case(const struct tl_type *type, struct tl_str in, struct tl_str expected,
                       const char *where)
{
    char value[LINE_MAX_BYTES], wanted[LINE_MAX_BYTES];
    char sign = expected.ptr[0];
    struct tl_buf canonical;
    enum tl_reject_code code;
    enum tl_verdict verdict;

    expected = decode(tl_str_n(expected.ptr + 2, expected.len - 2), wanted);
    tl_buf_init(&canonical, MEGABYTE);
    verdict = check_value(type, decode(in, value), &canonical, &code);
    if (sign == '=') {
        if (verdict != TL_VALUE_OK)
            fail_msg("%s: \"%.*s\" was rejected: %s", where, TL_STR_ARG(in), tl_reject_name(code));
        if (!tl_str_eq(tl_buf_str(&canonical), expected))
            fail_msg("%s: \"%.*s\" gave \"%.*s\"", where, TL_STR_ARG(in), TL_STR_ARG(tl_buf_str(&canonical)));
    } else {
        if (verdict != TL_VALUE_REJECT)
            fail_msg("%s: \"%.*s\" was taken as \"%.*s\"", where, TL_STR_ARG(in),
                     TL_STR_ARG(tl_buf_str(&canonical)));
        assert_true(tl_reject_by_name(expected) != TL_REJECT_NONE);
        if (code != tl_reject_by_name(expected))
            fail_msg("%s: \"%.*s\" was rejected as %s", where, TL_STR_ARG(in), tl_reject_name(code));
    }
    tl_buf_release(&canonical);
}

/* Returns the number of cases. */
static int check_case_file(const char *path)
{
    FILE *file = fopen(path, "re");
    struct tl_type type = {0};
    char *line = NULL, where[200];
    size_t size = 0;
    ssize_t len;
    int number = 0, cases = 0;

    if (!file)
        fail_msg("%s: no such file; the tests are run in the repository's root", path);
    while ((len = getline(&line, &size, file)) >= 0) {
        struct tl_str in = tl_str_n(line, (size_t)len - (line[len - 1] == '\n')), expected;

        snprintf(where, sizeof where, "%s:%d", path, ++number);
        assert_true(in.len < LINE_MAX_BYTES);
        if (in.len && in.ptr[0] == '#')
            continue;
        if (in.len > 5 && memcmp(in.ptr, "type ", 5) == 0) {
            struct tl_error err;

            assert_int_equal(tl_type_parse(tl_str_n(in.ptr + 5, in.len - 5), &type, &err), 0);
            continue;
        }
        expected = in;
        in = tl_str_cut(&expected, '\t');
        if (!expected.ptr || expected.len < 2)
            fail_msg("%s: not a case", where);
        check_case(&type, in, expected, where);
        cases++;
    }
    free(line);
    fclose(file);
    return cases;
}

static void test_cases(void **state)
{
    (void)state;
    for (int i = 0; i < TL_TYPE_COUNT; i++) {
        char path[100];

        snprintf(path, sizeof path, "tests/data/types/%s.cases", tl_coltype((enum tl_type_id)i)->name);
        assert_true(check_case_file(path) >= 10);
    }
}

static void check_reason_text(const char *type_text, const char *value, const char *reason)
{
    struct tl_buf scratch;
    struct tl_reject why;
    struct tl_error err;
    struct tl_type type;
    struct tl_str out;

    tl_buf_init(&scratch, MEGABYTE);
    assert_int_equal(tl_type_parse(tl_str(type_text), &type, &err), 0);
    assert_int_equal(tl_type_canon(&type, tl_str(value), &scratch, &out, &why), TL_VALUE_REJECT);
    assert_string_equal(why.reason, reason);
    tl_buf_release(&scratch);
}

static void test_reasons(void **state)
{
    (void)state;
    check_reason_text("int", "12x", "is not an integer");
    check_reason_text("int", "2147483648", "is outside of int's range (-2147483648 to 2147483647)");
    check_reason_text("decimal(10,2)", "1.234", "has 3 digits behind the point, decimal(10,2) keeps 2");
    check_reason_text("decimal(10,2)", "123456789",
                      "has 9 digits before the point, decimal(10,2) has room for 8");
    check_reason_text("varchar(3)", "abcd", "has 4 characters, varchar(3) takes 3");
    check_reason_text("date", "31.01.2026", "is not a date (YYYY-MM-DD)");
    check_reason_text("date", "2026-02-30", "is not a day of the calendar");
    check_reason_text("timestamp", "2026-01-31 12:00:00Z", "has a time zone, timestamp has none");
    check_reason_text("timestamptz", "2026-01-31 12:00:00",
                      "has no time zone (Z or an offset such as +02:00)");
    check_reason_text("timestamptz", "0001-01-01 00:00:00+01", "is outside of the years 0001 to 9999 in UTC");
    check_reason_text("json", "{\"a\" 1}", "is not JSON: ':' expected at byte 6");
}

static void test_json_nesting(void **state)
{
    struct tl_type type = type_of(TL_TYPE_JSON);
    enum tl_reject_code code;
    char *deep = malloc(6000);

    (void)state;
    assert_non_null(deep);
    memset(deep, '[', 3000);
    memset(deep + 3000, ']', 3000);
    assert_int_equal(check_value(&type, tl_str_n(deep, 6000), NULL, &code), TL_VALUE_REJECT);
    assert_int_equal(check_value(&type, tl_str_n(deep + 2000, 2000), NULL, &code), TL_VALUE_OK);
    free(deep);
}

static void check_type(const char *text, const char *format)
{
    char formatted[TL_TYPE_FORMAT];
    struct tl_error err = {0};
    struct tl_type type;

    if (tl_type_parse(tl_str(text), &type, &err))
        fail_msg("%s: %s", text, err.text);
    tl_type_format(&type, formatted);
    assert_string_equal(formatted, format);
}

static void check_no_type(const char *text, const char *part)
{
    struct tl_error err = {0};
    struct tl_type type;

    if (tl_type_parse(tl_str(text), &type, &err) == 0)
        fail_msg("\"%s\" was taken", text);
    assert_int_equal(err.code, TL_E_REFUSED);
    if (!strstr(err.text, part))
        fail_msg("\"%s\": %s", text, err.text);
}

static void test_type_parse(void **state)
{
    (void)state;
    check_type("INT", "int");
    check_type("integer", "int");
    check_type("int4", "int");
    check_type("int8", "bigint");
    check_type("Bool", "boolean");
    check_type("float8", "double");
    check_type(" double\tprecision ", "double");
    check_type("numeric(10,2)", "decimal(10,2)");
    check_type("Decimal ( 10 , 2 )", "decimal(10,2)");
    check_type("decimal(5)", "decimal(5,0)");
    check_type("decimal(38,38)", "decimal(38,38)");
    check_type("character varying(20)", "varchar(20)");
    check_type("timestamp with time zone", "timestamptz");
    check_type("timestamp without time zone", "timestamp");
}

static void test_type_refused(void **state)
{
    (void)state;
    check_no_type("", "missing");
    check_no_type("string", "did you mean text?");
    check_no_type("datetime", "did you mean timestamp?");
    check_no_type("float", "did you mean double?");
    check_no_type("char(10)", "did you mean varchar(n)?");
    check_no_type("number(10,2)", "did you mean decimal(p,s)?");
    check_no_type("bigin", "did you mean bigint?");
    check_no_type("timestmp", "did you mean timestamp?");
    check_no_type("boolaen", "did you mean boolean?");
    check_no_type("geography", "the types are: boolean int bigint double decimal(p,s) varchar(n) text date");
    check_no_type("decimal", "decimal(10,2)");
    check_no_type("numeric", "decimal(10,2)");
    check_no_type("decimal()", "numbers");
    check_no_type("decimal(0)", "from 1 to 38");
    check_no_type("decimal(39,2)", "from 1 to 38");
    check_no_type("decimal(5,6)", "from 0 to 5");
    check_no_type("decimal(5,-1)", "from 0 to 5");
    check_no_type("decimal(1,2,3)", "decimal(10,2)");
    check_no_type("decimal(1,2,3,4,5)", "numbers");
    check_no_type("decimal(99999999999999999999)", "numbers");
    check_no_type("decimal(a)", "numbers");
    check_no_type("decimal(10,2", "closing parenthesis");
    check_no_type("varchar", "varchar(20)");
    check_no_type("varchar(0)", "from 1");
    check_no_type("varchar(10485761)", "10485760");
    check_no_type("int(11)", "write just int");
    check_no_type("timestamp(6)", "write just timestamp");
    check_no_type("text()", "write just text");
    check_no_type("int int", "no type");
    check_no_type("int\x01\xFF", "int??");
    check_no_type("a very long name that can't be a type at all because it goes on and on and on and on",
                  "...");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registry),
        cmocka_unit_test(test_reject_names),
        cmocka_unit_test(test_contract_edges),
        cmocka_unit_test(test_contract_megabyte),
        cmocka_unit_test(test_contract_blanks),
        cmocka_unit_test(test_contract_random),
        cmocka_unit_test(test_contract_mutations),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_double_reads_back),
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_json_nesting),
        cmocka_unit_test(test_type_parse),
        cmocka_unit_test(test_type_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
