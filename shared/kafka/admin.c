/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/kafka/admin.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/base/str.h"
#include "shared/kafka/rdkafka_util.h"

struct tl_admin {
    struct tl_log *log; /* first: on_log of rdkafka_util.c finds it through the client's opaque pointer */
    rd_kafka_t *rk;     /* a producer that never produces: the lightest client that has the admin calls */
    rd_kafka_queue_t *queue;
};

struct tl_admin *tl_admin_new(const struct tl_kafka_conf *conf, struct tl_log *log, struct tl_error *err)
{
    struct tl_admin *a = calloc(1, sizeof *a);
    rd_kafka_conf_t *rd;
    char text[256];

    if (!a) {
        tl_fail_nomem(err);
        return NULL;
    }
    a->log = log;
    rd = tl_rdkafka_conf(conf, log, err);
    if (!rd || tl_rdkafka_set(rd, "client.id", "tload-admin", err) ||
        tl_rdkafka_set(rd, "reconnect.backoff.max.ms", "1000", err)) {
        if (rd)
            rd_kafka_conf_destroy(rd);
        free(a);
        return NULL;
    }
    rd_kafka_conf_set_opaque(rd, a);
    a->rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd, text, sizeof text);
    if (!a->rk) {
        rd_kafka_conf_destroy(rd);
        free(a);
        tl_fail(err, TL_E_REFUSED, "can't make a Kafka client: %s", text);
        return NULL;
    }
    a->queue = rd_kafka_queue_new(a->rk);
    if (!a->queue) {
        tl_admin_free(a);
        tl_fail_nomem(err);
        return NULL;
    }
    return a;
}

void tl_admin_free(struct tl_admin *a)
{
    if (!a)
        return;
    if (a->queue)
        rd_kafka_queue_destroy(a->queue);
    rd_kafka_destroy(a->rk);
    free(a);
}

static rd_kafka_AdminOptions_t *options_new(struct tl_admin *a, rd_kafka_admin_op_t op, int timeout_ms)
{
    rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(a->rk, op);
    char text[128];

    if (!o)
        return NULL;
    if (rd_kafka_AdminOptions_set_request_timeout(o, timeout_ms, text, sizeof text)) {
        rd_kafka_AdminOptions_destroy(o);
        return NULL;
    }
    return o;
}

/*
 * The answer to the one request that is under way; NULL with *err when there is none, or it failed as a
 * whole. fine: a failure that the caller takes for none.
 */
static rd_kafka_event_t *wait_for_or(struct tl_admin *a, const char *what, rd_kafka_resp_err_t fine,
                                     int timeout_ms, struct tl_error *err)
{
    /* The request ends by itself at timeout_ms; its event must be taken off the queue in any case. */
    rd_kafka_event_t *event = rd_kafka_queue_poll(a->queue, timeout_ms + 1000);

    if (!event) {
        tl_fail(err, TL_E_UNAVAILABLE, "%s: no answer from Kafka within %d ms", what, timeout_ms);
        return NULL;
    }
    if (rd_kafka_event_error(event) && rd_kafka_event_error(event) != fine) {
        tl_rdkafka_fail(err, rd_kafka_event_error(event), what, rd_kafka_event_error_string(event));
        if (err->code == TL_E_TIMEOUT)
            err->code = TL_E_UNAVAILABLE;
        rd_kafka_event_destroy(event);
        return NULL;
    }
    return event;
}

static rd_kafka_event_t *wait_for(struct tl_admin *a, const char *what, int timeout_ms, struct tl_error *err)
{
    return wait_for_or(a, what, RD_KAFKA_RESP_ERR_NO_ERROR, timeout_ms, err);
}

/* The first of the topics that failed otherwise than by being there (or not) already. */
static int check_topics(const rd_kafka_topic_result_t **results, size_t n, rd_kafka_resp_err_t fine,
                        struct tl_error *err)
{
    for (size_t i = 0; i < n; i++) {
        rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[i]);

        if (code && code != fine)
            return tl_rdkafka_fail(err, code, rd_kafka_topic_result_name(results[i]),
                                   rd_kafka_topic_result_error_string(results[i]));
    }
    return 0;
}

static rd_kafka_NewTopic_t *new_topic(const struct tl_topic_spec *spec, struct tl_error *err)
{
    char text[256];
    rd_kafka_NewTopic_t *t = rd_kafka_NewTopic_new(spec->name, spec->partitions, spec->replication, text,
                                                   sizeof text);

    if (!t) {
        tl_fail(err, TL_E_REFUSED, "topic %s: %s", spec->name, text);
        return NULL;
    }
    for (size_t i = 0; spec->config && i < spec->config->n; i++) {
        if (rd_kafka_NewTopic_set_config(t, spec->config->item[i].name, spec->config->item[i].value)) {
            tl_fail(err, TL_E_REFUSED, "topic %s: setting %s is not understood", spec->name,
                    spec->config->item[i].name);
            rd_kafka_NewTopic_destroy(t);
            return NULL;
        }
    }
    return t;
}

