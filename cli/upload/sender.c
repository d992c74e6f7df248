/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/upload/sender.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/upload/bucket.h"
#include "shared/base/clock.h"
#include "shared/base/failpoint.h"
#include "shared/kafka/producer.h"

enum {
    QUEUE_BYTES = 16 * 1024 * 1024,
    TICK_MS = 100,
    STALLED_AT_FIRST_MS = 15000, /* nothing was ever taken: most likely there is no broker at this address */
    STALLED_MS = 120000,         /* a broker that worked may be restarting */
    REPLACE_EVERY_MS = 1000
};

/* What the batches of one file have in common. */
struct file_texts {
    struct file_texts *next;
    char *file;
    char *columns;
};

struct outgoing {
    struct outgoing *prev, *next;
    enum tl_msg_type type;
    int32_t partition;
    int64_t seq;
    int64_t rows;
    char *value;
    size_t len;
    size_t cap; /* 0: an end marker's, not the splitter's */
    char *malformed;
    const struct file_texts *texts;
};

struct sender {
    struct sender_options o;
    struct tl_producer *producer;
    struct outgoing *first, *last; /* not acked, in the order of sending */
    struct outgoing *unsent;       /* from here on the present producer has not got them; NULL: it has all */
    struct file_texts *files;
    struct bucket bucket;
    bool acked_any;
    int64_t moved; /* when something was acked, or the first message sent, tl_clock_ms */
    bool failed;   /* an ack said so */
    struct tl_error failure;
};

static void outgoing_free(struct sender *s, struct outgoing *m)
{
    if (m->prev)
        m->prev->next = m->next;
    else
        s->first = m->next;
    if (m->next)
        m->next->prev = m->prev;
    else
        s->last = m->prev;
    if (m->cap)
        s->o.recycle(s->o.app, m->value, m->cap);
    else
        free(m->value);
    free(m->malformed);
    free(m);
}

static void on_ack(void *app, void *message_app, int64_t offset, const struct tl_error *err)
{
    struct sender *s = app;

    (void)offset;
    if (!err) {
        s->acked_any = true;
        s->moved = tl_clock_ms();
        outgoing_free(s, message_app);
        TL_FAILPOINT(SEND_AFTER_ACK);
    } else if (err->code != TL_E_INTERRUPTED &&
               (!s->failed || (s->failure.code == TL_E_FATAL && err->code != TL_E_FATAL))) {
        /* What was wrong with the message itself tells more than that the producer can't go on after it. */
        s->failed = true;
        s->failure = *err;
    }
    /* With an error the message stays: a new producer sends it again, or the upload ends. */
}

static int make_producer(struct sender *s, struct tl_error *err)
{
    struct tl_producer_options options = {
        .queue_bytes = QUEUE_BYTES,
        .compression = s->o.compression,
        .client_id = "tload",
    };

    s->producer = tl_producer_new(s->o.kafka, &options, on_ack, s, s->o.log, err);
    return s->producer ? 0 : -1;
}

struct sender *sender_new(const struct sender_options *options, struct tl_error *err)
{
    struct sender *s = calloc(1, sizeof *s);

    if (!s) {
        tl_fail_nomem(err);
        return NULL;
    }
    s->o = *options;
    if (make_producer(s, err)) {
        free(s);
        return NULL;
    }
    return s;
}

void sender_free(struct sender *s)
{
    if (!s)
        return;
    tl_producer_free(s->producer);
    while (s->first)
        outgoing_free(s, s->first);
    while (s->files) {
        struct file_texts *f = s->files;

        s->files = f->next;
        free(f->file);
        free(f->columns);
        free(f);
    }
    free(s);
}

int sender_begin_file(struct sender *s, const char *file, const char *columns, struct tl_error *err)
{
    struct file_texts *f = calloc(1, sizeof *f);

    if (!f)
        return tl_fail_nomem(err);
    f->file = strdup(file);
    f->columns = strdup(columns);
    f->next = s->files;
    s->files = f;
    return f->file && f->columns ? 0 : tl_fail_nomem(err);
}

const char *sender_trouble(struct sender *s)
{
    if (s->failed)
        return s->failure.text;
    return s->first && tl_clock_ms() - s->moved > 1000 ? tl_producer_trouble(s->producer) : "";
}

static int enqueue(struct sender *s, struct outgoing *m, struct tl_error *err)
{
    struct tl_envelope e = s->o.common;
    struct tl_headers headers;

    e.type = m->type;
    e.seq = m->seq;
    e.rows = m->rows;
    if (m->texts) {
        e.file = tl_str(m->texts->file);
        e.columns = tl_str(m->texts->columns);
    } else {
        e.format = tl_str_n(NULL, 0);
    }
    e.malformed = tl_str(m->malformed);
    tl_envelope_to_headers(&e, &headers);
    return tl_producer_send(s->producer, s->o.topic, m->partition, &headers, tl_str_n(m->value, m->len), m,
                            err);
}

/*
 * Whether it may pass with a new producer. A topic that is not found may be there, too: a broker that has just started
 * knows of none.
 */
static bool may_pass(const struct tl_error *err)
{
    return err->code == TL_E_FATAL || err->code == TL_E_TIMEOUT || err->code == TL_E_UNAVAILABLE ||
           err->code == TL_E_NOT_FOUND;
}

