/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Rows of a raw batch: which are valid, which are rejected and why, and that both are always the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/check/errorlines.h"
#include "shared/check/rowcheck.h"

static const char schema_json[] =
    "{\"table\":\"orders\",\"table_id\":1,\"version\":1,\"columns\":["
    "{\"id\":1,\"name\":\"id\",\"type\":\"bigint\",\"nullable\":false,\"default\":null},"
    "{\"id\":2,\"name\":\"name\",\"type\":\"text\",\"nullable\":true,\"default\":null},"
    "{\"id\":3,\"name\":\"qty\",\"type\":\"int\",\"nullable\":false,\"default\":null}],\"key\":[\"id\"]}";

struct seen {
    struct tl_buf rejected; /* "LINE COLUMN CODE VALUE|RAW\n" */
    struct tl_buf valid;    /* "INDEX LINE RAW\n" */
};

static int on_rejected(void *app, const struct rejected_row *row, struct tl_error *err)
{
    struct seen *seen = app;

    (void)err;
    assert_int_equal(tl_buf_appendf(&seen->rejected, "%lld %s %s %.*s|%.*s\n", (long long)row->line,
                                    row->column ? row->column : "-", tl_reject_name(row->code),
                                    row->value.ptr ? (int)row->value.len : 1,
                                    row->value.ptr ? row->value.ptr : "-", TL_STR_ARG(row->raw)),
                     TL_BUF_OK);
    assert_true(row->reason[0] != '\0');
    return 0;
}

static int on_valid(void *app, int64_t index, int64_t line, struct tl_str raw, struct tl_error *err)
{
    struct seen *seen = app;

    (void)err;
    assert_int_equal(
        tl_buf_appendf(&seen->valid, "%lld %lld %.*s\n", (long long)index, (long long)line, TL_STR_ARG(raw)),
        TL_BUF_OK);
    return 0;
}

struct fixture {
    struct tl_schema *schema;
    struct rowcheck *check;
    struct seen seen;
    struct tl_buf out;
    struct rowcheck_result result;
    struct tl_error err;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    assert_int_equal(tl_schema_from_text(tl_str(schema_json), &f->schema, &f->err), 0);
    f->check = rowcheck_new(f->schema, tl_str("csv"), tl_str("id,name,qty"), &f->err);
    assert_non_null(f->check);
    tl_buf_init(&f->seen.rejected, 1 << 20);
    tl_buf_init(&f->seen.valid, 1 << 20);
    tl_buf_init(&f->out, 1 << 20);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    rowcheck_free(f->check);
    tl_schema_free(f->schema);
    tl_buf_release(&f->seen.rejected);
    tl_buf_release(&f->seen.valid);
    tl_buf_release(&f->out);
    free(f);
    return 0;
}

static int run(struct fixture *f, const char *value, const char *malformed)
{
    struct rowcheck_sink sink = {.rejected = on_rejected, .valid = on_valid, .app = &f->seen};
    size_t len = strlen(value);
    char *batch = malloc(len); /* with nothing behind it, that a sanitizer tells of a look there */
    int rc;

    assert_non_null(batch);
    memcpy(batch, value, len);
    tl_buf_reset(&f->seen.rejected);
    tl_buf_reset(&f->seen.valid);
    tl_buf_reset(&f->out);
    rc = rowcheck_run(f->check, tl_str_n(batch, len), tl_str(malformed), &f->out, &sink, &f->result, &f->err);
    free(batch);
    return rc;
}

#define assert_buf(b, text)                                  \
    do {                                                     \
        assert_int_equal(tl_buf_terminate(&(b)), TL_BUF_OK); \
        assert_string_equal((b).data, text);                 \
    } while (0)

/* What does not fit any more is told, and what is smaller may still follow. */
static void test_no_room(void **state)
{
    struct fixture *f = *state;

    f->out.max = 20;
    assert_int_equal(run(f, "2\t1,abcd,1\n3\t2,0123456789abcdef,2\n4\t3,efgh,3\n5\t4,x,4\n", NULL), 0);
    assert_int_equal(f->result.valid, 2);
    assert_int_equal(f->result.rejected, 2);
    assert_buf(f->seen.rejected, "3 - record_too_long -|2,0123456789abcdef,2\n5 - record_too_long -|4,x,4\n");
    f->out.max = 1 << 20;
    assert_buf(f->out, "1\tabcd\t1\n3\tefgh\t3\n");
}

static void test_valid_rows(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(
        run(f, "2\t007,\"Smith, \"\"J\"\"\",+5\n3\t8,,0\n4\t9,\"\",1\n5\t10,\"a\nb\tc\\\",2\n", NULL), 0);
    assert_int_equal(f->result.valid, 4);
    assert_int_equal(f->result.rejected, 0);
    assert_buf(f->out, "7\tSmith, \"J\"\t5\n8\t\\N\t0\n9\t\t1\n10\ta\\nb\\tc\\\\\t2\n");
    assert_buf(f->seen.valid,
               "0 2 007,\"Smith, \"\"J\"\"\",+5\n1 3 8,,0\n2 4 9,\"\",1\n3 5 10,\"a\nb\tc\\\",2\n");
}

