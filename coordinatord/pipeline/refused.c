/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/pipeline/refused.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shared/base/failpoint.h"
#include "shared/check/errorlines.h"
#include "shared/kafka/fetcher.h"
#include "shared/kafka/producer.h"

enum { FETCH_MS = 10000, SEND_MS = 10000, QUEUE_BYTES = 4 * 1024 * 1024 };

struct refused_entry {
    int64_t index;
    char reason[160];
};

/* Every row of a batch that has as many as it can: "1", a tab, one byte, a line feed each. */
enum { REFUSED_MAX = TL_BATCH_ROWS_MAX_BYTES / 4 * sizeof(struct refused_entry) };

struct refused {
    struct worker *worker;
    struct tl_fetcher *fetcher;   /* made at the first need */
    struct tl_producer *producer; /* the same */
    char raw_topic[TL_TOPIC_NAME_MAX + 1];
    char error_topic[TL_TOPIC_NAME_MAX + 1];
    struct tl_buf entries; /* struct refused_entry, ascending */
    size_t at;             /* the one that is looked for next */
    struct tl_buf lines;
    int64_t rows; /* in lines */
    int64_t part;
    int64_t attempt;
    const struct tl_message *m;   /* the validated batch */
    const struct tl_message *raw; /* the raw one */
};

static void on_ack(void *app, void *message_app, int64_t offset, const struct tl_error *err)
{
    (void)app;
    (void)message_app;
    (void)offset;
    (void)err;
}

struct refused *refused_new(struct worker *w, struct tl_error *err)
{
    struct refused *r = calloc(1, sizeof *r);

    if (!r) {
        tl_fail_nomem(err);
        return NULL;
    }
    r->worker = w;
    tl_topic_name(TL_TOPIC_RAW_INPUT, tl_str(w->tenant.name), r->raw_topic);
    tl_topic_name(TL_TOPIC_IMPORT_ERROR, tl_str(w->tenant.name), r->error_topic);
    tl_buf_init(&r->entries, REFUSED_MAX);
    tl_buf_init(&r->lines, TL_MESSAGE_MAX);
    return r;
}

void refused_free(struct refused *r)
{
    if (!r)
        return;
    tl_fetcher_free(r->fetcher);
    tl_producer_free(r->producer);
    tl_buf_release(&r->entries);
    tl_buf_release(&r->lines);
    free(r);
}

void refused_begin(struct refused *r)
{
    tl_buf_reset(&r->entries);
}

int refused_row(void *app, int64_t index, const char *reason, struct tl_error *err)
{
    struct refused *r = app;
    struct refused_entry entry = {.index = index};
    int rc;

    snprintf(entry.reason, sizeof entry.reason, "%s", reason);
    rc = tl_buf_append(&r->entries, &entry, sizeof entry);
    return rc ? tl_buf_fail(rc, &r->entries, "the rows of a batch that the sink refuses", err) : 0;
}

int64_t refused_count(const struct refused *r)
{
    return (int64_t)(r->entries.len / sizeof(struct refused_entry));
}

static int make_clients(struct refused *r, struct tl_error *err)
{
    struct tl_producer_options options = {
        .queue_bytes = QUEUE_BYTES,
        .compression = r->worker->config->compression,
        .client_id = "coordinatord-sink",
    };
    struct worker *w = r->worker;

    if (r->producer && tl_producer_check(r->producer, err)) {
        tl_producer_free(r->producer);
        r->producer = NULL;
    }
    if (!r->producer)
        r->producer = tl_producer_new(&w->tenant.kafka, &options, on_ack, NULL, w->log, err);
    if (!r->fetcher)
        r->fetcher = tl_fetcher_new(&w->tenant.kafka, w->log, err);
    return r->producer && r->fetcher ? 0 : -1;
}

