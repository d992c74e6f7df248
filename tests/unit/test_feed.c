/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a commit moves after a rollback, and what comes of a message that is missing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "coordinatord/pipeline/feed.h"

/* A sink that only knows which offsets it was told to move. */
struct sink {
    int moves;
    int32_t partition;
    int64_t from, to;
};

static int fake_begin(struct sink *s, struct tl_error *err)
{
    (void)s;
    (void)err;
    return 0;
}

static int fake_move(struct sink *s, const char *topic, int32_t partition, int64_t from, int64_t to,
                     struct tl_error *err)
{
    (void)topic;
    (void)err;
    s->moves++;
    s->partition = partition;
    s->from = from;
    s->to = to;
    return 0;
}

static int fake_commit(struct sink *s, struct tl_error *err)
{
    return fake_begin(s, err);
}

static void fake_rollback(struct sink *s)
{
    (void)s;
}

static const struct sink_ops fake_sink = {
    .begin = fake_begin, .offset_move = fake_move, .commit = fake_commit, .rollback = fake_rollback};
static const struct role_ops fake_role = {.name = "fake"};

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

struct fixture {
    struct sink sink;
    struct worker worker;
    struct feed feed;
    struct lane lanes[2];
    int64_t begin;
};

static int setup(void **state)
{
    static const struct tl_consumer_events events = {.waits = never_waits, .trouble = no_trouble};
    static const struct tl_consumer_options options = {
        .group = "g", .client_id = "c", .queue_bytes = 1024 * 1024};
    struct fixture *f = calloc(1, sizeof *f);
    struct tl_kafka_conf kafka;
    struct tl_error err;

    if (!f)
        return -1;
    tl_kafka_conf_init(&kafka);
    if (tl_kafka_conf_set(&kafka, "bootstrap.servers", "127.0.0.1:1", &err))
        return -1;
    f->worker.ops = &fake_role;
    f->worker.consumer = tl_consumer_new(&kafka, &options, &events, NULL, &err);
    tl_kafka_conf_release(&kafka);
    pthread_mutex_init(&f->worker.mutex, NULL);
    pthread_cond_init(&f->worker.changed, NULL);
    pthread_mutex_lock(&f->worker.mutex);
    f->feed = (struct feed){.worker = &f->worker, .ops = &fake_sink, .sink = &f->sink, .backoff_ms = 1};
    for (int i = 0; i < 2; i++) {
        struct lane *l = &f->lanes[i];
        struct feed_lane *fl;

        snprintf(l->topic, sizeof l->topic, "tload.acme.validated-input");
        l->partition = i;
        if (feed_lane_added(&f->worker, l, &f->begin, &err))
            return -1;
        fl = l->state;
        fl->placed = true;
        fl->committed = fl->next = 10;
        l->next = f->worker.lanes;
        f->worker.lanes = l;
    }
    *state = f;
    return f->worker.consumer ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    struct tl_error err;

    for (int i = 0; i < 2; i++)
        free(f->lanes[i].state);
    pthread_mutex_unlock(&f->worker.mutex);
    if (tl_consumer_close(f->worker.consumer, &err))
        return -1;
    tl_consumer_free(f->worker.consumer);
    pthread_cond_destroy(&f->worker.changed);
    pthread_mutex_destroy(&f->worker.mutex);
    free(f);
    return 0;
}

static void apply(struct fixture *f, int lane, int64_t offset)
{
    const struct tl_message m = {.partition = lane, .offset = offset};

    assert_true(feed_wants(&f->feed, &f->lanes[lane], &m));
    assert_true(feed_begin(&f->feed));
    feed_applied(&f->lanes[lane], &m);
}

/* One lane is in place again before the other: the commit is about that one alone. */
static void test_rolled_back_is_not_moved(void **state)
{
    struct fixture *f = *state;
    struct tl_error why;

    apply(f, 0, 10);
    apply(f, 1, 10);
    tl_fail(&why, TL_E_AGAIN, "locked");
    feed_give_up(&f->feed, "the sink", &why);
    assert_int_equal(f->sink.moves, 0);
    ((struct feed_lane *)f->lanes[1].state)->placed = true;
    apply(f, 1, 10);
    assert_true(feed_commit(&f->feed));
    assert_int_equal(f->sink.moves, 1);
    assert_int_equal(f->sink.partition, 1);
    assert_int_equal(f->sink.from, 10);
    assert_int_equal(f->sink.to, 11);
}

/* What is about a lane that does not move is committed on the strength of its offset all the same. */
static void test_held_is_compared(void **state)
{
    struct fixture *f = *state;
    struct feed_lane *fl = f->lanes[0].state;
    struct tl_error why;

    assert_true(feed_begin(&f->feed));
    fl->held = true;
    assert_true(feed_commit(&f->feed));
    assert_int_equal(f->sink.moves, 1);
    assert_int_equal(f->sink.partition, 0);
    assert_int_equal(f->sink.from, 10);
    assert_int_equal(f->sink.to, 10);
    apply(f, 1, 10);
    assert_true(feed_commit(&f->feed));
    assert_int_equal(f->sink.moves, 2);
    assert_int_equal(f->sink.partition, 1);

    assert_true(feed_begin(&f->feed));
    fl->held = true;
    feed_undo(&f->feed);
    assert_true(fl->placed);
    assert_false(fl->held);
    apply(f, 1, 11);
    fl->held = true;
    tl_fail(&why, TL_E_AGAIN, "locked");
    feed_give_up(&f->feed, "the sink", &why);
    assert_false(fl->held || fl->placed);
}

static void test_gap(void **state)
{
    struct fixture *f = *state;
    struct feed_lane *fl = f->lanes[0].state;
    const struct tl_message before = {.offset = 9}, later = {.offset = 12};

    assert_false(feed_wants(&f->feed, &f->lanes[0], &before));
    assert_true(fl->placed);
    assert_false(feed_wants(&f->feed, &f->lanes[0], &later));
    assert_false(fl->placed);
    assert_false(feed_wants(&f->feed, &f->lanes[0], &later));
    fl->placed = true;
    assert_true(feed_wants(&f->feed, &f->lanes[0], &later));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rolled_back_is_not_moved, setup, teardown),
        cmocka_unit_test_setup_teardown(test_held_is_compared, setup, teardown),
        cmocka_unit_test_setup_teardown(test_gap, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
