/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/kafka/consumer.h"
#include "shared/kafka/rdkafka_util.h"

static void read_headers(struct tl_message *out, const rd_kafka_message_t *m)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;

    tl_envelope_init(&out->envelope, TL_MSG_ROWS);
    out->ours = false;
    if (rd_kafka_message_headers(m, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR) {
        tl_fail(&out->why, TL_E_CORRUPT, "a message without headers");
        return;
    }
    for (size_t i = 0; !rd_kafka_header_get_all(headers, i, &name, &value, &size); i++)
        if (tl_envelope_read_header(&out->envelope, tl_str(name), tl_str_n(value, size), &out->why))
            return;
    out->ours = tl_envelope_check(&out->envelope, &out->why) == 0;
}

void tl_rdkafka_message(rd_kafka_message_t *m, struct tl_message *out)
{
    rd_kafka_timestamp_type_t kind;

    out->lost = false;
    out->topic = rd_kafka_topic_name(m->rkt);
    out->partition = m->partition;
    out->offset = m->offset;
    out->written_ms = rd_kafka_message_timestamp(m, &kind);
    out->value = tl_str_n(m->payload ? m->payload : "", m->len);
    out->impl = m;
    read_headers(out, m);
}

void tl_rdkafka_lost(rd_kafka_message_t *m, struct tl_message *out)
{
    *out = (struct tl_message){
        .topic = rd_kafka_topic_name(m->rkt),
        .partition = m->partition,
        .offset = -1,
        .lost = true,
        .impl = m,
    };
    tl_envelope_init(&out->envelope, TL_MSG_ROWS);
    tl_fail(&out->why, TL_E_CORRUPT, "%s", rd_kafka_message_errstr(m));
}

void tl_message_release(struct tl_message *m)
{
    rd_kafka_message_destroy(m->impl);
    m->impl = NULL;
}
