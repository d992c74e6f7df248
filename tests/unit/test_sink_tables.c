/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What sink.h asks of a data sink about tables: made, changed, dropped, and the types of their columns. */
#include "tests/unit/sink_fixture.h"

static void test_create_and_describe(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *back;

    expect_orders(f, "");
    OK(f->ops->table(f->sink, "orders", &back, &f->err));
    assert_non_null(back);
    assert_true(tl_schema_same_shape(back, f->orders));
    assert_int_equal(back->table_id, 1);
    assert_int_equal(back->version, 1);
    assert_false(back->dropped);
    tl_schema_free(back);
    apply(f, f->orders);
}

static void test_key_of_texts(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *t = schema_of(
        f, "{\"table\":\"t\",\"table_id\":5,\"version\":1,\"columns\":["
           "{\"id\":1,\"name\":\"n\",\"type\":\"int\"},"
           "{\"id\":2,\"name\":\"day\",\"type\":\"date\"},"
           "{\"id\":3,\"name\":\"code\",\"type\":\"text\"}],\"key\":[\"code\",\"day\"]}");

    apply(f, t);
    put(f, t, NULL, "1\t2026-01-31\t007\n2\t2026-01-31\t7\n3\t2026-02-01\t7\n4\t2026-01-31\t007\n");
    expect(f, "SELECT n, day, code FROM t ORDER BY n", "2|2026-01-31|7\n3|2026-02-01|7\n4|2026-01-31|007\n");
    tl_schema_free(t);
}

static void test_types(void **state)
{
    struct fixture *f = *state;
    static const char *const columns[] = {"b", "i",  "l",  "d",  "m", "x", "v",
                                          "t", "da", "ts", "tz", "u", "j", "y"};
    struct tl_schema *t = schema_of(f, "{\"table\":\"t\",\"table_id\":5,\"version\":1,\"columns\":["
                                       "{\"id\":1,\"name\":\"id\",\"type\":\"int\"},"
                                       "{\"id\":2,\"name\":\"b\",\"type\":\"boolean\"},"
                                       "{\"id\":3,\"name\":\"i\",\"type\":\"int\"},"
                                       "{\"id\":4,\"name\":\"l\",\"type\":\"bigint\"},"
                                       "{\"id\":5,\"name\":\"d\",\"type\":\"double\"},"
                                       "{\"id\":6,\"name\":\"m\",\"type\":\"decimal(10,2)\"},"
                                       "{\"id\":7,\"name\":\"x\",\"type\":\"decimal(30,9)\"},"
                                       "{\"id\":8,\"name\":\"v\",\"type\":\"varchar(5)\"},"
                                       "{\"id\":9,\"name\":\"t\",\"type\":\"text\"},"
                                       "{\"id\":10,\"name\":\"da\",\"type\":\"date\"},"
                                       "{\"id\":11,\"name\":\"ts\",\"type\":\"timestamp\"},"
                                       "{\"id\":12,\"name\":\"tz\",\"type\":\"timestamptz\"},"
                                       "{\"id\":13,\"name\":\"u\",\"type\":\"uuid\"},"
                                       "{\"id\":14,\"name\":\"j\",\"type\":\"json\"},"
                                       "{\"id\":15,\"name\":\"y\",\"type\":\"bytea\"}],\"key\":[\"id\"]}");
    char sql[400];
    size_t at = (size_t)snprintf(sql, sizeof sql, "SELECT ");

    apply(f, t);
    put(f, t, NULL,
        "1\tt\t-2147483648\t-9223372036854775808\t0.1\t12345678.90\t12345678901234567890.123456789\t007\t\\t\\n\\\\\t"
        "0001-01-01\t2026-01-31 12:00:00.5\t2026-01-31 12:00:00+00\t123e4567-e89b-12d3-a456-426614174000\t"
        "{\"a\": \"\\\\n\"}\t\\\\x00ff10\n"
        "2\tf\t2147483647\t9223372036854775807\tNaN\t-99999999.99\t0.000000000\t1e5\t\t"
        "9999-12-31\t0001-01-01 00:00:00\t9999-12-31 23:59:59.999999+00\t00000000-0000-0000-0000-000000000000\t1.0\t"
        "\\\\x\n"
        "3\t\\N\t\\N\t\\N\t-Infinity\t5.00\t\\N\t\\N\t\xC3\xA9\xF0\x9F\x98\x80\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\n");
    for (size_t i = 0; i < TL_ARRAY_LEN(columns); i++)
        at += (size_t)snprintf(sql + at, sizeof sql - at, "%s%s, typeof(%s)", i ? ", " : "", columns[i],
                               columns[i]);
    snprintf(sql + at, sizeof sql - at, " FROM t ORDER BY id");
    expect(f, sql, f->hooks->edge_values);
    tl_schema_free(t);
}

