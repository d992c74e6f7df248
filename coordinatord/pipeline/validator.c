/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * raw-input ──► rows that can be loaded, and rows that can't
 *
 *   raw batch (offset o of partition i)
 *     │ schema      of exactly the version that the batch names; from the cache, or from control; waits until it is known
 *     │ rowcheck    rowcheck.c
 *     ├──► validated-input [i]   one message, also when no row is valid: the sink counts batches
 *     └──► import-error [i]      only when rows were rejected; cut into parts of 1 MiB
 *   schema, end, cancel          passed on; their JSON moves from the value into the header tl-control, so that the
 *                                values of validated-input are rows and nothing else
 *
 * It keeps nothing that a crash could lose: its outputs depend on the message and the schema alone, and the
 * offset o + 1 is stored only when all outputs of o, and of everything before it, are acked. What a crash
 * makes it send twice, the sink and the errors role know by its number.
 *
 * Memory: at most UNACKED_MAX raw batches of a lane, and PRODUCER_QUEUE bytes of a worker, are on the way;
 * then the worker waits for acks. A producer that can't go on is replaced, and the lanes begin again behind
 * what was acked last.
 */
#include <stdio.h>
#include <stdlib.h>

#include "coordinatord/pipeline/runtime.h"
#include "shared/base/clock.h"
#include "shared/base/failpoint.h"
#include "shared/check/errorlines.h"
#include "shared/check/rowcheck.h"
#include "shared/kafka/producer.h"

enum {
    UNACKED_MAX = 64,
    PRODUCER_QUEUE = 8 * 1024 * 1024,
    RETRY_MS = 500,
    RESTART_MS = 1000,
    POP_BUSY_MS = 20, /* acks are due soon */
    POP_IDLE_MS = 250,
    DRAIN_MS = 2000,
    OUT_FIRST = 256 * 1024
};

/* One raw message whose outputs are on the way. */
struct unacked {
    int64_t offset;
    int pending; /* outputs not acked yet, and one more while the batch is in hand */
};

/* A lane's state. `generation` tells acks of an earlier life of the lane apart: they count for nothing. */
struct vlane {
    unsigned generation;
    int64_t next; /* the offset that is expected; -1: whatever comes */
    int64_t
        settled; /* everything before it is acked, at first where the lane began; -1: nothing has come yet */
    char halted[300]; /* why it does not go on, until somebody looks; "" */
    size_t head, count;
    struct unacked ring[UNACKED_MAX];
};

struct validator {
    struct worker *worker;
    struct tl_producer *producer;
    bool broken; /* an output was not taken: start again from what was acked */
    struct tl_error trouble;
    struct rowcheck *rowcheck;
    char topics[TL_TOPIC_COUNT][TL_TOPIC_NAME_MAX + 1];
};

/* What an output carries from send to ack. */
struct output {
    struct lane *lane; /* compared only, until generation is found to be alive */
    unsigned generation;
    int64_t offset;
    struct tl_buf value;
};

static struct vlane *find_vlane(struct worker *w, const struct lane *lane, unsigned generation)
{
    for (struct lane *l = w->lanes; l; l = l->next) {
        struct vlane *v = l->state;

        if (l == lane && v->generation == generation)
            return v;
    }
    return NULL;
}

static void settle(struct worker *w, struct lane *lane, struct vlane *v)
{
    int64_t before = v->settled;
    struct tl_error err;

    while (v->count && v->ring[v->head].pending == 0) {
        v->settled = v->ring[v->head].offset + 1;
        v->head = (v->head + 1) % UNACKED_MAX;
        v->count--;
    }
    if (v->settled == before)
        return;
    TL_FAILPOINT(VALIDATE_BEFORE_STORE);
    if (tl_consumer_store(w->consumer, lane->topic, lane->partition, v->settled, &err))
        tl_debug(w->log, "validate", "%s", err.text);
    TL_FAILPOINT(VALIDATE_AFTER_STORE);
}

static void on_ack(void *app, void *message_app, int64_t offset, const struct tl_error *err)
{
    struct validator *va = app;
    struct output *out = message_app;
    struct vlane *v = find_vlane(va->worker, out->lane, out->generation);

    (void)offset;
    if (err && err->code != TL_E_INTERRUPTED && !va->broken) {
        va->broken = true;
        va->trouble = *err;
    }
    if (!err && v) {
        for (size_t i = 0; i < v->count; i++) {
            struct unacked *u = &v->ring[(v->head + i) % UNACKED_MAX];

            if (u->offset == out->offset) {
                u->pending--;
                break;
            }
        }
        settle(va->worker, out->lane, v);
    }
    tl_buf_release(&out->value);
    free(out);
}

