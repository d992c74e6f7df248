/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/client/outcome.h"
#include "cli/upload/dryrun.h"
#include "cli/upload/session.h"
#include "cli/upload/upload_impl.h"
#include "shared/base/clock.h"
#include "shared/base/failpoint.h"

/* Called all the time, from the sender and from the splitter. */
static int tick(void *app, struct tl_error *err)
{
    struct upload *u = app;

    if (interrupt_signal(u->ui->interrupt))
        return tl_fail(err, TL_E_INTERRUPTED, "interrupted");
    if (u->id[0])
        tell_show(u);
    if (u->sender && tl_clock_ms() - u->told >= UPLOAD_TELL_EVERY_MS)
        return tell_progress(u, err);
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
    u->epoch = upload_number(session, "epoch", 1);
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

    while (tell_is_queued(u) || since) {
        if (tell_await_turn(u, err))
            return -1;
        if (session_again(u->coordinator, request, kind, &answer, err) == 0) {
            json_decref(u->last);
            u->last = answer;
            u->told = tl_clock_ms();
            since = 0;
            continue;
        }
        since = since ? since : tl_clock_ms();
        if (tell_again_later(u, since, err))
            return -1;
    }
    return tell_check_state(u, err);
}

/* Makes what it takes to send, of the session that there is. */
static int begin_sending(struct upload *u, struct session_request *request, enum session_kind *kind,
                         struct tl_error *err)
{
    if (tell_is_queued(u) && begin_queued(u, request, kind, err))
        return -1;
    if (*kind == SESSION_ENDED || *kind == SESSION_SENT)
        return 0;
    if (read_session(u, u->last, err) || make_sender(u, err))
        return -1;
    sender_set_rate(u->sender, upload_number(u->last, "bytes_per_second", 0));
    return 0;
}

static struct session_request request_of(const struct upload *u)
{
    return (struct session_request){
        .options = u->o,
        .sources = &u->sources,
        .format = u->format,
        .columns = splitter_columns(u->splitter),
    };
}

/*
 * The coordinator answered a moment ago. If it is away now it may have made the upload before, so it is asked again, by
 * the same request, and does not make it twice.
 */
static int ask_to_begin(struct upload *u, struct session_request *request, enum session_kind *kind,
                        struct tl_error *err)
{
    int64_t since = tl_clock_ms();

    for (bool first = true; session_begin(u->coordinator, request, kind, &u->last, err); first = false) {
        if (coordinator_answered(u->coordinator) || tell_again_later(u, since, err))
            return -1;
        if (first)
            upload_ui_warn(u->ui, "%s; it is asked again", err->text);
    }
    return 0;
}

static int begin(struct upload *u, enum session_kind *kind, struct tl_error *err)
{
    struct session_request request = request_of(u);

    if (ask_to_begin(u, &request, kind, err))
        return -1;
    u->told = tl_clock_ms();
    if (!tl_str_copy(tl_str(upload_text(u->last, "upload")), u->id, sizeof u->id))
        return tl_fail(err, TL_E_CORRUPT, "the coordinator gives an upload an id that is too long");
    return begin_sending(u, &request, kind, err);
}

static void end_session(struct upload *u)
{
    sender_free(u->sender);
    u->sender = NULL;
    free(u->topic);
    free(u->compression);
    free(u->skip);
    u->topic = u->compression = NULL;
    u->skip = NULL;
    tl_kafka_conf_release(&u->kafka);
    tl_kafka_conf_init(&u->kafka);
}

/* The topic is another one: from the start of the files, behind what the ledger has, as a resume. */
static int begin_anew(struct upload *u, enum session_kind *kind, struct tl_error *err)
{
    struct session_request request;
    json_t *answer;

    u->moved = false;
    end_session(u);
    sources_close(&u->sources);
    u->sources = (struct sources){0};
    if (sources_open(&u->sources, u->o->files, u->o->nfiles, err) || make_splitter(u, err))
        return -1;
    request = request_of(u);
    snprintf(request.id, sizeof request.id, "%s", u->id);
    *kind = SESSION_RESUMED;
    if (session_again(u->coordinator, &request, kind, &answer, err))
        return -1;
    json_decref(u->last);
    u->last = answer;
    u->told = tl_clock_ms();
    return begin_sending(u, &request, kind, err);
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
                       tell_is_queued(u) ? "its place is kept" : "what was sent is not lost", u->id);
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

        if (u->id[0] && (number || tell_is_queued(u) || u->queued_ms || (u->last && outcome_final(u->last))))
            return ended_early(u, err);
        if (!number)
            return -1;
        upload_ui_warn(u->ui, "interrupted; nothing was sent");
        return interrupt_exit_code(number);
    }
    if (kind == SESSION_RESUMED)
        upload_ui_note(u->ui, "going on with upload %s", u->id);
    if (kind == SESSION_NEW && u->sources.trickle)
        upload_ui_note(u->ui, "reading from standard input: this upload (%s) can't be resumed", u->id);
    while (kind == SESSION_NEW || kind == SESSION_RESUMED) {
        if (send_all(u, err) == 0 && tell_sent(u, err) == 0)
            return finish(u, err);
        if (!u->moved || begin_anew(u, &kind, err))
            return ended_early(u, err);
        upload_ui_note(u->ui, "the tenant lives on another cluster now: going on with upload %s there",
                       u->id);
    }
    if (kind == SESSION_ENDED) {
        upload_ui_note(u->ui, "upload %s of this file has ended already: nothing is sent", u->id);
        return upload_ui_finished(u->ui, u->last, err);
    }
    upload_ui_note(u->ui, "upload %s is all sent already", u->id);
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
    end_session(&u);
    splitter_free(u.splitter);
    coordinator_close(u.coordinator);
    sources_close(&u.sources);
    tl_schema_free(u.schema);
    json_decref(u.last);
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