static void test_defaults(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *t = schema_of(
        f, "{\"table\":\"t\",\"table_id\":5,\"version\":1,\"columns\":["
           "{\"id\":1,\"name\":\"id\",\"type\":\"int\"},"
           "{\"id\":2,\"name\":\"b\",\"type\":\"boolean\",\"nullable\":false,\"default\":\"true\"},"
           "{\"id\":3,\"name\":\"d\",\"type\":\"double\",\"default\":\"-1.5e300\"},"
           "{\"id\":4,\"name\":\"m\",\"type\":\"decimal(4,2)\",\"default\":\"-0.25\"},"
           "{\"id\":5,\"name\":\"s\",\"type\":\"text\",\"default\":\"it's\"},"
           "{\"id\":6,\"name\":\"e\",\"type\":\"text\",\"default\":\"\"},"
           "{\"id\":7,\"name\":\"y\",\"type\":\"bytea\",\"default\":\"\\\\x00ff\"}],\"key\":[\"id\"]}");

    apply(f, t);
    put(f, t, "id", "1\n");
    expect(f, "SELECT b, d, m, s, e, y FROM t", "1|-1.5e+300|-0.25|it's||00ff\n");
    tl_schema_free(t);
}

static void test_drop_and_make_again(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *back, *second;

    put(f, f->orders, NULL, "1\ta\t1\n");
    apply_json(f, "{\"table\":\"orders\",\"table_id\":1,\"version\":2,\"dropped\":true,\"columns\":["
                  "{\"id\":1,\"name\":\"id\",\"type\":\"bigint\"}],\"key\":[\"id\"]}");
    expect_orders(f, "no such table");
    OK(f->ops->table(f->sink, "orders", &back, &f->err));
    assert_true(back && back->dropped);
    tl_schema_free(back);
    OK(f->ops->begin(f->sink, &f->err));
    FAILS(write_rows(f, f->sink, f->orders, NULL, "1\ta\t1\n", NULL, NULL), TL_E_NOT_FOUND);
    f->ops->rollback(f->sink);
    apply(f, f->orders); /* late: changes nothing */
    expect_orders(f, "no such table");

    second = schema_of(f, "{\"table\":\"orders\",\"table_id\":2,\"version\":1,\"columns\":["
                          "{\"id\":1,\"name\":\"code\",\"type\":\"text\"}],\"key\":[\"code\"]}");
    apply(f, second);
    put(f, second, NULL, "x\n");
    apply(f, f->orders);
    expect(f, "SELECT code FROM orders", "x\n");
    OK(f->ops->begin(f->sink, &f->err));
    FAILS(write_rows(f, f->sink, f->orders, NULL, "1\ta\t1\n", NULL, NULL), TL_E_NOT_FOUND);
    f->ops->rollback(f->sink);
    tl_schema_free(second);

    /* Another table of the same name takes the place also of one whose drop was never seen. */
    apply_json(f, "{\"table\":\"orders\",\"table_id\":3,\"version\":1,\"columns\":["
                  "{\"id\":1,\"name\":\"k\",\"type\":\"int\"}],\"key\":[\"k\"]}");
    expect(f, "SELECT k FROM orders", "");
}

static void test_table_in_the_way(void **state)
{
    struct fixture *f = *state;

    f->hooks->query(f, "CREATE TABLE orders (mine integer)");
    OK(f->ops->begin(f->sink, &f->err));
    FAILS(f->ops->apply_schema(f->sink, f->orders, &f->err), TL_E_FATAL);
    assert_non_null(strstr(f->err.text, "\"orders\" exists and was not made by tload"));
    f->ops->rollback(f->sink);
    expect(f, "SELECT mine FROM orders", "");
}

static void test_keywords(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *t = schema_of(f, "{\"table\":\"order\",\"table_id\":5,\"version\":1,\"columns\":["
                                       "{\"id\":1,\"name\":\"select\",\"type\":\"int\"},"
                                       "{\"id\":2,\"name\":\"where\",\"type\":\"text\",\"default\":\"from\"},"
                                       "{\"id\":3,\"name\":\"rowid\",\"type\":\"text\"},"
                                       "{\"id\":4,\"name\":\"excluded\",\"type\":\"text\"}],"
                                       "\"key\":[\"select\"]}");

    apply(f, t);
    put(f, t, "select,rowid,excluded", "1\ta\tb\n1\tc\td\n");
    expect(f, "SELECT \"select\", \"where\", \"rowid\", \"excluded\" FROM \"order\"", "1|from|c|d\n");
    tl_schema_free(t);
}