static int request_topics(struct tl_admin *a, rd_kafka_NewTopic_t **topics, size_t n, int timeout_ms,
                          struct tl_error *err)
{
    rd_kafka_AdminOptions_t *o = options_new(a, RD_KAFKA_ADMIN_OP_CREATETOPICS, timeout_ms);
    const rd_kafka_topic_result_t **results;
    rd_kafka_event_t *event;
    size_t count;
    int rc;

    if (!o)
        return tl_fail_nomem(err);
    rd_kafka_CreateTopics(a->rk, topics, n, o, a->queue);
    rd_kafka_AdminOptions_destroy(o);
    event = wait_for(a, "making topics", timeout_ms, err);
    if (!event)
        return -1;
    results = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
    rc = check_topics(results, count, RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, err);
    rd_kafka_event_destroy(event);
    return rc;
}

/*
 * Until the brokers know what their controller has done to the topic: a consumer that asks for a new one before would be
 * told that there is none, and not ask again for minutes.
 */
static int await_topic(struct tl_admin *a, const char *topic, bool there, int timeout_ms, int32_t *partitions,
                       struct tl_error *err)
{
    enum { AGAIN_MS = 20 };
    int64_t deadline = tl_clock_ms() + timeout_ms;

    for (;;) {
        if (tl_admin_partitions(a, topic, timeout_ms, partitions, err))
            return -1;
        if ((*partitions > 0) == there)
            return 0;
        if (tl_clock_ms() >= deadline)
            return tl_fail(err, TL_E_UNAVAILABLE, "topic %s was %s, but the brokers don't know that yet",
                           topic, there ? "made" : "deleted");
        rd_kafka_poll(a->rk, AGAIN_MS);
    }
}

int tl_admin_create_topics(struct tl_admin *a, const struct tl_topic_spec *spec, size_t n, int timeout_ms,
                           struct tl_error *err)
{
    rd_kafka_NewTopic_t **topics = calloc(n, sizeof(rd_kafka_NewTopic_t *));
    size_t made = 0;
    int rc = 0;

    if (!topics)
        return tl_fail_nomem(err);
    for (; made < n && !rc; made++) {
        topics[made] = new_topic(&spec[made], err);
        if (!topics[made]) {
            rc = -1;
            break;
        }
    }
    if (!rc)
        rc = request_topics(a, topics, n, timeout_ms, err);
    rd_kafka_NewTopic_destroy_array(topics, made);
    free(topics);
    for (size_t i = 0; i < n && !rc; i++) {
        int32_t partitions;

        rc = await_topic(a, spec[i].name, true, timeout_ms, &partitions, err);
        if (!rc && partitions != spec[i].partitions)
            rc = tl_fail(err, TL_E_CONFLICT, "topic %s has %d partitions, not %d: keys would move",
                         spec[i].name, partitions, spec[i].partitions);
    }
    return rc;
}

int tl_admin_partitions(struct tl_admin *a, const char *topic, int timeout_ms, int32_t *partitions,
                        struct tl_error *err)
{
    rd_kafka_topic_t *rkt = rd_kafka_topic_new(a->rk, topic, NULL);
    const struct rd_kafka_metadata *md;
    rd_kafka_resp_err_t code;

    if (!rkt)
        return tl_rdkafka_fail(err, rd_kafka_last_error(), topic, NULL);
    code = rd_kafka_metadata(a->rk, 0, rkt, &md, timeout_ms);
    rd_kafka_topic_destroy(rkt);
    if (code) {
        tl_rdkafka_fail(err, code, topic, NULL);
        err->code = TL_E_UNAVAILABLE;
        return -1;
    }
    *partitions = 0;
    code = md->topic_cnt == 1 ? md->topics[0].err : RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (!code)
        *partitions = md->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(md);
    if (code && code != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        return tl_rdkafka_fail(err, code, topic, NULL);
    return 0;
}

int tl_admin_cluster(struct tl_admin *a, int timeout_ms, struct tl_cluster_size *out, struct tl_error *err)
{
    return tl_admin_survey(a, timeout_ms, out, NULL, NULL, err);
}

/* The metadata that was just asked for has it: this waits for nothing. */
static void read_id(struct tl_admin *a, char *out, size_t size)
{
    char *id = rd_kafka_clusterid(a->rk, 0);

    snprintf(out, size, "%s", id ? id : "");
    if (id)
        rd_kafka_mem_free(a->rk, id);
}

int tl_admin_survey(struct tl_admin *a, int timeout_ms, struct tl_cluster_size *out,
                    void (*each)(void *app, const char *topic, int32_t partitions), void *app,
                    struct tl_error *err)
{
    const struct rd_kafka_metadata *md;
    rd_kafka_resp_err_t code = rd_kafka_metadata(a->rk, 1, NULL, &md, timeout_ms);

