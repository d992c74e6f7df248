/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A member follows the tenants that it is told of, on librdkafka's mock cluster; the role only writes down its lanes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "coordinatord/pipeline/member.h"
#include "shared/base/clock.h"
#include "tests/unit/log_fixture.h"

enum { WITHIN_MS = 30000, NEVER_MS = 1000 * WITHIN_MS, PARTITIONS = 2, TRIES = 5 };

struct fixture {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
    struct attendant *attendant;
    struct member *member; /* NULL until `begin` */
    int log_fd;
    struct tl_log log;
    struct tenant_info tenant; /* "a", from which the others are made */
};

struct lane_seen {
    char position[TL_POSITION_NAME_MAX + 1]; /* "": none */
    bool runs;                               /* its worker has had a turn with it */
};

/* The lanes that there are now. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static struct lane_seen lanes[16];
static int drains; /* of lanes that ran */
static int messages;
static _Atomic bool at_work;
static _Atomic bool refuses; /* lanes */

static int count_open(struct worker *w, struct tl_error *err)
{
    (void)err;
    w->state = &mutex;
    return 0;
}

static void count_close(struct worker *w)
{
    (void)w;
}

static int lane_added(struct worker *w, struct lane *lane, int64_t *begin, struct tl_error *err)
{
    size_t i = 0;

    (void)w;
    (void)begin;
    if (atomic_load(&refuses))
        return tl_fail(err, TL_E_AGAIN, "not now");
    pthread_mutex_lock(&mutex);
    while (lanes[i].position[0])
        i++;
    snprintf(lanes[i].position, sizeof lanes[i].position, "%s", lane->position);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    lane->state = &lanes[i];
    return 0;
}

static void lane_removed(struct worker *w, struct lane *lane)
{
    (void)w;
    pthread_mutex_lock(&mutex);
    *(struct lane_seen *)lane->state = (struct lane_seen){0};
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static bool quiet(const struct worker *w)
{
    return !w->lanes || !atomic_load(&at_work); /* so that each has a thread, which is to be drained */
}

static void on_message(struct worker *w, struct lane *lane, const struct tl_message *m)
{
    (void)w;
    (void)lane;
    (void)m;
    pthread_mutex_lock(&mutex);
    messages++;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
}

static void on_lost(struct worker *w, struct lane *lane, const struct tl_error *why)
{
    (void)w;
    (void)lane;
    (void)why;
}

static int idle(struct worker *w)
{
    pthread_mutex_lock(&mutex);
    for (struct lane *l = w->lanes; l; l = l->next)
        ((struct lane_seen *)l->state)->runs = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&mutex);
    return 5;
}

static void drain(struct worker *w)
{
    pthread_mutex_lock(&mutex);
    for (struct lane *l = w->lanes; l; l = l->next)
        drains += ((struct lane_seen *)l->state)->runs;
    pthread_mutex_unlock(&mutex);
}

static int width(const struct config *config, const struct tenant_info *tenant)
{
    (void)config;
    return tenant->partitions;
}

static const struct role_ops fake_role = {
    .name = "fake",
    .topic = TL_TOPIC_RAW_INPUT,
    .from_stored = true,
    .queue_bytes = 1024 * 1024,
    .width = width,
    .open = count_open,
    .close = count_close,
    .lane_added = lane_added,
    .lane_removed = lane_removed,
    .quiet = quiet,
    .message = on_message,
    .lost = on_lost,
    .idle = idle,
    .drain = drain,
};

static int setup(void **state)
{
    static char url[] = "none";
    struct fixture *f = calloc(1, sizeof *f);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    struct tl_error err;
    char text[200];

    memset(lanes, 0, sizeof lanes);
    drains = messages = 0;
    atomic_store(&at_work, true);
    atomic_store(&refuses, false);
    if (!f || rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", text, sizeof text) != RD_KAFKA_CONF_OK)
        return -1;
    f->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    f->cluster = f->rk ? rd_kafka_handle_mock_cluster(f->rk) : NULL;
    if (!f->cluster || rd_kafka_mock_topic_create(f->cluster, "tload.a.raw-input", PARTITIONS, 1))
        return -1;
    f->tenant = (struct tenant_info){.name = "a",
                                     .cluster = "default",
                                     .partitions = PARTITIONS,
                                     .epoch = 1,
                                     .ready = true,
                                     .sink_url = url,
                                     .errors_url = url};
    tl_kafka_conf_init(&f->tenant.kafka);
    if (tl_kafka_conf_set(&f->tenant.kafka, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(f->cluster),
                          &err))
        return -1;
    f->log_fd = log_open(&f->log);
    f->attendant = attendant_new("fake", &f->log, &err);
    *state = f;
    return f->attendant ? 0 : -1;
}

static void begin(struct fixture *f, const struct followed_times *times)
{
    struct member_options options = {.ops = &fake_role,
                                     .control_url = "unix:/nowhere",
                                     .attendant = f->attendant,
                                     .log = &f->log,
                                     .times = *times};
    struct tl_error err;

    f->member = member_new(&options, &f->tenant, &err);
    assert_non_null(f->member);
}

static int setup_begun(void **state)
{
    if (setup(state))
        return -1;
    begin(*state, &(struct followed_times){0});
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    if (f->member)
        member_stop(f->member);
    member_free(f->member);
    attendant_free(f->attendant);
    tl_kafka_conf_release(&f->tenant.kafka);
    rd_kafka_destroy(f->rk);
    close(f->log_fd);
    free(f);
    for (size_t i = 0; i < TL_ARRAY_LEN(lanes); i++)
        if (lanes[i].position[0])
            return -1;
    return 0;
}

static void tell(struct fixture *f, const char *const *names, const int64_t *epochs, size_t n)
{
    struct tenant_list list = {.n = n, .item = calloc(n + 1, sizeof *list.item)};
    struct tl_error err;

    assert_non_null(list.item);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(tenant_info_copy(&list.item[i], &f->tenant, &err), 0);
        snprintf(list.item[i].name, sizeof list.item[i].name, "%s", names[i]);
        list.item[i].epoch = epochs[i];
    }
    member_tell(f->member, &list);
    assert_int_equal(list.n, 0);
}

/* Waits until the lanes are those, PARTITIONS of each, and all of them run. */
static void await(const char *const *positions, size_t n)
{
    struct timespec end = tl_clock_after(WITHIN_MS);

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

static void await_said(struct fixture *f, const char *what)
{
    static const struct timespec pause = {.tv_nsec = 2000000};
    int64_t until = tl_clock_ms() + WITHIN_MS;

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
    assert_int_equal(rd_kafka_flush(f->rk, WITHIN_MS), 0);
}

static void await_messages(int n)
{
    struct timespec end = tl_clock_after(WITHIN_MS);
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
        cmocka_unit_test_setup_teardown(test_stirred, setup, teardown),
        cmocka_unit_test_setup_teardown(test_looked_at, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetched_after_a_rebalance, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fetched_after_two, setup, teardown),
        cmocka_unit_test_setup_teardown(test_epoch, setup_begun, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
