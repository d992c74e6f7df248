/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Many short cases on librdkafka's mock cluster, each a test of its own name.
 *
 * Nearly all the time of such a case is waiting: for a group's first rebalance, for a retry. So they run in
 * lanes, threads with a cluster each that take the next case when they are done with one; cmocka then only
 * looks at what came out. No cmocka call in a lane: it says what is wrong by mock_wrong.
 */
#ifndef TESTS_UNIT_MOCK_FIXTURE_H
#define TESTS_UNIT_MOCK_FIXTURE_H

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
#include <pthread.h>
#include <stdatomic.h>

#include "shared/base/clock.h"
#include "shared/base/log.h"
#include "shared/kafka/conf.h"
#include "shared/wire/envelope.h"
#include "tests/unit/await.h"

/* Kafka's numbers of the requests (kafka.apache.org/protocol: ApiKey). */
enum {
    API_PRODUCE = 0,
    API_FETCH = 1,
    API_LIST_OFFSETS = 2,
    API_OFFSET_COMMIT = 8,
    API_OFFSET_FETCH = 9,
    API_FIND_COORDINATOR = 10,
    API_JOIN_GROUP = 11,
    API_HEARTBEAT = 12,
    API_LEAVE_GROUP = 13,
    API_SYNC_GROUP = 14,
    API_VERSIONS = 18,
    API_INIT_PRODUCER_ID = 22
};

enum { MOCK_NAME_MAX = 120, MOCK_WHY_MAX = 400 };

/* A lane's cluster, and the case that it is at. */
struct mock {
    int brokers;
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
    rd_kafka_t *reader;        /* of mock_read */
    struct tl_kafka_conf conf; /* how to reach it, with short backoffs */
    struct tl_log log;
    struct tl_error err;
    void *app;     /* the lane's own: what `opened` made */
    int64_t until; /* the case hangs when it is not done by then, tl_clock_ms */
    char *why;     /* what is wrong with the case, "" */
};

struct mock_suite {
    size_t ncases;
    size_t lanes;
    int brokers;
    /* Of lane and case alone: what is shared between the lanes is only read. */
    void (*name)(size_t i, char name[MOCK_NAME_MAX]);
    void (*run)(struct mock *m, size_t i);
    /* After a lane's cluster was made, and before it goes; may be NULL. */
    void (*opened)(struct mock *m);
    void (*closing)(struct mock *m);
};

/* Of the failures that are still to be given, the least and the sum over the brokers. */
struct mock_left {
    size_t least;
    size_t sum;
};

typedef void mock_on_message(void *app, struct mock *m, const rd_kafka_message_t *message,
                             const struct tl_envelope *e);

struct result {
    char name[MOCK_NAME_MAX];
    char why[MOCK_WHY_MAX];
    int64_t took_ms;
};

struct run {
    const struct mock_suite *suite;
    struct result *results;
    size_t *cases; /* those that are to run */
    size_t n;
    _Atomic size_t next;
};

/* The first thing that is wrong counts. Returns false, so that `return mock_wrong(…)` ends a check. */
TL_PRINTF(2, 3) static inline bool mock_wrong(struct mock *m, const char *fmt, ...)
{
    va_list args;

    if (m->why[0])
        return false;
    va_start(args, fmt);
    vsnprintf(m->why, MOCK_WHY_MAX, fmt, args);
    va_end(args);
    return false;
}

static inline bool mock_late(const struct mock *m)
{
    return tl_clock_ms() >= m->until;
}

/*
 * The next `times` requests of that kind at each broker are answered with err; rtt_ms, when not 0, later by so much.
 * RD_KAFKA_RESP_ERR_NO_ERROR with rtt_ms: done, but the answer comes late.
 */
static inline void mock_fail(struct mock *m, int16_t api, rd_kafka_resp_err_t err, int times, int rtt_ms)
{
    for (int32_t broker = 1; broker <= m->brokers; broker++)
        for (int i = 0; i < times; i++)
            rd_kafka_mock_broker_push_request_error_rtts(m->cluster, broker, api, 1, err, rtt_ms);
}