    if (code) {
        tl_rdkafka_fail(err, code, "asking the cluster for its topics", NULL);
        err->code = TL_E_UNAVAILABLE;
        return -1;
    }
    *out = (struct tl_cluster_size){.brokers = md->broker_cnt, .topics = md->topic_cnt};
    for (int i = 0; i < md->topic_cnt; i++) {
        out->partitions += md->topics[i].partition_cnt;
        if (each)
            each(app, md->topics[i].topic, md->topics[i].partition_cnt);
    }
    rd_kafka_metadata_destroy(md);
    read_id(a, out->id, sizeof out->id);
    return 0;
}

int tl_admin_trim(struct tl_admin *a, const char *topic, int32_t partition, int64_t before, int timeout_ms,
                  struct tl_error *err)
{
    rd_kafka_AdminOptions_t *o = options_new(a, RD_KAFKA_ADMIN_OP_DELETERECORDS, timeout_ms);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_DeleteRecords_t *records = NULL;
    rd_kafka_event_t *event;
    rd_kafka_resp_err_t code;

    if (list) {
        rd_kafka_topic_partition_list_add(list, topic, partition)->offset = before;
        records = rd_kafka_DeleteRecords_new(list);
        rd_kafka_topic_partition_list_destroy(list);
    }
    if (!o || !records) {
        if (o)
            rd_kafka_AdminOptions_destroy(o);
        if (records)
            rd_kafka_DeleteRecords_destroy(records);
        return tl_fail_nomem(err);
    }
    rd_kafka_DeleteRecords(a->rk, &records, 1, o, a->queue);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_DeleteRecords_destroy(records);
    event = wait_for(a, "deleting records", timeout_ms, err);
    if (!event)
        return -1;
    code = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event))->elems[0].err;
    rd_kafka_event_destroy(event);
    return code ? tl_rdkafka_fail(err, code, topic, NULL) : 0;
}

static int check_forgotten(const rd_kafka_group_result_t *result, const char *topic, struct tl_error *err)
{
    const rd_kafka_topic_partition_list_t *list = rd_kafka_group_result_partitions(result);
    rd_kafka_resp_err_t code = rd_kafka_error_code(rd_kafka_group_result_error(result));

    for (int i = 0; !code && list && i < list->cnt; i++)
        code = list->elems[i].err;
    if (!code)
        return 0;
    tl_rdkafka_fail(err, code, topic, NULL);
    if (code == RD_KAFKA_RESP_ERR_GROUP_SUBSCRIBED_TO_TOPIC)
        err->code = TL_E_CONFLICT;
    return -1;
}

int tl_admin_forget(struct tl_admin *a, const char *group, const char *topic, int32_t partitions,
                    int timeout_ms, struct tl_error *err)
{
    rd_kafka_AdminOptions_t *o = options_new(a, RD_KAFKA_ADMIN_OP_DELETECONSUMERGROUPOFFSETS, timeout_ms);
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
    rd_kafka_DeleteConsumerGroupOffsets_t *request;
    const rd_kafka_group_result_t **results;
    rd_kafka_event_t *event;
    size_t count;
    int rc = 0;

    rd_kafka_topic_partition_list_add_range(list, topic, 0, partitions - 1);
    request = rd_kafka_DeleteConsumerGroupOffsets_new(group, list);
    rd_kafka_topic_partition_list_destroy(list);
    if (o)
        rd_kafka_DeleteConsumerGroupOffsets(a->rk, &request, 1, o, a->queue);
    rd_kafka_DeleteConsumerGroupOffsets_destroy(request);
    if (!o)
        return tl_fail_nomem(err);
    rd_kafka_AdminOptions_destroy(o);
    event = wait_for_or(a, "forgetting offsets", RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND, timeout_ms, err);
    if (!event)
        return -1;
    results = rd_kafka_DeleteConsumerGroupOffsets_result_groups(
        rd_kafka_event_DeleteConsumerGroupOffsets_result(event), &count);
    for (size_t i = 0; !rd_kafka_event_error(event) && i < count && !rc; i++)
        rc = check_forgotten(results[i], topic, err);
    rd_kafka_event_destroy(event);
    return rc;
}