static int make_producer(struct validator *va, struct tl_error *err)
{
    struct tl_producer_options options = {
        .queue_bytes = PRODUCER_QUEUE,
        .compression = va->worker->config->compression,
        .client_id = "coordinatord-validate",
    };

    va->producer = tl_producer_new(&va->worker->tenant.kafka, &options, on_ack, va, va->worker->log, err);
    return va->producer ? 0 : -1;
}

static void reset_lane(struct worker *w, struct vlane *v)
{
    v->generation = ++w->generations;
    v->head = v->count = 0;
}

/* Begins again behind the last ack, with a new producer. False when the worker has to give up for now. */
static bool restart(struct validator *va)
{
    struct worker *w = va->worker;
    struct tl_error err = va->trouble;

    tl_warn(w->log, "validate", "tenant %s: starting again from the last ack: %s", w->tenant.name,
            va->trouble.text);
    tl_producer_free(va->producer);
    va->producer = NULL;
    for (struct lane *l = w->lanes; l; l = l->next)
        reset_lane(w, l->state);
    do {
        if (!worker_wait(w, RESTART_MS, NULL, err.text))
            return false;
    } while (make_producer(va, &err));
    for (struct lane *l = w->lanes; l; l = l->next) {
        struct vlane *v = l->state;

        if (v->settled < 0)
            continue; /* nothing has come yet */
        while (tl_consumer_seek(w->consumer, l->topic, l->partition, v->settled, &err))
            if (!worker_wait(w, RETRY_MS, l, err.text))
                return false;
        v->next = v->settled;
    }
    va->broken = false;
    worker_goes_on(w);
    return true;
}

/* ------------------------------------------------------------------ sending */

/* Serves acks until there is room. False: give up. */
static bool wait_for_room(struct validator *va, struct vlane *v)
{
    while (v->count == UNACKED_MAX && !va->broken) {
        struct tl_error err;

        tl_producer_poll(va->producer, 50);
        if (tl_producer_check(va->producer, &err)) {
            va->broken = true;
            va->trouble = err;
        }
        if (atomic_load(&va->worker->stop) || !worker_wait(va->worker, 0, NULL, NULL))
            return false;
    }
    return !va->broken;
}

/* Takes the value over. -1: the batch is given up. */
static int emit(struct validator *va, struct lane *lane, struct vlane *v, enum tl_topic topic,
                const struct tl_envelope *envelope, struct tl_buf *value, int64_t offset)
{
    struct output *out = malloc(sizeof *out);
    struct tl_headers headers;
    struct tl_error err;

    if (!out) {
        tl_fail_nomem(&va->trouble);
        va->broken = true;
        return -1;
    }
    *out = (struct output){.lane = lane, .generation = v->generation, .offset = offset, .value = *value};
    tl_buf_init(value, value->max);
    tl_envelope_to_headers(envelope, &headers);
    while (tl_producer_send(va->producer, va->topics[topic], lane->partition, &headers,
                            tl_buf_str(&out->value), out, &err)) {
        if (err.code == TL_E_AGAIN && !va->broken) {
            tl_producer_poll(va->producer, 50);
            if (!atomic_load(&va->worker->stop) && worker_wait(va->worker, 0, NULL, NULL))
                continue;
        } else if (!va->broken) {
            va->broken = true;
            va->trouble = err;
        }
        tl_buf_release(&out->value);
        free(out);
        return -1;
    }
    v->ring[(v->head + v->count - 1) % UNACKED_MAX].pending++;
    return 0;
}

/* ------------------------------------------------------------------ one batch */

struct batch_run {
    struct validator *va;
    struct lane *lane;
    struct vlane *v;
    const struct tl_message *m;
    struct tl_buf errors;
    int64_t error_rows;
    int64_t part;
};

static int flush_errors(struct batch_run *run, struct tl_error *err)
{
    struct tl_envelope e = run->m->envelope;

    if (run->error_rows == 0)
        return 0;
    e.rows = run->error_rows;
    e.part = ++run->part;
    e.stage = TL_STAGE_VALIDATE;
    e.raw_offset = run->m->offset;
    e.format = e.columns = e.malformed = tl_str_n(NULL, 0);
    run->error_rows = 0;
    if (emit(run->va, run->lane, run->v, TL_TOPIC_IMPORT_ERROR, &e, &run->errors, run->m->offset))
        return tl_fail(err, TL_E_INTERRUPTED, "given up");
    return 0;
}

