/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every answer that a broker may give to what a producer asks: the upload's sender, and a producer as the validator
 * uses it, send numbered batches and end markers into a topic of the mock cluster, which fails the first, a middle or
 * the last request, once or three times in a row.
 *
 * What must hold: the topic has every batch of each partition, what comes first of each number in ascending order and
 * without a gap; or the sender gave up with the code that the table names, and there is no gap up to what was acked.
 *
 * What the mock of librdkafka 2.0.2 can't do, and is left to the tests on a real Kafka: errors to Metadata requests but
 * for a topic's own, and those with the topic's partitions beside them, where a broker names none;
 * DUPLICATE_SEQUENCE_NUMBER, for it has not got what it says it has; FindCoordinator for a producer (only transactional
 * ones ask); sequence numbers, which it checks for transactional producers alone (set_queue, below); partitions of one
 * request with different errors; admin requests.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/upload/sender.h"
#include "shared/base/clock.h"
#include "shared/kafka/producer.h"
#include "tests/unit/mock_fixture.h"

enum { PARTITIONS = 3, BROKERS = 2, BATCHES = 12, LANES = 24, LATE_MS = 2500, LASTS_MS = 300 };

/* TL_E_* that the sender is to end with; WHOLE: it is to get everything through. */
enum { WHOLE = -1 };

struct fault {
    int16_t api;
    rd_kafka_resp_err_t err;
    int ends; /* the sender's; a validator always goes on */
};

#define E(name) RD_KAFKA_RESP_ERR_##name

static const struct fault faults[] = {
    {API_PRODUCE, E(NOT_LEADER_FOR_PARTITION), WHOLE},
    {API_PRODUCE, E(LEADER_NOT_AVAILABLE), WHOLE},
    {API_PRODUCE, E(REQUEST_TIMED_OUT), WHOLE},
    {API_PRODUCE, E(NOT_ENOUGH_REPLICAS), WHOLE},
    {API_PRODUCE, E(NOT_ENOUGH_REPLICAS_AFTER_APPEND), WHOLE},
    {API_PRODUCE, E(UNKNOWN_TOPIC_OR_PART), WHOLE},
    {API_PRODUCE, E(NETWORK_EXCEPTION), WHOLE},
    {API_PRODUCE, E(_TRANSPORT), WHOLE},
    {API_PRODUCE, E(BROKER_NOT_AVAILABLE), WHOLE},
    {API_PRODUCE, E(REPLICA_NOT_AVAILABLE), WHOLE},
    {API_PRODUCE, E(FENCED_LEADER_EPOCH), WHOLE},
    {API_PRODUCE, E(KAFKA_STORAGE_ERROR), WHOLE},
    {API_PRODUCE, E(INVALID_MSG), WHOLE},
    {API_PRODUCE, E(INVALID_RECORD), WHOLE},
    {API_PRODUCE, E(UNKNOWN), WHOLE},
    {API_PRODUCE, E(OUT_OF_ORDER_SEQUENCE_NUMBER), WHOLE},
    {API_PRODUCE, E(UNKNOWN_PRODUCER_ID), WHOLE},
    {API_PRODUCE, E(INVALID_PRODUCER_EPOCH), WHOLE},
    {API_PRODUCE, E(THROTTLING_QUOTA_EXCEEDED), WHOLE},
    {API_PRODUCE, E(MSG_SIZE_TOO_LARGE), TL_E_TOO_LARGE},
    {API_PRODUCE, E(RECORD_LIST_TOO_LARGE), TL_E_TOO_LARGE},
    {API_PRODUCE, E(TOPIC_AUTHORIZATION_FAILED), TL_E_FORBIDDEN},
    {API_PRODUCE, E(CLUSTER_AUTHORIZATION_FAILED), TL_E_FORBIDDEN},
    {API_INIT_PRODUCER_ID, E(COORDINATOR_LOAD_IN_PROGRESS), WHOLE},
    {API_INIT_PRODUCER_ID, E(COORDINATOR_NOT_AVAILABLE), WHOLE},
    {API_INIT_PRODUCER_ID, E(NOT_COORDINATOR), WHOLE},
    {API_INIT_PRODUCER_ID, E(REQUEST_TIMED_OUT), WHOLE},
    {API_INIT_PRODUCER_ID, E(_TRANSPORT), WHOLE},
    {API_INIT_PRODUCER_ID, E(UNKNOWN), WHOLE},
    {API_INIT_PRODUCER_ID, E(INVALID_PRODUCER_EPOCH), WHOLE},
    {API_INIT_PRODUCER_ID, E(CLUSTER_AUTHORIZATION_FAILED), TL_E_FORBIDDEN},
    {API_VERSIONS, E(_TRANSPORT), WHOLE},
    {API_VERSIONS, E(UNSUPPORTED_VERSION), WHOLE},
    {API_VERSIONS, E(REQUEST_TIMED_OUT), WHOLE},
};

