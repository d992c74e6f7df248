/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/upload/upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/client/coordinator.h"
#include "cli/client/outcome.h"
#include "cli/upload/dryrun.h"
#include "cli/upload/history.h"
#include "cli/upload/sender.h"
#include "cli/upload/session.h"
#include "cli/upload/sources.h"
#include "shared/base/clock.h"
#include "shared/base/failpoint.h"
#include "shared/wire/dialect.h"

enum { TELL_EVERY_MS = 1000, AGAIN_MS = 500, GIVE_UP_MS = 30000 };

struct upload {
    const struct upload_options *o;
    struct upload_ui *ui;
    struct coordinator *coordinator;
    struct tl_log log;
    struct sources sources;
    struct history history;

    /* from the coordinator */
    struct tl_schema *schema;
    int32_t partitions;
    char id[TL_UPLOAD_ID_MAX + 1]; /* "" until it is begun */
    char *topic;
    char *compression;
    struct tl_kafka_conf kafka;
    int64_t *skip; /* of each partition */
    json_t *last;  /* the upload's object as it was told last; NULL */

    struct splitter *splitter;
    struct sender *sender;
    size_t at;       /* index of the source that is read */
    bool file_begun; /* the sender knows it */
    char format[TL_FORMAT_MAX];
    int64_t told;      /* when progress was told last, tl_clock_ms */
    int64_t queued_ms; /* so long it was queued */
    bool timed_out;    /* --timeout was over meanwhile */
};

/* ------------------------------------------------------------------ progress */

static void show(struct upload *u)
{
    struct upload_progress p = {.state = "sending", .waiting = ""};
    struct split_totals totals = splitter_totals(u->splitter);

    if (u->last)
        upload_progress_from(&p, u->last);
    p.table = u->o->table;
    p.upload = u->id;
    p.bytes_sent = totals.bytes;
    p.bytes_total = u->sources.bytes;
    p.rows_read = totals.rows;
    if (u->sender && sender_trouble(u->sender)[0])
        p.waiting = sender_trouble(u->sender);
    upload_ui_progress(u->ui, &p);
}

/* The upload ended in another way than by our doing: cancelled, or too many errors. */
static int check_state(struct upload *u, struct tl_error *err)
{
    if (!u->last || !outcome_final(u->last))
        return 0;
    return tl_fail(err, TL_E_CONFLICT, "the upload has ended: %s", upload_text(u->last, "state"));
}

static bool is_queued(const struct upload *u)
{
    return strcmp(upload_text(u->last, "state"), "queued") == 0;
}

/* Says that somebody is here, or waits for news. */
static int look_for_turn(struct upload *u, struct tl_error *err)
{
    int64_t since = tl_clock_ms() - u->told;
    json_t *answer = NULL, *nothing;
    int rc;

    if (since >= TELL_EVERY_MS) {
        nothing = json_object();
        rc = nothing ? coordinator_upload_patch(u->coordinator, u->id, nothing, &answer, err)
                     : tl_fail_nomem(err);
        json_decref(nothing);
        if (rc == 0)
            u->told = tl_clock_ms();
    } else {
        rc = coordinator_upload_get(u->coordinator, u->id, (int)(TELL_EVERY_MS - since),
                                    upload_number(u->last, "change", 0), &answer, err);
    }
    /* It has ended: what it is tells how. */
    if (rc && err->code == TL_E_CONFLICT)
        rc = coordinator_upload_get(u->coordinator, u->id, 0, 0, &answer, err);
    if (rc)
        return -1;
    json_decref(u->last);
    u->last = answer;
    return check_state(u, err);
}

/* A request failed: 0 when it is to be made again. since: when the coordinator was last heard from. */
static int again_later(struct upload *u, int64_t since, struct tl_error *err)
{
    if (interrupt_signal(u->ui->interrupt))
        return tl_fail(err, TL_E_INTERRUPTED, "interrupted");
    if (!tl_error_retriable(err) || tl_clock_ms() - since >= GIVE_UP_MS)
        return -1;
    interrupt_wait(u->ui->interrupt, AGAIN_MS);
    return 0;
}