static int on_rejected(void *app, const struct rejected_row *row, struct tl_error *err)
{
    struct batch_run *run = app;
    int rc = errorlines_append(&run->errors, run->m->envelope.upload, run->m->envelope.file, row);

    if (rc)
        return tl_buf_fail(rc, &run->errors, "the errors of a batch", err);
    run->error_rows++;
    return run->errors.len >= ERRORLINES_PART_MAX ? flush_errors(run, err) : 0;
}

/* The checker for the batch; waits until its schema version is known. NULL with *why. */
static struct rowcheck *checker_for(struct validator *va, struct lane *lane, const struct tl_envelope *e,
                                    struct tl_error *why)
{
    struct worker *w = va->worker;
    const struct tl_schema *schema;
    struct tl_error err;

    while (control_api_schema(w->control, w->tenant.name, e->table, e->table_id, e->version, &schema, &err)) {
        if (err.code == TL_E_NOT_FOUND)
            tl_fail(&err, TL_E_AGAIN, "version %lld of table \"%.*s\" is not known to control (yet)",
                    (long long)e->version, TL_STR_ARG(e->table));
        tl_debug(w->log, "validate", "%s [%d]: %s", lane->topic, lane->partition, err.text);
        if (!worker_wait(w, RETRY_MS, lane, err.text)) {
            tl_fail(why, TL_E_INTERRUPTED, "given up");
            return NULL;
        }
    }
    if (va->rowcheck && rowcheck_fits(va->rowcheck, schema, e->format, e->columns))
        return va->rowcheck;
    rowcheck_free(va->rowcheck);
    va->rowcheck = rowcheck_new(schema, e->format, e->columns, why);
    return va->rowcheck;
}

static int check_rows(struct batch_run *run, struct tl_buf *out, struct tl_envelope *e, struct tl_error *err)
{
    struct rowcheck_sink sink = {.rejected = on_rejected, .app = run};
    struct rowcheck_result result;
    struct rowcheck *rc = checker_for(run->va, run->lane, &run->m->envelope, err);
    int first;

    if (!rc)
        return -1;
    first = tl_buf_reserve(out, TL_MAX(run->m->value.len, (size_t)OUT_FIRST));
    if (first)
        return tl_buf_fail(first, out, "a batch's validated rows", err);
    if (rowcheck_run(rc, run->m->value, run->m->envelope.malformed, out, &sink, &result, err) ||
        flush_errors(run, err))
        return -1;
    e->rows = result.valid;
    e->rejected = result.rejected;
    e->format = e->malformed = e->file = tl_str_n(NULL, 0);
    return 0;
}

/* 0: all outputs are sent. -1: not, *err says why. */
static int run_batch(struct validator *va, struct lane *lane, struct vlane *v, const struct tl_message *m,
                     struct tl_error *err)
{
    struct batch_run run = {.va = va, .lane = lane, .v = v, .m = m};
    struct tl_envelope e = m->envelope;
    struct tl_buf out;
    int rc = 0;

    tl_buf_init(&run.errors, TL_MESSAGE_MAX);
    tl_buf_init(&out, ROWCHECK_OUT_MAX);
    e.raw_offset = m->offset;
    if (e.type == TL_MSG_ROWS)
        rc = check_rows(&run, &out, &e, err);
    else
        e.control = m->value;
    TL_FAILPOINT(VALIDATE_BEFORE_OUTPUT);
    if (!rc && emit(va, lane, v, TL_TOPIC_VALIDATED_INPUT, &e, &out, m->offset))
        rc = va->broken ? (*err = va->trouble, -1) : tl_fail(err, TL_E_INTERRUPTED, "given up");
    TL_FAILPOINT(VALIDATE_AFTER_OUTPUT);
    tl_buf_release(&out);
    tl_buf_release(&run.errors);
    return rc;
}

static void on_lost(struct worker *w, struct lane *lane, const struct tl_error *why)
{
    struct vlane *v = lane->state;

    snprintf(v->halted, sizeof v->halted,
             "%s [%d] is stopped: what was to come next was deleted before it was checked (%.150s)",
             lane->topic, lane->partition, why->text);
    tl_error_log(w->log, "validate", "%s", v->halted);
}

