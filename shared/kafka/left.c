/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The queues of partitions that were given up.
 *
 * A partition whose topic is deleted is forgotten by librdkafka (2.0.2) when it is given up, but for what is in its queue:
 * words to itself that name the partition, of which the last comes some time after it was given up, from another thread.
 * Neither would ever go, and rd_kafka_destroy() would wait for them for ever. So these queues are kept, forwarded to
 * nowhere, and emptied now and then, once more before their partition is given to somebody again, and at the end.
 */
#include <stdlib.h>
#include <string.h>

#include "shared/base/clock.h"
#include "shared/kafka/consumer_impl.h"

enum { KEPT_MS = 30000, EMPTIED_EVERY_MS = 1000 };

void tl_left_add(struct tl_left *l, rd_kafka_t *rk, const rd_kafka_topic_partition_t *tp)
{
    rd_kafka_queue_t *queue = rd_kafka_queue_get_partition(rk, tp->topic, tp->partition);
    rd_kafka_topic_partition_t *left;

    if (!queue)
        return;
    rd_kafka_queue_forward(queue, NULL);
    if (!l->list)
        l->list = rd_kafka_topic_partition_list_new(16);
    left = rd_kafka_topic_partition_list_add(l->list, tp->topic, tp->partition);
    left->opaque = queue;
    left->offset = tl_clock_ms();
}

static void empty(rd_kafka_queue_t *queue)
{
    rd_kafka_message_t *m;

    while ((m = rd_kafka_consume_queue(queue, 0)) != NULL)
        rd_kafka_message_destroy(m);
}

/* Empties all, and lets go of those that `done` is true for; NULL: of all. */
static void sweep(struct tl_left *l, bool (*done)(const rd_kafka_topic_partition_t *left, const void *app),
                  const void *app)
{
    rd_kafka_topic_partition_list_t *kept = NULL;

    for (int i = 0; l->list && i < l->list->cnt; i++) {
        const rd_kafka_topic_partition_t *left = &l->list->elems[i];
        rd_kafka_topic_partition_t *still;

        empty(left->opaque);
        if (!done || done(left, app)) {
            rd_kafka_queue_destroy(left->opaque);
            continue;
        }
        if (!kept)
            kept = rd_kafka_topic_partition_list_new(l->list->cnt);
        still = rd_kafka_topic_partition_list_add(kept, left->topic, left->partition);
        still->opaque = left->opaque;
        still->offset = left->offset;
    }
    if (l->list)
        rd_kafka_topic_partition_list_destroy(l->list);
    l->list = kept;
    l->swept = tl_clock_ms();
}

static bool is_old(const rd_kafka_topic_partition_t *left, const void *now)
{
    return *(const int64_t *)now - left->offset >= KEPT_MS;
}

void tl_left_tidy(struct tl_left *l)
{
    int64_t now;

    if (!l->list)
        return;
    now = tl_clock_ms();
    if (now - l->swept >= EMPTIED_EVERY_MS)
        sweep(l, is_old, &now);
}

static bool is_wanted(const rd_kafka_topic_partition_t *left, const void *wanted)
{
    return tl_partitions_have(wanted, left);
}

void tl_left_release(struct tl_left *l, const rd_kafka_topic_partition_list_t *wanted)
{
    sweep(l, is_wanted, wanted);
}

void tl_left_end(struct tl_left *l)
{
    sweep(l, NULL, NULL);
}

static int by_partition(const void *a, const void *b)
{
    const rd_kafka_topic_partition_t *x = a, *y = b;
    int order = strcmp(x->topic, y->topic);

    return order ? order : (x->partition > y->partition) - (x->partition < y->partition);
}

bool tl_partitions_have(const rd_kafka_topic_partition_list_t *sorted, const rd_kafka_topic_partition_t *tp)
{
    return sorted->cnt && bsearch(tp, sorted->elems, (size_t)sorted->cnt, sizeof *tp, by_partition);
}
