/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Guessing a table's definition from rows: names, types, the key, and the bounds of its memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/schema/infer.h"
#include "shared/schema/schema.h"
#include "shared/schema/seen.h"

enum { VALUES_MAX = 8 };

static struct tl_infer *start(const char *const *header, size_t n)
{
    struct tl_str *names = calloc(n, sizeof *names);
    struct tl_infer *infer;
    struct tl_error err;

    assert_non_null(names);
    for (size_t i = 0; i < n; i++)
        names[i] = tl_str(header[i]);
    infer = tl_infer_new(names, n, &err);
    assert_non_null(infer);
    free(names);
    return infer;
}

/* The definition as text; also a request that tl_schema_from_json takes. For the caller to free. */
static char *finish(struct tl_infer *infer)
{
    struct tl_schema *schema = NULL;
    struct tl_error err = {0};
    json_t *json = tl_infer_finish(infer, tl_str("t"), &err);
    char *text;

    assert_non_null(json);
    if (tl_schema_from_json(json, &schema, &err))
        fail_msg("%s", err.text);
    tl_schema_free(schema);
    text = json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(json);
    tl_infer_free(infer);
    return text;
}

/* The type that a column with these values gets; a value NULL within n is a null. */
static void check_values(const char *const *values, size_t n, const char *type)
{
    static const char *const header[] = {"x"};
    struct tl_infer *infer = start(header, 1);
    char expected[120], *text;
    struct tl_error err;

    for (size_t i = 0; i < n; i++) {
        struct tl_str value = tl_str(values[i]);

        assert_int_equal(tl_infer_row(infer, &value, 1, &err), 0);
    }
    text = finish(infer);
    snprintf(expected, sizeof expected,
             "{\"table\":\"t\",\"columns\":[{\"name\":\"x\",\"type\":\"%s\",\"nullable\":true}],\"key\":[]}",
             type);
    if (strcmp(text, expected) != 0)
        fail_msg("%s ...: %s, not %s", values[0] ? values[0] : "null", text, type);
    free(text);
}

#define CHECK(type, ...)                                                 \
    do {                                                                 \
        const char *const values_[] = {__VA_ARGS__};                     \
        check_values(values_, sizeof values_ / sizeof values_[0], type); \
    } while (0)

static void test_types(void **state)
{
    (void)state;
    CHECK("boolean", "t", "f");
    CHECK("boolean", "true", "False", "YES", NULL);
    CHECK("text", "true", "1");
    CHECK("text", "y", "n");
    CHECK("int", "1", "0");
    CHECK("int", "-5", "2147483647", NULL);
    CHECK("bigint", "1", "2147483648");
    CHECK("decimal(23,0)", "9223372036854775808", "1");
    CHECK("decimal(18,2)", "1", "2.50", "-3.1");
    CHECK("decimal(18,2)", "0.05");
    CHECK("decimal(22,3)", "123456789012345.125");
    CHECK("decimal(38,2)", "123456789012345678901234567890123456.12");
    CHECK("double", "123456789012345678901234567890123456.12", "0.123");
    CHECK("double", "123456789012345678901234567890123456789");
    CHECK("double", "1e3", "2");
    CHECK("double", "1.5", "NaN");
    CHECK("double", "0.123456789012", "1.5");
    CHECK("decimal(24,18)", "1.123456789012345678", "22");
    CHECK("text", "00123", "5");
    CHECK("text", "5", "+49");
    CHECK("text", "007.5");
    CHECK("decimal(18,1)", "0.5", "-0.5");
    CHECK("int", "0", "-0");
    CHECK("date", "2026-01-31", NULL, "2024-02-29");
    CHECK("text", "2026-01-31", "2026-02-30");
    CHECK("timestamp", "2026-01-31", "2026-01-31 12:00");
    CHECK("timestamp", "2026-01-31T12:00:00.5");
    CHECK("timestamptz", "2026-01-31T12:00:00Z", "2026-01-31 12:00+02");
    CHECK("text", "2026-01-31T12:00:00Z", "2026-01-31 12:00");
    CHECK("uuid", "0123abcd-89ef-4012-8345-6789abcdef01");
    CHECK("text", "0123abcd89ef401283456789abcdef01");
    CHECK("text", "hello");
    CHECK("text", NULL, NULL);
    CHECK("text", "");
    CHECK("text", "1", "", "2");
    CHECK("text", "1", "x", "2");
    CHECK("text", "{\"a\": 1}");
    CHECK("text", "1\xFF");
    CHECK("int", " 1 ", "2");
}

static void check_key(const char *const *header, const char *const rows[][VALUES_MAX], size_t nrows, size_t n,
                      const char *key)
{
    struct tl_infer *infer = start(header, n);
    struct tl_error err;
    char *text, expected[100];

    for (size_t i = 0; i < nrows; i++) {
        struct tl_str values[VALUES_MAX];

        for (size_t k = 0; k < n; k++)
            values[k] = tl_str(rows[i][k]);
        assert_int_equal(tl_infer_row(infer, values, n, &err), 0);
    }
    text = finish(infer);
    snprintf(expected, sizeof expected, "\"key\":[%s]}", key);
    if (!strstr(text, expected))
        fail_msg("%s, not %s", text, expected);
    free(text);
}

