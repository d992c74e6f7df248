/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "coordinatord/sinks/projection.h"

static struct tl_schema *schema_of(const char *json)
{
    struct tl_schema *schema;
    struct tl_error err;

    if (tl_schema_from_text(tl_str(json), &schema, &err))
        fail_msg("%s", err.text);
    return schema;
}

static struct tl_schema *first_version(void)
{
    return schema_of("{\"table\":\"t\",\"table_id\":1,\"version\":1,\"columns\":["
                     "{\"id\":1,\"name\":\"id\",\"type\":\"int\"},"
                     "{\"id\":2,\"name\":\"a\",\"type\":\"text\"},"
                     "{\"id\":3,\"name\":\"b\",\"type\":\"int\"}],\"key\":[\"id\"]}");
}

/* a was dropped, b is wider and another name, c is new. */
static struct tl_schema *second_version(void)
{
    return schema_of("{\"table\":\"t\",\"table_id\":1,\"version\":2,\"columns\":["
                     "{\"id\":3,\"name\":\"a\",\"type\":\"bigint\"},"
                     "{\"id\":4,\"name\":\"c\",\"type\":\"text\",\"default\":\"x\"},"
                     "{\"id\":1,\"name\":\"id\",\"type\":\"int\"}],\"key\":[\"id\"]}");
}

static void test_same_version(void **state)
{
    static const uint32_t ids[] = {3, 1};
    struct tl_schema *v1 = first_version();
    struct projection p;
    struct tl_error err;

    (void)state;
    assert_int_equal(projection_init(&p, v1, ids, 2, v1, &err), 0);
    assert_int_equal(p.nfields, 2);
    assert_true(p.fields[0].column == 2 && !p.fields[0].widened);
    assert_true(p.fields[1].column == 0 && !p.fields[1].widened);
    assert_int_equal(p.nmissing, 1);
    assert_int_equal(p.missing[0], 1);
    projection_release(&p);
    projection_release(&p);
    tl_schema_free(v1);
}

static void test_later_version(void **state)
{
    static const uint32_t ids[] = {1, 2, 3};
    struct tl_schema *v1 = first_version(), *v2 = second_version();
    struct projection p;
    struct tl_error err;

    (void)state;
    assert_int_equal(projection_init(&p, v1, ids, 3, v2, &err), 0);
    assert_true(p.fields[0].column == 2 && !p.fields[0].widened);
    assert_int_equal(p.fields[1].column, -1);
    assert_true(p.fields[2].column == 0 && p.fields[2].widened);
    assert_int_equal(p.nmissing, 1);
    assert_int_equal(p.missing[0], 1);
    projection_release(&p);
    tl_schema_free(v1);
    tl_schema_free(v2);
}

static void test_broken(void **state)
{
    static const uint32_t unknown[] = {1, 9}, twice[] = {1, 2, 2}, no_key[] = {2, 3};
    static const struct {
        const uint32_t *ids;
        size_t n;
    } bad[] = {{unknown, 2}, {twice, 3}, {no_key, 2}, {unknown, 0}};
    struct tl_schema *v1 = first_version();
    struct projection p;

    (void)state;
    for (size_t i = 0; i < TL_ARRAY_LEN(bad); i++) {
        struct tl_error err = {.code = TL_E_NONE};

        assert_int_equal(projection_init(&p, v1, bad[i].ids, bad[i].n, v1, &err), -1);
        assert_int_equal(err.code, TL_E_CORRUPT);
        assert_null(p.fields);
    }
    tl_schema_free(v1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_version),
        cmocka_unit_test(test_later_version),
        cmocka_unit_test(test_broken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
