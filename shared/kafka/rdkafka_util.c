/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/kafka/rdkafka_util.h"

#include <stdio.h>

/*
 * Called from librdkafka's threads. Its own lines are for whoever looks closely: what matters reaches the
 * owner as an error.
 */
static void on_log(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    struct tl_log *log = rd_kafka_opaque(rk) ? *(struct tl_log **)rd_kafka_opaque(rk) : NULL;

    tl_debug(log, "kafka", "%s %s (%d): %s", rd_kafka_name(rk), facility, level, text);
}

static void on_log_silent(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
    (void)rk;
    (void)level;
    (void)facility;
    (void)text;
}

rd_kafka_conf_t *tl_rdkafka_conf(const struct tl_kafka_conf *c, struct tl_log *log, struct tl_error *err)
{
    rd_kafka_conf_t *rd = rd_kafka_conf_new();
    char text[256];

    if (!rd) {
        tl_fail_nomem(err);
        return NULL;
    }
    for (size_t i = 0; i < c->n; i++) {
        if (rd_kafka_conf_set(rd, c->item[i].name, c->item[i].value, text, sizeof text) != RD_KAFKA_CONF_OK) {
            tl_fail(err, TL_E_REFUSED, "Kafka property %s: %s", c->item[i].name, text);
            rd_kafka_conf_destroy(rd);
            return NULL;
        }
    }
    rd_kafka_conf_set_log_cb(rd, log ? on_log : on_log_silent);
    return rd;
}

int tl_rdkafka_set(rd_kafka_conf_t *rd, const char *name, const char *value, struct tl_error *err)
{
    char text[256];

    if (rd_kafka_conf_set(rd, name, value, text, sizeof text) != RD_KAFKA_CONF_OK)
        return tl_fail(err, TL_E_REFUSED, "Kafka property %s: %s", name, text);
    return 0;
}

int tl_rdkafka_set_int(rd_kafka_conf_t *rd, const char *name, long long value, struct tl_error *err)
{
    char digits[24];

    snprintf(digits, sizeof digits, "%lld", value);
    return tl_rdkafka_set(rd, name, digits, err);
}

void tl_rdkafka_set_if_known(rd_kafka_conf_t *rd, const char *name, const char *value)
{
    rd_kafka_conf_set(rd, name, value, NULL, 0);
}

int tl_rdkafka_fail(struct tl_error *err, rd_kafka_resp_err_t code, const char *what, const char *detail)
{
    enum tl_error_code as;

    switch (code) {
    case RD_KAFKA_RESP_ERR__QUEUE_FULL:
        as = TL_E_AGAIN;
        break;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        as = TL_E_TOO_LARGE;
        break;
    case RD_KAFKA_RESP_ERR__FATAL:
    case RD_KAFKA_RESP_ERR__GAPLESS_GUARANTEE:
    case RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER:
    case RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID:
        as = TL_E_FATAL;
        break;
    case RD_KAFKA_RESP_ERR__PURGE_QUEUE:
    case RD_KAFKA_RESP_ERR__PURGE_INFLIGHT:
        as = TL_E_INTERRUPTED;
        break;
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
        as = TL_E_TIMEOUT;
        break;
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
        as = TL_E_NOT_FOUND;
        break;
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
        as = TL_E_FORBIDDEN;
        break;
    case RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS:
        as = TL_E_CONFLICT;
        break;
    case RD_KAFKA_RESP_ERR_INVALID_CONFIG:
    case RD_KAFKA_RESP_ERR_INVALID_PARTITIONS:
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
    case RD_KAFKA_RESP_ERR_POLICY_VIOLATION:
        as = TL_E_REFUSED;
        break;
    default:
        as = TL_E_UNAVAILABLE;
        break;
    }
    return tl_fail(err, as, "%s: %s", what, detail && detail[0] ? detail : rd_kafka_err2str(code));
}

rd_kafka_t *tl_rdkafka_consumer(rd_kafka_conf_t *rd, void *opaque, struct tl_error *err)
{
    rd_kafka_t *rk;
    char text[256];

    rd_kafka_conf_set_opaque(rd, opaque);
    rk = rd_kafka_new(RD_KAFKA_CONSUMER, rd, text, sizeof text);
    if (!rk) {
        rd_kafka_conf_destroy(rd);
        tl_fail(err, TL_E_REFUSED, "can't make a Kafka consumer: %s", text);
        return NULL;
    }
    rd_kafka_poll_set_consumer(rk);
    return rk;
}
