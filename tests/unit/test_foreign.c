/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A foreign table compared with a definition, and what its defaults mean; the sinks' part is in test_sink_foreign.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "coordinatord/sinks/foreign.h"

/* --- constants --- */

static void test_constants(void **state)
{
    /* Value NULL: no constant; "-": null. */
    static const struct {
        const char *expr, *type, *value;
    } cases[] = {
        {"7", "int", "7"},
        {"007", "bigint", "7"},
        {"-1", "int", "-1"},
        {"(-1)", "int", "-1"},
        {"'-1'::integer", "int", "-1"},
        {"7", "decimal(10,2)", "7.00"},
        {"1.5::numeric(10,2)", "decimal(10,2)", "1.50"},
        {"1e2", "double", "100"},
        {"true", "boolean", "t"},
        {"FALSE", "boolean", "f"},
        {"1", "boolean", "t"},
        {"'x'::character varying", "varchar(5)", "x"},
        {"'it''s'::text", "text", "it's"},
        {"''", "text", ""},
        {"'2026-01-31'::date", "date", "2026-01-31"},
        {"X'00ff'", "bytea", "\\x00ff"},
        {"'\\x00ff'::bytea", "bytea", "\\x00ff"},
        {"NULL", "text", "-"},
        {"NULL::character varying", "text", "-"},
        {"null", "int", "-"},
        {"now()", "timestamp", NULL},
        {"CURRENT_TIMESTAMP", "timestamptz", NULL},
        {"nextval('s'::regclass)", "bigint", NULL},
        {"'a'::text || 'b'::text", "text", NULL},
        {"('a'::text || 'b'::text)", "text", NULL},
        {"1 + 1", "int", NULL},
        {"1)(2", "int", NULL},
        {"'open", "text", NULL},
        {"'x'", "int", NULL},
        {"300000000000", "int", NULL},
        {"nullif(1, 2)", "int", NULL},
        {"truecolor()", "boolean", NULL},
        {"", "int", NULL},
    };

    (void)state;
    for (size_t i = 0; i < TL_ARRAY_LEN(cases); i++) {
        struct tl_error err;
        struct tl_type type;
        char *value;
        int rc;

        assert_int_equal(tl_type_parse(tl_str(cases[i].type), &type, &err), 0);
        rc = foreign_constant(cases[i].expr, &type, &value, &err);
        if (rc != (cases[i].value != NULL))
            fail_msg("%s: %d", cases[i].expr, rc);
        if (!cases[i].value || strcmp(cases[i].value, "-") == 0)
            assert_null(value);
        else
            assert_string_equal(value, cases[i].value);
        free(value);
    }
}

/* --- differences --- */

static struct foreign_column *add(struct foreign_table *t, const char *name, const char *type, bool nullable,
                                  const char *default_expr)
{
    struct tl_error err;
    struct foreign_column *c = foreign_add(t, name, type, default_expr, &err);

    assert_non_null(c);
    c->mapped = tl_type_parse(tl_str(type), &c->type, &err) == 0;
    c->nullable = nullable;
    return c;
}

static void add_key(struct foreign_table *t, bool primary, const char *a, const char *b)
{
    struct foreign_key *key = foreign_add_key(t, primary);

    assert_non_null(key);
    assert_true(foreign_key_add(t, key, a));
    if (b)
        assert_true(foreign_key_add(t, key, b));
}

/* orders as most cases begin with it. */
static struct foreign_table *orders(void)
{
    struct tl_error err;
    struct foreign_table *t = foreign_new(&err);

    assert_non_null(t);
    add(t, "id", "bigint", false, NULL);
    add(t, "qty", "int", true, "7");
    add(t, "note", "text", true, NULL);
    return t;
}

static struct tl_schema *schema_of(const char *columns, const char *key)
{
    struct tl_schema *schema;
    struct tl_error err;
    char text[400];

    snprintf(text, sizeof text, "{\"table\":\"orders\",\"columns\":[%s],\"key\":[%s]}", columns, key);
    if (tl_schema_from_text(tl_str(text), &schema, &err))
        fail_msg("%s", err.text);
    return schema;
}

