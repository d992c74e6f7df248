/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Control: what the HTTP API does, without HTTP. Answers are JSON as the API has it.
 *
 * Threads: any number of HTTP threads call the functions below. Threads of control's own: for each cluster its keeper
 * (keeper.c), which alone talks to that Kafka, so that one that is out of reach holds up its own tenants only; and the
 * tracker (tracker.c), which alone reads the ledgers for progress. Names come unchecked; what fails its whitelist is
 * TL_E_NOT_FOUND, as what is not there, but for the name of what is to be made: TL_E_REFUSED.
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
    /* Which sink and which error store a URL means; NULL with TL_E_REFUSED. */
    const struct sink_ops *(*sink_for)(const char *url, struct tl_error *err);
    const struct errstore_ops *(*errstore_for)(const char *url, struct tl_error *err);
};

/* Opens the metadata in <state>/control.db and starts the threads. Kafka and the sink may be out of reach. */
struct control *control_start(const struct control_options *options, struct tl_error *err);
/* Wakes everybody who waits; from now on nothing new is begun (TL_E_UNAVAILABLE). Any thread. */
void control_stop(struct control *c);
bool control_stopping(struct control *c);
/* Nobody else may be in a call. NULL is fine. */
void control_free(struct control *c);

/* --- health --- */

/* "ok", or why Kafka can't be used; of the first such cluster when there are several, and which one it is. */
void control_kafka_state(struct control *c, char *out, size_t size);

/* --- clusters --- */

/* Each: {"cluster", "configured", "kafka" (without secrets), "max_partitions", "reserved", "free", "used": {"ours",
 * "foreign"} or null, "brokers", "tenants", "draining", "waiting", "kafka_id", "created_at", "created_by"}. */
int control_clusters(struct control *c, int limit, const char *cursor, json_t **answer,
                     struct tl_error *err) TL_MUST_CHECK;
/* Looks at the cluster first, if that takes no longer than a moment. */
int control_cluster(struct control *c, const char *cluster, json_t **answer,
                    struct tl_error *err) TL_MUST_CHECK;
/*
 * request: {"cluster", "kafka": properties, "max_partitions"}. TL_E_REFUSED when it can't be reached within some seconds,
 * or is one that is known already under another name.
 */
int control_cluster_add(struct control *c, const json_t *request, const char *who, json_t **answer,
                        struct tl_error *err) TL_MUST_CHECK;
/* request: {"draining", "max_partitions", "kafka"}; what is not in it stays. */
int control_cluster_patch(struct control *c, const char *cluster, const json_t *request, json_t **answer,
                          struct tl_error *err) TL_MUST_CHECK;
/* TL_E_CONFLICT while tenants live there. */
int control_cluster_remove(struct control *c, const char *cluster, struct tl_error *err) TL_MUST_CHECK;

/* --- tenants --- */

/*
 * TL_E_NOT_FOUND, in the words that are used of every tenant that is not there: one that is not the asker's must not
 * be told from it.
 */
int control_no_tenant(struct tl_error *err) TL_COLD;
int control_tenants(struct control *c, int limit, const char *cursor, json_t **answer,
                    struct tl_error *err) TL_MUST_CHECK;
/*
 * For the roles: all that it takes to reach Kafka, sink and error store, of the tenants that have changed since the
 * "change" that was seen in this "life" of control, those that are being removed too; or, with "all", of all that there
 * are. Waits up to wait_ms for something to change. "active": it has unfinished uploads, or moves; "stirred" differs when
 * something else is written.
 */
int control_roles_tenants(struct control *c, int limit, const char *cursor, int wait_ms, int64_t life,
                          int64_t seen, json_t **answer, struct tl_error *err) TL_MUST_CHECK;
/* admin: also of one that is being removed. */
int control_tenant(struct control *c, const char *tenant, bool admin, json_t **answer,
                   struct tl_error *err) TL_MUST_CHECK;
/*
 * request: {"tenant", "partitions", "cluster", "sink", "errors", "max_uploads", "max_bytes_per_second"}, all but the first
 * may be missing. Its partitions are reserved, durably, when this returns; it waits for its topics, but not for long.
 */
int control_tenant_create(struct control *c, const json_t *request, const char *who, json_t **answer,
                          struct tl_error *err) TL_MUST_CHECK;
/* request: {"max_uploads", "max_bytes_per_second"}; what is not in it stays. */
int control_tenant_patch(struct control *c, const char *tenant, const json_t *request, json_t **answer,
                         struct tl_error *err) TL_MUST_CHECK;
/* To the cluster that the request names; returns when that is stored. TL_E_REFUSED when there is no room. */
int control_tenant_move(struct control *c, const char *tenant, const json_t *request, json_t **answer,
                        struct tl_error *err) TL_MUST_CHECK;
/* Takes a move back, unless it is done. */
int control_tenant_stay(struct control *c, const char *tenant, json_t **answer,
                        struct tl_error *err) TL_MUST_CHECK;
/*
 * From then on it is not there for anybody; its unfinished uploads end as failed, its topics are deleted, and then what
 * is known of it. Its data in the sink stays. Waits for that; TL_E_UNAVAILABLE when it takes longer: it goes on.
 */
int control_tenant_remove(struct control *c, const char *tenant, struct tl_error *err) TL_MUST_CHECK;

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

int control_upload_create(struct control *c, const char *tenant, const json_t *request, const char *who,
                          json_t **answer, struct tl_error *err) TL_MUST_CHECK;
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
