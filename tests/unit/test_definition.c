/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Definitions of tables: from COLUMNs, from a file, guessed from a CSV file; the request, and the command
 * for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/define/definition.h"
#include "shared/wire/dialect.h"

/* Writes the bytes into a new file, whose name is in path. */
static void write_file(char path[40], const char *bytes, size_t n)
{
    int fd;

    snprintf(path, 40, "%s", "/tmp/tload-definition-XXXXXX");
    fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    close(fd);
}

static void check_json(json_t *got, const char *expected)
{
    json_error_t why;
    json_t *json = json_loads(expected, 0, &why);

    if (!json)
        fail_msg("%s: %s", expected, why.text);
    if (!json_equal(got, json)) {
        char *text = json_dumps(got, 0);

        fail_msg("%s\nis not %s", text, expected);
    }
    json_decref(json);
    json_decref(got);
}

static json_t *request(json_t *definition, const char *key)
{
    struct tl_error err = {0};
    json_t *got;

    assert_non_null(definition);
    got = definition_request(definition, "Orders", key, &err);
    if (!got)
        fail_msg("%s", err.text);
    json_decref(definition);
    return got;
}

static void test_columns(void **state)
{
    static const char *const columns[] = {"ID int", "price decimal(10,2) not null default 7"};
    struct tl_error err;

    (void)state;
    check_json(request(definition_from_columns(columns, 2, &err), "id"),
               "{\"table\":\"orders\",\"columns\":["
               "{\"name\":\"id\",\"type\":\"int\",\"nullable\":false,\"default\":null},"
               "{\"name\":\"price\",\"type\":\"decimal(10,2)\",\"nullable\":false,\"default\":\"7.00\"}],"
               "\"key\":[\"id\"]}");
}

static void test_columns_refused(void **state)
{
    static const char *const good[] = {"id int"}, *const bad[] = {"id integr"};
    struct tl_error err = {0};
    json_t *definition;

    (void)state;
    assert_null(definition_from_columns(bad, 1, &err));
    assert_int_equal(err.code, TL_E_REFUSED);
    definition = definition_from_columns(good, 1, &err);
    assert_null(definition_request(definition, "orders", "nope", &err));
    assert_int_equal(err.code, TL_E_REFUSED);
    assert_null(definition_request(definition, "orders", "", &err));
    assert_null(definition_request(definition, "or-ders", NULL, &err));
    json_decref(definition);
}

/* What describe --json prints defines another table of the same shape. */
static void test_file_as_described(void **state)
{
    static const char text[] =
        "{\"table\":\"old\",\"table_id\":7,"
        "\"version\":3,\"next_column_id\":9,\"state\":\"active\",\"created_at\":\"x\","
        "\"columns\":[{\"id\":8,"
        "\"name\":\"id\",\"type\":\"int\",\"nullable\":false,\"default\":null}],\"key\":[\"id\"]}";
    struct tl_error err = {0};
    char path[40];
    json_t *definition;

    (void)state;
    write_file(path, text, strlen(text));
    check_json(request(definition_from_file(path, &err), NULL),
               "{\"table\":\"orders\",\"columns\":["
               "{\"name\":\"id\",\"type\":\"int\",\"nullable\":false,\"default\":null}],"
               "\"key\":[\"id\"]}");
    unlink(path);
    write_file(path, "{\"columns\":[],\n\"keys\":[]}", 25);
    definition = definition_from_file(path, &err);
    assert_null(definition_request(definition, "orders", NULL, &err));
    json_decref(definition);
    unlink(path);
    write_file(path, "{\n]", 3);
    assert_null(definition_from_file(path, &err));
    assert_non_null(strstr(err.text, ":2: not JSON"));
    unlink(path);
    assert_null(definition_from_file(path, &err));
    assert_non_null(strstr(err.text, "No such file"));
}