static void on_message(struct worker *w, struct lane *lane, const struct tl_message *m)
{
    struct validator *va = w->state;
    struct vlane *v = lane->state;
    struct tl_error err;

    if (v->settled < 0)
        v->settled = m->offset;
    if (va->broken || v->halted[0] || m->offset < v->next)
        return; /* restart() seeks back to it; or it was handled before a seek */
    if (!wait_for_room(va, v))
        return;
    v->next = m->offset + 1;
    v->ring[(v->head + v->count) % UNACKED_MAX] = (struct unacked){.offset = m->offset, .pending = 1};
    v->count++;
    if (!m->ours) {
        tl_warn(w->log, "validate", "%s [%d] @%lld is passed over, it is no message of ours: %s", m->topic,
                m->partition, (long long)m->offset, m->why.text);
    } else if (run_batch(va, lane, v, m, &err)) {
        /*
         * Given up: the worker stops, or the lane is gone (and must not be touched). Anything else is told.
         */
        if (err.code == TL_E_INTERRUPTED)
            return;
        tl_error_log(w->log, "validate", "%s [%d] @%lld: %s", m->topic, m->partition, (long long)m->offset,
                     err.text);
        /* Nothing that comes later makes such a message better: this partition stops, the others go on. */
        if (!va->broken && (err.code == TL_E_CORRUPT || err.code == TL_E_TOO_LARGE)) {
            snprintf(v->halted, sizeof v->halted, "%s [%d] is stopped at @%lld: %.100s", m->topic,
                     m->partition, (long long)m->offset, err.text);
            return;
        }
        va->broken = true;
        va->trouble = err;
        return;
    }
    v->ring[(v->head + v->count - 1) % UNACKED_MAX].pending--;
    settle(w, lane, v);
}

/* ------------------------------------------------------------------ the role */

static void tell_halted(struct worker *w)
{
    for (struct lane *l = w->lanes; l; l = l->next) {
        const struct vlane *v = l->state;

        if (v->halted[0])
            control_api_waiting(w->control, "validate", w->tenant.name, l->partition, v->halted);
    }
}

static int on_idle(struct worker *w)
{
    struct validator *va = w->state;
    struct tl_error err;

    if (!va->producer && !va->broken && make_producer(va, &va->trouble))
        va->broken = true;
    if (va->producer) {
        tl_producer_poll(va->producer, 0);
        if (!va->broken && tl_producer_check(va->producer, &err)) {
            va->broken = true;
            va->trouble = err;
        }
    }
    if (va->broken)
        restart(va);
    tell_halted(w);
    return va->producer && tl_producer_pending(va->producer) ? POP_BUSY_MS : POP_IDLE_MS;
}

static bool quiet(const struct worker *w)
{
    const struct validator *va = w->state;

    for (const struct lane *l = w->lanes; l; l = l->next) {
        const struct vlane *v = l->state;

        if (v->halted[0] || v->count)
            return false;
    }
    return !va || (!va->broken && !(va->producer && tl_producer_pending(va->producer)));
}

static int on_lane_added(struct worker *w, struct lane *lane, int64_t *begin, struct tl_error *err)
{
    struct vlane *v = calloc(1, sizeof *v);

    (void)begin;
    if (!v)
        return tl_fail_nomem(err);
    reset_lane(w, v);
    v->next = v->settled = -1;
    lane->state = v;
    return 0;
}

static void on_lane_removed(struct worker *w, struct lane *lane)
{
    (void)w;
    free(lane->state);
    lane->state = NULL;
}

static void on_drain(struct worker *w)
{
    struct validator *va = w->state;
    struct tl_error err;

    TL_FAILPOINT(VALIDATE_BEFORE_FLUSH);
    if (va->producer && tl_producer_flush(va->producer, DRAIN_MS, &err))
        tl_info(w->log, "validate", "tenant %s: %s; it will be sent again", w->tenant.name, err.text);
    TL_FAILPOINT(VALIDATE_AFTER_FLUSH);
}

static int on_open(struct worker *w, struct tl_error *err)
{
    struct validator *va = calloc(1, sizeof *va);

    if (!va)
        return tl_fail_nomem(err);
    va->worker = w;
    for (int i = 0; i < TL_TOPIC_COUNT; i++)
        tl_topic_name((enum tl_topic)i, tl_str(w->tenant.name), va->topics[i]);
    w->state = va;
    return 0;
}

static void on_close(struct worker *w)
{
    struct validator *va = w->state;

    if (!va)
        return;
    tl_producer_free(va->producer);
    rowcheck_free(va->rowcheck);
    free(va);
}

static int width(const struct config *config, const struct tenant_info *tenant)
{
    return TL_MAX(1, TL_MIN(config->validate_threads, tenant->partitions));
}

const struct role_ops validator_role = {
    .name = "validate",
    .topic = TL_TOPIC_RAW_INPUT,
    .from_stored = true,
    .queue_bytes = 16 * 1024 * 1024,
    .width = width,
    .open = on_open,
    .close = on_close,
    .lane_added = on_lane_added,
    .lane_removed = on_lane_removed,
    .message = on_message,
    .quiet = quiet,
    .lost = on_lost,
    .idle = on_idle,
    .drain = on_drain,
};