/* Until it is its turn to send. */
static int await_turn(struct upload *u, struct tl_error *err)
{
    int64_t began = tl_clock_ms(), before = u->queued_ms, heard = began;

    while (is_queued(u)) {
        show(u);
        u->queued_ms = before + tl_clock_ms() - began;
        if (u->o->timeout_ms >= 0 && u->queued_ms >= u->o->timeout_ms) {
            u->timed_out = true;
            return tl_fail(err, TL_E_TIMEOUT, "not all sent yet: %s", upload_text(u->last, "waiting"));
        }
        if (look_for_turn(u, err) == 0) {
            heard = tl_clock_ms();
            continue;
        }
        if (again_later(u, heard, err))
            return -1;
    }
    return 0;
}

/* What the coordinator lets it do by now. */
static int obey(struct upload *u, struct tl_error *err)
{
    /* Not heard from for long, it was given up, and others have its turn. */
    if (check_state(u, err) || await_turn(u, err))
        return -1;
    sender_set_rate(u->sender, upload_number(u->last, "bytes_per_second", 0));
    return 0;
}

static int tell(struct upload *u, struct tl_error *err)
{
    struct split_totals totals = splitter_totals(u->splitter);
    json_t *change = json_pack("{s:I, s:I}", "rows_read", (json_int_t)totals.rows, "bytes_sent",
                               (json_int_t)totals.bytes);
    json_t *answer = NULL;
    struct tl_error lost = {0};

    if (!change)
        return tl_fail_nomem(err);
    /* A coordinator that is away for a while is no reason to stop: the rows go to Kafka. */
    if (coordinator_upload_patch(u->coordinator, u->id, change, &answer, &lost) == 0) {
        json_decref(u->last);
        u->last = answer;
    }
    json_decref(change);
    u->told = tl_clock_ms();
    if (lost.code == TL_E_CONFLICT && !answer) {
        if (coordinator_upload_get(u->coordinator, u->id, 0, 0, &answer, err))
            return -1;
        json_decref(u->last);
        u->last = answer;
    }
    return obey(u, err);
}

/* Called all the time, from the sender and from the splitter. */
static int tick(void *app, struct tl_error *err)
{
    struct upload *u = app;

    if (interrupt_signal(u->ui->interrupt))
        return tl_fail(err, TL_E_INTERRUPTED, "interrupted");
    if (u->id[0])
        show(u);
    if (u->sender && tl_clock_ms() - u->told >= TELL_EVERY_MS)
        return tell(u, err);
    return 0;
}

/* ------------------------------------------------------------------ look */

static void recycle(void *app, char *value, size_t cap)
{
    struct upload *u = app;

    splitter_recycle(u->splitter, value, cap);
}

static int on_batch(void *app, struct batch *batch, struct tl_error *err)
{
    struct upload *u = app;

    if (!u->file_begun) {
        if (sender_begin_file(u->sender, u->sources.item[u->at].encoded, splitter_columns(u->splitter),
                              err)) {
            free(batch->value);
            free(batch->malformed);
            return -1;
        }
        u->file_begun = true;
    }
    return sender_send(u->sender, batch, err) ? -1 : tick(u, err);
}

static int make_splitter(struct upload *u, struct tl_error *err)
{
    struct split_options options = {
        .dialect = u->o->dialect,
        .header = u->o->header,
        .columns = u->o->columns,
        .map = u->o->map,
        .nmap = u->o->nmap,
        .history = &u->history.names,
        .partitions = u->partitions,
        .batch_bytes = UPLOAD_BATCH_BYTES,
        .record_max = UPLOAD_RECORD_MAX,
        .malformed_in_a_row = SPLITTER_MALFORMED_IN_A_ROW,
        .on_read = tick,
    };

    splitter_free(u->splitter);
    u->splitter = splitter_new(u->schema, &options, on_batch, u, err);
    return u->splitter ? sources_check_headers(&u->sources, u->splitter, err) : -1;
}

