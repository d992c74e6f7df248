/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coordinatord/http/share.h"

static void test_counted_where_it_was_asked_last(void **state)
{
    struct share *a = NULL, *b = NULL, *c = NULL;
    struct tl_error err;
    struct shares *s = shares_new(&err);

    (void)state;
    assert_non_null(s);
    assert_int_equal(shares_take(s, &a, "acme"), 1);
    assert_int_equal(shares_take(s, &a, "acme"), 1);
    assert_int_equal(shares_take(s, &b, "acme"), 2);
    assert_int_equal(shares_take(s, &c, "other"), 1);
    assert_int_equal(shares_take(s, &b, "other"), 2);
    assert_int_equal(shares_take(s, &a, "acme"), 1);
    shares_leave(s, c);
    c = NULL;
    assert_int_equal(shares_take(s, &b, "other"), 1);
    assert_int_equal(shares_take(s, &b, "third"), 1);
    shares_leave(s, a);
    shares_leave(s, b);
    shares_leave(s, c);
    shares_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counted_where_it_was_asked_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
