/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Workers that park and wake, on librdkafka's mock cluster: a message that comes while a worker is about to park must
 * wake it, or nobody ever looks at it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "coordinatord/pipeline/attendant.h"
#include "coordinatord/pipeline/worker.h"
#include "shared/base/clock.h"
#include "tests/unit/await.h"

#define TOPIC "tload.acme.raw-input"

enum { WORKERS = 40 };

/* A role that counts. */
struct counts {
    _Atomic int opened;
    _Atomic int closed;
    _Atomic int messages;
    _Atomic int open_now;
    _Atomic int most_open;
    _Atomic bool owes; /* something later */
    _Atomic bool slow; /* a lane's place takes its time to be read */
};

struct fixture {
    rd_kafka_t *rk; /* of the cluster, and what writes */
    rd_kafka_mock_cluster_t *cluster;
    struct tl_consumer *consumer;
    struct attendant *attendant;
    struct worker *worker;
};

static struct counts counts;

static int count_open(struct worker *w, struct tl_error *err)
{
    int now = atomic_fetch_add(&counts.open_now, 1) + 1;

    (void)err;
    atomic_fetch_add(&counts.opened, 1);
    if (now > atomic_load(&counts.most_open))
        atomic_store(&counts.most_open, now);
    w->state = &counts;
    return 0;
}

static void count_close(struct worker *w)
{
    if (!w->state)
        return;
    atomic_fetch_sub(&counts.open_now, 1);
    atomic_fetch_add(&counts.closed, 1);
}

/* A lane's state is whether it was placed. */
static int lane_added(struct worker *w, struct lane *lane, int64_t *begin, struct tl_error *err)
{
    static bool placed = true, not_placed = false;

    (void)w;
    (void)begin;
    (void)err;
    lane->state = atomic_load(&counts.slow) ? &not_placed : &placed;
    return 0;
}

static void lane_removed(struct worker *w, struct lane *lane)
{
    (void)w;
    (void)lane;
}

static bool quiet(const struct worker *w)
{
    for (const struct lane *l = w->lanes; l; l = l->next)
        if (!*(const bool *)l->state)
            return false;
    return !atomic_load(&counts.owes);
}

static void on_message(struct worker *w, struct lane *lane, const struct tl_message *m)
{
    (void)w;
    (void)lane;
    (void)m;
    atomic_fetch_add(&counts.messages, 1);
}

static void on_lost(struct worker *w, struct lane *lane, const struct tl_error *why)
{
    (void)w;
    (void)lane;
    fail_msg("%s", why->text);
}

static int idle(struct worker *w)
{
    static bool placed = true;

    for (struct lane *l = w->lanes; l; l = l->next) {
        if (*(const bool *)l->state)
            continue;
        worker_wait(w, 20, l, NULL);
        l->state = &placed;
    }
    return 5;
}

static void drain(struct worker *w)
{
    (void)w;
}

