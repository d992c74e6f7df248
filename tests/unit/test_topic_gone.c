/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A topic is deleted while it is somebody's in a consumer group, who then leaves: he must be able to, in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>

#include "shared/base/clock.h"
#include "shared/kafka/consumer.h"
#include "tests/unit/await.h"
#include "tests/unit/log_fixture.h"

#define TOPIC "t"

enum { PARTITIONS = 3 };

struct member {
    struct tl_consumer *consumer;
    struct tl_kqueue *queue;
    int ours;
};

static struct tl_kqueue *on_assigned(void *app, const char *topic, int32_t partition, int64_t *begin)
{
    struct member *b = app;
    struct tl_error err;

    (void)topic, (void)partition, (void)begin;
    if (!b->queue)
        b->queue = tl_kqueue_new(b->consumer, NULL, NULL, &err);
    b->ours += b->queue != NULL;
    return b->queue;
}

static void on_revoked(void *app, const char *topic, int32_t partition)
{
    struct member *b = app;

    (void)topic, (void)partition;
    if (--b->ours == 0) {
        tl_kqueue_free(b->queue);
        b->queue = NULL;
    }
}

static void on_waits(void *app, const char *topic, int32_t partition, const char *why)
{
    (void)app, (void)topic, (void)partition, (void)why;
}

static void on_trouble(void *app, const char *topic, int32_t partition, const char *text)
{
    (void)app, (void)topic, (void)partition, (void)text;
}

static rd_kafka_t *quiet_client(void)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    return rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
}

static void test_leaves(void **state)
{
    const char *const topics[] = {TOPIC};
    char bootstrap[256];
    int fd;
    rd_kafka_t *rk = quiet_client();
    rd_kafka_mock_cluster_t *cluster = rd_kafka_mock_cluster_new(rk, 1);
    struct member b = {0};
    struct tl_consumer_events events = {
        .assigned = on_assigned, .revoked = on_revoked, .waits = on_waits, .trouble = on_trouble, .app = &b};
    struct tl_consumer_options options = {
        .group = "g", .client_id = "test", .queue_bytes = 1 << 20, .from_stored = true};
    struct tl_kafka_conf conf;
    static struct tl_log log; /* a client that is not cleared away in time keeps it */
    struct tl_error err;
    struct tl_message m;
    int64_t until = tl_clock_ms() + AWAIT_MS;

    (void)state;
    fd = log_open(&log);
    assert_int_equal(rd_kafka_mock_topic_create(cluster, TOPIC, PARTITIONS, 1), 0);
    tl_kafka_conf_init(&conf);
    snprintf(bootstrap, sizeof bootstrap, "%s", rd_kafka_mock_cluster_bootstraps(cluster));
    assert_int_equal(tl_kafka_conf_set(&conf, "bootstrap.servers", bootstrap, &err), 0);
    assert_int_equal(tl_kafka_conf_set(&conf, "topic.metadata.refresh.interval.ms", "50", &err), 0);
    b.consumer = tl_consumer_new(&conf, &options, &events, &log, &err);
    assert_non_null(b.consumer);
    assert_int_equal(tl_consumer_subscribe(b.consumer, topics, 1, &err), 0);
    while (b.ours < PARTITIONS) {
        assert_int_equal(tl_consumer_poll(b.consumer, 10, &err), 0);
        assert_true(tl_clock_ms() < until);
    }
    rd_kafka_mock_topic_set_error(cluster, TOPIC, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    while (!log_says(fd, "no longer available")) {
        if (b.queue)
            assert_int_equal(tl_kqueue_pop(b.queue, 10, &m), 0);
        assert_int_equal(tl_consumer_poll(b.consumer, 10, &err), 0);
        assert_true(tl_clock_ms() < until);
    }
    alarm(AWAIT_MS / 1000); /* it waits for ever, or not at all */
    assert_int_equal(tl_consumer_close(b.consumer, &err), 0);
    assert_null(b.queue);
    tl_consumer_free(b.consumer);
    alarm(0);
    tl_kafka_conf_release(&conf);
    rd_kafka_mock_cluster_destroy(cluster);
    rd_kafka_destroy(rk);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_leaves),
    };

    return cmocka_run_group_tests_name("topic gone", tests, NULL, NULL);
}
