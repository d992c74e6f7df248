/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every answer that a broker may give to what a member of a consumer group asks, while it does what the roles do: has a
 * queue of its own for what is assigned to it, begins at what is stored, as the validator, or seeks to where it stands, as
 * the sink, and stores how far it came.
 *
 * What must hold: every message comes, in order, none passed over; what comes again after a rebalance begins at or
 * before what is done; what is committed is never more than what was stored, and all of it when the member kept its
 * place; a position that is not in the topic comes as `lost`, and nothing after it; nothing hangs.
 *
 * A failure comes when the member begins (once), in the middle, between two halves of the messages (three times in a
 * row), or when it leaves (once).
 *
 * What the mock of librdkafka 2.0.2 can't do, and is left to the tests on a real Kafka: errors to Metadata requests;
 * different errors for the partitions of one request; deleted records, so OFFSET_OUT_OF_RANGE is only said; a group
 * with members that come and go is in tests/e2e.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/kafka/consumer.h"
#include "shared/kafka/producer.h"
#include "tests/unit/mock_fixture.h"

enum {
    PARTITIONS = 2,
    HALF = 8, /* messages of a partition before the middle, and after it */
    ALL = 2 * HALF,
    STORE_EVERY = 3,
    LANES = 88,
    SHORT_MS = 300,
    LONG_MS = 6000 /* longer than an assignment waits for where to begin */
};

enum position { FIRST = 1, MIDDLE = 2, LAST = 4 };

/* How a member begins. */
enum start { STORED = 1, SEEK = 2, BOTH = 3 };

struct fault {
    int16_t api;
    rd_kafka_resp_err_t err;
    int positions;
    int starts;
    rd_kafka_resp_err_t heartbeat; /* in the middle: what makes it ask again */
    bool lost;                     /* the member is to be told that its position is not there */
};

#define E(name) RD_KAFKA_RESP_ERR_##name

static const struct fault faults[] = {
#define X(api, err, positions, starts, heartbeat, lost) {api, E(err), positions, starts, E(heartbeat), lost},
#include "tests/unit/mock_consumer.def"
#undef X
};

/* ------------------------------------------------------------------ other things that happen */

static void broker_down(struct mock *m, const char *topic)
{
    (void)topic;
    rd_kafka_mock_broker_set_down(m->cluster, 1);
}

static void broker_up(struct mock *m, const char *topic)
{
    (void)topic;
    rd_kafka_mock_broker_set_up(m->cluster, 1);
}

static void set_leader(struct mock *m, const char *topic, int32_t leader)
{
    for (int32_t p = 0; p < PARTITIONS; p++)
        rd_kafka_mock_partition_set_leader(m->cluster, topic, p, leader);
}

static void no_leader(struct mock *m, const char *topic)
{
    set_leader(m, topic, -1);
    mock_fail(m, API_FETCH, E(NOT_LEADER_FOR_PARTITION), 1, 0);
}

static void a_leader(struct mock *m, const char *topic)
{
    set_leader(m, topic, 1);
}

/* One of them, when the partitions are given to the member, again. */
static void one_no_leader(struct mock *m, const char *topic)
{
    rd_kafka_mock_partition_set_leader(m->cluster, topic, 1, -1);
    mock_fail(m, API_HEARTBEAT, E(REBALANCE_IN_PROGRESS), 1, 0);
}

static void no_leaders_at_rebalance(struct mock *m, const char *topic)
{
    set_leader(m, topic, -1);
    mock_fail(m, API_HEARTBEAT, E(REBALANCE_IN_PROGRESS), 1, 0);
}

static void slow(struct mock *m, const char *topic)
{
    (void)topic;
    rd_kafka_mock_broker_set_rtt(m->cluster, -1, 200);
}

static void fast(struct mock *m, const char *topic)
{
    (void)topic;
    rd_kafka_mock_broker_set_rtt(m->cluster, -1, 0);
}

static void nothing(struct mock *m, const char *topic)
{
    (void)m;
    (void)topic;
}

struct event {
    const char *name;
    void (*happens)(struct mock *m, const char *topic);
    void (*ends)(struct mock *m, const char *topic);
    int positions;
    int starts;
    bool lost;
    int lasts_ms;
    bool refuses; /* the member can't take a partition when it is first given to it */
};