static int look(struct upload *u, struct tl_error *err)
{
    json_t *tenant, *table;
    int rc;

    if (coordinator_tenant_get(u->coordinator, &tenant, err))
        return -1;
    u->partitions = (int32_t)upload_number(tenant, "partitions", 0);
    json_decref(tenant);
    if (u->partitions < 1)
        return tl_fail(err, TL_E_CORRUPT, "the coordinator does not say how many partitions the tenant has");
    if (session_schema(u->coordinator, u->o, &u->sources, &table, err))
        return -1;
    rc = tl_schema_from_json(table, &u->schema, err);
    json_decref(table);
    return rc ? -1 : make_splitter(u, err);
}

/* ------------------------------------------------------------------ begin */

/* What the coordinator answered to the upload's making. */
static int read_session(struct upload *u, const json_t *session, struct tl_error *err)
{
    const char *topic, *compression = UPLOAD_COMPRESSION;
    json_t *schema, *kafka, *seqs, *seq;
    int partitions;
    size_t i;

    if (json_unpack((json_t *)session, "{s:s, s:o, s:o, s:o, s:i, s?s}", "topic", &topic, "schema", &schema,
                    "kafka", &kafka, "last_seqs", &seqs, "partitions", &partitions, "compression",
                    &compression) ||
        partitions < 1)
        return tl_fail(err, TL_E_CORRUPT,
                       "the coordinator describes an upload in a way that is not understood");
    u->partitions = partitions;
    u->topic = strdup(topic);
    u->compression = strdup(u->o->compression ? u->o->compression : compression);
    u->skip = calloc((size_t)partitions, sizeof *u->skip);
    if (!u->topic || !u->compression || !u->skip)
        return tl_fail_nomem(err);
    json_array_foreach(seqs, i, seq) if (i < (size_t)partitions) u->skip[i] = json_integer_value(seq);
    if (tl_kafka_conf_from_json(&u->kafka, kafka, err))
        return -1;
    if (upload_number(schema, "version", 0) == u->schema->version &&
        upload_number(schema, "table_id", 0) == u->schema->table_id)
        return 0;
    /* The table changed between look and begin: the headers have to fit what it is now. */
    splitter_free(u->splitter);
    u->splitter = NULL;
    tl_schema_free(u->schema);
    u->schema = NULL;
    return tl_schema_from_json(schema, &u->schema, err) ? -1 : make_splitter(u, err);
}

static int make_sender(struct upload *u, struct tl_error *err)
{
    struct sender_options options = {
        .kafka = &u->kafka,
        .topic = u->topic,
        .compression = u->compression,
        .partitions = u->partitions,
        .skip = u->skip,
        .log = &u->log,
        .tick = tick,
        .recycle = recycle,
        .app = u,
    };

    tl_envelope_init(&options.common, TL_MSG_ROWS);
    options.common.table = tl_str(u->schema->table);
    options.common.table_id = u->schema->table_id;
    options.common.version = u->schema->version;
    options.common.upload = tl_str(u->id);
    options.common.format = tl_str(u->format);
    u->sender = sender_new(&options, err);
    return u->sender ? 0 : -1;
}

/* Queued, and so without what a sender needs: it is asked for once more when its turn has come. */
static int begin_queued(struct upload *u, struct session_request *request, enum session_kind *kind,
                        struct tl_error *err)
{
    int64_t since = 0; /* when it was asked for in vain; 0: it was not */
    json_t *answer;

    while (is_queued(u) || since) {
        if (await_turn(u, err))
            return -1;
        if (session_again(u->coordinator, request, kind, &answer, err) == 0) {
            json_decref(u->last);
            u->last = answer;
            u->told = tl_clock_ms();
            since = 0;
            continue;
        }
        since = since ? since : tl_clock_ms();
        if (again_later(u, since, err))
            return -1;
    }
    return check_state(u, err);
}