/* One step of waiting: the caller's tick, acks, and whether there is any hope. */
static int wait_a_bit(struct sender *s, int ms, struct tl_error *err)
{
    enum { UNSEEN_MS = 2000 };
    int64_t began = tl_clock_ms(), took, still;

    if (s->o.tick(s->o.app, err))
        return -1;
    tl_producer_poll(s->producer, ms);
    took = tl_clock_ms() - began;
    if (took > UNSEEN_MS) /* this process was stopped, or the tick hung: Kafka is not to blame */
        s->moved += took;
    if (s->failed && !may_pass(&s->failure)) {
        *err = s->failure;
        return -1;
    }
    still = tl_clock_ms() - s->moved;
    if (s->first && still > (s->acked_any ? STALLED_MS : STALLED_AT_FIRST_MS)) {
        const char *why = sender_trouble(s);

        return tl_fail(err, TL_E_UNAVAILABLE, "Kafka has taken nothing for %lld s%s%s",
                       (long long)still / 1000, why[0] ? ": " : "", why);
    }
    return 0;
}

static bool broken(struct sender *s)
{
    struct tl_error err;

    if (!s->failed && tl_producer_check(s->producer, &err)) {
        s->failed = true;
        s->failure = err;
    }
    return s->failed;
}

/* A new producer, which is to send everything that is not acked again, in order. */
static int replace_producer(struct sender *s, struct tl_error *err)
{
    int64_t until = tl_clock_ms() + REPLACE_EVERY_MS;

    while (tl_clock_ms() < until)
        if (wait_a_bit(s, TICK_MS, err))
            return -1;
    tl_info(s->o.log, "send", "a new producer sends again from the last ack: %s", s->failure.text);
    tl_producer_free(s->producer);
    s->failed = false;
    s->unsent = s->first;
    for (const struct outgoing *m = s->first; m; m = m->next)
        bucket_take(&s->bucket, (int64_t)m->len, tl_clock_us());
    return make_producer(s, err);
}

/* Hands the producer what it takes at once. */
static int pump(struct sender *s, struct tl_error *err)
{
    while (s->unsent) {
        if (enqueue(s, s->unsent, err) == 0) {
            s->unsent = s->unsent->next;
            continue;
        }
        if (err->code == TL_E_AGAIN)
            return 0;
        if (!may_pass(err))
            return -1;
        s->failed = true;
        s->failure = *err;
        return 0;
    }
    return 0;
}

/* One step towards having all sent, and, with acked, acked. *done: it is. */
static int step(struct sender *s, bool acked, bool *done, struct tl_error *err)
{
    if (broken(s) && replace_producer(s, err))
        return -1;
    if (pump(s, err))
        return -1;
    *done = !s->failed && !s->unsent && (!acked || !s->first);
    return *done ? 0 : wait_a_bit(s, TICK_MS, err);
}

static int append(struct sender *s, struct outgoing *m, struct tl_error *err)
{
    bool done = false;

    if (!s->first)
        s->moved = tl_clock_ms();
    m->prev = s->last;
    if (s->last)
        s->last->next = m;
    else
        s->first = m;
    s->last = m;
    if (!s->unsent)
        s->unsent = m;
    while (!done)
        if (step(s, false, &done, err))
            return -1;
    tl_producer_poll(s->producer, 0);
    return 0;
}

static void batch_release(struct sender *s, const struct batch *batch)
{
    s->o.recycle(s->o.app, batch->value, batch->cap);
    free(batch->malformed);
}

void sender_set_rate(struct sender *s, int64_t bytes_per_second)
{
    bucket_set(&s->bucket, bytes_per_second, tl_clock_us());
}

/* Before the batch is with those that are on their way: their not getting on has to do with Kafka. */
static int await_rate(struct sender *s, struct tl_error *err)
{
    int64_t ms;

    while ((ms = bucket_wait_ms(&s->bucket, tl_clock_us())) > 0)
        if (wait_a_bit(s, (int)TL_MIN(ms, (int64_t)TICK_MS), err))
            return -1;
    return 0;
}

int sender_send(struct sender *s, const struct batch *batch, struct tl_error *err)
{
    struct outgoing *m;

    if (batch->seq <= s->o.skip[batch->partition]) {
        batch_release(s, batch);
        return 0;
    }
    TL_FAILPOINT(SEND_BEFORE_BATCH);
    if (await_rate(s, err)) {
        batch_release(s, batch);
        return -1;
    }
    bucket_take(&s->bucket, (int64_t)batch->len, tl_clock_us());
    m = calloc(1, sizeof *m);
    if (!m) {
        free(batch->value);
        free(batch->malformed);
        return tl_fail_nomem(err);
    }
    *m = (struct outgoing){
        .type = TL_MSG_ROWS,
        .partition = batch->partition,
        .seq = batch->seq,
        .rows = batch->rows,
        .value = batch->value,
        .len = batch->len,
        .cap = batch->cap,
        .malformed = batch->malformed,
        .texts = s->files,
    };
    return append(s, m, err);
}

int sender_end(struct sender *s, int32_t partition, int64_t batches, int64_t rows, struct tl_error *err)
{
    struct outgoing *m;
    char text[80];

    if (batches + 1 <= s->o.skip[partition])
        return 0;
    m = calloc(1, sizeof *m);
    snprintf(text, sizeof text, "{\"batches\":%lld,\"rows\":%lld}", (long long)batches, (long long)rows);
    if (m)
        *m = (struct outgoing){
            .type = TL_MSG_END, .partition = partition, .seq = batches + 1, .rows = 0, .value = strdup(text)};
    if (!m || !m->value) {
        free(m);
        return tl_fail_nomem(err);
    }
    m->len = strlen(m->value);
    return append(s, m, err);
}

int sender_flush(struct sender *s, struct tl_error *err)
{
    bool done = false;

    while (!done)
        if (step(s, true, &done, err))
            return -1;
    return 0;
}
