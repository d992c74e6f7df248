/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Schemas: names, the JSON form there and back, all that is refused, column definitions, suggestions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/schema/schema.h"

static struct tl_schema *parse(const char *text)
{
    struct tl_schema *schema = NULL;
    struct tl_error err = {0};

    if (tl_schema_from_text(tl_str(text), &schema, &err))
        fail_msg("%s: %s", text, err.text);
    return schema;
}

static void check_refused(const char *text, const char *part)
{
    struct tl_schema *schema = NULL;
    struct tl_error err = {0};

    if (tl_schema_from_text(tl_str(text), &schema, &err) == 0)
        fail_msg("taken: %s", text);
    assert_null(schema);
    assert_int_equal(err.code, TL_E_REFUSED);
    if (!strstr(err.text, part))
        fail_msg("%s\n  said: %s\n  not: %s", text, err.text, part);
}

static void test_request(void **state)
{
    struct tl_schema *s = parse(
        "{\"table\": \"Orders\", \"key\": [\"ID\"], \"columns\": ["
        "{\"name\": \"Id\", \"type\": \"INTEGER\"},"
        "{\"name\": \"price\", \"type\": \"numeric(10,2)\", \"nullable\": false, \"default\": 0},"
        "{\"name\": \"paid\", \"type\": \"bool\", \"default\": true},"
        "{\"name\": \"note\", \"type\": \"text\", \"default\": \"\"},"
        "{\"name\": \"at\", \"type\": \"timestamptz\", \"default\": \"2026-01-01T00:00+01\"},"
        "{\"name\": \"x\", \"type\": \"double\", \"default\": null}]}");

    (void)state;
    assert_string_equal(s->table, "orders");
    assert_int_equal(s->table_id, 0);
    assert_int_equal(s->version, 0);
    assert_false(s->dropped);
    assert_int_equal(s->ncolumns, 6);
    assert_int_equal(s->nkey, 1);
    assert_int_equal(s->key[0], 0);
    assert_int_equal(s->next_column_id, 7);
    for (size_t i = 0; i < s->ncolumns; i++) {
        assert_int_equal(s->columns[i].id, i + 1);
        assert_int_equal(s->columns[i].in_key, i == 0);
        assert_int_equal(s->columns[i].nullable, i > 1);
    }
    assert_string_equal(s->columns[0].name, "id");
    assert_int_equal(s->columns[0].type.id, TL_TYPE_INT);
    assert_null(s->columns[0].default_text);
    assert_string_equal(s->columns[1].default_text, "0.00");
    assert_string_equal(s->columns[2].default_text, "t");
    assert_string_equal(s->columns[3].default_text, "");
    assert_string_equal(s->columns[4].default_text, "2025-12-31 23:00:00+00");
    assert_null(s->columns[5].default_text);
    tl_schema_free(s);
    tl_schema_free(NULL);
}

static const char full[] =
    "{\"table\": \"t\", \"table_id\": 42, \"version\": 3, \"columns\": ["
    "{\"id\": 1, \"name\": \"a\", \"type\": \"varchar(20)\", \"nullable\": false, "
    "\"default\": \"x\"}, "
    "{\"id\": 5, \"name\": \"b\", \"type\": \"bigint\", \"nullable\": false, \"default\": null}, "
    "{\"id\": 3, \"name\": \"c\", \"type\": \"decimal(38,10)\", \"nullable\": true, "
    "\"default\": null}], \"key\": [\"b\", \"a\"], \"next_column_id\": 9, \"dropped\": true}";

static void test_round_trip(void **state)
{
    struct tl_schema *s = parse(full), *again = NULL;
    json_t *json = tl_schema_to_json(s);
    struct tl_error err;
    char *text;

    (void)state;
    assert_non_null(json);
    text = json_dumps(json, JSON_PRESERVE_ORDER);
    assert_string_equal(text, full);
    free(text);
    assert_int_equal(tl_schema_from_json(json, &again, &err), 0);
    assert_true(tl_schema_same_shape(s, again));
    assert_int_equal(again->table_id, 42);
    assert_int_equal(again->version, 3);
    assert_int_equal(again->next_column_id, 9);
    assert_true(again->dropped);
    assert_int_equal(again->key[0], 1);
    assert_int_equal(again->key[1], 0);
    assert_int_equal(tl_schema_find(s, tl_str("c")), 2);
    assert_int_equal(tl_schema_find(s, tl_str("d")), -1);
    assert_int_equal(tl_schema_find_id(s, 5), 1);
    assert_int_equal(tl_schema_find_id(s, 2), -1);
    json_decref(json);
    tl_schema_free(again);
    tl_schema_free(s);
}