static int begin(struct upload *u, enum session_kind *kind, struct tl_error *err)
{
    struct session_request request = {
        .options = u->o,
        .sources = &u->sources,
        .format = u->format,
        .columns = splitter_columns(u->splitter),
    };

    if (session_begin(u->coordinator, &request, kind, &u->last, err))
        return -1;
    u->told = tl_clock_ms();
    if (!tl_str_copy(tl_str(upload_text(u->last, "upload")), u->id, sizeof u->id))
        return tl_fail(err, TL_E_CORRUPT, "the coordinator gives an upload an id that is too long");
    if (is_queued(u) && begin_queued(u, &request, kind, err))
        return -1;
    if (*kind == SESSION_ENDED || *kind == SESSION_SENT)
        return 0;
    if (read_session(u, u->last, err) || make_sender(u, err))
        return -1;
    sender_set_rate(u->sender, upload_number(u->last, "bytes_per_second", 0));
    return 0;
}

/* ------------------------------------------------------------------ send, end */

static int send_all(struct upload *u, struct tl_error *err)
{
    TL_FAILPOINT(SEND_BEFORE_FIRST);
    for (u->at = 0; u->at < u->sources.n; u->at++) {
        u->file_begun = false;
        if (splitter_run(u->splitter, u->sources.item[u->at].source, err))
            return -1;
    }
    if (sender_flush(u->sender, err))
        return -1;
    TL_FAILPOINT(SEND_BEFORE_END);
    for (int32_t p = 0; p < u->partitions; p++)
        if (sender_end(u->sender, p, splitter_batches(u->splitter, p), splitter_rows(u->splitter, p), err))
            return -1;
    if (sender_flush(u->sender, err))
        return -1;
    TL_FAILPOINT(SEND_AFTER_END);
    return 0;
}

static int tell_sent(struct upload *u, struct tl_error *err)
{
    struct split_totals totals = splitter_totals(u->splitter);
    json_t *change = json_pack("{s:s, s:I, s:I}", "state", "processing", "rows_read", (json_int_t)totals.rows,
                               "bytes_sent", (json_int_t)totals.bytes);
    struct tl_error lost;
    json_t *answer;

    if (!change)
        return tl_fail_nomem(err);
    /* All that matters is in Kafka: a coordinator that can't take this in learns of the end from there. */
    if (coordinator_upload_patch(u->coordinator, u->id, change, &answer, &lost) == 0) {
        json_decref(u->last);
        u->last = answer;
    }
    json_decref(change);
    return 0;
}

/* The upload can't go on: the coordinator is told, so that it ends instead of waiting for more. */
static void tell_failed(struct upload *u, const struct tl_error *why)
{
    json_t *change = json_pack("{s:s, s:s}", "state", "failed", "reason", why->text);
    struct tl_error err;

    if (change && coordinator_upload_patch(u->coordinator, u->id, change, NULL, &err))
        upload_ui_warn(u->ui, "the coordinator could not be told that upload %s failed: %s", u->id, err.text);
    json_decref(change);
}

/* A signal cuts the connection for good: what is still to be told needs another one. */
static void reconnect(struct upload *u)
{
    struct tl_error err;
    struct coordinator *c = coordinator_open(u->ui->cli->settings, &err);

    if (!c)
        return;
    interrupt_on(u->ui->interrupt, NULL, NULL);
    coordinator_close(u->coordinator);
    u->coordinator = c;
    history_init(&u->history, c, u->o->table);
}

/*
 * Whether the same command can go on with the upload later: nothing about the file or the request was wrong.
 */
static bool can_go_on(const struct upload *u, const struct tl_error *err)
{
    return !u->sources.trickle && (err->code == TL_E_INTERRUPTED || tl_error_retriable(err));
}

