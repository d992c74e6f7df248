/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/base/dirs.h"

static void test_make(void **state)
{
    char base[] = "/tmp/tload-dirs-XXXXXX", path[80];
    struct tl_error err;

    (void)state;
    assert_non_null(mkdtemp(base));
    snprintf(path, sizeof path, "%s/a//b/c/", base);
    assert_int_equal(tl_dirs_make(path, &err), 0);
    assert_int_equal(tl_dirs_make(path, &err), 0);
    assert_int_equal(tl_dirs_make("/", &err), 0);
    assert_int_equal(chdir(base), 0);
    assert_int_equal(access("a/b/c", X_OK), 0);
    assert_int_equal(tl_dirs_make("d/e", &err), 0);
    assert_int_equal(rmdir("d/e"), 0);
    assert_int_equal(rmdir("d"), 0);
    assert_int_equal(rmdir("a/b/c"), 0);
    assert_int_equal(rmdir("a/b"), 0);
    assert_int_equal(rmdir("a"), 0);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(rmdir(base), 0);
    assert_int_equal(tl_dirs_make("/dev/null/x", &err), -1);
    assert_non_null(strstr(err.text, "/dev/null/x"));
    assert_int_equal(tl_dirs_make("", &err), -1);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {cmocka_unit_test(test_make)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