/* A newer program's message may say more; a request may not, for it would be passed over in silence. */
static void test_unknown_members(void **state)
{
    (void)state;
    tl_schema_free(parse("{\"table\": \"t\", \"table_id\": 1, \"version\": 1, \"colour\": 1, \"columns\": "
                         "[{\"id\": 1, \"name\": \"a\", \"type\": \"int\", \"since\": 3}]}"));
    check_refused(
        "{\"table\": \"t\", \"keys\": [\"a\"], \"columns\": [{\"name\": \"a\", \"type\": \"int\"}]}",
        "unknown member \"keys\"; did you mean \"key\"?");
    check_refused(
        "{\"table\": \"t\", \"columns\": [{\"name\": \"a\", \"type\": \"int\", \"nulable\": false}]}",
        "column \"a\": unknown member \"nulable\"; did you mean \"nullable\"?");
    check_refused("{\"table\": \"t\", \"columns\": [{\"name\": \"a\", \"type\": \"int\", \"zzz\": 1}]}",
                  "column \"a\": unknown member \"zzz\"");
}

#define COLUMNS(list)  "{\"table\": \"t\", \"columns\": [" list "]}"
#define KEY(key, list) "{\"table\": \"t\", \"key\": [" key "], \"columns\": [" list "]}"
#define INT_A          "{\"name\": \"a\", \"type\": \"int\"}"

static void test_refused(void **state)
{
    (void)state;
    check_refused("", "not JSON");
    check_refused("{\"table\": \"t\",", "the schema is not JSON: line 1");
    check_refused("{\"table\": \"t\", \"table\": \"u\"}", "not JSON");
    check_refused("[]", "JSON object");
    check_refused("{}", "\"table\" is missing");
    check_refused("{\"table\": 7}", "\"table\" has to be a string");
    check_refused("{\"table\": \"\"}", "the table has no name");
    check_refused("{\"table\": \"my table\"}", "table name \"my table\" has to be of the letters a-z");
    check_refused("{\"table\": \"my table\"}", "\"my_table\" would do");
    check_refused("{\"table\": \"2024\"}", "\"c_2024\" would do");
    check_refused("{\"table\": \"_tload_ledger\"}", "kept for tload and its sinks");
    check_refused("{\"table\": \"_TLOAD\"}", "kept for tload and its sinks");
    check_refused("{\"table\": \"sqlite_stat1\"}", "kept for tload and its sinks");
    check_refused("{\"table\": \"t\"}", "at least one column");
    check_refused(COLUMNS(""), "at least one column");
    check_refused("{\"table\": \"t\", \"columns\": {}}", "\"columns\" has to be a list");
    check_refused("{\"table\": \"t\", \"table_id\": -1}", "\"table_id\" has to be a whole number");
    check_refused("{\"table\": \"t\", \"version\": 3000000000}", "\"version\" has to be a whole number");
    check_refused("{\"table\": \"t\", \"dropped\": 1}", "\"dropped\" has to be true or false");
    check_refused(COLUMNS("7"), "column 1: it has to be an object");
    check_refused(COLUMNS(INT_A ", {\"type\": \"int\"}"), "column 2: \"name\" is missing");
    check_refused(COLUMNS("{\"name\": \"a\"}"), "column \"a\": \"type\" is missing");
    check_refused(COLUMNS("{\"name\": \"a\", \"type\": 1}"), "column \"a\": \"type\" has to be a string");
    check_refused(COLUMNS("{\"name\": \"a\", \"type\": \"string\"}"),
                  "column \"a\": there is no type \"string\"");
    check_refused(COLUMNS("{\"name\": \"a b\", \"type\": \"int\"}"), "column name \"a b\"");
    check_refused(COLUMNS("{\"name\": \"_tload_x\", \"type\": \"int\"}"), "kept for tload and its sinks");
    check_refused(COLUMNS(INT_A ", {\"name\": \"A\", \"type\": \"text\"}"), "column \"a\" is there twice");
    check_refused(COLUMNS("{\"name\": \"a\", \"type\": \"int\", \"nullable\": \"no\"}"), "true or false");
    check_refused(COLUMNS("{\"name\": \"a\", \"type\": \"int\", \"default\": \"1x\"}"),
                  "column \"a\": default \"1x\" of type int is not an integer");
    check_refused(COLUMNS("{\"name\": \"a\", \"type\": \"varchar(2)\", \"default\": \"abc\"}"),
                  "of type varchar(2) has 3 characters, varchar(2) takes 2");
    check_refused(COLUMNS("{\"name\": \"a\", \"type\": \"decimal(4,1)\", \"default\": 0.5}"),
                  "write it in quotes");
    check_refused(COLUMNS("{\"name\": \"a\", \"type\": \"int\", \"default\": []}"),
                  "\"default\" has to be a string");
    check_refused(COLUMNS("{\"name\": \"a\", \"type\": \"int\", \"id\": 0.5}"),
                  "\"id\" has to be a whole number");
    check_refused(
        COLUMNS("{\"name\": \"a\", \"type\": \"int\", \"id\": 1}, {\"name\": \"b\", \"type\": \"int\"}"),
        "either every column has an id, or none");
    check_refused(
        COLUMNS("{\"name\": \"a\", \"type\": \"int\"}, {\"name\": \"b\", \"type\": \"int\", \"id\": 1}"),
        "either every column has an id, or none");
    check_refused(COLUMNS("{\"name\": \"a\", \"type\": \"int\", \"id\": 4}, "
                          "{\"name\": \"b\", \"type\": \"int\", \"id\": 4}"),
                  "column \"b\" has the id 4 of another one");
    check_refused("{\"table\": \"t\", \"next_column_id\": 1, \"columns\": [" INT_A "]}", "has to be above 1");
    check_refused(KEY("\"b\"", INT_A), "key: there is no column \"b\"");
    check_refused(KEY("\"orderid\"", "{\"name\": \"order_id\", \"type\": \"int\"}"),
                  "did you mean \"order_id\"?");
    check_refused(KEY("\"a\", \"A\"", INT_A), "key: column \"a\" is there twice");
    check_refused(KEY("1", INT_A), "list of column names");
    check_refused("{\"table\": \"t\", \"key\": \"a\", \"columns\": [" INT_A "]}", "list of column names");
    check_refused(KEY("\"a\"", "{\"name\": \"a\", \"type\": \"double\"}"),
                  "column \"a\": double can't be a key");
    check_refused(KEY("\"a\"", "{\"name\": \"a\", \"type\": \"json\"}"), "json can't be a key");
    check_refused(KEY("\"a\"", "{\"name\": \"a\", \"type\": \"bytea\"}"), "bytea can't be a key");
}

