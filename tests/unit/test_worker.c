/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Lanes that go while a worker waits with one of them in hand. The Kafka client of the test has no broker. */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "coordinatord/pipeline/attendant.h"
#include "coordinatord/pipeline/worker.h"
#include "shared/base/clock.h"

#define TOPIC "tload.acme.raw-input"

struct fake {
    sem_t in_hand;        /* idle() has a lane in hand */
    sem_t waited;         /* its waiting is over */
    _Atomic bool hurry;   /* wait again only when lanes are about to go */
    _Atomic int went_on;  /* what worker_wait returned */
    _Atomic unsigned due; /* how often to wait with a lane in hand */
};

static struct fake fake;

static int fake_open(struct worker *w, struct tl_error *err)
{
    (void)err;
    w->state = &fake;
    return 0;
}

static void fake_close(struct worker *w)
{
    (void)w;
}

static int fake_lane_added(struct worker *w, struct lane *lane, int64_t *begin, struct tl_error *err)
{
    (void)begin;
    (void)w;
    (void)lane;
    (void)err;
    return 0;
}

static void fake_lane_removed(struct worker *w, struct lane *lane)
{
    (void)w;
    (void)lane;
}

static bool fake_quiet(const struct worker *w)
{
    return !w->lanes;
}

static void fake_message(struct worker *w, struct lane *lane, const struct tl_message *m)
{
    (void)w;
    (void)lane;
    (void)m;
    fail();
}

static void fake_lost(struct worker *w, struct lane *lane, const struct tl_error *why)
{
    (void)w;
    (void)lane;
    (void)why;
    fail();
}

static int fake_idle(struct worker *w)
{
    if (!w->lanes || !atomic_load(&fake.due))
        return 1;
    atomic_fetch_sub(&fake.due, 1);
    sem_post(&fake.in_hand);
    while (atomic_load(&fake.hurry) && !atomic_load(&w->leaving))
        ; /* the mutex is held: the owner can't get past it */
    atomic_store(&fake.went_on, worker_wait(w, atomic_load(&fake.hurry) ? 50 : 60000, w->lanes, NULL));
    sem_post(&fake.waited);
    return 1;
}

static void fake_drain(struct worker *w)
{
    (void)w;
}

static const struct role_ops fake_role = {
    .name = "fake",
    .open = fake_open,
    .close = fake_close,
    .lane_added = fake_lane_added,
    .lane_removed = fake_lane_removed,
    .quiet = fake_quiet,
    .message = fake_message,
    .lost = fake_lost,
    .idle = fake_idle,
    .drain = fake_drain,
};

static struct tl_kafka_conf kafka;
static struct tl_consumer *consumer;
static struct attendant *attendant;
static struct worker *worker;

static struct tl_kqueue *not_assigned(void *app, const char *topic, int32_t partition, int64_t *begin)
{
    (void)begin;
    (void)app;
    (void)topic;
    (void)partition;
    return NULL;
}

static void not_revoked(void *app, const char *topic, int32_t partition)
{
    (void)app;
    (void)topic;
    (void)partition;
}

static void never_waits(void *app, const char *topic, int32_t partition, const char *why)
{
    (void)app;
    fail_msg("%s [%d] waits: %s", topic, (int)partition, why);
}

static void no_trouble(void *app, const char *topic, int32_t partition, const char *text)
{
    (void)app;
    (void)topic;
    (void)partition;
    (void)text;
}

static int setup(void **state)
{
    static const struct tl_consumer_events events = {
        .assigned = not_assigned, .revoked = not_revoked, .waits = never_waits, .trouble = no_trouble};
    static const struct tl_consumer_options options = {
        .group = "g", .client_id = "c", .queue_bytes = 1024 * 1024, .from_stored = true};
    char url[] = "none";
    struct tenant_info tenant = {.name = "acme", .partitions = 2, .sink_url = url, .errors_url = url};
    struct worker_options of = {.ops = &fake_role, .tenant = &tenant, .control_url = "unix:/nowhere"};
    struct tl_error err;

    (void)state;
    fake = (struct fake){0};
    sem_init(&fake.in_hand, 0, 0);
    sem_init(&fake.waited, 0, 0);
    tl_kafka_conf_init(&kafka);
    tl_kafka_conf_init(&tenant.kafka);
    if (tl_kafka_conf_set(&kafka, "bootstrap.servers", "127.0.0.1:1", &err))
        return -1;
    consumer = of.consumer = tl_consumer_new(&kafka, &options, &events, NULL, &err);
    attendant = of.attendant = attendant_new("fake", NULL, &err);
    worker = consumer && attendant ? worker_new(&of, &err) : NULL;
    return worker ? 0 : -1;
}

static int teardown(void **state)
{
    struct tl_error err;

    (void)state;
    worker_stop(worker);
    worker_join(worker);
    if (tl_consumer_close(consumer, &err))
        return -1;
    worker_free(worker);
    attendant_free(attendant);
    tl_consumer_free(consumer);
    tl_kafka_conf_release(&kafka);
    sem_destroy(&fake.in_hand);
    sem_destroy(&fake.waited);
    return 0;
}

static void add(int32_t partition)
{
    struct tl_error err;

    int64_t begin = 0;

    assert_non_null(worker_add_lane(worker, TOPIC, partition, &begin, &err));
}

static void hold(void)
{
    atomic_store(&fake.due, 1);
    sem_wait(&fake.in_hand);
}

/* Its waiting ends at once, long before its time. */
static void test_given_up(void **state)
{
    int64_t before = tl_clock_ms();

    (void)state;
    add(0);
    add(1);
    hold();
    worker_remove_lane(worker, TOPIC, 0);
    sem_wait(&fake.waited);
    assert_false(atomic_load(&fake.went_on));
    assert_true(tl_clock_ms() - before < 30000);
    worker_remove_lane(worker, TOPIC, 1);
}

/*
 * The owner stands before the mutex already when the waiting begins, and takes the lane away within it: it
 * must not be touched afterwards.
 */
static void test_removed_within_the_wait(void **state)
{
    (void)state;
    atomic_store(&fake.hurry, true);
    add(0);
    hold();
    worker_remove_lane(worker, TOPIC, 0);
    sem_wait(&fake.waited);
    assert_false(atomic_load(&fake.went_on));
}

/* Until the last lane is gone nothing is begun; then lanes may come again. */
static void test_nothing_begins_between(void **state)
{
    (void)state;
    add(0);
    add(1);
    hold();
    worker_remove_lane(worker, TOPIC, 0);
    sem_wait(&fake.waited);
    atomic_store(&fake.due, 1);
    assert_int_equal(atomic_load(&fake.due), 1);
    worker_remove_lane(worker, TOPIC, 1);
    assert_int_equal(atomic_load(&fake.due), 1);
    add(1);
    sem_wait(&fake.in_hand);
    worker_remove_lane(worker, TOPIC, 1);
    sem_wait(&fake.waited);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_removed_within_the_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nothing_begins_between, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