enum position { FIRST, MIDDLE, LAST, NPOSITIONS };
static const char *const position_names[] = {"first", "middle", "last"};
static const int64_t position_seqs[] = {1, BATCHES / 2, BATCHES + 1};

enum { ONCE, THRICE, AS_VALIDATOR, NWAYS };
static const char *const way_names[] = {"once", "three times", "once, validator"};

/* What has come of one case. */
struct attempt {
    struct mock *m;
    char topic[32];
    int64_t acked[PARTITIONS];
    int64_t next[PARTITIONS]; /* of what stands in the topic */
    bool happened;
    /* What it is that is over after a while, and when that is. */
    void (*mend)(struct attempt *a);
    int64_t mends;
    int moves; /* of the leaders */
};

/* ------------------------------------------------------------------ other things that happen */

static void all_up(struct attempt *a)
{
    rd_kafka_mock_broker_set_up(a->m->cluster, -1);
}

static void all_down(struct attempt *a)
{
    rd_kafka_mock_broker_set_down(a->m->cluster, -1);
    a->mend = all_up;
}

static void one_down(struct attempt *a)
{
    rd_kafka_mock_broker_set_down(a->m->cluster, 1);
    a->mend = all_up;
}

static void leaders_move(struct attempt *a)
{
    a->moves++;
    for (int32_t p = 0; p < PARTITIONS; p++)
        rd_kafka_mock_partition_set_leader(a->m->cluster, a->topic, p, 1 + (p + a->moves) % BROKERS);
}

static void no_leader(struct attempt *a)
{
    for (int32_t p = 0; p < PARTITIONS; p++)
        rd_kafka_mock_partition_set_leader(a->m->cluster, a->topic, p, -1);
    a->mend = leaders_move;
}

static void leaders_swap(struct attempt *a)
{
    leaders_move(a);
    a->mend = leaders_move;
}

static void fast_again(struct attempt *a)
{
    rd_kafka_mock_broker_set_rtt(a->m->cluster, -1, 0);
}

static void slow(struct attempt *a)
{
    rd_kafka_mock_broker_set_rtt(a->m->cluster, -1, 200);
    a->mend = fast_again;
}

/* Done, but nobody hears of it: it is sent again. */
static void answer_lost(struct attempt *a)
{
    mock_fail(a->m, API_PRODUCE, E(NO_ERROR), 1, LATE_MS);
}

static void answer_lost_then_fatal(struct attempt *a)
{
    answer_lost(a);
    mock_fail(a->m, API_PRODUCE, E(OUT_OF_ORDER_SEQUENCE_NUMBER), 1, 0);
}

static void producer_id_forgotten(struct attempt *a)
{
    mock_fail(a->m, API_PRODUCE, E(UNKNOWN_PRODUCER_ID), 1, 0);
    mock_fail(a->m, API_INIT_PRODUCER_ID, E(COORDINATOR_LOAD_IN_PROGRESS), 1, 0);
}

static void fatal_then_no_id(struct attempt *a)
{
    mock_fail(a->m, API_PRODUCE, E(OUT_OF_ORDER_SEQUENCE_NUMBER), 1, 0);
    mock_fail(a->m, API_INIT_PRODUCER_ID, E(NOT_COORDINATOR), 1, 0);
}

static void topic_fine(struct attempt *a)
{
    rd_kafka_mock_topic_set_error(a->m->cluster, a->topic, E(NO_ERROR));
}

/* Leaders are asked for again after NOT_LEADER alone. */
static void topic_error(struct attempt *a, rd_kafka_resp_err_t err)
{
    rd_kafka_mock_topic_set_error(a->m->cluster, a->topic, err);
    mock_fail(a->m, API_PRODUCE, E(NOT_LEADER_FOR_PARTITION), 1, 0);
    a->mend = topic_fine;
}

static void topic_no_leader(struct attempt *a)
{
    topic_error(a, E(LEADER_NOT_AVAILABLE));
}

static void topic_unknown(struct attempt *a)
{
    topic_error(a, E(UNKNOWN_TOPIC_OR_PART));
}

