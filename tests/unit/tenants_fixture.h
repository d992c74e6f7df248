/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Requests about clusters and tenants, what is due of their answers, and processes that end in the middle. */
#ifndef TESTS_UNIT_TENANTS_FIXTURE_H
#define TESTS_UNIT_TENANTS_FIXTURE_H

#include <signal.h>
#include <sys/wait.h>

#include "shared/base/failpoint.h"
#include "tests/unit/control_fixture.h"

#define TENANTS  "/v1/tenants"
#define CLUSTERS "/v1/clusters"
#define WEST                                                                                            \
    "{\"cluster\":\"west\",\"kafka\":{\"bootstrap.servers\":\"west:9092\",\"sasl.password\":\"hush\"}," \
    "\"max_partitions\":6}"

static inline void expect(struct fixture *f, const char *method, const char *path, const char *body,
                          int status, const char *said)
{
    struct answer a = ask(f, method, path, body, status);

    assert_contains(a.body, said);
    answer_release(&a);
}

static inline void make_tenant(struct fixture *f, const char *name, int partitions, int status)
{
    char body[120];

    snprintf(body, sizeof body, "{\"tenant\":\"%s\",\"partitions\":%d}", name, partitions);
    ask_only(f, "POST", TENANTS, body, status);
}

static inline void expect_text(struct fixture *f, const char *path, const char *member, const char *due)
{
    struct answer a = ask(f, "GET", path, NULL, 200);

    assert_string_equal(text_of(&a, member), due);
    answer_release(&a);
}

static inline void expect_number(struct fixture *f, const char *path, const char *member, int64_t due)
{
    struct answer a = ask(f, "GET", path, NULL, 200);

    assert_int_equal(number_of(&a, member), due);
    answer_release(&a);
}

/* Until the object at path says so. */
static inline void await_number(struct fixture *f, const char *path, const char *member, int64_t due)
{
    int64_t deadline = tl_clock_ms() + AWAIT_MS;

    for (bool found = false; !found;) {
        struct answer a = ask(f, "GET", path, NULL, 200);

        found = number_of(&a, member) == due;
        if (!found && tl_clock_ms() > deadline)
            fail_msg("too late: %s", a.body);
        answer_release(&a);
    }
}

static inline void await_text(struct fixture *f, const char *path, const char *member, const char *part)
{
    int64_t deadline = tl_clock_ms() + AWAIT_MS;

    for (bool found = false; !found;) {
        struct answer a = ask(f, "GET", path, NULL, 200);

        found = strstr(text_of(&a, member), part) != NULL;
        if (!found && tl_clock_ms() > deadline)
            fail_msg("too late: %s", a.body);
        answer_release(&a);
    }
}

static inline void await_status(struct fixture *f, const char *method, const char *path, int status)
{
    int64_t deadline = tl_clock_ms() + AWAIT_MS;

    for (int got = 0; got != status;) {
        struct answer a = ask_with(f, method, path, "", NULL);

        got = a.status;
        if (got != status && tl_clock_ms() > deadline)
            fail_msg("too late: %s", a.text);
        answer_release(&a);
    }
}

/* A process that does this request, and ends at the failpoint. */
static inline void crash(struct fixture *f, const char *failpoint, const char *method, const char *path,
                         const char *body)
{
    pid_t pid;
    int status;

    fixture_stop(f);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct tl_error err;
        struct answer a;

        signal(SIGABRT, SIG_DFL);
        fixture_start(f, "", false);
        /* The tenant that there always is has passed by then. */
        a = ask_with(f, "GET", CLUSTERS "/default", "", NULL);
        answer_release(&a);
        if (tl_failpoint_arm(failpoint, &err) == 0)
            a = ask_with(f, method, path, "", body);
        /* What a thread of control's does after the answer, it does soon. */
        for (int64_t until = tl_clock_ms() + AWAIT_MS; tl_clock_ms() < until;)
            nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    fixture_start(f, "", false);
}

#endif