static const struct event events[] = {
    {"broker down for a while", broker_down, broker_up, FIRST | MIDDLE, BOTH, false, SHORT_MS, false},
    {"no leader for a while", no_leader, a_leader, FIRST | MIDDLE, BOTH, false, SHORT_MS, false},
    {"no leader of one for long", one_no_leader, a_leader, FIRST | MIDDLE, BOTH, false, LONG_MS, false},
    {"no leaders for long", no_leaders_at_rebalance, a_leader, FIRST | MIDDLE, BOTH, false, LONG_MS, false},
    {"broker down for long", broker_down, broker_up, FIRST | MIDDLE, BOTH, false, LONG_MS, false},
    {"answers 200 ms late", slow, fast, FIRST | MIDDLE, BOTH, false, SHORT_MS, false},
    {"one can't be taken at first", nothing, nothing, FIRST, BOTH, false, SHORT_MS, true},
    {"position behind the end", nothing, nothing, FIRST, SEEK, true, SHORT_MS, false},
};

/* ------------------------------------------------------------------ cases */

struct a_case {
    const struct fault *fault; /* one of both */
    const struct event *event;
    enum position position;
    enum start start;
};

static bool is_lost(const struct a_case *c)
{
    return c->fault ? c->fault->lost : c->event->lost;
}

/* Whether the failure can't cost the member its place in the group, or its way there, and so what it stored last. */
static bool stays(const struct a_case *c)
{
    const struct fault *f = c->fault;

    return !f || c->position == FIRST ||
           (f->api != API_HEARTBEAT && !f->heartbeat && f->err != E(ILLEGAL_GENERATION) &&
            f->err != E(UNKNOWN_MEMBER_ID) && f->err != E(NOT_COORDINATOR) && f->err != E(_TRANSPORT) &&
            f->err != E(COORDINATOR_NOT_AVAILABLE));
}

/* The i-th of all that the tables say; false behind the last. */
static bool case_of(size_t i, struct a_case *c)
{
    *c = (struct a_case){0};
    for (size_t at = 0; at < TL_ARRAY_LEN(faults) + TL_ARRAY_LEN(events); at++) {
        bool is_fault = at < TL_ARRAY_LEN(faults);
        const struct event *e = is_fault ? NULL : &events[at - TL_ARRAY_LEN(faults)];
        int positions = e ? e->positions : faults[at].positions;
        int starts = e ? e->starts : faults[at].starts;

        for (int bits = 0; bits < 6; bits++) {
            c->position = (enum position)(1 << bits / 2);
            c->start = (enum start)(1 << bits % 2);
            if (!(positions & (int)c->position) || !(starts & (int)c->start) || i-- > 0)
                continue;
            c->fault = is_fault ? &faults[at] : NULL;
            c->event = e;
            return true;
        }
    }
    return false;
}

static size_t count_cases(void)
{
    struct a_case c;
    size_t n = 0;

    while (case_of(n, &c))
        n++;
    return n;
}

static void name_case(size_t i, char name[MOCK_NAME_MAX])
{
    static const char *const apis[] = {
        [API_FETCH] = "Fetch",
        [API_LIST_OFFSETS] = "ListOffsets",
        [API_OFFSET_COMMIT] = "OffsetCommit",
        [API_OFFSET_FETCH] = "OffsetFetch",
        [API_FIND_COORDINATOR] = "FindCoordinator",
        [API_JOIN_GROUP] = "JoinGroup",
        [API_HEARTBEAT] = "Heartbeat",
        [API_LEAVE_GROUP] = "LeaveGroup",
        [API_SYNC_GROUP] = "SyncGroup",
        [API_VERSIONS] = "ApiVersions",
    };
    static const char *const positions[] = {[FIRST] = "first", [MIDDLE] = "middle", [LAST] = "last"};
    struct a_case c;

    case_of(i, &c);
    snprintf(name, MOCK_NAME_MAX, "%s%s%s, %s, %s", c.fault ? apis[c.fault->api] : c.event->name,
             c.fault ? " " : "", c.fault ? rd_kafka_err2name(c.fault->err) : "", positions[c.position],
             c.start == STORED ? "from what is stored" : "by seek");
}

/* ------------------------------------------------------------------ what is in the topic */