struct event {
    const char *name;
    void (*happens)(struct attempt *a);
    int ends;
    bool refuses; /* a request, while others behind it may be on the way */
};

static const struct event events[] = {
    {"all brokers down for a while", all_down, WHOLE, false},
    {"one broker down for a while", one_down, WHOLE, false},
    {"leaders move", leaders_swap, WHOLE, true},
    {"no leader for a while", no_leader, WHOLE, true},
    {"answers 200 ms late", slow, WHOLE, false},
    {"answer lost", answer_lost, WHOLE, false},
    {"answer lost, OUT_OF_ORDER_SEQUENCE_NUMBER", answer_lost_then_fatal, WHOLE, true},
    {"UNKNOWN_PRODUCER_ID, no new id at first", producer_id_forgotten, WHOLE, true},
    {"OUT_OF_ORDER_SEQUENCE_NUMBER, no new id at first", fatal_then_no_id, WHOLE, true},
    {"Metadata LEADER_NOT_AVAILABLE", topic_no_leader, WHOLE, true},
    {"Metadata UNKNOWN_TOPIC_OR_PART", topic_unknown, WHOLE, true},
};

enum { NWAYS_OF_EVENT = 2, NFAULTS = TL_ARRAY_LEN(faults), NEVENTS = TL_ARRAY_LEN(events) };

/* ------------------------------------------------------------------ cases */

struct a_case {
    const struct fault *fault; /* one of both */
    const struct event *event;
    enum position position;
    int way;
};

static struct a_case case_of(size_t i)
{
    const size_t per_fault = (size_t)NPOSITIONS * NWAYS, per_event = (size_t)NPOSITIONS * NWAYS_OF_EVENT;
    struct a_case c = {0};

    if (i < NFAULTS * per_fault) {
        c.fault = &faults[i / per_fault];
        c.position = i % NPOSITIONS;
        c.way = (int)(i % per_fault / NPOSITIONS);
        return c;
    }
    i -= NFAULTS * per_fault;
    c.event = &events[i / per_event];
    c.position = i % NPOSITIONS;
    c.way = i % per_event / NPOSITIONS ? AS_VALIDATOR : ONCE;
    return c;
}

static void name_case(size_t i, char name[MOCK_NAME_MAX])
{
    static const char *const apis[] = {
        [API_PRODUCE] = "Produce", [API_INIT_PRODUCER_ID] = "InitProducerId", [API_VERSIONS] = "ApiVersions"};
    struct a_case c = case_of(i);

    if (c.fault)
        snprintf(name, MOCK_NAME_MAX, "%s %s, %s, %s", apis[c.fault->api], rd_kafka_err2name(c.fault->err),
                 position_names[c.position], way_names[c.way]);
    else
        snprintf(name, MOCK_NAME_MAX, "%s, %s, %s", c.event->name, position_names[c.position],
                 way_names[c.way]);
}

/* A new producer asks for these alone: they come with one that is fatal. */
static bool asked_by_new_only(int16_t api)
{
    return api == API_INIT_PRODUCER_ID || api == API_VERSIONS;
}

static void happen(struct attempt *a, const struct a_case *c, int64_t seq)
{
    if (a->happened || seq != position_seqs[c->position])
        return;
    a->happened = true;
    a->mends = tl_clock_ms() + LASTS_MS;
    if (c->event) {
        c->event->happens(a);
        return;
    }
    mock_fail(a->m, c->fault->api, c->fault->err, c->way == THRICE ? 3 : 1, 0);
    if (asked_by_new_only(c->fault->api) && c->position != FIRST)
        mock_fail(a->m, API_PRODUCE, E(OUT_OF_ORDER_SEQUENCE_NUMBER), 1, 0);
}

/* While somebody waits, at least ten times a second. -1: the case hangs. */
static int tick(void *app, struct tl_error *err)
{
    struct attempt *a = app;

    if (a->mend && tl_clock_ms() >= a->mends) {
        a->mend(a);
        a->mend = NULL;
    }
    return mock_late(a->m) ? tl_fail(err, TL_E_INTERRUPTED, "the case hangs") : 0;
}

static void envelope(struct tl_envelope *e)
{
    tl_envelope_init(e, TL_MSG_ROWS);
    e->table = tl_str("orders");
    e->table_id = 1;
    e->version = 1;
    e->upload = tl_str("u1");
    e->format = tl_str("csv");
}

/* ------------------------------------------------------------------ the sender */

static void recycle(void *app, char *value, size_t cap)
{
    struct attempt *a = app;
    char *end;
    long p = strtol(value, &end, 10);

    (void)cap;
    a->acked[p] = strtoll(end, NULL, 10);
    free(value);
}

