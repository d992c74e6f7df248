/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A member doesn't fetch for a tenant that rests, and misses nothing of what comes to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/member_fixture.h"

enum { NEVER_MS = 1000 * AWAIT_MS };

static void await_said(struct fixture *f, const char *what)
{
    static const struct timespec pause = {.tv_nsec = 2000000};
    int64_t until = tl_clock_ms() + AWAIT_MS;

    while (!log_says(f->log_fd, what)) {
        assert_true(tl_clock_ms() < until);
        nanosleep(&pause, NULL);
    }
}

static void produce(struct fixture *f)
{
    char value[] = "x";

    assert_int_equal(rd_kafka_producev(f->rk, RD_KAFKA_V_TOPIC("tload.a.raw-input"), RD_KAFKA_V_PARTITION(0),
                                       RD_KAFKA_V_VALUE(value, 1), RD_KAFKA_V_END),
                     0);
    assert_int_equal(rd_kafka_flush(f->rk, AWAIT_MS), 0);
}

static void await_messages(int n)
{
    struct timespec end = tl_clock_after(AWAIT_MS);
    int seen;

    pthread_mutex_lock(&mutex);
    while (messages < n && pthread_cond_clockwait(&changed, &mutex, CLOCK_MONOTONIC, &end) != ETIMEDOUT)
        ;
    seen = messages;
    pthread_mutex_unlock(&mutex);
    assert_int_equal(seen, n);
}

/* Tenant "a" rests, and a message comes when it is not fetched any more. */
static void produce_unfetched(struct fixture *f, int look_every_ms)
{
    static const char *const name = "a";
    static const int64_t epoch = 1;

    atomic_store(&at_work, false);
    begin(f, &(struct followed_times){.awake_ms = 1, .look_every_ms = look_every_ms});
    tell(f, &name, &epoch, 1);
    await_said(f, "tload.a.raw-input is not fetched any more");
    produce(f);
}

/* A tenant more, and with it a rebalance. */
static void tell_of_another(struct fixture *f)
{
    static const char *const names[] = {"a", "b"};
    static const int64_t epochs[] = {1, 1};

    assert_int_equal(rd_kafka_mock_topic_create(f->cluster, "tload.b.raw-input", PARTITIONS, 1), 0);
    tell(f, names, epochs, 2);
}

/* What is not fetched any more is fetched again when control says that something comes, and nothing is missed. */
static void test_stirred(void **state)
{
    static const char *const name = "a";
    static const int64_t epoch = 1;
    struct fixture *f = *state;

    produce_unfetched(f, NEVER_MS);
    assert_int_equal(messages, 0);
    f->tenant.stirred++;
    tell(f, &name, &epoch, 1);
    await_messages(1);
    /* It stays awake while there are uploads. */
    f->tenant.active = true;
    tell(f, &name, &epoch, 1);
    produce(f);
    await_messages(2);
}

/* What control knows nothing of is found as well. */
static void test_looked_at(void **state)
{
    produce_unfetched(*state, 100);
    await_messages(1);
}

static void test_fetched_after_a_rebalance(void **state)
{
    produce_unfetched(*state, NEVER_MS);
    tell_of_another(*state);
    await_messages(1);
}

/* One that was paused, and can't begin with the next assignment, begins with a later one: it is fetched then. */
static void test_fetched_after_two(void **state)
{
    struct fixture *f = *state;

    produce_unfetched(f, NEVER_MS);
    atomic_store(&refuses, true);
    f->tenant.active = true; /* nothing is paused any more */
    tell_of_another(f);
    await_said(f, "tload.a.raw-input [0] waits");
    atomic_store(&refuses, false);
    await_messages(1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_stirred, setup, teardown),
        cmocka_unit_test_setup_teardown(test_looked_at, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetched_after_a_rebalance, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetched_after_two, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
