/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Control: what the HTTP API does, without HTTP. Answers are JSON as the API has it.
 *
 * Threads: any number of HTTP threads call the functions below. Two threads of control's own: the keeper
 * (keeper.c) alone talks to Kafka, the tracker (tracker.c) alone reads the ledger for progress. Names come
 * unchecked; what fails its whitelist is TL_E_NOT_FOUND, as what is not there.
 */
#ifndef COORDINATORD_CONTROL_CONTROL_H
#define COORDINATORD_CONTROL_CONTROL_H

#include <jansson.h>

#include "coordinatord/config.h"
#include "coordinatord/control/broker.h"
#include "coordinatord/errors/errstore.h"
#include "coordinatord/sinks/sink.h"

struct control;

struct control_options {
    const struct config *config; /* borrowed until control_free */
    struct tl_log *log;
    const struct broker_ops *broker;
    const struct sink_ops *sink;
    const struct errstore_ops *errstore;
};

/* Opens the metadata in <state>/control.db and starts the threads. Kafka and the sink may be out of reach. */
struct control *control_start(const struct control_options *options, struct tl_error *err);
/* Wakes everybody who waits; from now on nothing new is begun (TL_E_UNAVAILABLE). Any thread. */
void control_stop(struct control *c);
bool control_stopping(struct control *c);
/* Nobody else may be in a call. NULL is fine. */
void control_free(struct control *c);

/* --- health --- */

/* "ok", or why Kafka can't be used. */
void control_kafka_state(struct control *c, char *out, size_t size);

/* --- tenants --- */

/* With `secrets` all that it takes to reach Kafka, sink and error store; else these are blotted out. */
int control_tenants(struct control *c, bool secrets, int limit, const char *cursor, json_t **answer,
                    struct tl_error *err) TL_MUST_CHECK;
int control_tenant(struct control *c, const char *tenant, json_t **answer,
                   struct tl_error *err) TL_MUST_CHECK;

/* --- tables --- */

struct table_answer {
    json_t *json;
    int64_t table_id;
    int32_t version;
    bool created;
};

int control_tables(struct control *c, const char *tenant, int limit, const char *cursor, json_t **answer,
                   struct tl_error *err) TL_MUST_CHECK;
int control_table(struct control *c, const char *tenant, const char *table, struct table_answer *answer,
                  struct tl_error *err) TL_MUST_CHECK;
/* The schema alone, as the roles read it. table_id 0: of the table that has the name now. */
int control_version(struct control *c, const char *tenant, const char *table, int64_t table_id,
                    int32_t version, struct table_answer *answer, struct tl_error *err) TL_MUST_CHECK;
/* The versions from the first on, each with its state, who asked for it and when, and what it changed. */
int control_versions(struct control *c, const char *tenant, const char *table, int limit, const char *cursor,
                     json_t **answer, struct tl_error *err) TL_MUST_CHECK;

/* Whether the table, as it is now, is the one that the client means. */
struct table_match {
    bool (*matches)(void *app, int64_t table_id, int32_t version);
    void *app;
    bool mismatch; /* set when a call failed for that */
};

/*
 * Makes the next version. request: {"changes" (shared/schema/evolve.h), "if_version", "dry_run"}. Waits as
 * control_define. With dry_run nothing is made: the answer is what it would be, and the uploads under way.
 */
int control_alter(struct control *c, const char *tenant, const char *table, const json_t *request,
                  const char *who, struct table_match *match, struct table_answer *answer,
                  struct tl_error *err) TL_MUST_CHECK;
/*
 * request: {"table", "columns", "key", "adopt"}. With adopt the table is in the sink's database already and is taken
 * over when it is like this; TL_E_CONFLICT says what differs.
 *
 * Waits until Kafka has it; TL_E_UNAVAILABLE when it does not yet: the version stays pending and is finished
 * later.
 */
int control_define(struct control *c, const char *tenant, const json_t *request, const char *who,
                   struct table_answer *answer, struct tl_error *err) TL_MUST_CHECK;
/* The definition of a table in the sink's database that is not ours, {"table", "columns", "key", "notes"}. */
int control_foreign(struct control *c, const char *tenant, const char *table, json_t **answer,
                    struct tl_error *err) TL_MUST_CHECK;
/* Uploads into it that are not finished end as failed. */
int control_drop(struct control *c, const char *tenant, const char *table, const char *who,
                 struct table_match *match, struct tl_error *err) TL_MUST_CHECK;

/* --- uploads --- */

int control_upload_create(struct control *c, const char *tenant, const json_t *request, json_t **answer,
                          struct tl_error *err) TL_MUST_CHECK;
struct upload_query {
    const char *table;  /* NULL: any */
    const char *state;  /* NULL: any */
    const char *cursor; /* NULL: from the newest */
    int limit;
};
int control_uploads(struct control *c, const char *tenant, const struct upload_query *query, json_t **answer,
                    struct tl_error *err) TL_MUST_CHECK;
/* Waits up to wait_ms for "change" to differ from seen, or for a final state. */
int control_upload(struct control *c, const char *tenant, const char *id, int wait_ms, int64_t seen,
                   json_t **answer, struct tl_error *err) TL_MUST_CHECK;
/*
 * What a sender that goes on needs: the upload's object and what control_upload_create gives beside it.
 * request: {"table","files","dialect","header"} as at the start; TL_E_CONFLICT, saying what differs, when
 * they are not the same. A final upload is no failure: its object says so.
 */
int control_upload_resume(struct control *c, const char *tenant, const char *id, const json_t *request,
                          json_t **answer, struct tl_error *err) TL_MUST_CHECK;
/* {"table","files","dialect","options"}: where an upload came from, for a client that is to resume it. */
int control_upload_source(struct control *c, const char *tenant, const char *id, json_t **answer,
                          struct tl_error *err) TL_MUST_CHECK;
/*
 * Whether these files are in the table already: {"upload": its object or null}, one that is done, else one
 * that is not finished. request: {"table","files"}.
 */
int control_upload_loaded(struct control *c, const char *tenant, const json_t *request, json_t **answer,
                          struct tl_error *err) TL_MUST_CHECK;
int control_upload_patch(struct control *c, const char *tenant, const char *id, const json_t *request,
                         json_t **answer, struct tl_error *err) TL_MUST_CHECK;

/* --- rejected rows --- */

enum rejected_form { REJECTED_JSONL, REJECTED_CSV };
struct rejected_reader;

/* limit below 0: all. One thread at a time. */
struct rejected_reader *control_rejected_open(struct control *c, const char *tenant, const char *id,
                                              enum rejected_form form, int64_t limit, struct tl_error *err);
/* Appends the next piece: 1, or 0 at the end. */
int rejected_reader_next(struct rejected_reader *r, struct tl_buf *out, struct tl_error *err) TL_MUST_CHECK;
void rejected_reader_free(struct rejected_reader *r); /* NULL is fine */

/* --- roles --- */

int control_waiting(struct control *c, const json_t *request, struct tl_error *err) TL_MUST_CHECK;

#endif