/* Values of all lengths, at all distances from the end of the batch: what is copied in one piece, and what is not. */
static void test_lengths(void **state)
{
    enum { LENGTHS = 70 };
    struct fixture *f = *state;
    char name[LENGTHS + 1] = "", batch[2 * LENGTHS], due[2 * LENGTHS];

    for (int n = 1; n <= LENGTHS; n++)
        for (int special = 0; special < 2; special++) {
            memset(name, 'x', (size_t)n);
            name[n - 1] = special ? '\\' : 'y';
            snprintf(batch, sizeof batch, "2\t%d,%s,%d\n", n, name, n * n);
            snprintf(due, sizeof due, "%d\t%.*s%s\t%d\n", n, n - 1, name, special ? "\\\\" : "y", n * n);
            assert_int_equal(run(f, batch, NULL), 0);
            assert_buf(f->out, due);
        }
}

static void test_rejected_rows(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(run(f,
                         "2\t1,a,12x\n3\t2,b\n4\t3,c,1,x\n5\t,d,1\n6\t5,e\"f,1\n7\t6,g,\n8\t7,h,3\n"
                         "9\t99999999999999999999,i,1\n",
                         NULL),
                     0);
    assert_int_equal(f->result.valid, 1);
    assert_int_equal(f->result.rejected, 7);
    assert_buf(f->out, "7\th\t3\n");
    assert_buf(f->seen.valid, "0 8 7,h,3\n");
    assert_buf(f->seen.rejected, "2 qty not_integer 12x|1,a,12x\n"
                                 "3 - too_few_fields -|2,b\n"
                                 "4 - too_many_fields -|3,c,1,x\n"
                                 "5 id null_value -|,d,1\n"
                                 "6 - bad_quoting -|5,e\"f,1\n"
                                 "7 qty null_value -|6,g,\n"
                                 "9 id out_of_range 99999999999999999999|99999999999999999999,i,1\n");
}

static void test_malformed_records(void **state)
{
    struct fixture *f = *state;

    /* the record at byte 10 would swallow the next one by its quoting */
    assert_int_equal(run(f, "2\t1,a,1\n3\t2,\"b,2\n4\t3,c,3\n", "10+6:unterminated_quote"), 0);
    assert_int_equal(f->result.valid, 2);
    assert_buf(f->out, "1\ta\t1\n3\tc\t3\n");
    assert_buf(f->seen.rejected, "3 - unterminated_quote -|2,\"b,2\n");
}

static void test_not_a_batch(void **state)
{
    static const char *const bad[][2] = {
        {"1,a,1\n", NULL},                        /* no line number */
        {"2\t1,a,1", NULL},                       /* no end */
        {"2\t1,\"a,1\n", NULL},                   /* malformed and not said to be */
        {"2\t1,a,1\n", "2+9:unterminated_quote"}, /* longer than the value */
        {"2\t1,a,1\n", "2+3:unterminated_quote"}, /* ends in the middle */
        {"2\t1,a,1\n", "nonsense"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < TL_ARRAY_LEN(bad); i++) {
        assert_int_equal(run(f, bad[i][0], bad[i][1]), -1);
        assert_int_equal(f->err.code, TL_E_CORRUPT);
    }
}

static void test_columns_must_be_known(void **state)
{
    struct fixture *f = *state;

    assert_null(rowcheck_new(f->schema, tl_str("csv"), tl_str("id,nmae"), &f->err));
    assert_int_equal(f->err.code, TL_E_CORRUPT);
}

static void test_order_of_columns_is_the_files(void **state)
{
    struct fixture *f = *state;

    rowcheck_free(f->check);
    f->check = rowcheck_new(f->schema, tl_str("csv;delimiter=3b"), tl_str("qty,id"), &f->err);
    assert_non_null(f->check);
    assert_int_equal(run(f, "2\t5;1\n", NULL), 0);
    assert_buf(f->out, "5\t1\n");
}

static void test_error_lines(void **state)
{
    struct rejected_row row = {
        .line = 7,
        .column = "qty",
        .code = TL_REJECT_NOT_INTEGER,
        .reason = "is not an integer",
        .value = tl_str("1\"2"),
        .raw = tl_str_n("a\0b\xff", 4),
    };
    struct tl_buf b;

    (void)state;
    tl_buf_init(&b, 1 << 20);
    assert_int_equal(errorlines_append(&b, tl_str("u1"), tl_str("my%20file.csv"), &row), TL_BUF_OK);
    assert_buf(
        b,
        "{\"upload\":\"u1\",\"file\":\"my file.csv\",\"line\":7,\"column\":\"qty\",\"code\":\"not_integer\","
        "\"reason\":\"is not an integer\",\"value\":\"1\\\"2\",\"raw\":\"a\\u0000b\xEF\xBF\xBD\","
        "\"raw_base64\":\"YQBi/w==\"}\n");
    /* a long value is cut between characters, not within one */
    char value[201];

    memset(value, 'x', 99);
    memcpy(value + 99, "\xC3\xA9", 3);
    row.value = tl_str(value);
    row.column = NULL;
    row.raw = tl_str("r");
    tl_buf_reset(&b);
    assert_int_equal(errorlines_append(&b, tl_str("u1"), tl_str("f"), &row), TL_BUF_OK);
    assert_int_equal(tl_buf_terminate(&b), TL_BUF_OK);
    assert_non_null(strstr(b.data, "\"column\":null"));
    assert_non_null(strstr(b.data, "xxx\",\"raw\":\"r\"}"));
    assert_null(strstr(b.data, "\xC3"));
    tl_buf_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_no_room, setup, teardown),
        cmocka_unit_test_setup_teardown(test_valid_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lengths, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rejected_rows, setup, teardown),
        cmocka_unit_test_setup_teardown(test_malformed_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_a_batch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_columns_must_be_known, setup, teardown),
        cmocka_unit_test_setup_teardown(test_order_of_columns_is_the_files, setup, teardown),
        cmocka_unit_test(test_error_lines),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