/* A table with n columns c1 ... cn, the first nkey of them its key. */
static json_t *wide(size_t n, size_t nkey)
{
    json_t *columns = json_array(), *key = json_array();

    for (size_t i = 1; i <= n; i++) {
        char name[20];

        snprintf(name, sizeof name, "c%zu", i);
        assert_int_equal(json_array_append_new(columns, json_pack("{s:s, s:s}", "name", name, "type", "int")),
                         0);
        if (i <= nkey)
            assert_int_equal(json_array_append_new(key, json_string(name)), 0);
    }
    return json_pack("{s:s, s:o, s:o}", "table", "wide", "columns", columns, "key", key);
}

static void test_limits(void **state)
{
    static const struct {
        size_t columns, key;
        const char *refusal;
    } cases[] = {
        {TL_COLUMNS_MAX, TL_KEY_MAX, NULL},
        {TL_COLUMNS_MAX + 1, 1, "at most 2000 columns, not 2001"},
        {40, TL_KEY_MAX + 1, "a key has at most 32 columns, not 33"},
    };
    char name[TL_NAME_MAX + 1], longest[TL_NAME_MAX + 2];
    struct tl_error err;

    (void)state;
    for (size_t i = 0; i < TL_ARRAY_LEN(cases); i++) {
        json_t *json = wide(cases[i].columns, cases[i].key);
        struct tl_schema *schema = NULL;
        int rc = tl_schema_from_json(json, &schema, &err);

        assert_int_equal(rc, cases[i].refusal ? -1 : 0);
        if (cases[i].refusal) {
            assert_non_null(strstr(err.text, cases[i].refusal));
        } else {
            assert_int_equal(schema->ncolumns, cases[i].columns);
            assert_int_equal(schema->next_column_id, cases[i].columns + 1);
            assert_int_equal(tl_schema_find(schema, tl_str("c2000")), 1999);
        }
        tl_schema_free(schema);
        json_decref(json);
    }
    memset(longest, 'a', sizeof longest);
    assert_int_equal(tl_name_parse(tl_str_n(longest, TL_NAME_MAX), "column", name, &err), 0);
    assert_int_equal(strlen(name), TL_NAME_MAX);
    assert_int_equal(tl_name_parse(tl_str_n(longest, TL_NAME_MAX + 1), "column", name, &err), -1);
    assert_non_null(strstr(err.text, "has 64 bytes; 63 are the most"));
}

