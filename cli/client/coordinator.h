/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The coordinator's HTTP API, one function a request, for the tenant of the settings. Objects are JSON as
 * the API has them; `*out` is a new reference. One thread, but for coordinator_interrupt.
 */
#ifndef CLI_CLIENT_COORDINATOR_H
#define CLI_CLIENT_COORDINATOR_H

#include <jansson.h>

#include "cli/settings.h"

struct coordinator;

/* Nothing is connected yet. settings are borrowed. NULL with *err. */
struct coordinator *coordinator_open(const struct settings *settings, struct tl_error *err);
void coordinator_close(struct coordinator *c); /* NULL is fine */
/*
 * The call in progress and all later ones fail with TL_E_INTERRUPTED. Any thread; takes the coordinator as
 * void * for interrupt_on.
 */
void coordinator_interrupt(void *c);

const char *coordinator_url(const struct coordinator *c);
const char *coordinator_tenant(const struct coordinator *c);

/* Whether the last request was answered, be it with an error: one that was not may have been obeyed all the same. */
bool coordinator_answered(const struct coordinator *c);

/* {"status", "kafka"} of /readyz; a coordinator that is shutting down gives TL_E_UNAVAILABLE. */
int coordinator_ready(struct coordinator *c, json_t **out, struct tl_error *err) TL_MUST_CHECK;
int coordinator_tenant_get(struct coordinator *c, json_t **out, struct tl_error *err) TL_MUST_CHECK;

/* version 0: the current one. */
int coordinator_table_get(struct coordinator *c, const char *name, int64_t version, json_t **out,
                          struct tl_error *err) TL_MUST_CHECK;
/* The definition of a table in the sink's database that tload did not make, with "notes". */
int coordinator_table_foreign(struct coordinator *c, const char *name, json_t **out,
                              struct tl_error *err) TL_MUST_CHECK;
int coordinator_table_define(struct coordinator *c, const json_t *table, json_t **out,
                             struct tl_error *err) TL_MUST_CHECK;
/* request: {"changes" (shared/schema/evolve.h), "if_version", "dry_run"}. */
int coordinator_table_alter(struct coordinator *c, const char *name, const json_t *request, json_t **out,
                            struct tl_error *err) TL_MUST_CHECK;
int coordinator_table_drop(struct coordinator *c, const char *name, struct tl_error *err) TL_MUST_CHECK;

/* What coordinator_tables and _uploads call for each object (borrowed); 0, or -1 with *err to stop. */
typedef int coordinator_each(void *app, const json_t *object, struct tl_error *err);
/* Page by page, never all in memory. */
int coordinator_tables(struct coordinator *c, coordinator_each *each, void *app,
                       struct tl_error *err) TL_MUST_CHECK;
/* The versions of a table, from the first on. */
int coordinator_versions(struct coordinator *c, const char *name, coordinator_each *each, void *app,
                         struct tl_error *err) TL_MUST_CHECK;
/* Newest first; table and state may be NULL. */
int coordinator_uploads(struct coordinator *c, const char *table, const char *state, coordinator_each *each,
                        void *app, struct tl_error *err) TL_MUST_CHECK;

/*
 * What the functions above are made of, for those in files of their own (admin.c). An answer that is not an object is
 * none; out may be NULL.
 */
int coordinator_call(struct coordinator *c, const char *method, const char *path, const json_t *body, int ms,
                     json_t **out, struct tl_error *err) TL_MUST_CHECK;
/* The objects of the list that is called `member`, page by page; path may have a query. */
int coordinator_pages(struct coordinator *c, const char *path, const char *member, coordinator_each *each,
                      void *app, struct tl_error *err) TL_MUST_CHECK;

int coordinator_upload_create(struct coordinator *c, const json_t *upload, json_t **out,
                              struct tl_error *err) TL_MUST_CHECK;
/*
 * What a sender that goes on with an upload needs, as coordinator_upload_create gives it. request: {"table",
 * "files", "dialect", "header"}. TL_E_NOT_FOUND: no such upload; TL_E_CONFLICT: it is not the same content,
 * or can't be resumed.
 */
int coordinator_upload_resume(struct coordinator *c, const char *id, const json_t *request, json_t **out,
                              struct tl_error *err) TL_MUST_CHECK;
/* Where an upload came from: {"table", "files", "dialect", "options", "resumable"}. */
int coordinator_upload_source(struct coordinator *c, const char *id, json_t **out,
                              struct tl_error *err) TL_MUST_CHECK;
/*
 * {"upload"}: one of the same files into the same table that is done or not finished, or null. request:
 * {"table", "files"}.
 */
int coordinator_loaded(struct coordinator *c, const json_t *request, json_t **out,
                       struct tl_error *err) TL_MUST_CHECK;
/* change: "rows_read", "bytes_sent", "state", "reason". out may be NULL. */
int coordinator_upload_patch(struct coordinator *c, const char *id, const json_t *change, json_t **out,
                             struct tl_error *err) TL_MUST_CHECK;
/*
 * wait_ms > 0: answers when "change" is no longer `seen`, or the state is final, or the time (at most
 * 30,000) is over.
 */
int coordinator_upload_get(struct coordinator *c, const char *id, int wait_ms, int64_t seen, json_t **out,
                           struct tl_error *err) TL_MUST_CHECK;
/* The rejected rows' bytes as they come: "jsonl" or "csv". limit 0: all. */
int coordinator_upload_errors(struct coordinator *c, const char *id, const char *format, int64_t limit,
                              int (*sink)(void *app, const char *bytes, size_t n, struct tl_error *err),
                              void *app, struct tl_error *err) TL_MUST_CHECK;

#endif
