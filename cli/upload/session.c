/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/upload/session.h"

#include <stdio.h>
#include <stdlib.h>

#include "cli/client/outcome.h"
#include "shared/base/clock.h"
#include "shared/wire/upload_id.h"

static json_t *describe_max_errors(const struct max_errors *m)
{
    switch (m->kind) {
    case MAX_ERRORS_ROWS:
        return json_pack("{s:I}", "rows", (json_int_t)m->rows);
    case MAX_ERRORS_PERCENT:
        return json_pack("{s:f}", "percent", m->percent);
    case MAX_ERRORS_NONE:
        break;
    }
    return json_null();
}

/* The names of the columns as a first line, for rejected records that are given back. */
static json_t *describe_header(const struct session_request *r)
{
    char *line = strdup(r->columns);
    json_t *json;

    for (char *c = line; c && *c; c++)
        if (*c == ',')
            *c = r->options->dialect.delimiter;
    json = line && *line ? json_string(line) : json_null();
    free(line);
    return json;
}

/*
 * What makes the same batches of the same files again; and a number that tells this attempt to make the upload
 * from all others, so that it may be asked for twice when an answer is lost.
 */
static json_t *describe_options(const struct upload_options *o, const char *attempt)
{
    static const char *const headers[] = {
        [HEADER_MATCH] = "match", [HEADER_SKIP] = "skip", [HEADER_NONE] = "none"};
    json_t *map = json_array();

    for (size_t i = 0; i < o->nmap; i++)
        if (json_array_append_new(map, json_string(o->map[i]))) {
            json_decref(map);
            return NULL;
        }
    return json_pack("{s:s, s:s?, s:o, s:s}", "header", headers[o->header], "columns", o->columns, "map", map,
                     "attempt", attempt);
}

/* What identifies the content; the rest is only said when an upload is made. */
static json_t *describe_same(const struct session_request *r)
{
    return json_pack("{s:s, s:o, s:s, s:o}", "table", r->options->table, "files", sources_to_json(r->sources),
                     "dialect", r->format, "header", describe_header(r));
}

static json_t *describe_new(const struct session_request *r, const char *id, const char *attempt)
{
    json_t *bytes = r->sources->bytes < 0 ? json_null() : json_integer(r->sources->bytes);
    json_t *request = describe_same(r);
    json_t *more = json_pack("{s:o, s:b, s:i, s:o, s:o, s:s}", "bytes_total", bytes, "resumable",
                             !r->sources->trickle, "batch_bytes", (int)UPLOAD_BATCH_BYTES, "max_errors",
                             describe_max_errors(&r->options->max_errors), "options",
                             describe_options(r->options, attempt), "upload", id);

    if (!request || !more || json_object_update(request, more)) {
        json_decref(request);
        request = NULL;
    }
    json_decref(more);
    return request;
}

/* ------------------------------------------------------------------ asking */

static enum session_kind kind_of(const json_t *upload)
{
    if (outcome_final(upload))
        return SESSION_ENDED;
    return strcmp(upload_text(upload, "state"), "processing") == 0 ? SESSION_SENT : SESSION_RESUMED;
}

static int resume(struct coordinator *c, struct session_request *r, const char *id, enum session_kind *kind,
                  json_t **answer, struct tl_error *err)
{
    json_t *request = describe_same(r);
    int rc = request ? coordinator_upload_resume(c, id, request, answer, err) : tl_fail_nomem(err);

    json_decref(request);
    if (!rc) {
        *kind = kind_of(*answer);
        snprintf(r->id, sizeof r->id, "%s", upload_text(*answer, "upload"));
    }
    return rc;
}

/* {"upload"}, a new reference: one of the same files, or null. */
static int ask_loaded(struct coordinator *c, const char *table, const struct sources *sources, json_t **found,
                      struct tl_error *err)
{
    json_t *request = json_pack("{s:s, s:o}", "table", table, "files", sources_to_json(sources));
    int rc = request ? coordinator_loaded(c, request, found, err) : tl_fail_nomem(err);

    json_decref(request);
    return rc;
}