static int flush(struct refused *r, struct tl_error *err)
{
    struct tl_envelope e = r->m->envelope;
    struct tl_headers headers;

    if (r->rows == 0)
        return 0;
    e.rows = r->rows;
    e.rejected = -1;
    e.part = ++r->part;
    e.attempt = r->attempt;
    e.stage = TL_STAGE_SINK;
    e.file = r->raw->envelope.file;
    e.columns = tl_str_n(NULL, 0);
    tl_envelope_to_headers(&e, &headers);
    if (tl_producer_send_wait(r->producer, r->error_topic, r->m->partition, &headers, tl_buf_str(&r->lines),
                              SEND_MS, err))
        return -1;
    tl_buf_reset(&r->lines);
    r->rows = 0;
    return 0;
}

static int on_valid(void *app, int64_t index, int64_t line, struct tl_str raw, struct tl_error *err)
{
    struct refused *r = app;
    struct refused_entry entry;
    struct rejected_row row = {.line = line, .code = TL_REJECT_SINK_REFUSED, .raw = raw};
    int rc;

    if (r->at == r->entries.len)
        return 0;
    memcpy(&entry, r->entries.data + r->at, sizeof entry);
    if (entry.index != index)
        return 0;
    r->at += sizeof entry;
    row.reason = entry.reason;
    rc = errorlines_append(&r->lines, r->m->envelope.upload, r->raw->envelope.file, &row);
    if (rc)
        return tl_buf_fail(rc, &r->lines, "the errors of a batch", err);
    r->rows++;
    return r->lines.len >= ERRORLINES_PART_MAX ? flush(r, err) : 0;
}

static int find_rows(struct refused *r, const struct tl_schema *schema, struct tl_error *err)
{
    const struct tl_envelope *e = &r->raw->envelope;
    struct rowcheck_sink sink = {.valid = on_valid, .app = r};
    struct rowcheck_result result;
    struct rowcheck *check = rowcheck_new(schema, e->format, e->columns, err);
    struct tl_buf out;
    int rc;

    if (!check)
        return -1;
    tl_buf_init(&out, ROWCHECK_OUT_MAX);
    rc = rowcheck_run(check, r->raw->value, e->malformed, &out, &sink, &result, err);
    tl_buf_release(&out);
    rowcheck_free(check);
    if (!rc && r->at != r->entries.len)
        rc = tl_fail(err, TL_E_CORRUPT, "a row that the sink refuses is not in the raw batch");
    return rc ? -1 : flush(r, err);
}

static int draw_attempt(struct refused *r, struct tl_error *err)
{
    uint64_t drawn;

    if (getentropy(&drawn, sizeof drawn))
        return tl_fail(err, TL_E_IO, "the system gives no random numbers");
    r->attempt = (int64_t)(drawn % INT64_MAX) + 1;
    return 0;
}

int refused_report(struct refused *r, const struct tl_message *m, const struct tl_schema *schema,
                   int64_t *attempt, struct tl_error *err)
{
    struct tl_message raw;
    int rc;

    if (make_clients(r, err) || draw_attempt(r, err) ||
        tl_fetcher_get(r->fetcher, r->raw_topic, m->partition, m->envelope.raw_offset, FETCH_MS, &raw, err))
        return -1;
    r->m = m;
    r->raw = &raw;
    r->at = 0;
    r->part = 0;
    r->rows = 0;
    tl_buf_reset(&r->lines);
    if (!raw.ours || raw.envelope.seq != m->envelope.seq ||
        !tl_str_eq(raw.envelope.upload, m->envelope.upload))
        rc = tl_fail(err, TL_E_CORRUPT, "%s [%d] @%lld is not the batch that the validated one names",
                     r->raw_topic, m->partition, (long long)m->envelope.raw_offset);
    else
        rc = find_rows(r, schema, err);
    tl_message_release(&raw);
    *attempt = r->attempt;
    TL_FAILPOINT(SINK_AFTER_REFUSED);
    return rc;
}