#define ID   "{\"name\":\"id\",\"type\":\"bigint\"}"
#define QTY  "{\"name\":\"qty\",\"type\":\"int\",\"default\":7}"
#define NOTE "{\"name\":\"note\",\"type\":\"text\"}"

/* Takes over t. */
static void expect(struct foreign_table *t, const char *columns, const char *key, const char *differences)
{
    struct tl_schema *schema = schema_of(columns, key);
    struct tl_error err;
    struct tl_buf out;
    size_t n;

    tl_buf_init(&out, 10000);
    assert_int_equal(foreign_differences(t, schema, &out, &n, &err), 0);
    assert_string_equal(out.data, differences);
    assert_int_equal(n > 0, *differences != '\0');
    tl_buf_release(&out);
    tl_schema_free(schema);
    foreign_free(t);
}

static void test_agrees(void **state)
{
    struct foreign_table *t = orders();

    (void)state;
    add_key(t, true, "id", NULL);
    expect(t, ID "," QTY "," NOTE, "\"id\"", "");

    /* Columns that fill themselves, an order of its own, a unique index in place of the primary key. */
    t = orders();
    add(t, "seen", "timestamptz", false, "now()");
    add(t, "tags", "text[]", true, NULL);
    add(t, "twice", "int", false, NULL)->computed = true;
    add(t, "serial", "int", false, "nextval('x')");
    add_key(t, true, "serial", NULL);
    add_key(t, false, "id", NULL);
    expect(t, NOTE "," ID, "\"id\"", "");

    /* Without a key, beside one that the database makes by itself. */
    t = orders();
    add(t, "serial", "int", false, "nextval('x')");
    add_key(t, true, "serial", NULL);
    expect(t, "{\"name\":\"qty\",\"type\":\"int\",\"default\":7}", "",
           "column \"id\", which the definition does not "
           "have, is not null and has no default");

    /* A default of the database's own is no difference to none. */
    t = orders();
    add(t, "seen", "timestamptz", true, "now()");
    add_key(t, true, "id", NULL);
    expect(t, ID ",{\"name\":\"seen\",\"type\":\"timestamptz\"}", "\"id\"", "");
}

static void test_columns_differ(void **state)
{
    static const struct {
        const char *columns, *differences;
    } cases[] = {
        {ID ",{\"name\":\"gone\",\"type\":\"int\"}", "it has no column \"gone\""},
        {ID ",{\"name\":\"qty\",\"type\":\"bigint\",\"default\":7}", "column \"qty\" is int, not bigint"},
        {ID ",{\"name\":\"qty\",\"type\":\"int\",\"default\":7,\"nullable\":false}",
         "column \"qty\" is nullable, not not null"},
        {ID ",{\"name\":\"qty\",\"type\":\"int\",\"default\":8}", "column \"qty\" has default 7, not 8"},
        {ID ",{\"name\":\"qty\",\"type\":\"int\"}", "column \"qty\" has default 7, not none"},
        {ID ",{\"name\":\"note\",\"type\":\"text\",\"default\":\"\"}",
         "column \"note\" has no default, not "},
        {ID ",{\"name\":\"seen\",\"type\":\"timestamp\",\"default\":\"2026-01-31\"}",
         "column \"seen\" has default now(), not 2026-01-31 00:00:00"},
        {ID ",{\"name\":\"doc\",\"type\":\"json\"}", "column \"doc\" is jsonb, not json"},
        {ID ",{\"name\":\"sum\",\"type\":\"int\"}", "column \"sum\" is computed by the database"},
        {ID ",{\"name\":\"gone\",\"type\":\"int\"},{\"name\":\"doc\",\"type\":\"json\"}",
         "it has no column \"gone\"; column \"doc\" is jsonb, not json"},
    };

    (void)state;
    for (size_t i = 0; i < TL_ARRAY_LEN(cases); i++) {
        struct foreign_table *t = orders();

        add(t, "seen", "timestamp", true, "now()");
        add(t, "doc", "jsonb", true, NULL);
        add(t, "sum", "int", true, NULL)->computed = true;
        add_key(t, true, "id", NULL);
        expect(t, cases[i].columns, "\"id\"", cases[i].differences);
    }
}

