/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/base/failpoint.h"

enum { FAILED = 1000 };

/*
 * Passes a point so often in a process of its own, armed so. Returns how that ended: 0, FAILED and how often, or the
 * signal that ended or stopped it.
 */
static int pass(const char *spec, int times)
{
    const struct rlimit no_core = {0};
    pid_t pid = fork();
    int status;

    if (pid == 0) {
        struct tl_error err;
        int failed = 0;

        signal(SIGABRT, SIG_DFL); /* not the test's */
        if (setrlimit(RLIMIT_CORE, &no_core) || tl_failpoint_arm(spec, &err))
            _exit(1);
        for (int i = 0; i < times; i++)
            failed += TL_FAILPOINT_FAILS(SINK_BEFORE_COMMIT, &err);
        _exit(failed ? 100 + failed : 0);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    if (WIFSTOPPED(status)) {
        int stopped = WSTOPSIG(status);

        kill(pid, SIGCONT);
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
        return stopped;
    }
    if (WIFSIGNALED(status))
        return WTERMSIG(status);
    assert_int_not_equal(WEXITSTATUS(status), 1);
    return WEXITSTATUS(status) ? FAILED + WEXITSTATUS(status) - 100 : 0;
}

static void test_pass(void **state)
{
    (void)state;
    assert_int_equal(pass(NULL, 1), 0);
    assert_int_equal(pass("", 1), 0);
    assert_int_equal(pass("sink.before_commit", 0), 0);
    assert_int_equal(pass("sink.before_commit", 1), SIGABRT);
    assert_int_equal(pass("sink.before_commit:3", 2), 0);
    assert_int_equal(pass("sink.before_commit:3", 3), SIGABRT);
    assert_int_equal(pass("sink.after_commit", 3), 0);
    assert_int_equal(pass("sink.before_commit:3=abort", 3), SIGABRT);
    assert_int_equal(pass("sink.before_commit:3=stop", 2), 0);
    assert_int_equal(pass("sink.before_commit:3=stop", 5), SIGSTOP);
    assert_int_equal(pass("sink.before_commit=fail", 3), FAILED + 1);
    assert_int_equal(pass("sink.before_commit:4=fail", 3), 0);
}

static void test_refused(void **state)
{
    static const char *const specs[] = {"sink",
                                        "sink.before_commit:",
                                        "sink.before_commit:0",
                                        "sink.before_commit:-1",
                                        "sink.before_commit:x",
                                        ":1",
                                        "sink.before_commit=",
                                        "sink.before_commit=die",
                                        "sink.after_store=fail",
                                        "=stop",
                                        "sink.before_commit:99999999999"};

    (void)state;
    for (size_t i = 0; i < TL_ARRAY_LEN(specs); i++) {
        struct tl_error err;

        assert_int_equal(tl_failpoint_arm(specs[i], &err), -1);
        assert_int_equal(err.code, TL_E_USAGE);
        assert_non_null(strstr(err.text, specs[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pass),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