static inline struct mock_left mock_left(struct mock *m, int16_t api)
{
    struct mock_left left = {.least = SIZE_MAX};

    for (int32_t broker = 1; broker <= m->brokers; broker++) {
        size_t n = 0;

        rd_kafka_mock_broker_error_stack_cnt(m->cluster, broker, api, &n);
        left.least = TL_MIN(left.least, n);
        left.sum += n;
    }
    return left;
}

/* ------------------------------------------------------------------ reading */

/* False when it can't be parsed. */
static bool read_envelope(struct mock *m, const rd_kafka_message_t *message, struct tl_envelope *e)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;

    tl_envelope_init(e, TL_MSG_ROWS);
    if (rd_kafka_message_headers(message, &headers))
        return mock_wrong(m, "a message without headers");
    for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &size); i++)
        if (tl_envelope_read_header(e, tl_str(name), tl_str_n(value, size), &m->err))
            return mock_wrong(m, "%s", m->err.text);
    if (tl_envelope_check(e, &m->err))
        return mock_wrong(m, "%s", m->err.text);
    return true;
}

/* Assigns all partitions that have messages; how many messages there are, -1 with what is wrong. */
static int64_t assign_all(struct mock *m, rd_kafka_t *rk, const char *topic, int32_t partitions)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    int64_t sum = 0;

    for (int32_t p = 0; p < partitions; p++) {
        int64_t low, high;
        rd_kafka_resp_err_t err = rd_kafka_query_watermark_offsets(rk, topic, p, &low, &high, AWAIT_MS);

        if (err) {
            mock_wrong(m, "can't read what was written: %s", rd_kafka_err2name(err));
            sum = -1;
            break;
        }
        if (high > low)
            rd_kafka_topic_partition_list_add(list, topic, p)->offset = low;
        sum += high - low;
    }
    if (sum > 0)
        rd_kafka_assign(rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return sum;
}

/* One for all cases of a lane: making and destroying clients is the longest part of reading. */
static void open_reader(struct mock *m)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(m->cluster), NULL, 0);
    rd_kafka_conf_set(conf, "group.id", "unused", NULL, 0);
    rd_kafka_conf_set(conf, "enable.auto.commit", "false", NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    m->reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, NULL, 0);
}

static void close_reader(struct mock *m)
{
    if (!m->reader)
        return;
    rd_kafka_consumer_close(m->reader);
    rd_kafka_destroy(m->reader);
    m->reader = NULL;
}

/* What stands in the topic from the beginning of each partition, by librdkafka alone. */
static inline void mock_read(struct mock *m, const char *topic, int32_t partitions, mock_on_message *each,
                             void *app)
{
    int64_t left;

    if (!m->reader)
        open_reader(m);
    left = assign_all(m, m->reader, topic, partitions);
    while (left > 0 && !m->why[0]) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(m->reader, 100);
        struct tl_envelope e;

        if (mock_late(m))
            mock_wrong(m, "what was written can't be read in time");
        if (message && !message->err) {
            if (read_envelope(m, message, &e))
                each(app, m, message, &e);
            left--;
        }
        if (message)
            rd_kafka_message_destroy(message);
    }
    rd_kafka_assign(m->reader, NULL);
}

/* ------------------------------------------------------------------ lanes */

/* Retries as fast as a test wants them; an answer that is late by LATE_MS never came. */
static int set_conf(struct mock *m)
{
    static const char *const properties[][2] = {
        {"retry.backoff.ms", "20"},
        {"reconnect.backoff.ms", "20"},
        {"topic.metadata.refresh.fast.interval.ms", "50"},
        {"request.timeout.ms", "100"},
    };
    int rc = tl_kafka_conf_set(&m->conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(m->cluster),
                               &m->err);

    for (size_t i = 0; i < TL_ARRAY_LEN(properties) && !rc; i++)
        rc = tl_kafka_conf_set(&m->conf, properties[i][0], properties[i][1], &m->err);
    return rc;
}

