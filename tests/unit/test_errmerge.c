/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "coordinatord/errors/errmerge.h"

/* A store that is a list in memory. */
struct errstore {
    struct {
        int32_t partition;
        enum tl_stage stage;
        int64_t seq, part;
        const char *lines;
    } segments[16];
    size_t n;
    int asked;
    int64_t fails_at; /* the seq whose get fails; 0: none */
};

static int fake_get(struct errstore *s, const struct segment_id *id, struct tl_buf *out, struct tl_error *err)
{
    s->asked++;
    assert_string_equal(id->tenant, "acme");
    assert_string_equal(id->upload, "u");
    if (id->seq == s->fails_at)
        return tl_fail(err, TL_E_IO, "broken");
    tl_buf_reset(out);
    for (size_t i = 0; i < s->n; i++) {
        if (s->segments[i].partition == id->partition && s->segments[i].stage == id->stage &&
            s->segments[i].seq == id->seq && s->segments[i].part == id->part) {
            assert_int_equal(tl_buf_append_z(out, s->segments[i].lines), 0);
            return 1;
        }
    }
    return 0;
}

static const struct errstore_ops fake = {.scheme = "fake", .get = fake_get};

/* What the merge gives, as the lines' "line" members with blanks between. */
static void expect(struct errstore *s, const char *const *files, size_t nfiles,
                   const struct errmerge_stream *streams, size_t n, const char *numbers)
{
    struct tl_error err;
    struct errmerge *m = errmerge_new(&fake, s, "acme", "u", files, nfiles, streams, n, &err);
    char got[400] = "";
    size_t at = 0;
    struct tl_str line;
    int rc;

    if (!m)
        fail_msg("%s", err.text);
    while ((rc = errmerge_next(m, &line, &err)) > 0) {
        const char *number;
        int value = 0;

        assert_int_equal(line.ptr[line.len - 1], '}');
        number = memmem(line.ptr, line.len, "\"line\":", 7);
        assert_non_null(number);
        for (number += 7; *number >= '0' && *number <= '9'; number++) /* a comma follows */
            value = value * 10 + (*number - '0');
        at += (size_t)snprintf(got + at, sizeof got - at, "%s%d", at ? " " : "", value);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(errmerge_next(m, &line, &err), 0);
    errmerge_free(m);
    assert_string_equal(got, numbers);
}

#define L(file, line) \
    "{\"upload\":\"u\",\"file\":\"" file "\",\"line\":" #line ",\"raw\":\"\\\"line\\\":9\\n\"}\n"

static const char *const one_file[] = {"a.csv"};

static void test_nothing(void **state)
{
    static const struct errmerge_stream streams[] = {{0, TL_STAGE_VALIDATE, 0, 0},
                                                     {1, TL_STAGE_VALIDATE, 5, 1}};
    struct errstore s = {.n = 0};

    (void)state;
    expect(&s, one_file, 1, NULL, 0, "");
    expect(&s, one_file, 1, streams, 2, "");
    errmerge_free(NULL);
}

static void test_order(void **state)
{
    static const struct errmerge_stream streams[] = {
        {0, TL_STAGE_VALIDATE, 4, 2}, {1, TL_STAGE_VALIDATE, 7, 1}, {1, TL_STAGE_SINK, 1, 1}};
    struct errstore s = {.segments = {{1, TL_STAGE_VALIDATE, 7, 1, L("a.csv", 40)},
                                      {0, TL_STAGE_VALIDATE, 4, 1, L("a.csv", 25) L("a.csv", 31)},
                                      {0, TL_STAGE_VALIDATE, 4, 2, L("a.csv", 33)},
                                      {0, TL_STAGE_VALIDATE, 1, 1, L("a.csv", 2) L("a.csv", 10)},
                                      {0, TL_STAGE_VALIDATE, 3, 1, L("a.csv", 11)},
                                      {1, TL_STAGE_VALIDATE, 2, 1, ""},
                                      {1, TL_STAGE_VALIDATE, 2, 2, L("a.csv", 9) L("a.csv", 30)},
                                      {1, TL_STAGE_SINK, 1, 1, L("a.csv", 5) L("a.csv", 1000)}},
                         .n = 8};

    (void)state;
    expect(&s, one_file, 1, streams, 3, "2 5 9 10 11 25 30 31 33 40 1000");
    assert_true(s.asked < 40);
}

/* A value or a record may have any byte, NUL included. */
static void test_nul(void **state)
{
    static const struct errmerge_stream streams[] = {{0, TL_STAGE_VALIDATE, 1, 1}};
    struct errstore s = {.segments = {{0, TL_STAGE_VALIDATE, 1, 1,
                                       "{\"file\":\"a.csv\",\"line\":3,\"raw\":\"2,x\\u0000y\"}\n"}},
                         .n = 1};

    (void)state;
    expect(&s, one_file, 1, streams, 1, "3");
}

static void test_bounds(void **state)
{
    static const struct errmerge_stream seq1[] = {{0, TL_STAGE_VALIDATE, 1, 9}},
                                        part1[] = {{0, TL_STAGE_VALIDATE, 2, 1}};
    struct errstore s = {.segments = {{0, TL_STAGE_VALIDATE, 1, 1, L("a.csv", 1)},
                                      {0, TL_STAGE_VALIDATE, 2, 1, L("a.csv", 2)},
                                      {0, TL_STAGE_VALIDATE, 2, 2, L("a.csv", 3)}},
                         .n = 3};

    (void)state;
    expect(&s, one_file, 1, seq1, 1, "1");
    expect(&s, one_file, 1, part1, 1, "1 2");
}

static void test_files(void **state)
{
    static const char *const files[] = {"z.csv", "a \"b\"\xC3\xA9.csv"};
    static const struct errmerge_stream streams[] = {{0, TL_STAGE_VALIDATE, 1, 1},
                                                     {1, TL_STAGE_VALIDATE, 1, 1}};
    struct errstore s = {
        .segments = {{0, TL_STAGE_VALIDATE, 1, 1, L("z.csv", 7) L("a \\\"b\\\"\\u00e9.csv", 3) L("other", 1)},
                     {1, TL_STAGE_VALIDATE, 1, 1, L("z.csv", 8) L("a \\\"b\\\"\xC3\xA9.csv", 2)}},
        .n = 2};

    (void)state;
    expect(&s, files, 2, streams, 2, "7 8 2 3 1");
}

static void fails(struct errstore *s, enum tl_error_code code)
{
    static const struct errmerge_stream streams[] = {{0, TL_STAGE_VALIDATE, 2, 1}};
    struct tl_error err = {.code = TL_E_NONE};
    struct errmerge *m = errmerge_new(&fake, s, "acme", "u", one_file, 1, streams, 1, &err);
    struct tl_str line;
    int rc = m ? 1 : -1;

    while (rc > 0)
        rc = errmerge_next(m, &line, &err);
    assert_int_equal(rc, -1);
    assert_int_equal(err.code, code);
    errmerge_free(m);
}

static void test_failures(void **state)
{
    static const char *const bad[] = {"not json\n",
                                      "{\"line\":1}\n",
                                      "{\"file\":\"a.csv\"}\n",
                                      "[]\n",
                                      "\n",
                                      "{\"file\":\"a.csv\",\"line\":\"1\"}\n",
                                      L("a.csv", 1) "{\"file\":\"a"};
    struct errstore s = {.segments = {{0, TL_STAGE_VALIDATE, 1, 1, L("a.csv", 1)}}, .n = 1, .fails_at = 2};

    (void)state;
    fails(&s, TL_E_IO);
    s.fails_at = 1;
    fails(&s, TL_E_IO);
    s.fails_at = 0;
    for (size_t i = 0; i < TL_ARRAY_LEN(bad); i++) {
        s.segments[0].lines = bad[i];
        fails(&s, TL_E_CORRUPT);
    }
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing), cmocka_unit_test(test_order),    cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_files),   cmocka_unit_test(test_failures), cmocka_unit_test(test_nul),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
