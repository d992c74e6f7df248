/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a member fetches, from where, and how far it is done. */
#include <string.h>

#include "shared/kafka/consumer_impl.h"

enum { WAKE_MS = 10 };

static rd_kafka_topic_partition_list_t *one_partition(const char *topic, int32_t partition, int64_t offset)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);

    if (list)
        rd_kafka_topic_partition_list_add(list, topic, partition)->offset = offset;
    return list;
}

int tl_consumer_seek(struct tl_consumer *c, const char *topic, int32_t partition, int64_t offset,
                     struct tl_error *err)
{
    enum { SEEK_WAIT_MS = 1000 };
    rd_kafka_topic_partition_list_t *list = one_partition(topic, partition, offset);
    rd_kafka_error_t *failed;
    rd_kafka_resp_err_t code;

    if (!list)
        return tl_fail_nomem(err);
    failed = rd_kafka_seek_partitions(c->rk, list, SEEK_WAIT_MS);
    code = failed ? rd_kafka_error_code(failed) : list->elems[0].err;
    if (failed)
        rd_kafka_error_destroy(failed);
    rd_kafka_topic_partition_list_destroy(list);
    if (code)
        return tl_fail(err, TL_E_AGAIN, "seeking in %s [%d]: %s", topic, partition, rd_kafka_err2str(code));
    return 0;
}

int tl_consumer_store(struct tl_consumer *c, const char *topic, int32_t partition, int64_t next,
                      struct tl_error *err)
{
    rd_kafka_topic_partition_list_t *list = one_partition(topic, partition, next);
    rd_kafka_resp_err_t code;

    if (!list)
        return tl_fail_nomem(err);
    code = rd_kafka_offsets_store(c->rk, list);
    if (!code)
        code = list->elems[0].err;
    rd_kafka_topic_partition_list_destroy(list);
    return code ? tl_rdkafka_fail(err, code, "storing an offset", NULL) : 0;
}

int tl_consumer_fetch(struct tl_consumer *c, const char *topic, bool fetched, struct tl_error *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(8);
    rd_kafka_resp_err_t code;

    if (!list)
        return tl_fail_nomem(err);
    for (int i = 0; c->given && i < c->given->cnt; i++)
        if (strcmp(c->given->elems[i].topic, topic) == 0)
            rd_kafka_topic_partition_list_add(list, topic, c->given->elems[i].partition);
    c->paused |= !fetched;
    code = fetched ? rd_kafka_resume_partitions(c->rk, list) : rd_kafka_pause_partitions(c->rk, list);
    if (!c->woken && fetched)
        c->woken = rd_kafka_topic_partition_list_new(list->cnt);
    for (int i = 0; fetched && i < list->cnt; i++)
        rd_kafka_topic_partition_list_add(c->woken, topic, list->elems[i].partition)->offset =
            RD_KAFKA_OFFSET_END;
    rd_kafka_topic_partition_list_destroy(list);
    return code ? tl_rdkafka_fail(err, code, fetched ? "resuming" : "pausing", topic) : 0;
}

/*
 * A thread of librdkafka that has nothing to fetch from its broker sleeps for up to a second, and is not told of what is
 * resumed (2.0.2). A request to that broker has it look; what it asks is of no interest.
 */
void tl_consumer_wake_brokers(struct tl_consumer *c)
{
    if (!c->woken)
        return;
    rd_kafka_offsets_for_times(c->rk, c->woken, WAKE_MS);
    rd_kafka_topic_partition_list_destroy(c->woken);
    c->woken = NULL;
}