/* The upload that session_begin will find, if there is one: 1, or 0. */
static int find_begun(struct coordinator *c, const struct upload_options *o, const struct sources *sources,
                      json_t **upload, struct tl_error *err)
{
    json_t *found = NULL;

    *upload = NULL;
    if (o->once) {
        if (ask_loaded(c, o->table, sources, &found, err))
            return -1;
        if (json_is_object(json_object_get(found, "upload")))
            *upload = json_incref(json_object_get(found, "upload"));
        json_decref(found);
    }
    if (!*upload && o->id && coordinator_upload_get(c, o->id, 0, 0, upload, err))
        return err->code == TL_E_NOT_FOUND ? 0 : -1;
    return *upload != NULL;
}

int session_schema(struct coordinator *c, const struct upload_options *options, const struct sources *sources,
                   json_t **schema, struct tl_error *err)
{
    json_t *upload;
    int begun = find_begun(c, options, sources, &upload, err);
    bool same;

    if (begun < 0)
        return -1;
    if (begun &&
        coordinator_table_get(c, options->table, upload_number(upload, "version", 0), schema, err) == 0) {
        same = upload_number(upload, "table_id", 0) == upload_number(*schema, "table_id", -1);
        json_decref(upload);
        if (same)
            return 0;
        json_decref(*schema);
    } else {
        json_decref(upload);
    }
    return coordinator_table_get(c, options->table, 0, schema, err);
}

/* An upload of the same files: 1 and it is taken, 0 when there is none. */
static int find_loaded(struct coordinator *c, struct session_request *r, enum session_kind *kind,
                       json_t **answer, struct tl_error *err)
{
    json_t *found = NULL, *upload;
    int rc = 0;

    if (ask_loaded(c, r->options->table, r->sources, &found, err))
        return -1;
    upload = json_object_get(found, "upload");
    if (json_is_object(upload) && outcome_final(upload)) {
        *kind = SESSION_ENDED;
        *answer = json_incref(upload);
        rc = 1;
    } else if (json_is_object(upload)) {
        rc = resume(c, r, upload_text(upload, "upload"), kind, answer, err) ? -1 : 1;
    }
    json_decref(found);
    return rc;
}

static int create(struct coordinator *c, struct session_request *r, enum session_kind *kind, json_t **answer,
                  struct tl_error *err)
{
    json_t *request;
    int rc;

    if (!r->attempt[0] && (tl_upload_id_make(tl_clock_wall_ms(), r->id, err) ||
                           tl_upload_id_make(tl_clock_wall_ms(), r->attempt, err)))
        return -1;
    request = describe_new(r, r->options->id ? r->options->id : r->id, r->attempt);
    rc = request ? coordinator_upload_create(c, request, answer, err) : tl_fail_nomem(err);

    json_decref(request);
    *kind = SESSION_NEW;
    return rc;
}

/* A new one, or one that somebody else has begun meanwhile. */
static int make(struct coordinator *c, struct session_request *r, enum session_kind *kind, json_t **answer,
                struct tl_error *err)
{
    if (create(c, r, kind, answer, err) == 0)
        return 0;
    return r->options->id && err->code == TL_E_CONFLICT && !r->sources->trickle
               ? resume(c, r, r->options->id, kind, answer, err)
               : -1;
}

int session_begin(struct coordinator *c, struct session_request *r, enum session_kind *kind, json_t **answer,
                  struct tl_error *err)
{
    if (r->attempt[0]) /* asked for in vain, and maybe made: what is looked for would be found */
        return make(c, r, kind, answer, err);
    if (r->options->once) {
        int found = find_loaded(c, r, kind, answer, err);

        if (found)
            return found < 0 ? -1 : 0;
    }
    if (r->options->id) {
        if (resume(c, r, r->options->id, kind, answer, err) == 0)
            return 0;
        if (err->code != TL_E_NOT_FOUND || r->options->resume)
            return -1;
    }
    return make(c, r, kind, answer, err);
}

int session_again(struct coordinator *c, struct session_request *r, enum session_kind *kind, json_t **answer,
                  struct tl_error *err)
{
    return *kind == SESSION_NEW ? create(c, r, kind, answer, err) : resume(c, r, r->id, kind, answer, err);
}