static void test_key(void **state)
{
    static const char *const header[] = {"name", "Customer ID", "id", "other_id"};
    static const char *const good[][VALUES_MAX] = {{"x", "1", "a", "1"}, {"y", "1", "b", "2"}};
    static const char *const null[][VALUES_MAX] = {{"x", "1", NULL, "1"}, {"y", "1", "b", "2"}};
    static const char *const twice[][VALUES_MAX] = {{"x", "1", "a", "1"}, {"y", "1", " A", "1"}};
    static const char *const doubles[][VALUES_MAX] = {{"x", "1e5", "a", "1e7"}, {"y", "1e6", "a", "1"}};

    (void)state;
    check_key(header, good, 2, 4, "\"id\"");
    check_key(header, good, 1, 4, "\"customer_id\"");
    check_key(header, null, 2, 4, "\"other_id\"");
    check_key(header, twice, 2, 4, "");
    check_key(header, doubles, 2, 4, "");
    check_key(header, good, 0, 4, "");
    check_key(header, good, 2, 1, "");
}

static void test_names(void **state)
{
    static const char *const header[] = {"a", "A", "", "a_2", "Order No.", "order-no", "_tload_x", "a"};
    static const char *const names[] = {"a",        "a_2",        "column_3", "a_2_2",
                                        "order_no", "order_no_2", "tload_x",  "a_3"};
    struct tl_infer *infer = start(header, TL_ARRAY_LEN(header));
    struct tl_error err;
    json_t *json = tl_infer_finish(infer, tl_str("t"), &err);

    (void)state;
    for (size_t i = 0; i < TL_ARRAY_LEN(names); i++) {
        json_t *column = json_array_get(json_object_get(json, "columns"), i);

        assert_string_equal(json_string_value(json_object_get(column, "name")), names[i]);
    }
    json_decref(json);
    tl_infer_free(infer);
}

/* Many columns of one long name: the numbers take the place of its end. */
static void test_many_equal_names(void **state)
{
    struct tl_str *header = calloc(TL_COLUMNS_MAX, sizeof *header);
    struct tl_infer *infer;
    struct tl_error err;
    char name[80];

    (void)state;
    assert_non_null(header);
    memset(name, 'n', sizeof name);
    for (size_t i = 0; i < TL_COLUMNS_MAX; i++)
        header[i] = tl_str_n(name, sizeof name);
    infer = tl_infer_new(header, TL_COLUMNS_MAX, &err);
    assert_non_null(infer);
    free(finish(infer));
    free(header);
    assert_null(tl_infer_new(NULL, TL_COLUMNS_MAX + 1, &err));
    assert_int_equal(err.code, TL_E_REFUSED);
    assert_null(tl_infer_new(NULL, 0, &err));
}

static void test_rows(void **state)
{
    const struct tl_str values[] = {tl_str("1"), tl_str("x")};
    struct tl_infer *infer;
    struct tl_error err;
    char *text;

    (void)state;
    infer = tl_infer_new(NULL, 2, &err);
    assert_non_null(infer);
    assert_int_equal(tl_infer_row(infer, values, 2, &err), 0);
    assert_int_equal(tl_infer_row(infer, values + 1, 1, &err), 0);
    assert_int_equal(tl_infer_counts(infer).rows, 2);
    assert_int_equal(tl_infer_counts(infer).ragged, 1);
    assert_null(tl_infer_finish(infer, tl_str("no name"), &err));
    assert_int_equal(err.code, TL_E_REFUSED);
    text = finish(infer);
    assert_string_equal(
        text, "{\"table\":\"t\",\"columns\":[{\"name\":\"column_1\",\"type\":\"int\",\"nullable\":true},"
              "{\"name\":\"column_2\",\"type\":\"text\",\"nullable\":true}],\"key\":[]}");
    free(text);
}

/* Beyond its bound the set takes anything as new, but still knows what it has kept. */
static void test_seen(void **state)
{
    struct tl_seen *seen = tl_seen_new();
    char text[24];

    (void)state;
    assert_non_null(seen);
    for (int i = 0; i < 150000; i++) {
        snprintf(text, sizeof text, "value %d", i);
        assert_int_equal(tl_seen_add(seen, tl_str(text)), 1);
    }
    assert_int_equal(tl_seen_add(seen, tl_str("VALUE 99999")), 0);
    assert_int_equal(tl_seen_add(seen, tl_str("value 100000")), 1);
    tl_seen_free(seen);
    tl_seen_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types), cmocka_unit_test(test_key),
        cmocka_unit_test(test_names), cmocka_unit_test(test_many_equal_names),
        cmocka_unit_test(test_rows),  cmocka_unit_test(test_seen),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
