/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sender, producer and consumer on librdkafka's mock cluster: what is sent arrives in order and whole, also
 * over a fatal producer.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#include "cli/upload/sender.h"
#include "shared/base/clock.h"
#include "shared/kafka/consumer.h"
#include "tests/unit/await.h"

enum { PARTITIONS = 4, BATCHES = 100, PRODUCE = 0 };

struct fixture {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
    struct tl_kafka_conf conf;
    struct tl_log log;
    struct tl_error err;
    int recycled;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    char text[200];

    f->rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof text);
    assert_non_null(f->rk);
    f->cluster = rd_kafka_mock_cluster_new(f->rk, 1);
    assert_non_null(f->cluster);
    assert_int_equal(rd_kafka_mock_topic_create(f->cluster, "t", PARTITIONS, 1), 0);
    tl_kafka_conf_init(&f->conf);
    assert_int_equal(tl_kafka_conf_set(&f->conf, "bootstrap.servers",
                                       rd_kafka_mock_cluster_bootstraps(f->cluster), &f->err),
                     0);
    /*
     * A broker refuses what stands behind a refused batch, by its sequence number, and the mock takes it: so there is
     * nothing behind it.
     */
    assert_int_equal(tl_kafka_conf_set(&f->conf, "queue.buffering.max.messages", "1", &f->err), 0);
    tl_log_init(&f->log, STDERR_FILENO, TL_LOG_ERROR);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    rd_kafka_mock_cluster_destroy(f->cluster);
    rd_kafka_destroy(f->rk);
    tl_kafka_conf_release(&f->conf);
    free(f);
    return 0;
}

static int tick(void *app, struct tl_error *err)
{
    (void)app;
    (void)err;
    return 0;
}

static void recycle(void *app, char *value, size_t cap)
{
    struct fixture *f = app;

    (void)cap;
    f->recycled++;
    free(value);
}

static struct sender *make_sender(struct fixture *f, const int64_t *skip)
{
    struct sender_options options = {
        .kafka = &f->conf,
        .topic = "t",
        .compression = "none",
        .partitions = PARTITIONS,
        .skip = skip,
        .log = &f->log,
        .tick = tick,
        .recycle = recycle,
        .app = f,
    };
    struct sender *s;

    tl_envelope_init(&options.common, TL_MSG_ROWS);
    options.common.table = tl_str("orders");
    options.common.table_id = 1;
    options.common.version = 1;
    options.common.upload = tl_str("u1");
    options.common.format = tl_str("csv");
    s = sender_new(&options, &f->err);
    assert_non_null(s);
    assert_int_equal(sender_begin_file(s, "f.csv", "id,name", &f->err), 0);
    return s;
}

static int send_batch(struct fixture *f, struct sender *s, int64_t seq, int32_t partition)
{
    struct batch batch = {.partition = partition, .seq = seq, .rows = 1, .cap = 64, .file = "f.csv"};

    batch.value = malloc(batch.cap);
    assert_non_null(batch.value);
    batch.len = (size_t)snprintf(batch.value, batch.cap, "%lld\t%lld,x\n", (long long)seq, (long long)seq);
    return sender_send(s, &batch, &f->err);
}

/* What has come of each partition; what comes first of each number must come in order. */
struct arrived {
    int64_t next[PARTITIONS];
    int ended;
};

static void arrived_init(struct arrived *a, int64_t first)
{
    a->ended = 0;
    for (int i = 0; i < PARTITIONS; i++)
        a->next[i] = first;
}

static void arrive(struct arrived *a, int32_t partition, const struct tl_envelope *e, struct tl_str value)
{
    assert_true(tl_str_eq_z(e->upload, "u1"));
    assert_true(e->seq <= a->next[partition]); /* no gap */
    if (e->seq != a->next[partition])
        return;
    a->next[partition]++;
    if (e->type == TL_MSG_END) {
        assert_int_equal(e->seq, BATCHES + 1);
        assert_true(tl_str_eq_z(value, "{\"batches\":100,\"rows\":100}"));
        a->ended++;
    } else {
        assert_true(tl_str_eq_z(e->columns, "id,name"));
        assert_true(tl_str_eq_z(e->file, "f.csv"));
    }
}