static int send_batch(struct sender *s, int32_t partition, int64_t seq, struct tl_error *err)
{
    struct batch batch = {.partition = partition, .seq = seq, .rows = 1, .cap = 64, .file = "f.csv"};

    batch.value = malloc(batch.cap);
    if (!batch.value)
        abort();
    batch.len = (size_t)snprintf(batch.value, batch.cap, "%d %lld\n", (int)partition, (long long)seq);
    return sender_send(s, &batch, err);
}

static int send_all(struct attempt *a, const struct a_case *c, struct sender *s, struct tl_error *err)
{
    if (sender_begin_file(s, "f.csv", "id,name", err))
        return -1;
    for (int64_t seq = 1; seq <= BATCHES; seq++) {
        happen(a, c, seq);
        for (int32_t p = 0; p < PARTITIONS; p++)
            if (send_batch(s, p, seq, err))
                return -1;
        if (seq == 1 && c->position != FIRST && sender_flush(s, err))
            return -1;
    }
    if (c->position == LAST && sender_flush(s, err))
        return -1;
    happen(a, c, BATCHES + 1);
    for (int32_t p = 0; p < PARTITIONS; p++)
        if (sender_end(s, p, BATCHES, BATCHES, err))
            return -1;
    return sender_flush(s, err);
}

static int run_sender(struct attempt *a, const struct a_case *c, struct tl_error *err)
{
    static const int64_t skip[PARTITIONS];
    struct sender_options options = {
        .kafka = &a->m->conf,
        .topic = a->topic,
        .compression = "none",
        .partitions = PARTITIONS,
        .skip = skip,
        .log = &a->m->log,
        .tick = tick,
        .recycle = recycle,
        .app = a,
    };
    int64_t acked[PARTITIONS];
    struct sender *s;
    int rc;

    envelope(&options.common);
    happen(a, c, 1);
    s = sender_new(&options, err);
    if (!s)
        return -1;
    rc = send_all(a, c, s, err);
    /* What is dropped with the sender was not acked. */
    memcpy(acked, a->acked, sizeof acked);
    sender_free(s);
    memcpy(a->acked, acked, sizeof acked);
    return rc;
}

/* ------------------------------------------------------------------ the validator's way */

/* It keeps nothing: when an output is not taken it goes back to where everything before is acked, with a new producer. */
struct relay {
    struct attempt *a;
    struct tl_producer *producer;
    int64_t sent[PARTITIONS];
    bool broken;
};

static void on_ack(void *app, void *message_app, int64_t offset, const struct tl_error *err)
{
    struct relay *r = app;
    int64_t *at = message_app; /* partition, number */

    (void)offset;
    if (err && err->code != TL_E_INTERRUPTED)
        r->broken = true;
    if (!err && at[1] == r->a->acked[at[0]] + 1)
        r->a->acked[at[0]]++;
    free(at);
}

static int relay_open(struct relay *r, struct tl_error *err)
{
    struct tl_producer_options options = {
        .queue_bytes = 8 * 1024 * 1024, .compression = "none", .client_id = "test"};

    r->broken = false;
    memcpy(r->sent, r->a->acked, sizeof r->sent);
    r->producer = tl_producer_new(&r->a->m->conf, &options, on_ack, r, &r->a->m->log, err);
    return r->producer ? 0 : -1;
}

static int relay_one(struct relay *r, int32_t partition, struct tl_error *err)
{
    int64_t *at = malloc(2 * sizeof *at);
    struct tl_headers headers;
    struct tl_envelope e;

    if (!at)
        abort();
    at[0] = partition;
    at[1] = r->sent[partition] + 1;
    envelope(&e);
    e.seq = at[1];
    e.rows = 1;
    e.columns = tl_str("id,name");
    e.file = tl_str("f.csv");
    if (e.seq > BATCHES) {
        e.type = TL_MSG_END;
        e.rows = 0;
        e.format = tl_str_n(NULL, 0);
    }
    tl_envelope_to_headers(&e, &headers);
    if (tl_producer_send(r->producer, r->a->topic, partition, &headers, tl_str("x"), at, err)) {
        free(at);
        return -1;
    }
    r->sent[partition]++;
    return 0;
}