static int ended_early(struct upload *u, struct tl_error *err)
{
    int number = interrupt_signal(u->ui->interrupt);

    if (u->last && outcome_final(u->last))
        return upload_ui_finished(u->ui, u->last, err);
    if (number)
        tl_fail(err, TL_E_INTERRUPTED, "interrupted");
    if (can_go_on(u, err)) {
        upload_ui_warn(u->ui, "%s; %s: go on with 'tload resume %s'", err->text,
                       is_queued(u) ? "its place is kept" : "what was sent is not lost", u->id);
        return number         ? interrupt_exit_code(number)
               : u->timed_out ? EXIT_TIMED_OUT
                              : tl_error_exit_code(TL_E_UNAVAILABLE);
    }
    if (number)
        reconnect(u);
    tell_failed(u, err);
    if (!number)
        return -1;
    upload_ui_warn(u->ui, "interrupted; upload %s has ended, the rows that were sent are applied", u->id);
    return interrupt_exit_code(number);
}

static int finish(struct upload *u, struct tl_error *err)
{
    if (u->o->detach)
        return upload_ui_detached(u->ui, u->last, err) ? -1 : EXIT_DONE;
    return upload_ui_watch(u->ui, u->coordinator, u->id, u->last,
                           u->o->timeout_ms < 0 ? -1 : TL_MAX(u->o->timeout_ms - u->queued_ms, (int64_t)0),
                           err);
}

static int run(struct upload *u, struct tl_error *err)
{
    enum session_kind kind;

    if (look(u, err) || begin(u, &kind, err)) {
        int number = interrupt_signal(u->ui->interrupt);

        if (u->id[0] && (number || is_queued(u) || u->queued_ms || (u->last && outcome_final(u->last))))
            return ended_early(u, err);
        if (!number)
            return -1;
        upload_ui_warn(u->ui, "interrupted; nothing was sent");
        return interrupt_exit_code(number);
    }
    switch (kind) {
    case SESSION_ENDED:
        upload_ui_note(u->ui, "upload %s of this file has ended already: nothing is sent", u->id);
        return upload_ui_finished(u->ui, u->last, err);
    case SESSION_SENT:
        upload_ui_note(u->ui, "upload %s is all sent already", u->id);
        return finish(u, err);
    case SESSION_RESUMED:
        upload_ui_note(u->ui, "going on with upload %s", u->id);
        break;
    case SESSION_NEW:
        if (u->sources.trickle)
            upload_ui_note(u->ui, "reading from standard input: this upload (%s) can't be resumed", u->id);
        break;
    }
    if (send_all(u, err) || tell_sent(u, err))
        return ended_early(u, err);
    return finish(u, err);
}

int upload_run(const struct upload_options *options, struct upload_ui *ui, struct tl_error *err)
{
    struct upload u = {.o = options, .ui = ui};
    int rc = -1;

    tl_log_init(&u.log, STDERR_FILENO, TL_LOG_ERROR);
    tl_kafka_conf_init(&u.kafka);
    tl_dialect_format(&options->dialect, u.format);
    if (sources_open(&u.sources, options->files, options->nfiles, err) == 0) {
        u.coordinator = coordinator_open(ui->cli->settings, err);
        if (u.coordinator) {
            history_init(&u.history, u.coordinator, options->table);
            interrupt_on(ui->interrupt, coordinator_interrupt, u.coordinator);
            rc = options->dry_run ? dryrun(options, ui, u.coordinator, &u.sources, err) : run(&u, err);
            interrupt_on(ui->interrupt, NULL, NULL);
        }
    }
    sender_free(u.sender);
    splitter_free(u.splitter);
    coordinator_close(u.coordinator);
    sources_close(&u.sources);
    tl_schema_free(u.schema);
    tl_kafka_conf_release(&u.kafka);
    json_decref(u.last);
    free(u.topic);
    free(u.compression);
    free(u.skip);
    return rc;
}

int upload_command(struct cli *cli, const struct upload_options *options, struct tl_error *err)
{
    struct interrupt *interrupt = interrupt_start(err);
    struct upload_ui ui;
    int rc = -1;

    if (!interrupt)
        return -1;
    if (upload_ui_init(&ui, cli, interrupt, err) == 0) {
        rc = upload_run(options, &ui, err);
        upload_ui_release(&ui);
    }
    interrupt_stop(interrupt);
    return rc;
}
