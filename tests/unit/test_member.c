/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A member follows the tenants that it is told of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/member_fixture.h"

enum { TRIES = 5 };

static int setup_begun(void **state)
{
    if (setup(state))
        return -1;
    begin(*state, &(struct followed_times){0});
    return 0;
}

/* Waits until the lanes are those, PARTITIONS of each, and all of them run. */
static void await(const char *const *positions, size_t n)
{
    struct timespec end = tl_clock_after(AWAIT_MS);

    pthread_mutex_lock(&mutex);
    for (;;) {
        size_t due = 0, all = 0;

        for (size_t i = 0; i < TL_ARRAY_LEN(lanes); i++) {
            all += lanes[i].position[0] != '\0';
            for (size_t p = 0; p < n; p++)
                due += lanes[i].runs && strcmp(lanes[i].position, positions[p]) == 0;
        }
        if (due == n * PARTITIONS && all == due)
            break;
        if (pthread_cond_clockwait(&changed, &mutex, CLOCK_MONOTONIC, &end) != ETIMEDOUT)
            continue;
        pthread_mutex_unlock(&mutex);
        fail_msg("%zu lanes, %zu of them due and at work, where %zu are", all, due, n * PARTITIONS);
    }
    pthread_mutex_unlock(&mutex);
}

/* How many lanes have been drained since it was asked last. */
static int take_drains(void)
{
    int n;

    pthread_mutex_lock(&mutex);
    n = drains;
    drains = 0;
    pthread_mutex_unlock(&mutex);
    return n;
}

/* Tenants come and go; the topics of the second one are made only when it is followed already. */
static void test_follows(void **state)
{
    static const char *const names[] = {"a", "b"};
    static const int64_t epochs[] = {1, 1};
    static const char *const topics[] = {"tload.a.raw-input", "tload.b.raw-input"};
    struct fixture *f = *state;

    tell(f, names, epochs, 1);
    await(topics, 1);
    tell(f, names, epochs, 2);
    assert_int_equal(rd_kafka_mock_topic_create(f->cluster, topics[1], PARTITIONS, 1), 0);
    await(topics, 2);
    tell(f, names + 1, epochs, 1);
    await(topics + 1, 1);
    tell(f, NULL, NULL, 0);
    await(NULL, 0);
    tell(f, names, epochs, 2);
    await(topics, 2);
}

/*
 * What leaves has its lanes until it is drained, and nobody else is drained. A rebalance of librdkafka's own may come
 * between and take the lanes away: then it is done again.
 */
static void test_drains(void **state)
{
    static const char *const names[] = {"a", "b"};
    static const int64_t epochs[] = {1, 1};
    static const char *const topics[] = {"tload.a.raw-input", "tload.b.raw-input"};
    struct fixture *f = *state;
    int n = 0;

    assert_int_equal(rd_kafka_mock_topic_create(f->cluster, topics[1], PARTITIONS, 1), 0);
    for (int i = 0; i < TRIES && n < PARTITIONS; i++) {
        tell(f, names, epochs, 2);
        await(topics, 2);
        take_drains();
        tell(f, names + 1, epochs, 1);
        await(topics + 1, 1);
        n = take_drains();
        assert_true(n <= PARTITIONS);
    }
    assert_int_equal(n, PARTITIONS);
}

/* A tenant that was made anew begins with what it is known by now, and nothing of the old one goes on beside it. */
static void test_epoch(void **state)
{
    static const char *const name = "a";
    static const char *const topic = "tload.a.raw-input", *const position = "tload.a.raw-input@3";
    struct fixture *f = *state;
    int64_t epoch = 1;

    tell(f, &name, &epoch, 1);
    await(&topic, 1);
    epoch = 3;
    tell(f, &name, &epoch, 1);
    await(&position, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_follows, setup_begun, teardown),
        cmocka_unit_test_setup_teardown(test_drains, setup_begun, teardown),
        cmocka_unit_test_setup_teardown(test_epoch, setup_begun, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
