/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What ties a sender to its upload: where it goes on, and whether it is still the same content.
 *
 *   resume    the same files, format and table? ──► schema version of then, topic, last numbers in the ledger
 *   loaded    (table, fingerprints) ──► an upload that is done, or one to go on with
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "coordinatord/control/request.h"
#include "shared/wire/dialect.h"

enum { SINK_PATIENCE_MS = 10000 }; /* a client waits thirty seconds for its answer */

/* What the ledger has of this id, for each partition. */
static json_t *last_seqs(struct control *c, const struct tenant *t, const char *id, struct tl_error *err)
{
    int32_t n = t->partitions;
    int64_t *seqs = calloc((size_t)n, sizeof *seqs);
    json_t *json = NULL;
    struct sink *sink;
    int rc = seqs ? 0 : tl_fail_nomem(err);

    if (rc == 0 && id) {
        sink = control_open_sink(c, t, SINK_PATIENCE_MS, err);
        if (sink)
            rc = t->sink_ops->last_seqs(sink, id, n, seqs, err);
        else
            rc = err->code == TL_E_NOT_FOUND ? 0 : -1;
        t->sink_ops->close(sink);
    }
    if (rc == 0) {
        json = json_array();
        for (int32_t i = 0; i < n && rc == 0; i++)
            rc = json_array_append_new(json, json_integer(seqs[i])) ? tl_fail_nomem(err) : 0;
    }
    free(seqs);
    if (rc == 0)
        return json;
    json_decref(json);
    return NULL;
}

int upload_session(struct control *c, const struct tenant *t, const char *id, json_t *schema, json_t *answer,
                   struct tl_error *err)
{
    json_t *seqs, *more;
    int rc;

    if (strcmp(json_string_value(json_object_get(answer, "state")), "queued") == 0)
        return 0;
    seqs = last_seqs(c, t, id, err);
    if (!seqs)
        return -1;
    control_lock(c);
    more = json_pack("{s:i, s:O, s:s, s:o, s:s, s:o}", "partitions", (int)t->partitions, "schema", schema,
                     "topic", t->topic[TL_TOPIC_RAW_INPUT], "kafka",
                     tl_kafka_conf_to_json(&t->cluster->kafka), "compression", c->options.config->compression,
                     "last_seqs", seqs);
    control_unlock(c);
    rc = more && json_object_update(answer, more) == 0 ? 0 : tl_fail_nomem(err);
    json_decref(more);
    return rc;
}

char *upload_content(const json_t *files)
{
    struct tl_buf b;
    json_t *file;
    size_t i;

    tl_buf_init(&b, 16 * 1024 * 1024);
    json_array_foreach(files, i, file)
    {
        const char *print = json_string_value(json_object_get(file, "fingerprint"));

        if (!print || !*print) {
            tl_buf_reset(&b);
            break;
        }
        if (tl_buf_append_z(&b, print) || tl_buf_append_char(&b, ' '))
            goto failed;
    }
    if (tl_buf_terminate(&b) == 0)
        return b.data;
failed:
    tl_buf_release(&b);
    return NULL;
}

/* --- resume --- */

static int changed(const char *id, const json_t *was, const json_t *is, struct tl_error *err)
{
    const char *name = json_string_value(json_object_get(is, "name"));
    const char *other = json_string_value(json_object_get(was, "name"));
    json_int_t before = json_integer_value(json_object_get(was, "bytes"));
    json_int_t now = json_integer_value(json_object_get(is, "bytes"));

    if (name && other && strcmp(basename(name), basename(other)) != 0)
        return tl_fail(err, TL_E_CONFLICT, "upload %s was made of %s, and %s is not the same", id, other,
                       name);
    if (before != now)
        return tl_fail(err, TL_E_CONFLICT,
                       "%s has changed since upload %s began: it had %lld bytes, and has %lld now",
                       name ? name : "?", id, (long long)before, (long long)now);
    return tl_fail(err, TL_E_CONFLICT,
                   "%s has changed since upload %s began (same size, other content or date)",
                   name ? name : "?", id);
}

static int same_files(const struct upload *u, const json_t *files, struct tl_error *err)
{
    json_t *before = json_loads(u->files, 0, NULL), *was;
    size_t i;
    int rc = 0;

    if (!before)
        return tl_fail(err, TL_E_CORRUPT, "the files of upload %s can't be read", u->id);
    if (json_array_size(before) != json_array_size(files))
        rc = tl_fail(err, TL_E_CONFLICT, "upload %s was made of %zu files, not %zu", u->id,
                     json_array_size(before), json_array_size(files));
    json_array_foreach(before, i, was)
    {
        const json_t *is = json_array_get(files, i);
        const json_t *print = json_object_get(is, "fingerprint");

        if (rc == 0 && !json_equal(json_object_get(was, "fingerprint"), print))
            rc = changed(u->id, was, is, err);
    }
    json_decref(before);
    return rc;
}

static int same_text(const char *id, const char *what, const char *was, const char *is, struct tl_error *err)
{
    if (strcmp(was ? was : "", is ? is : "") == 0)
        return 0;
    return tl_fail(err, TL_E_CONFLICT, "upload %s began with another %s (%s)", id, what, was ? was : "none");
}