static void test_most_columns(void **state)
{
    struct fixture *f = *state;
    struct tl_buf text;
    struct tl_schema *t;
    int most = (int)f->ops->columns_max;
    char sql[200];

    tl_buf_init(&text, 1024 * 1024);
    OK(tl_buf_append_z(&text, "{\"table\":\"wide\",\"table_id\":5,\"version\":1,\"columns\":["));
    for (int i = 1; i <= most; i++)
        OK(tl_buf_appendf(
            &text,
            "%s{\"id\":%d,\"name\":\"column_with_a_name_that_is_about_as_long_as_it_can_be_%d\","
            "\"type\":\"int\"}",
            i > 1 ? "," : "", i, i));
    OK(tl_buf_appendf(&text, "],\"key\":[\"column_with_a_name_that_is_about_as_long_as_it_can_be_%d\"]}",
                      most));
    OK(tl_buf_terminate(&text));
    t = schema_of(f, text.data);
    apply(f, t);
    tl_buf_reset(&text);
    for (int row = 0; row < 3; row++)
        for (int i = 1; i <= most; i++)
            OK(tl_buf_appendf(&text, "%d%c", i == most ? row % 2 : i + row, i < most ? '\t' : '\n'));
    OK(tl_buf_terminate(&text));
    put(f, t, NULL, text.data);
    snprintf(sql, sizeof sql,
             "SELECT column_with_a_name_that_is_about_as_long_as_it_can_be_1599 FROM wide"
             " ORDER BY 1");
    expect(f, sql, most == 1599 ? "0\n1\n" : "1600\n1601\n");
    tl_schema_free(t);
    tl_buf_release(&text);
}

/* Everything that a new version can change, in one; rows made by the first version go on coming. */
static void test_later_version(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *v1 = schema_of(
        f, "{\"table\":\"t\",\"table_id\":5,\"version\":1,\"columns\":["
           "{\"id\":1,\"name\":\"id\",\"type\":\"int\"},"
           "{\"id\":2,\"name\":\"gone\",\"type\":\"text\"},"
           "{\"id\":3,\"name\":\"was\",\"type\":\"varchar(3)\"},"
           "{\"id\":4,\"name\":\"day\",\"type\":\"date\"},"
           "{\"id\":5,\"name\":\"n\",\"type\":\"int\"},"
           "{\"id\":6,\"name\":\"m\",\"type\":\"decimal(5,1)\"}],\"key\":[\"id\"]}");
    struct tl_schema *back;
    static const char all[] = "SELECT id, \"is\", day, n, m, gone FROM t ORDER BY id";

    apply(f, v1);
    put(f, v1, NULL, "1\tx\tabc\t2026-01-31\t7\t-1.5\n2\tx\t\\N\t\\N\t\\N\t\\N\n");
    f->hooks->query(f, "CREATE INDEX t_day ON t (day)");
    f->hooks->query(f, "CREATE INDEX t_gone ON t (was)");
    apply_json(f, "{\"table\":\"t\",\"table_id\":5,\"version\":2,\"columns\":["
                  "{\"id\":5,\"name\":\"n\",\"type\":\"decimal(20,2)\"},"
                  "{\"id\":1,\"name\":\"id\",\"type\":\"bigint\"},"
                  "{\"id\":3,\"name\":\"is\",\"type\":\"text\"},"
                  "{\"id\":4,\"name\":\"day\",\"type\":\"timestamp\"},"
                  "{\"id\":6,\"name\":\"m\",\"type\":\"decimal(20,3)\"},"
                  "{\"id\":7,\"name\":\"gone\",\"type\":\"text\",\"default\":\"new\"}],\"key\":[\"id\"]}");
    expect(f, all, "1|abc|2026-01-31 00:00:00|7.00|-1.500|new\n2|NULL|NULL|NULL|NULL|new\n");
    put(f, v1, NULL, "2\tx\td\\te\t2025-12-24\t-8\t2.0\n3\tx\t\\N\t\\N\t\\N\t\\N\n");
    expect(f, all,
           "1|abc|2026-01-31 00:00:00|7.00|-1.500|new\n2|d\te|2025-12-24 00:00:00|-8.00|2.000|new\n"
           "3|NULL|NULL|NULL|NULL|new\n");
    apply(f, v1);
    OK(f->ops->table(f->sink, "t", &back, &f->err));
    assert_int_equal(back->version, 2);
    tl_schema_free(back);
    tl_schema_free(v1);
    if (strcmp(f->ops->scheme, "sqlite") == 0)
        expect(f, "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 't'", "t_day\n");
}