static const struct role_ops counting_role = {
    .name = "counting",
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

static struct tl_kqueue *on_assigned(void *app, const char *topic, int32_t partition, int64_t *begin)
{
    struct fixture *f = app;
    struct tl_error err;

    return worker_add_lane(f->worker, topic, partition, begin, &err);
}

static void on_revoked(void *app, const char *topic, int32_t partition)
{
    struct fixture *f = app;

    worker_remove_lane(f->worker, topic, partition);
}

static void on_waits(void *app, const char *topic, int32_t partition, const char *why)
{
    (void)app;
    (void)topic;
    (void)partition;
    (void)why;
}

static void on_trouble(void *app, const char *topic, int32_t partition, const char *text)
{
    on_waits(app, topic, partition, text);
}

static struct worker *make_worker(struct fixture *f, int park_ms)
{
    char url[] = "none";
    struct tenant_info tenant = {
        .name = "acme", .partitions = 1, .epoch = 1, .sink_url = url, .errors_url = url};
    struct worker_options of = {.ops = &counting_role,
                                .tenant = &tenant,
                                .consumer = f->consumer,
                                .attendant = f->attendant,
                                .control_url = "unix:/nowhere",
                                .park_ms = park_ms};
    struct tl_error err;

    return worker_new(&of, &err);
}

static int setup(void **state)
{
    static const struct tl_consumer_options options = {
        .group = "g", .client_id = "c", .queue_bytes = 1024 * 1024, .from_stored = true};
    struct fixture *f = calloc(1, sizeof *f);
    struct tl_consumer_events events = {
        .assigned = on_assigned, .revoked = on_revoked, .waits = on_waits, .trouble = on_trouble, .app = f};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    const char *topic = TOPIC, *bootstrap;
    struct tl_kafka_conf kafka;
    struct tl_error err;
    char text[200];

    counts = (struct counts){0};
    if (!f || rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", text, sizeof text) != RD_KAFKA_CONF_OK)
        return -1;
    f->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    f->cluster = f->rk ? rd_kafka_handle_mock_cluster(f->rk) : NULL;
    if (!f->cluster || rd_kafka_mock_topic_create(f->cluster, TOPIC, 1, 1))
        return -1;
    bootstrap = rd_kafka_mock_cluster_bootstraps(f->cluster);
    tl_kafka_conf_init(&kafka);
    /* The mock cluster answers a request that waits only when its time is over. */
    if (tl_kafka_conf_set(&kafka, "bootstrap.servers", bootstrap, &err) ||
        tl_kafka_conf_set(&kafka, "fetch.wait.max.ms", "5", &err))
        return -1;
    f->consumer = tl_consumer_new(&kafka, &options, &events, NULL, &err);
    tl_kafka_conf_release(&kafka);
    f->attendant = attendant_new("counting", NULL, &err);
    f->worker = f->consumer && f->attendant ? make_worker(f, 1) : NULL;
    *state = f;
    return f->worker ? tl_consumer_subscribe(f->consumer, &topic, 1, &err) : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct tl_error err;

    worker_stop(f->worker);
    worker_join(f->worker);
    if (tl_consumer_close(f->consumer, &err))
        return -1;
    worker_free(f->worker);
    attendant_free(f->attendant);
    tl_consumer_free(f->consumer);
    rd_kafka_destroy(f->rk);
    free(f);
    return atomic_load(&counts.open_now) ? -1 : 0;
}

static void produce(struct fixture *f)
{
    static char value[] = "x";

    assert_int_equal(rd_kafka_producev(f->rk, RD_KAFKA_V_TOPIC(TOPIC), RD_KAFKA_V_PARTITION(0),
                                       RD_KAFKA_V_VALUE(value, 1), RD_KAFKA_V_END),
                     RD_KAFKA_RESP_ERR_NO_ERROR);
}

/* Serves the member's events until `what` has become at least `due`. */
static void await(struct fixture *f, const _Atomic int *what, int due)
{
    int64_t end = tl_clock_ms() + AWAIT_MS;
    struct tl_error err;

    while (atomic_load(what) < due) {
        assert_int_equal(tl_consumer_poll(f->consumer, 1, &err), 0);
        rd_kafka_poll(f->rk, 0);
        if (tl_clock_ms() > end)
            fail_msg("%d where %d is due", atomic_load(what), due);
    }
}

/* Without a message it has no thread, and with one it has, for as long as that takes. */
static void test_parks_and_wakes(void **state)
{
    struct fixture *f = *state;

    for (int i = 1; i <= 3; i++) {
        produce(f);
        await(f, &counts.messages, i);
        await(f, &counts.closed, i);
        assert_int_equal(atomic_load(&counts.opened), i);
    }
}

/* Messages at all moments of parking: each is handled, though nobody but the queue's own call wakes the worker. */
static void test_none_is_missed(void **state)
{
    enum { MESSAGES = 400 };
    struct fixture *f = *state;
    struct tl_error err;

    for (int i = 1; i <= MESSAGES; i++) {
        produce(f);
        await(f, &counts.messages, i);
        /* So that the worker is somewhere else each time. */
        assert_int_equal(tl_consumer_poll(f->consumer, i % 4, &err), 0);
    }
    assert_true(atomic_load(&counts.opened) > 10);
}

/* What it owes by itself keeps it awake. */
static void test_owes(void **state)
{
    struct fixture *f = *state;
    int64_t end;
    struct tl_error err;

    atomic_store(&counts.owes, true);
    produce(f);
    await(f, &counts.messages, 1);
    end = tl_clock_ms() + 300;
    while (tl_clock_ms() < end)
        assert_int_equal(tl_consumer_poll(f->consumer, 10, &err), 0);
    assert_int_equal(atomic_load(&counts.closed), 0);
    atomic_store(&counts.owes, false);
    await(f, &counts.closed, 1);
}

/* Lanes of many workers are placed a few at a time, and then no thread is left. */
static void test_placed_a_few_at_a_time(void **state)
{
    struct fixture *f = *state;
    struct worker *workers[WORKERS];
    struct tl_error err;

    atomic_store(&counts.slow, true);
    for (int i = 0; i < WORKERS; i++) {
        int64_t begin = 0;

        workers[i] = make_worker(f, 0);
        assert_non_null(workers[i]);
        assert_non_null(worker_add_lane(workers[i], TOPIC, 7, &begin, &err));
    }
    await(f, &counts.closed, WORKERS);
    assert_true(atomic_load(&counts.most_open) <= 9); /* the fixture's own may be one of them */
    for (int i = 0; i < WORKERS; i++) {
        worker_remove_lane(workers[i], TOPIC, 7);
        worker_stop(workers[i]);
        worker_join(workers[i]);
        worker_free(workers[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_parks_and_wakes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_none_is_missed, setup, teardown),
        cmocka_unit_test_setup_teardown(test_owes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_placed_a_few_at_a_time, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