static void test_keys_differ(void **state)
{
    struct foreign_table *t = orders();

    (void)state;
    t->columns[1].nullable = false;
    add_key(t, true, "id", "qty");
    expect(t, ID "," QTY, "\"id\"",
           "column \"qty\" is not null, not nullable; its primary key is (id, qty), and no "
           "unique index is on (id)");
    t = orders();
    t->columns[1].nullable = false;
    add_key(t, true, "id", "qty");
    expect(t, ID "," QTY, "\"qty\",\"id\"", "");
    t = orders();
    add_key(t, true, "id", NULL);
    expect(t, "{\"name\":\"id\",\"type\":\"bigint\",\"nullable\":false}", "",
           "its primary key is (id), and the definition has no key");
    expect(orders(), ID, "\"id\"", "no primary key or unique index is on (id)");
    t = orders();
    snprintf(t->obstacle, sizeof t->obstacle, "it is a view");
    expect(t, ID, "\"id\"", "it is a view");
}

static void test_many_differences(void **state)
{
    struct foreign_table *t = orders();
    struct tl_schema *schema;
    struct tl_error err;
    char text[4000] = ID;
    size_t at = strlen(text);

    (void)state;
    for (int i = 0; i < 30; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, ",{\"name\":\"c%02d\",\"type\":\"int\"}", i);
    memmove(text + 34, text, at + 1);
    memcpy(text, "{\"table\":\"orders\",     \"columns\":[", 34);
    memcpy(text + 34 + at, "]}", 3);
    assert_int_equal(tl_schema_from_text(tl_str(text), &schema, &err), 0);
    assert_int_equal(foreign_check(t, schema, TL_E_CONFLICT, &err), -1);
    assert_int_equal(err.code, TL_E_CONFLICT);
    assert_non_null(strstr(
        err.text, "can't be adopted: column \"id\" is not null, not nullable; it has no column \"c00\"; "));
    assert_string_equal(strstr(err.text, "\"c17\""), "\"c17\"; and 12 more");
    tl_schema_free(schema);
    foreign_free(t);
}

/* --- the definition --- */

static void test_definition(void **state)
{
    struct foreign_table *t = orders();
    struct tl_error err;
    json_t *json;
    char *text;

    (void)state;
    add(t, "seen", "timestamptz", false, "now()");
    add_key(t, true, "id", NULL);
    add_key(t, false, "note", NULL);
    assert_int_equal(foreign_definition(t, "orders", &json, &err), 0);
    text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(
        text,
        "{\"table\":\"orders\",\"columns\":["
        "{\"name\":\"id\",\"type\":\"bigint\",\"nullable\":false,\"default\":null},"
        "{\"name\":\"qty\",\"type\":\"int\",\"nullable\":true,\"default\":\"7\"},"
        "{\"name\":\"note\",\"type\":\"text\",\"nullable\":true,\"default\":null},"
        "{\"name\":\"seen\",\"type\":\"timestamptz\",\"nullable\":false,\"default\":null}],\"key\":[\"id\"],"
        "\"notes\":[\"column \\\"seen\\\": its default now() is the database's own; the definition has none\"]}");
    free(text);
    json_decref(json);

    add(t, "tags", "text[]", true, NULL);
    add(t, "Big", "int", true, NULL);
    assert_int_equal(foreign_definition(t, "orders", &json, &err), -1);
    assert_int_equal(err.code, TL_E_REFUSED);
    assert_non_null(
        strstr(err.text, "column \"tags\" is of type text[]; column \"Big\" has a name that no column"));
    foreign_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_constants),        cmocka_unit_test(test_agrees),
        cmocka_unit_test(test_columns_differ),   cmocka_unit_test(test_keys_differ),
        cmocka_unit_test(test_many_differences), cmocka_unit_test(test_definition),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
