/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/kafka/committed.h"

#include <stdlib.h>

#include "shared/kafka/rdkafka_util.h"

struct tl_committed {
    struct tl_log *log; /* first: on_log of rdkafka_util.c finds it through the client's opaque pointer */
    rd_kafka_t *rk;
};

static int set_own(rd_kafka_conf_t *rd, const char *group, struct tl_error *err)
{
    return tl_rdkafka_set(rd, "group.id", group, err) ||
                   tl_rdkafka_set(rd, "client.id", "tload-committed", err) ||
                   tl_rdkafka_set(rd, "enable.auto.commit", "false", err) ||
                   tl_rdkafka_set(rd, "reconnect.backoff.max.ms", "1000", err)
               ? -1
               : 0;
}

struct tl_committed *tl_committed_new(const struct tl_kafka_conf *conf, const char *group, struct tl_log *log,
                                      struct tl_error *err)
{
    struct tl_committed *c = calloc(1, sizeof *c);
    rd_kafka_conf_t *rd;

    if (!c) {
        tl_fail_nomem(err);
        return NULL;
    }
    c->log = log;
    rd = tl_rdkafka_conf(conf, log, err);
    if (!rd || set_own(rd, group, err)) {
        if (rd)
            rd_kafka_conf_destroy(rd);
        free(c);
        return NULL;
    }
    c->rk = tl_rdkafka_consumer(rd, c, err);
    if (!c->rk) {
        free(c);
        return NULL;
    }
    return c;
}

void tl_committed_free(struct tl_committed *c)
{
    if (!c)
        return;
    rd_kafka_consumer_close(c->rk);
    rd_kafka_destroy(c->rk);
    free(c);
}

int tl_committed_get(struct tl_committed *c, const char *topic, int32_t partition, int timeout_ms,
                     int64_t *next, struct tl_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_resp_err_t code;

    if (!list)
        return tl_fail_nomem(err);
    rd_kafka_topic_partition_list_add(list, topic, partition);
    code = rd_kafka_committed(c->rk, list, timeout_ms);
    if (!code)
        code = list->elems[0].err;
    *next = list->elems[0].offset >= 0 ? list->elems[0].offset : -1;
    rd_kafka_topic_partition_list_destroy(list);
    if (code) {
        tl_rdkafka_fail(err, code, topic, NULL);
        if (err->code == TL_E_TIMEOUT)
            err->code = TL_E_UNAVAILABLE;
        return -1;
    }
    return 0;
}