static void on_written(void *app, void *message_app, int64_t offset, const struct tl_error *err)
{
    struct mock *m = app;

    (void)message_app;
    (void)offset;
    if (err)
        mock_wrong(m, "can't write: %s", err->text);
}

static void open_producer(struct mock *m)
{
    struct tl_producer_options options = {
        .queue_bytes = 1024 * 1024, .compression = "none", .client_id = "test"};

    m->app = tl_producer_new(&m->conf, &options, on_written, m, &m->log, &m->err);
}

static void close_producer(struct mock *m)
{
    tl_producer_free(m->app);
}

/* Messages first … first + HALF - 1 of each partition. */
static void write_half(struct mock *m, const char *topic, int64_t first)
{
    for (int64_t i = first; i < first + HALF; i++) {
        for (int32_t p = 0; p < PARTITIONS; p++) {
            struct tl_headers headers;
            struct tl_envelope e;

            tl_envelope_init(&e, TL_MSG_END);
            e.table = tl_str("orders");
            e.table_id = 1;
            e.version = 1;
            e.upload = tl_str("u1");
            e.seq = i + 1;
            tl_envelope_to_headers(&e, &headers);
            while (tl_producer_send(m->app, topic, p, &headers, tl_str("{}"), NULL, &m->err)) {
                if (m->err.code != TL_E_AGAIN || mock_late(m)) {
                    mock_wrong(m, "can't write: %s", m->err.text);
                    return;
                }
                tl_producer_poll(m->app, 100);
            }
        }
    }
    if (tl_producer_flush(m->app, 20000, &m->err))
        mock_wrong(m, "can't write: %s", m->err.text);
}

/* ------------------------------------------------------------------ the member */

struct part {
    bool ours;
    bool placed;
    bool lost;
    int64_t next; /* the offset that is expected; -1: any that is not behind `done` */
    int64_t done;
    int64_t stored;
    int64_t gap; /* where a message was passed over, -1 */
};

struct member {
    struct mock *m;
    const struct a_case *c;
    struct tl_consumer *consumer;
    struct tl_kqueue *queue; /* of all that is ours, a new one with each assignment */
    char topic[32];
    char group[32];
    bool refused;
    struct part part[PARTITIONS];
};

static struct tl_kqueue *on_assigned(void *app, const char *topic, int32_t partition, int64_t *begin)
{
    struct member *b = app;
    struct part *p = &b->part[partition];

    (void)begin, (void)topic;
    if (b->c->event && b->c->event->refuses && partition == 1 && !b->refused) {
        b->refused = true;
        return NULL;
    }
    if (!b->queue)
        b->queue = tl_kqueue_new(b->consumer, NULL, NULL, &b->m->err);
    p->ours = true;
    p->placed = b->c->start == STORED;
    p->next = p->gap = -1;
    return b->queue;
}

static void on_revoked(void *app, const char *topic, int32_t partition)
{
    struct member *b = app;

    (void)topic;
    b->part[partition].ours = false;
    for (int32_t i = 0; i < PARTITIONS; i++)
        if (b->part[i].ours)
            return;
    tl_kqueue_free(b->queue);
    b->queue = NULL;
}

static void on_waits(void *app, const char *topic, int32_t partition, const char *why)
{
    if (!why[0])
        mock_wrong(((struct member *)app)->m, "%s [%d] waits for no reason", topic, (int)partition);
}

static void on_trouble(void *app, const char *topic, int32_t partition, const char *text)
{
    struct member *b = app;

    if (topic)
        mock_wrong(b->m, "[%d] %s", (int)partition, text);
}

static void place(struct member *b, int32_t partition)
{
    struct part *p = &b->part[partition];

    if (!p->ours || p->placed || tl_consumer_seek(b->consumer, b->topic, partition, p->done, &b->m->err))
        return;
    p->placed = true;
    p->next = p->done;
}

static void store(struct member *b, int32_t partition)
{
    struct part *p = &b->part[partition];

    if (tl_consumer_store(b->consumer, b->topic, partition, p->next, &b->m->err) == 0)
        p->stored = TL_MAX(p->stored, p->next);
}