static void check_fold(const char *text, const char *name)
{
    char out[TL_NAME_MAX + 1], parsed[TL_NAME_MAX + 1];
    struct tl_error err;

    assert_int_equal(tl_name_fold(tl_str(text), out), *name != '\0');
    assert_string_equal(out, name);
    if (*name) {
        assert_int_equal(tl_name_parse(tl_str(out), "column", parsed, &err), 0);
        assert_string_equal(parsed, name);
    }
}

static void test_name_fold(void **state)
{
    (void)state;
    check_fold("id", "id");
    check_fold("ID", "id");
    check_fold("_id", "_id");
    check_fold("a__b_", "a__b_");
    check_fold("Order No.", "order_no");
    check_fold("  price (EUR) ", "price_eur");
    check_fold("Gr\xC3\xB6\xC3\x9F"
               "e",
               "gr_e");
    check_fold("2024", "c_2024");
    check_fold("1st", "c_1st");
    check_fold("_1", "_1");
    check_fold("_tload_x", "tload_x");
    check_fold("", "");
    check_fold(" -?- ", "");
    check_fold("\xFF\xFE", "");
    check_fold("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
    check_fold("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b",
               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab");
    check_fold("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa b c",
               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_b");
}

static void test_suggest(void **state)
{
    struct tl_schema *s = parse(
        "{\"table\": \"t\", \"columns\": [{\"name\": \"customer_id\", \"type\": \"int\"}, "
        "{\"name\": \"quantity\", \"type\": \"int\"}, {\"name\": \"at\", \"type\": \"date\"}]}");

    (void)state;
    assert_string_equal(tl_schema_suggest(s, tl_str("CustomerId")), "customer_id");
    assert_string_equal(tl_schema_suggest(s, tl_str("quantty")), "quantity");
    assert_string_equal(tl_schema_suggest(s, tl_str("qantitys")), "quantity");
    assert_null(tl_schema_suggest(s, tl_str("price")));
    assert_null(tl_schema_suggest(s, tl_str("")));
    assert_null(tl_schema_suggest(s, tl_str("it")));
    tl_schema_free(s);
}

static void test_same_shape(void **state)
{
    static const char *const different[] = {
        KEY("\"a\"", INT_A ", {\"name\": \"b\", \"type\": \"text\", \"default\": \"y\"}"),
        KEY("\"a\"", INT_A ", {\"name\": \"b\", \"type\": \"text\"}"),
        KEY("\"a\"", INT_A ", {\"name\": \"b\", \"type\": \"varchar(9)\", "
                           "\"default\": \"x\"}"),
        KEY("\"a\"", INT_A ", {\"name\": \"c\", \"type\": \"text\", \"default\": \"x\"}"),
        KEY("\"a\"", INT_A ", {\"name\": \"b\", \"type\": \"text\", \"default\": \"x\", "
                           "\"nullable\": false}"),
        KEY("\"a\"", INT_A),
        KEY("\"a\", \"b\"", INT_A ", {\"name\": \"b\", \"type\": \"text\", \"default\": \"x\"}"),
        KEY("", "{\"name\": \"a\", \"type\": \"int\", \"nullable\": false}, "
                "{\"name\": \"b\", \"type\": \"text\", \"default\": \"x\"}"),
        KEY("\"a\"", "{\"name\": \"b\", \"type\": \"text\", \"default\": \"x\"}, " INT_A),
    };
    struct tl_schema *s = parse(
        KEY("\"a\"", INT_A ", {\"name\": \"b\", \"type\": \"text\", \"default\": \"x\"}"));
    struct tl_schema *same = parse(
        "{\"table\": \"u\", \"table_id\": 9, \"key\": [\"a\"], \"columns\": ["
        "{\"id\": 7, \"name\": \"a\", \"type\": \"integer\", \"nullable\": false}, "
        "{\"id\": 8, \"name\": \"b\", \"type\": \"text\", \"default\": \"x\"}]}");

    (void)state;
    assert_true(tl_schema_same_shape(s, s));
    assert_true(tl_schema_same_shape(s, same));
    for (size_t i = 0; i < TL_ARRAY_LEN(different); i++) {
        struct tl_schema *other = parse(different[i]);

        assert_false(tl_schema_same_shape(s, other));
        assert_false(tl_schema_same_shape(other, s));
        tl_schema_free(other);
    }
    tl_schema_free(same);
    tl_schema_free(s);
}

static void check_def(const char *text, const char *json_text)
{
    struct tl_error err = {0};
    json_t *json = tl_column_def_parse(tl_str(text), &err);
    char *dumped;

    if (!json)
        fail_msg("%s: %s", text, err.text);
    dumped = json_dumps(json, JSON_PRESERVE_ORDER | JSON_COMPACT);
    assert_string_equal(dumped, json_text);
    free(dumped);
    json_decref(json);
}

static void check_no_def(const char *text, const char *part)
{
    struct tl_error err = {0};
    json_t *json = tl_column_def_parse(tl_str(text), &err);

    if (json)
        fail_msg("taken: %s", text);
    assert_int_equal(err.code, TL_E_REFUSED);
    if (!strstr(err.text, part))
        fail_msg("%s: %s", text, err.text);
}

#define DEF(name, type, nullable, value) \
    "{\"name\":\"" name "\",\"type\":\"" type "\",\"nullable\":" nullable ",\"default\":" value "}"

static void test_column_def(void **state)
{
    (void)state;
    check_def("id int", DEF("id", "int", "true", "null"));
    check_def("  Price\tDECIMAL( 10 , 2 )  NOT  NULL default 0 ",
              DEF("price", "decimal(10,2)", "false", "\"0\""));
    check_def("x double precision null", DEF("x", "double", "true", "null"));
    check_def("at timestamp with time zone not null", DEF("at", "timestamptz", "false", "null"));
    check_def("s text default 'it''s '", DEF("s", "text", "true", "\"it's \""));
    check_def("s text default ''", DEF("s", "text", "true", "\"\""));
    check_def("s text default '' not null", DEF("s", "text", "false", "\"\""));
    check_def("s text default two words", DEF("s", "text", "true", "\"two words\""));
    check_def("s text default 'null'", DEF("s", "text", "true", "\"null\""));
    check_def("s text default NULL", DEF("s", "text", "true", "null"));
    check_def("s varchar(20) default null not", DEF("s", "varchar(20)", "true", "\"null not\""));
}

static void test_column_def_refused(void **state)
{
    (void)state;
    check_no_def("", "the column has no name");
    check_no_def("id", "column \"id\": the type is missing");
    check_no_def("id not null", "column \"id\": the type is missing");
    check_no_def("gr\xC3\xB6\xC3\x9F"
                 "e int",
                 "has to be of the letters");
    check_no_def("id string", "did you mean text?");
    check_no_def("id int primary key", "--key");
    check_no_def("id int unique", "--key");
    check_no_def("id int references other(id)", "references");
    check_no_def("id int not", "\"not\" has to be followed by null");
    check_no_def("id int not nul", "\"not\" has to be followed by null");
    check_no_def("id int not null null", "said twice");
    check_no_def("id int null not null", "said twice");
    check_no_def("id int default", "default needs a value");
    check_no_def("id int default 0 not null", "not null before default");
    check_no_def("s text default 'x' default 'y'", "default is said twice");
    check_no_def("s text default 'x", "closing quote");
    check_no_def("s text default 'x' y", "\"y\" is not understood");
    check_no_def("s text not null maybe", "\"maybe\" is not understood");
    check_no_def("s text default '\xFF'", "the default is not UTF-8");
    check_no_def("x decimal(10,2 not null", "closing parenthesis");
}

/* What the definition leaves to the schema: the default's canonical form. */
static void test_column_def_in_schema(void **state)
{
    struct tl_schema *schema;
    struct tl_error err;
    json_t *json = json_pack("{s:s, s:[o]}", "table", "t", "columns",
                             tl_column_def_parse(tl_str("price decimal(10,2) not null default 0"), &err));

    (void)state;
    assert_non_null(json);
    assert_int_equal(tl_schema_from_json(json, &schema, &err), 0);
    assert_string_equal(schema->columns[0].default_text, "0.00");
    assert_false(schema->columns[0].nullable);
    tl_schema_free(schema);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_request),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_unknown_members),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_name_fold),
        cmocka_unit_test(test_suggest),
        cmocka_unit_test(test_same_shape),
        cmocka_unit_test(test_column_def),
        cmocka_unit_test(test_column_def_refused),
        cmocka_unit_test(test_column_def_in_schema),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