/* One message of each partition. Whether all are acked. */
static bool relay_round(struct relay *r, const struct a_case *c, struct tl_error *err)
{
    bool done = true;

    for (int32_t p = 0; p < PARTITIONS; p++) {
        happen(r->a, c, r->sent[p] + 1);
        if (!r->broken && r->sent[p] <= BATCHES && relay_one(r, p, err) && err->code != TL_E_AGAIN)
            r->broken = true;
        done = done && r->a->acked[p] == BATCHES + 1;
    }
    return done;
}

static int run_validator(struct attempt *a, const struct a_case *c, struct tl_error *err)
{
    struct relay r = {.a = a};

    happen(a, c, 1);
    if (relay_open(&r, err))
        return -1;
    while (!relay_round(&r, c, err)) {
        if (tick(a, err)) {
            tl_producer_free(r.producer);
            return -1;
        }
        tl_producer_poll(r.producer, 20);
        if (!r.broken && tl_producer_check(r.producer, err) == 0)
            continue;
        tl_producer_free(r.producer);
        if (relay_open(&r, err))
            return -1;
    }
    tl_producer_free(r.producer);
    return 0;
}

/* ------------------------------------------------------------------ what is there */

static void arrive(void *app, struct mock *m, const rd_kafka_message_t *message, const struct tl_envelope *e)
{
    struct attempt *a = app;
    int64_t *next = &a->next[message->partition];

    if (e->seq > *next)
        mock_wrong(m, "[%d]: %lld came where %lld was to come", (int)message->partition, (long long)e->seq,
                   (long long)*next);
    if (e->seq == *next)
        ++*next;
    if ((e->type == TL_MSG_END) != (e->seq == BATCHES + 1))
        mock_wrong(m, "[%d]: the end marker has the number %lld", (int)message->partition, (long long)e->seq);
}

static void check_topic(struct attempt *a, bool whole)
{
    struct mock *m = a->m;

    for (int32_t p = 0; p < PARTITIONS; p++)
        a->next[p] = 1;
    mock_read(m, a->topic, PARTITIONS, arrive, a);
    for (int32_t p = 0; p < PARTITIONS; p++) {
        if (a->next[p] <= a->acked[p])
            mock_wrong(m, "[%d]: %lld was acked, but only %lld are there", (int)p, (long long)a->acked[p],
                       (long long)a->next[p] - 1);
        if (whole && a->next[p] != BATCHES + 2)
            mock_wrong(m, "[%d]: only %lld are there", (int)p, (long long)a->next[p] - 1);
    }
}

/*
 * A broker refuses what stands behind a refused batch, by its sequence number, and the mock takes it: so there is
 * nothing behind it. But for the first batch of a producer, where a broker knows no number yet and takes it, too.
 */
static int set_queue(struct mock *m, const struct a_case *c)
{
    bool behind = c->event ? !c->event->refuses : c->position == FIRST && c->way != THRICE;

    return tl_kafka_conf_set(&m->conf, "queue.buffering.max.messages", behind ? "1000" : "1", &m->err);
}

static void run_case(struct mock *m, size_t i)
{
    struct a_case c = case_of(i);
    struct attempt a = {.m = m};
    int ends = c.fault ? c.fault->ends : c.event->ends, rc;
    struct tl_error err = {0};

    snprintf(a.topic, sizeof a.topic, "t%zu", i);
    if (set_queue(m, &c) || rd_kafka_mock_topic_create(m->cluster, a.topic, PARTITIONS, 1))
        mock_wrong(m, "can't make the topic");
    if (c.way == AS_VALIDATOR)
        ends = WHOLE;
    rc = c.way == AS_VALIDATOR ? run_validator(&a, &c, &err) : run_sender(&a, &c, &err);
    if (rc && (int)err.code != ends)
        mock_wrong(m, "it ended with %s: %s", tl_error_name(err.code), err.text);
    if (!rc && ends != WHOLE)
        mock_wrong(m, "it did not end with %s", tl_error_name((enum tl_error_code)ends));
    if (c.fault && mock_left(m, c.fault->api).least == (c.way == THRICE ? 3 : 1))
        mock_wrong(m, "nothing was asked that could fail");
    rd_kafka_mock_broker_set_up(m->cluster, -1);
    rd_kafka_mock_broker_set_rtt(m->cluster, -1, 0);
    topic_fine(&a);
    check_topic(&a, ends == WHOLE);
}

int main(void)
{
    const struct mock_suite suite = {
        .ncases = NFAULTS * NPOSITIONS * NWAYS + NEVENTS * NPOSITIONS * NWAYS_OF_EVENT,
        .lanes = LANES,
        .brokers = BROKERS,
        .name = name_case,
        .run = run_case,
    };

    return mock_run(&suite);
}
