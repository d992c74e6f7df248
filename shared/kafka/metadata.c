/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/kafka/metadata.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    const rd_kafka_metadata_topic_t *const *x = a, *const *y = b;

    return strcmp((*x)->topic, (*y)->topic);
}

int tl_metadata_ask(struct tl_metadata *m, rd_kafka_t *rk, bool all, int timeout_ms, struct tl_error *err)
{
    rd_kafka_resp_err_t code = rd_kafka_metadata(rk, all, NULL, &m->answer, timeout_ms);

    if (code)
        return tl_rdkafka_fail(err, code, "metadata", NULL);
    m->sorted = calloc((size_t)m->answer->topic_cnt + 1, sizeof *m->sorted);
    if (!m->sorted) {
        rd_kafka_metadata_destroy(m->answer);
        return tl_fail_nomem(err);
    }
    for (int i = 0; i < m->answer->topic_cnt; i++)
        m->sorted[i] = &m->answer->topics[i];
    qsort(m->sorted, (size_t)m->answer->topic_cnt, sizeof *m->sorted, by_name);
    return 0;
}

void tl_metadata_release(struct tl_metadata *m)
{
    free(m->sorted);
    rd_kafka_metadata_destroy(m->answer);
}

const rd_kafka_metadata_topic_t *tl_metadata_topic(const struct tl_metadata *m, const char *name)
{
    char wanted_name[250];
    const rd_kafka_metadata_topic_t wanted = {.topic = wanted_name}, *const key = &wanted;
    const rd_kafka_metadata_topic_t **found;

    snprintf(wanted_name, sizeof wanted_name, "%s", name);
    found = bsearch(&key, m->sorted, (size_t)m->answer->topic_cnt, sizeof *m->sorted, by_name);
    return found ? *found : NULL;
}