/* It was passed over: sought once more, as the sink does, then it is missing. */
static void gap(struct member *b, struct part *p, const struct tl_message *m)
{
    if (b->c->start == STORED || p->gap == p->next)
        mock_wrong(b->m, "[%d]: @%lld came where @%lld was to come", (int)m->partition, (long long)m->offset,
                   (long long)p->next);
    p->gap = p->next;
    p->placed = false;
}

static void on_message(struct member *b, const struct tl_message *m)
{
    struct part *p = &b->part[m->partition];

    if (!p->placed || m->offset < p->next)
        return;
    if (p->lost)
        mock_wrong(b->m, "[%d]: @%lld came after it was lost", (int)m->partition, (long long)m->offset);
    if (p->next < 0 && m->offset > p->done)
        mock_wrong(b->m, "[%d]: begins at @%lld, but only @%lld is done", (int)m->partition,
                   (long long)m->offset, (long long)p->done);
    if (p->next >= 0 && m->offset > p->next) {
        gap(b, p, m);
        return;
    }
    if (!m->ours || m->envelope.seq != m->offset + 1)
        mock_wrong(b->m, "[%d]: @%lld is not what was written", (int)m->partition, (long long)m->offset);
    p->next = m->offset + 1;
    p->done = TL_MAX(p->done, p->next);
    if (p->next % STORE_EVERY == 0 || p->next == ALL)
        store(b, m->partition);
}

/* One turn of a role: its owner's thread, then its worker's. False: the case is over, wrongly. */
static bool turn(struct member *b)
{
    struct mock *m = b->m;
    struct tl_message message;

    if (tl_consumer_poll(b->consumer, b->queue ? 0 : 20, &m->err))
        return mock_wrong(m, "the member can't go on: %s", m->err.text);
    for (int32_t p = 0; p < PARTITIONS; p++)
        place(b, p);
    if (b->queue && tl_kqueue_pop(b->queue, 20, &message)) {
        if (message.lost)
            b->part[message.partition].lost = true;
        else if (b->part[message.partition].ours)
            on_message(b, &message);
        tl_message_release(&message);
    }
    return !m->why[0];
}

static bool came_to(const struct member *b, int64_t next)
{
    for (int32_t p = 0; p < PARTITIONS; p++)
        if (!b->part[p].ours || (b->part[p].done < next && !b->part[p].lost))
            return false;
    return true;
}

/* Whether the present assignment came to the end, and stored it: what an earlier one stored may be lost with it. */
static bool stored_all(const struct member *b)
{
    for (int32_t p = 0; p < PARTITIONS; p++)
        if (!b->part[p].ours || b->part[p].next != ALL)
            return false;
    return true;
}

static bool told_lost(const struct member *b)
{
    return b->part[0].lost || b->part[1].lost;
}

/* Whether nothing of the failure is to come any more. */
static bool met(const struct member *b)
{
    if (is_lost(b->c))
        return told_lost(b);
    return !b->c->fault || mock_left(b->m, b->c->fault->api).sum == 0;
}

/* Until all up to `next` is done and the failure was met. */
static void work(struct member *b, int64_t next)
{
    int64_t ends = tl_clock_ms() + (b->c->event ? b->c->event->lasts_ms : 0);
    bool over = !b->c->event || b->c->position != FIRST;

    while (turn(b)) {
        if (!over && tl_clock_ms() >= ends) {
            b->c->event->ends(b->m, b->topic);
            over = true;
        }
        if (over && came_to(b, next) && met(b))
            return;
        if (mock_late(b->m)) {
            mock_wrong(b->m, "hangs: %lld and %lld of %d done%s, %zu failures left",
                       (long long)b->part[0].done, (long long)b->part[1].done, (int)next,
                       b->queue ? "" : ", nothing is assigned",
                       b->c->fault ? mock_left(b->m, b->c->fault->api).sum : 0);
            return;
        }
    }
}

static void happen(struct member *b, enum position now)
{
    const struct fault *f = b->c->fault;
    bool once;

    if (now != b->c->position)
        return;
    if (b->c->event) {
        b->c->event->happens(b->m, b->topic);
        return;
    }
    /* Nobody commits without a place in the group. */
    once = now != MIDDLE || (f->api == API_OFFSET_COMMIT && !stays(b->c));
    mock_fail(b->m, f->api, f->err, once ? 1 : 3, 0);
    if (now == MIDDLE && f->heartbeat)
        mock_fail(b->m, API_HEARTBEAT, f->heartbeat, 1, 0);
}

