/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/kafka/fetcher.h"

#include <stdlib.h>

#include "shared/base/clock.h"
#include "shared/kafka/rdkafka_util.h"

struct tl_fetcher {
    struct tl_log *log; /* first: on_log of rdkafka_util.c finds it through the client's opaque pointer */
    rd_kafka_t *rk;
};

static int set_own(rd_kafka_conf_t *rd, struct tl_error *err)
{
    /*
     * librdkafka wants a group for any consumer; this one never joins it, and commits nothing. A request for what
     * follows a message is often still under way when another one is asked for, and has to end first: it waits
     * for no more than fetch.wait.max.ms.
     */
    return tl_rdkafka_set(rd, "group.id", "tload-fetch", err) ||
                   tl_rdkafka_set(rd, "client.id", "tload-fetch", err) ||
                   tl_rdkafka_set(rd, "enable.auto.commit", "false", err) ||
                   tl_rdkafka_set(rd, "auto.offset.reset", "error", err) ||
                   tl_rdkafka_set(rd, "reconnect.backoff.max.ms", "1000", err) ||
                   tl_rdkafka_set(rd, "fetch.wait.max.ms", "10", err) ||
                   tl_rdkafka_set_int(rd, "queued.max.messages.kbytes", 2 * 1024, err) ||
                   tl_rdkafka_set_int(rd, "fetch.max.bytes", TL_MESSAGE_MAX, err) ||
                   tl_rdkafka_set_int(rd, "receive.message.max.bytes", 2 * TL_MESSAGE_MAX + 4096, err)
               ? -1
               : 0;
}

struct tl_fetcher *tl_fetcher_new(const struct tl_kafka_conf *conf, struct tl_log *log, struct tl_error *err)
{
    struct tl_fetcher *f = calloc(1, sizeof *f);
    rd_kafka_conf_t *rd;

    if (!f) {
        tl_fail_nomem(err);
        return NULL;
    }
    f->log = log;
    rd = tl_rdkafka_conf(conf, log, err);
    if (!rd || set_own(rd, err)) {
        if (rd)
            rd_kafka_conf_destroy(rd);
        free(f);
        return NULL;
    }
    f->rk = tl_rdkafka_consumer(rd, f, err);
    if (!f->rk) {
        free(f);
        return NULL;
    }
    return f;
}

void tl_fetcher_free(struct tl_fetcher *f)
{
    if (!f)
        return;
    rd_kafka_consumer_close(f->rk);
    rd_kafka_destroy(f->rk);
    free(f);
}

static int assign(struct tl_fetcher *f, const char *topic, int32_t partition, int64_t offset,
                  struct tl_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_resp_err_t code;

    if (!list)
        return tl_fail_nomem(err);
    rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    code = rd_kafka_assign(f->rk, list);
    rd_kafka_topic_partition_list_destroy(list);
    return code ? tl_rdkafka_fail(err, code, topic, NULL) : 0;
}

/* 1 and the message, 0 when nothing came yet, -1. */
static int take(rd_kafka_message_t *m, int64_t offset, struct tl_message *out, struct tl_error *err)
{
    if (m->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET || m->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE ||
        (!m->err && m->offset > offset)) {
        tl_fail(err, TL_E_NOT_FOUND, "%s [%d] has no message @%lld any more", rd_kafka_topic_name(m->rkt),
                m->partition, (long long)offset);
    } else if (!m->err && m->offset == offset) {
        tl_rdkafka_message(m, out);
        return 1;
    } else {
        rd_kafka_message_destroy(m);
        return 0;
    }
    rd_kafka_message_destroy(m);
    return -1;
}

int tl_fetcher_get(struct tl_fetcher *f, const char *topic, int32_t partition, int64_t offset, int timeout_ms,
                   struct tl_message *out, struct tl_error *err)
{
    int64_t end = tl_clock_ms() + timeout_ms;
    int rc = 0;

    if (assign(f, topic, partition, offset, err))
        return -1;
    while (rc == 0 && tl_clock_ms() < end) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(f->rk, 100);

        if (m)
            rc = take(m, offset, out, err);
    }
    rd_kafka_assign(f->rk, NULL);
    if (rc == 0)
        return tl_fail(err, TL_E_UNAVAILABLE, "%s [%d] @%lld: no answer from Kafka within %d ms", topic,
                       partition, (long long)offset, timeout_ms);
    return rc < 0 ? -1 : 0;
}