/* Guesses from the bytes; NULL with *err. */
static json_t *infer(const char *bytes, size_t n, bool header, struct infer_counts *counts,
                     struct tl_error *err)
{
    struct tl_dialect csv;
    char path[40];
    json_t *definition;

    tl_dialect_csv(&csv);
    write_file(path, bytes, n);
    definition = definition_infer(path, "orders", &csv, header, counts, err);
    unlink(path);
    return definition;
}

static void check_types(json_t *definition, const char *expected)
{
    json_t *column;
    char types[200] = "";
    size_t i, used = 0;

    json_array_foreach(json_object_get(definition, "columns"), i, column) used += (size_t)snprintf(
        types + used, sizeof types - used, "%s %s;", json_string_value(json_object_get(column, "name")),
        json_string_value(json_object_get(column, "type")));
    assert_string_equal(types, expected);
    json_decref(definition);
}

static void test_infer(void **state)
{
    static const char text[] = "\xEF\xBB\xBFid,note\r\n1,\"a,\nb\"\r\n2\r\n\"3\"x,y\r\n4,z";
    struct infer_counts counts;
    struct tl_error err = {0};
    json_t *definition = infer(text, strlen(text), true, &counts, &err);

    (void)state;
    if (!definition)
        fail_msg("%s", err.text);
    check_types(definition, "id int;note text;");
    assert_int_equal(counts.rows, 4);
    assert_int_equal(counts.bad, 2);
    assert_true(counts.whole);
    check_types(infer("1,2026-01-31\n", 13, false, &counts, &err), "column_1 int;column_2 date;");
    assert_int_equal(counts.rows, 1);
}

static void test_infer_looks_at_the_start_only(void **state)
{
    enum { ROWS = 12000 };
    struct infer_counts counts;
    struct tl_error err = {0};
    struct tl_buf text;

    (void)state;
    tl_buf_init(&text, ROWS * 8);
    assert_int_equal(tl_buf_append_z(&text, "a\n"), 0);
    for (int i = 0; i < ROWS; i++)
        assert_int_equal(tl_buf_appendf(&text, "%s\n", i < 10000 ? "1" : "x"), 0);
    check_types(infer(text.data, text.len, true, &counts, &err), "a int;");
    assert_int_equal(counts.rows, 10000);
    assert_false(counts.whole);
    tl_buf_release(&text);
}

static void test_infer_refused(void **state)
{
    struct infer_counts counts;
    struct tl_error err = {0};

    (void)state;
    assert_null(infer("", 0, true, &counts, &err));
    assert_non_null(strstr(err.text, "is empty"));
    assert_null(infer("\xFF\xFEi\0d\0", 6, true, &counts, &err));
    assert_non_null(strstr(err.text, "UTF-16"));
    assert_null(infer("\x1F\x8B\x08", 3, true, &counts, &err));
    assert_non_null(strstr(err.text, "gzip"));
    assert_null(infer("\"id\n1\n", 6, true, &counts, &err));
    assert_non_null(strstr(err.text, "quoting of the first record"));
}

/* The command that is printed, read by a shell and by tload, is the same definition. */
static void test_command(void **state)
{
    static const char *const columns[] = {"id int not null", "t text default 'it''s $HOME'"};
    struct tl_error err = {0};
    json_t *json = request(definition_from_columns(columns, 2, &err), "id");
    struct output out = {0};
    char *text;
    size_t len;

    (void)state;
    out.file = open_memstream(&text, &len);
    assert_int_equal(definition_print_command(&out, json, &err), 0);
    fclose(out.file);
    assert_string_equal(text, "tload define-table orders \\\n    'id int not null' \\\n"
                              "    't text default '\\''it'\\'''\\''s $HOME'\\''' \\\n    --key id\n");
    free(text);
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_columns_refused),
        cmocka_unit_test(test_file_as_described),
        cmocka_unit_test(test_infer),
        cmocka_unit_test(test_infer_looks_at_the_start_only),
        cmocka_unit_test(test_infer_refused),
        cmocka_unit_test(test_command),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