static void open_cluster(struct mock *m, const struct mock_suite *suite)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    m->rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, NULL, 0);
    m->cluster = rd_kafka_mock_cluster_new(m->rk, suite->brokers);
    if (set_conf(m))
        mock_wrong(m, "%s", m->err.text);
    if (suite->opened)
        suite->opened(m);
}

static void close_cluster(struct mock *m, const struct mock_suite *suite)
{
    if (!m->cluster)
        return;
    if (suite->closing)
        suite->closing(m);
    close_reader(m);
    rd_kafka_mock_cluster_destroy(m->cluster);
    rd_kafka_destroy(m->rk);
    m->cluster = NULL;
}

/* Failures that nobody asked for would meet the next case. */
static bool clean(struct mock *m)
{
    size_t sum = 0;

    for (int16_t api = API_PRODUCE; api <= API_INIT_PRODUCER_ID; api++)
        sum += mock_left(m, api).sum;
    return sum == 0;
}

static void *lane_main(void *arg)
{
    struct run *run = arg;
    struct mock m = {.brokers = run->suite->brokers};
    size_t at;

    tl_log_init(&m.log, STDERR_FILENO, TL_LOG_ERROR);
    tl_kafka_conf_init(&m.conf);
    while ((at = atomic_fetch_add(&run->next, 1)) < run->n) {
        struct result *r = &run->results[at];
        int64_t began = tl_clock_ms();

        m.why = r->why;
        m.until = began + AWAIT_MS;
        if (!m.cluster)
            open_cluster(&m, run->suite);
        run->suite->run(&m, run->cases[at]);
        if (r->why[0] || !clean(&m))
            close_cluster(&m, run->suite);
        r->took_ms = tl_clock_ms() - began;
    }
    close_cluster(&m, run->suite);
    tl_kafka_conf_release(&m.conf);
    return NULL;
}

static void run_lanes(struct run *run)
{
    pthread_t *threads = calloc(run->suite->lanes, sizeof *threads);

    for (size_t i = 0; i < run->suite->lanes; i++)
        if (pthread_create(&threads[i], NULL, lane_main, run))
            abort();
    for (size_t i = 0; i < run->suite->lanes; i++)
        pthread_join(threads[i], NULL);
    free(threads);
}

static void test_case(void **state)
{
    const struct result *r = *state;

    if (r->why[0])
        fail_msg("%s, after %lld ms: %s", r->name, (long long)r->took_ms, r->why);
}

static void choose_cases(struct run *run)
{
    const char *only = getenv("MOCK_CASE");

    for (size_t i = 0; i < run->suite->ncases; i++) {
        struct result *r = &run->results[run->n];

        run->suite->name(i, r->name);
        if (!only || strstr(r->name, only))
            run->cases[run->n++] = i;
    }
}

/* Runs all cases, or those whose name has MOCK_CASE of the environment in it. What main returns. */
static inline int mock_run(const struct mock_suite *suite)
{
    struct run run = {.suite = suite};
    struct CMUnitTest *tests = calloc(suite->ncases, sizeof *tests);
    int failed;

    run.results = calloc(suite->ncases, sizeof *run.results);
    run.cases = calloc(suite->ncases, sizeof *run.cases);
    if (!tests || !run.results || !run.cases)
        abort();
    choose_cases(&run);
    run_lanes(&run);
    for (size_t i = 0; i < run.n; i++)
        tests[i] = (struct CMUnitTest){
            .name = run.results[i].name, .test_func = test_case, .initial_state = &run.results[i]};
    failed = _cmocka_run_group_tests("mock cluster", tests, run.n, NULL, NULL);
    free(tests);
    free(run.cases);
    free(run.results);
    return failed;
}

#endif