/* Names that swap, and new columns at the end; what somebody made of a column follows it. */
static void test_names_and_new_columns(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *v1 = schema_of(f,
                                     "{\"table\":\"t\",\"table_id\":5,\"version\":1,\"columns\":["
                                     "{\"id\":1,\"name\":\"id\",\"type\":\"int\"},"
                                     "{\"id\":2,\"name\":\"a\",\"type\":\"int\"},"
                                     "{\"id\":3,\"name\":\"b\",\"type\":\"varchar(3)\"}],\"key\":[\"id\"]}");

    apply(f, v1);
    put(f, v1, NULL, "1\t10\tx\n2\t20\ty\n");
    f->hooks->query(f, "CREATE INDEX t_a ON t (a)");
    apply_json(f, "{\"table\":\"t\",\"table_id\":5,\"version\":2,\"columns\":["
                  "{\"id\":1,\"name\":\"no\",\"type\":\"int\"},"
                  "{\"id\":2,\"name\":\"b\",\"type\":\"bigint\"},"
                  "{\"id\":3,\"name\":\"a\",\"type\":\"text\"},"
                  "{\"id\":4,\"name\":\"d\",\"type\":\"double\",\"nullable\":false,\"default\":\"-1.5\"},"
                  "{\"id\":5,\"name\":\"n\",\"type\":\"decimal(20,1)\"}],\"key\":[\"no\"]}");
    expect(f, "SELECT no, b, a, d, n FROM t ORDER BY no", "1|10|x|-1.5|NULL\n2|20|y|-1.5|NULL\n");
    put(f, v1, NULL, "2\t21\tz\n3\t30\tw\n");
    expect(f, "SELECT no, b, a, d, n FROM t ORDER BY no",
           "1|10|x|-1.5|NULL\n2|21|z|-1.5|NULL\n3|30|w|-1.5|NULL\n");
    if (strcmp(f->ops->scheme, "sqlite") == 0)
        expect(f, "SELECT sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = 't'",
               "CREATE INDEX t_a ON t (\"b\")\n");
    tl_schema_free(v1);
}

/* What else there is in the database may keep ALTER TABLE from its work; the change is made all the same. */
static void test_changed_in_spite_of_a_broken_view(void **state)
{
    struct fixture *f = *state;

    put(f, f->orders, NULL, "1\ta\t1\n");
    if (strcmp(f->ops->scheme, "sqlite") != 0)
        return;
    f->hooks->query(f, "CREATE VIEW broken AS SELECT x FROM nowhere");
    f->hooks->query(f, "CREATE VIEW of_it AS SELECT * FROM orders");
    apply_json(f, "{\"table\":\"orders\",\"table_id\":1,\"version\":2,\"columns\":["
                  "{\"id\":1,\"name\":\"number\",\"type\":\"bigint\"},"
                  "{\"id\":9,\"name\":\"more\",\"type\":\"int\",\"default\":\"3\"}],\"key\":[\"number\"]}");
    expect(f, "SELECT number, more FROM orders", "1|3\n");
    apply_json(f, "{\"table\":\"orders\",\"table_id\":1,\"version\":3,\"columns\":["
                  "{\"id\":1,\"name\":\"no\",\"type\":\"bigint\"},"
                  "{\"id\":9,\"name\":\"more\",\"type\":\"int\",\"default\":\"3\"}],\"key\":[\"no\"]}");
    expect(f, "SELECT no, more FROM of_it", "1|3\n");
}

int main(void)
{
    static const struct sink_test tests[] = {
        {"create_and_describe", test_create_and_describe, setup_orders},
        {"key_of_texts", test_key_of_texts, setup_open},
        {"types", test_types, setup_open},
        {"defaults", test_defaults, setup_open},
        {"drop_and_make_again", test_drop_and_make_again, setup_orders},
        {"table_in_the_way", test_table_in_the_way, setup_open},
        {"keywords", test_keywords, setup_open},
        {"most_columns", test_most_columns, setup_open},
        {"later_version", test_later_version, setup_open},
        {"names_and_new_columns", test_names_and_new_columns, setup_open},
        {"changed_in_spite_of_a_broken_view", test_changed_in_spite_of_a_broken_view, setup_orders},
    };

    return run_over_sinks(tests, TL_ARRAY_LEN(tests));
}
