/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A member of a role that only writes down its lanes and counts its messages, on librdkafka's mock cluster. A consumer
 * group settles slowly there, so the tests are in several programs, which run side by side.
 */
#ifndef TESTS_UNIT_MEMBER_FIXTURE_H
#define TESTS_UNIT_MEMBER_FIXTURE_H

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
#include "tests/unit/await.h"
#include "tests/unit/log_fixture.h"

enum { PARTITIONS = 2 };

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

#endif