int tl_admin_watermarks(struct tl_admin *a, const char *topic, int32_t partition, int timeout_ms,
                        int64_t *low, int64_t *high, struct tl_error *err)
{
    rd_kafka_resp_err_t code = rd_kafka_query_watermark_offsets(a->rk, topic, partition, low, high,
                                                                timeout_ms);

    return code ? tl_rdkafka_fail(err, code, topic, NULL) : 0;
}

int tl_admin_delete_topics(struct tl_admin *a, const char *const *names, size_t n, int timeout_ms,
                           struct tl_error *err)
{
    rd_kafka_AdminOptions_t *o = options_new(a, RD_KAFKA_ADMIN_OP_DELETETOPICS, timeout_ms);
    rd_kafka_DeleteTopic_t **topics = calloc(n, sizeof(rd_kafka_DeleteTopic_t *));
    const rd_kafka_topic_result_t **results;
    rd_kafka_event_t *event;
    size_t made = 0, count;
    int rc;

    while (topics && made < n && (topics[made] = rd_kafka_DeleteTopic_new(names[made])) != NULL)
        made++;
    if (o && made == n)
        rd_kafka_DeleteTopics(a->rk, topics, n, o, a->queue);
    rc = o && made == n ? 0 : tl_fail_nomem(err);
    if (topics)
        rd_kafka_DeleteTopic_destroy_array(topics, made);
    free(topics);
    if (o)
        rd_kafka_AdminOptions_destroy(o);
    if (rc)
        return -1;
    event = wait_for(a, "removing topics", timeout_ms, err);
    if (!event)
        return -1;
    results = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &count);
    rc = check_topics(results, count, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, err);
    rd_kafka_event_destroy(event);
    for (size_t i = 0; i < n && !rc; i++) {
        int32_t partitions;

        rc = await_topic(a, names[i], false, timeout_ms, &partitions, err);
    }
    return rc;
}

static int read_limits(const rd_kafka_ConfigResource_t *resource, struct tl_topic_limits *out,
                       struct tl_error *err)
{
    static const struct {
        const char *name;
        size_t offset;
    } limits[] = {{"retention.ms", offsetof(struct tl_topic_limits, retention_ms)},
                  {"retention.bytes", offsetof(struct tl_topic_limits, retention_bytes)}};
    const rd_kafka_ConfigEntry_t **entries;
    size_t n;

    entries = rd_kafka_ConfigResource_configs(resource, &n);
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < TL_ARRAY_LEN(limits); k++) {
            const char *value = rd_kafka_ConfigEntry_value(entries[i]);
            int64_t *number = (int64_t *)((char *)out + limits[k].offset);

            if (strcmp(rd_kafka_ConfigEntry_name(entries[i]), limits[k].name) != 0)
                continue;
            if (!value || !tl_str_to_i64(tl_str(value), INT64_MIN, INT64_MAX, number))
                return tl_fail(err, TL_E_CORRUPT, "topic %s: %s is no number",
                               rd_kafka_ConfigResource_name(resource), limits[k].name);
        }
    }
    return 0;
}

int tl_admin_topic_limits(struct tl_admin *a, const char *topic, int timeout_ms, struct tl_topic_limits *out,
                          struct tl_error *err)
{
    rd_kafka_AdminOptions_t *o = options_new(a, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, timeout_ms);
    rd_kafka_ConfigResource_t *asked = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topic);
    const rd_kafka_ConfigResource_t **resources;
    rd_kafka_event_t *event;
    size_t n;
    int rc;

    *out = (struct tl_topic_limits){-1, -1};
    if (o && asked)
        rd_kafka_DescribeConfigs(a->rk, &asked, 1, o, a->queue);
    rc = o && asked ? 0 : tl_fail_nomem(err);
    if (o)
        rd_kafka_AdminOptions_destroy(o);
    if (asked)
        rd_kafka_ConfigResource_destroy(asked);
    if (rc)
        return -1;
    event = wait_for(a, "asking for a topic's settings", timeout_ms, err);
    if (!event)
        return -1;
    resources = rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &n);
    if (n != 1)
        rc = tl_fail(err, TL_E_CORRUPT, "Kafka answers with the settings of %zu topics, not of one", n);
    else if (rd_kafka_ConfigResource_error(resources[0]))
        rc = tl_rdkafka_fail(err, rd_kafka_ConfigResource_error(resources[0]), topic,
                             rd_kafka_ConfigResource_error_string(resources[0]));
    else
        rc = read_limits(resources[0], out, err);
    rd_kafka_event_destroy(event);
    return rc;
}