static int same_upload(const struct upload *u, const json_t *request, struct tl_error *err)
{
    const char *table = NULL, *dialect = "csv", *header = NULL;

    if (request_members(request, "the upload", "table files dialect header", err) < 0 ||
        request_text(request, "table", 4096, &table, err) < 0 ||
        request_text(request, "dialect", TL_FORMAT_MAX, &dialect, err) < 0 ||
        request_text(request, "header", TL_BATCH_ROWS_MAX_BYTES, &header, err) < 0)
        return -1;
    if (!u->resumable)
        return tl_fail(err, TL_E_CONFLICT, "upload %s was read from standard input and can't be resumed",
                       u->id);
    return same_text(u->id, "table", u->table, table, err) < 0 ||
                   same_files(u, json_object_get(request, "files"), err) < 0 ||
                   same_text(u->id, "format", u->dialect, dialect, err) < 0 ||
                   same_text(u->id, "header", u->header, header, err) < 0
               ? -1
               : 0;
}

static int schema_of(struct control *c, const struct upload *u, json_t **schema, struct tl_error *err)
{
    struct table_row row;
    int rc = store_version_find(c->store, u->tenant, u->table, u->table_id, u->version, &row, err);

    if (rc < 0)
        return -1;
    if (rc == 0)
        return tl_fail(err, TL_E_CONFLICT, "table \"%s\" was dropped", u->table);
    *schema = json_loads(row.schema, 0, NULL);
    table_row_release(&row);
    return *schema
               ? 0
               : tl_fail(err, TL_E_CORRUPT, "metadata: the schema of table \"%s\" can't be read", u->table);
}

/* It counts as a new one when it was not heard from for long, and may have to wait for its turn. */
static int heard(struct control *c, const struct upload *u, struct tl_error *err)
{
    struct live *l;
    int rc;

    control_lock(c);
    l = live_find(c, u->tenant, u->id);
    rc = l ? turns_heard(c, l, err) : 0;
    if (l && rc == 0)
        l->let_in_ms = 0; /* what it is given now it came for itself */
    control_unlock(c);
    return rc;
}

int upload_session_again(struct control *c, struct tenant *t, const struct upload *u, json_t **answer,
                         struct tl_error *err)
{
    json_t *schema = NULL;
    int rc;

    if (heard(c, u, err) < 0 || schema_of(c, u, &schema, err) < 0)
        return -1;
    rc = upload_answer(c, u->tenant, u->id, answer, err);
    if (rc == 0 && upload_session(c, t, u->id, schema, *answer, err) < 0) {
        json_decref(*answer);
        rc = -1;
    }
    json_decref(schema);
    return rc;
}

int control_upload_resume(struct control *c, const char *tenant, const char *id, const json_t *request,
                          json_t **answer, struct tl_error *err)
{
    struct tenant *t = tenant_find(c, tenant, err);
    struct upload u;
    int rc;

    if (!t || control_running(c, err) < 0 || tenant_usable(c, t, err) < 0 ||
        upload_stored(c, tenant, id, &u, err) < 0)
        return -1;
    rc = same_upload(&u, request, err) < 0 ? -1 : upload_session_again(c, t, &u, answer, err);
    upload_release(&u);
    return rc;
}

int control_upload_source(struct control *c, const char *tenant, const char *id, json_t **answer,
                          struct tl_error *err)
{
    struct upload u;
    json_t *files, *options;

    if (!tenant_find(c, tenant, err) || upload_stored(c, tenant, id, &u, err) < 0)
        return -1;
    files = json_loads(u.files, 0, NULL);
    options = u.options ? json_loads(u.options, 0, NULL) : json_null();
    *answer = json_pack("{s:s, s:o, s:s, s:o, s:b}", "table", u.table, "files", files, "dialect", u.dialect,
                        "options", options, "resumable", (int)u.resumable);
    upload_release(&u);
    return *answer ? 0 : tl_fail_nomem(err);
}

/* --- loaded --- */

int control_upload_loaded(struct control *c, const char *tenant, const json_t *request, json_t **answer,
                          struct tl_error *err)
{
    struct table_row row;
    struct upload u;
    const char *table = NULL;
    char *content;
    int rc;

    if (!tenant_find(c, tenant, err) || request_members(request, "the question", "table files", err) < 0 ||
        request_text(request, "table", 4096, &table, err) < 0)
        return -1;
    if (!table || !json_is_array(json_object_get(request, "files")))
        return tl_fail(err, TL_E_REFUSED, "\"table\" and \"files\" are needed");
    if (table_lookup(c, tenant, table, &row, err) < 0)
        return -1;
    content = upload_content(json_object_get(request, "files"));
    rc = content ? store_upload_by_content(c->store, row.table_id, content, &u, err) : tl_fail_nomem(err);
    free(content);
    table_row_release(&row);
    if (rc < 0)
        return -1;
    *answer = json_pack("{s:o}", "upload", rc ? upload_to_json(&u) : json_null());
    if (rc)
        upload_release(&u);
    return *answer ? 0 : tl_fail_nomem(err);
}