/* By librdkafka alone, without a group: the mock's groups take seconds to begin. */
static void check_arrived(struct fixture *f, int64_t first)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);
    int64_t end = tl_clock_ms() + AWAIT_MS;
    struct arrived a;
    rd_kafka_t *rk;
    char text[200];

    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(f->cluster), NULL, 0);
    rd_kafka_conf_set(conf, "group.id", "unused", NULL, 0);
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    assert_non_null(rk);
    for (int32_t p = 0; p < PARTITIONS; p++)
        rd_kafka_topic_partition_list_add(list, "t", p)->offset = RD_KAFKA_OFFSET_BEGINNING;
    assert_int_equal(rd_kafka_assign(rk, list), 0);
    rd_kafka_topic_partition_list_destroy(list);
    arrived_init(&a, first);
    while (a.ended < PARTITIONS && tl_clock_ms() < end) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 100);
        rd_kafka_headers_t *headers;
        struct tl_envelope e;
        const char *name;
        const void *value;
        size_t size;

        if (!m)
            continue;
        assert_int_equal(m->err, 0);
        tl_envelope_init(&e, TL_MSG_ROWS);
        assert_int_equal(rd_kafka_message_headers(m, &headers), 0);
        for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &size); i++)
            assert_int_equal(tl_envelope_read_header(&e, tl_str(name), tl_str_n(value, size), &f->err), 0);
        assert_int_equal(tl_envelope_check(&e, &f->err), 0);
        arrive(&a, m->partition, &e, tl_str_n(m->payload, m->len));
        rd_kafka_message_destroy(m);
    }
    assert_int_equal(a.ended, PARTITIONS);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

static struct tl_kqueue *assigned(void *app, const char *topic, int32_t partition, int64_t *begin)
{
    (void)begin;
    (void)topic;
    (void)partition;
    return *(struct tl_kqueue **)app;
}

static void revoked(void *app, const char *topic, int32_t partition)
{
    (void)app;
    (void)topic;
    (void)partition;
}

static void waits(void *app, const char *topic, int32_t partition, const char *why)
{
    (void)app;
    (void)topic;
    (void)partition;
    (void)why;
}

static void trouble(void *app, const char *topic, int32_t partition, const char *text)
{
    (void)app;
    (void)topic;
    (void)partition;
    (void)text;
}

/* The same through our own consumer, as a member of a group. */
static void check_consumer(struct fixture *f)
{
    struct tl_kqueue *queue = NULL;
    struct tl_consumer_events events = {
        .assigned = assigned, .revoked = revoked, .waits = waits, .trouble = trouble, .app = &queue};
    struct tl_consumer_options options = {
        .group = "test", .client_id = "test", .queue_bytes = 1 << 20, .from_stored = true};
    struct tl_consumer *c = tl_consumer_new(&f->conf, &options, &events, &f->log, &f->err);
    int64_t end = tl_clock_ms() + AWAIT_MS;
    const char *topic = "t";
    struct arrived a;

    assert_non_null(c);
    queue = tl_kqueue_new(c, NULL, NULL, &f->err);
    assert_non_null(queue);
    arrived_init(&a, 1);
    assert_int_equal(tl_consumer_subscribe(c, &topic, 1, &f->err), 0);
    while (a.ended < PARTITIONS && tl_clock_ms() < end) {
        struct tl_message m;

        assert_int_equal(tl_consumer_poll(c, 0, &f->err), 0);
        if (!tl_kqueue_pop(queue, 20, &m))
            continue;
        assert_true(m.ours);
        arrive(&a, m.partition, &m.envelope, m.value);
        tl_message_release(&m);
    }
    assert_int_equal(a.ended, PARTITIONS);
    assert_int_equal(tl_consumer_close(c, &f->err), 0);
    tl_kqueue_free(queue);
    tl_consumer_free(c);
}

static void send_all(struct fixture *f, struct sender *s, void (*fault)(struct fixture *f, int64_t seq))
{
    for (int64_t seq = 1; seq <= BATCHES; seq++) {
        if (fault)
            fault(f, seq);
        for (int32_t p = 0; p < PARTITIONS; p++)
            assert_int_equal(send_batch(f, s, seq, p), 0);
    }
    for (int32_t p = 0; p < PARTITIONS; p++)
        assert_int_equal(sender_end(s, p, BATCHES, BATCHES, &f->err), 0);
    assert_int_equal(sender_flush(s, &f->err), 0);
}