/* ------------------------------------------------------------------ what was committed */

static void check_committed(struct member *b, bool all)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_resp_err_t err;
    rd_kafka_t *rk;

    rd_kafka_conf_set(conf, "bootstrap.servers", rd_kafka_mock_cluster_bootstraps(b->m->cluster), NULL, 0);
    rd_kafka_conf_set(conf, "group.id", b->group, NULL, 0);
    rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, NULL, 0);
    for (int32_t p = 0; p < PARTITIONS; p++)
        rd_kafka_topic_partition_list_add(list, b->topic, p);
    err = rd_kafka_committed(rk, list, 10000);
    if (err)
        mock_wrong(b->m, "can't read what was committed: %s", rd_kafka_err2name(err));
    for (int i = 0; i < list->cnt && !err; i++) {
        const struct part *p = &b->part[list->elems[i].partition];
        int64_t committed = TL_MAX(list->elems[i].offset, (int64_t)0);

        if (committed > p->stored || (all && committed != ALL))
            mock_wrong(b->m, "[%d]: @%lld is committed, @%lld was stored", i, (long long)committed,
                       (long long)p->stored);
    }
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

/* ------------------------------------------------------------------ one case */

static void live(struct member *b)
{
    const char *topic = b->topic;

    if (tl_consumer_subscribe(b->consumer, &topic, 1, &b->m->err))
        mock_wrong(b->m, "%s", b->m->err.text);
    if (b->c->position == FIRST) {
        work(b, ALL);
        return;
    }
    while (!came_to(b, HALF) && !mock_late(b->m) && turn(b))
        ;
    if (b->c->position == LAST)
        write_half(b->m, b->topic, HALF);
    happen(b, MIDDLE);
    if (b->c->event && b->c->position == MIDDLE) {
        /* What is written is written while the broker can be reached. */
        int64_t ends = tl_clock_ms() + b->c->event->lasts_ms;

        while (tl_clock_ms() < ends && turn(b))
            ;
        b->c->event->ends(b->m, b->topic);
    }
    if (b->c->position == MIDDLE)
        write_half(b->m, b->topic, HALF);
    work(b, ALL);
    happen(b, LAST);
}

static void run_case(struct mock *m, size_t i)
{
    struct a_case c;
    struct member b = {.m = m, .c = &c};
    struct tl_consumer_events calls = {
        .assigned = on_assigned, .revoked = on_revoked, .waits = on_waits, .trouble = on_trouble, .app = &b};
    struct tl_consumer_options options = {.group = b.group, .client_id = "test", .queue_bytes = 1 << 20};
    bool all;

    case_of(i, &c);
    options.from_stored = c.start == STORED;
    snprintf(b.topic, sizeof b.topic, "t%zu", i);
    snprintf(b.group, sizeof b.group, "g%zu", i);
    if (rd_kafka_mock_topic_create(m->cluster, b.topic, PARTITIONS, 1))
        mock_wrong(m, "can't make the topic");
    for (int32_t p = 0; p < PARTITIONS && c.event && c.event->lost; p++)
        b.part[p].done = 2 * ALL;
    write_half(m, b.topic, 0);
    if (c.position == FIRST)
        write_half(m, b.topic, HALF);
    happen(&b, FIRST);
    b.consumer = tl_consumer_new(&m->conf, &options, &calls, &m->log, &m->err);
    live(&b);
    all = c.position != LAST && stays(&c) && stored_all(&b);
    if (tl_consumer_close(b.consumer, &m->err) && c.position != LAST)
        mock_wrong(m, "%s", m->err.text);
    tl_kqueue_free(b.queue);
    tl_consumer_free(b.consumer);
    if (told_lost(&b) != is_lost(&c))
        mock_wrong(m, "it was %stold that its position is lost", is_lost(&c) ? "not " : "");
    if (mock_late(m))
        mock_wrong(m, "takes too long to leave");
    if (!m->why[0])
        check_committed(&b, all);
}

int main(void)
{
    const struct mock_suite suite = {
        .ncases = count_cases(),
        .lanes = LANES,
        .brokers = 1,
        .name = name_case,
        .run = run_case,
        .opened = open_producer,
        .closing = close_producer,
    };

    return mock_run(&suite);
}