static void test_in_order(void **state)
{
    static const int64_t skip[PARTITIONS];
    struct fixture *f = *state;
    struct sender *s = make_sender(f, skip);

    send_all(f, s, NULL);
    assert_int_equal(f->recycled, BATCHES * PARTITIONS);
    sender_free(s);
    check_consumer(f);
}

static void fatal_at_50(struct fixture *f, int64_t seq)
{
    if (seq == 50)
        rd_kafka_mock_push_request_errors(f->cluster, PRODUCE, 1,
                                          RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
}

static void test_fatal_producer_is_replaced(void **state)
{
    static const int64_t skip[PARTITIONS];
    struct fixture *f = *state;
    struct sender *s = make_sender(f, skip);

    send_all(f, s, fatal_at_50);
    assert_int_equal(f->recycled, BATCHES * PARTITIONS);
    sender_free(s);
    check_arrived(f, 1);
}

static void refused_now_and_then(struct fixture *f, int64_t seq)
{
    if (seq % 30 == 0)
        rd_kafka_mock_push_request_errors(f->cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_INVALID_RECORD);
}

/* What stands behind a batch that was refused does not get there before it. */
static void test_refused_batches_leave_no_gap(void **state)
{
    static const int64_t skip[PARTITIONS];
    struct fixture *f = *state;
    struct sender *s = make_sender(f, skip);

    send_all(f, s, refused_now_and_then);
    assert_int_equal(f->recycled, BATCHES * PARTITIONS);
    sender_free(s);
    check_arrived(f, 1);
}

static void retriable_now_and_then(struct fixture *f, int64_t seq)
{
    if (seq % 20 == 0)
        rd_kafka_mock_push_request_errors(f->cluster, PRODUCE, 2, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
                                          RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT);
}

static void test_retriable_errors(void **state)
{
    static const int64_t skip[PARTITIONS];
    struct fixture *f = *state;
    struct sender *s = make_sender(f, skip);

    send_all(f, s, retriable_now_and_then);
    sender_free(s);
    check_arrived(f, 1);
}

static void test_what_is_there_is_not_sent_again(void **state)
{
    static const int64_t skip[PARTITIONS] = {40, 40, 40, 40};
    struct fixture *f = *state;
    struct sender *s = make_sender(f, skip);

    send_all(f, s, NULL);
    assert_int_equal(f->recycled, BATCHES * PARTITIONS);
    sender_free(s);
    check_arrived(f, 41);
}

static void test_too_large_ends_it(void **state)
{
    static const int64_t skip[PARTITIONS];
    struct fixture *f = *state;
    struct sender *s = make_sender(f, skip);

    rd_kafka_mock_push_request_errors(f->cluster, PRODUCE, 1, RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE);
    assert_int_equal(send_batch(f, s, 1, 0), 0);
    assert_int_equal(sender_flush(s, &f->err), -1);
    assert_int_equal(f->err.code, TL_E_TOO_LARGE);
    sender_free(s);
    assert_int_equal(f->recycled, 1);
}

/* All but a quarter of a second's worth and the last batch of 6 bytes have to be waited for. */
static void test_limit(void **state)
{
    static const int64_t skip[PARTITIONS] = {0};
    struct fixture *f = *state;
    struct sender *s = make_sender(f, skip);
    int64_t begun = tl_clock_us();

    sender_set_rate(s, 400);
    for (int64_t seq = 1; seq <= 50; seq++)
        assert_int_equal(send_batch(f, s, seq, 0), 0);
    assert_true(tl_clock_us() - begun >= (49 * 6 - 100 - 6) * INT64_C(1000000) / 400);
    assert_int_equal(sender_flush(s, &f->err), 0);
    sender_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_fatal_producer_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_batches_leave_no_gap, setup, teardown),
        cmocka_unit_test_setup_teardown(test_retriable_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_there_is_not_sent_again, setup, teardown),
        cmocka_unit_test_setup_teardown(test_too_large_ends_it, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
