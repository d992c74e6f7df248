/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Uploads as the API has them. Which state follows which is in upload.c, how progress comes in tracker.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinatord/control/control_impl.h"
#include "coordinatord/control/request.h"
#include "shared/base/clock.h"
#include "shared/wire/dialect.h"
#include "shared/wire/upload_id.h"

enum { WAIT_MAX_MS = 30000, FILES_MAX = 10000 };

/* --- JSON --- */

static json_t *file_names(const struct upload *u)
{
    json_t *names = json_array(), *files = u->files ? json_loads(u->files, 0, NULL) : NULL, *file;
    size_t i;

    json_array_foreach(files, i, file)
    {
        /* A failure leaves a shorter list behind; json_pack then fails for the same want of memory. */
        if (json_array_append(names, json_object_get(file, "name")))
            break;
    }
    json_decref(files);
    return names;
}

json_t *upload_to_json(const struct upload *u)
{
    json_t *total = u->bytes_total < 0 ? json_null() : json_integer(u->bytes_total);

    return json_pack(
        "{s:s, s:s, s:s, s:I, s:i, s:s, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:s?, s:o, s:s?, s:n, s:o, s:I, "
        "s:b, s:n, s:n}",
        "upload", u->id, "tenant", u->tenant, "table", u->table, "table_id", (json_int_t)u->table_id,
        "version", (int)u->version, "state", upload_state_name(u->state), "rows_read",
        (json_int_t)u->rows_read, "rows_applied", (json_int_t)u->rows_applied, "rows_rejected",
        (json_int_t)u->rows_rejected, "errors_stored", (json_int_t)u->errors_stored, "bytes_sent",
        (json_int_t)u->bytes_sent, "bytes_total", total, "started_at", control_time(u->started_ms),
        "started_by", u->who[0] ? u->who : NULL, "finished_at", control_time(u->finished_ms), "reason",
        u->reason[0] ? u->reason : NULL, "waiting", "files", file_names(u), "change", (json_int_t)u->change,
        "resumable", (int)u->resumable, "bytes_per_second", "epoch");
}

json_t *live_to_json(const struct live *l)
{
    json_t *json = upload_to_json(&l->u);
    int64_t share = turns_share(l, tl_clock_ms());
    int rc = 0;

    if (json && l->waiting[0] && !upload_final(l->u.state))
        rc = json_object_set_new(json, "waiting", json_string(l->waiting));
    if (json && !rc && share)
        rc = json_object_set_new(json, "bytes_per_second", json_integer(share));
    if (json && !rc && !upload_final(l->u.state))
        rc = json_object_set_new(json, "epoch", json_integer(l->tenant->epoch));
    if (!rc)
        return json;
    json_decref(json);
    return NULL;
}

/* --- making --- */

static int read_files(const json_t *request, struct upload *u, struct tl_error *err)
{
    const json_t *files = json_object_get(request, "files");
    json_t *file;
    size_t i;

    if (!json_is_array(files) || json_array_size(files) == 0 || json_array_size(files) > FILES_MAX)
        return tl_fail(err, TL_E_REFUSED, "\"files\" is not an array of 1 to %d files", FILES_MAX);
    json_array_foreach(files, i, file)
    {
        const char *text = NULL;
        int64_t bytes = 0;

        if (request_members(file, "a file", "name path bytes fingerprint", err) < 0 ||
            request_number(file, "bytes", 0, INT64_MAX, &bytes, err) < 0 ||
            request_text(file, "path", 4096, &text, err) < 0 ||
            request_text(file, "fingerprint", 256, &text, err) < 0)
            return -1;
        switch (request_text(file, "name", 4096, &text, err)) {
        case 1:
            break;
        case 0:
            return tl_fail(err, TL_E_REFUSED, "a file has no \"name\"");
        default:
            return -1;
        }
    }
    u->files = json_dumps(files, JSON_COMPACT);
    u->content = upload_content(files);
    return u->files && u->content ? 0 : tl_fail_nomem(err);
}

static int read_options(const json_t *request, struct upload *u, struct tl_error *err)
{
    const json_t *options = json_object_get(request, "options");

    if (!options || json_is_null(options))
        return 0;
    if (!json_is_object(options))
        return tl_fail(err, TL_E_REFUSED, "\"options\" is not an object");
    u->options = json_dumps(options, JSON_COMPACT);
    return u->options ? 0 : tl_fail_nomem(err);
}

static int read_max_errors(const json_t *request, struct upload *u, struct tl_error *err)
{
    const json_t *limit = json_object_get(request, "max_errors"), *percent;

    if (!limit || json_is_null(limit))
        return 0;
    if (request_members(limit, "\"max_errors\"", "rows percent", err) < 0 ||
        request_number(limit, "rows", 0, INT64_MAX, &u->max_errors_rows, err) < 0)
        return -1;
    percent = json_object_get(limit, "percent");
    if (percent &&
        (!json_is_number(percent) || json_number_value(percent) < 0 || json_number_value(percent) > 100))
        return tl_fail(err, TL_E_REFUSED, "\"percent\" is not a number from 0 to 100");
    if (percent)
        u->max_errors_percent = json_number_value(percent);
    return 0;
}

static int copy_text(const char *text, char **out, struct tl_error *err)
{
    *out = strdup(text);
    return *out ? 0 : tl_fail_nomem(err);
}

static int read_format(const json_t *request, struct upload *u, struct tl_error *err)
{
    const char *dialect = "csv", *header = NULL;
    struct tl_dialect parsed;

    if (request_text(request, "dialect", TL_FORMAT_MAX, &dialect, err) < 0 ||
        request_text(request, "header", TL_BATCH_ROWS_MAX_BYTES, &header, err) < 0)
        return -1;
    if (tl_dialect_parse(tl_str(dialect), &parsed, err) < 0) {
        err->code = TL_E_REFUSED;
        return tl_error_prefix(err, "\"dialect\"");
    }
    if (copy_text(dialect, &u->dialect, err) < 0 || (header && copy_text(header, &u->header, err) < 0))
        return -1;
    return 0;
}

/* Everything but the table, which *table names. */
static int read_request(const json_t *request, struct upload *u, const char **table, bool *named,
                        struct tl_error *err)
{
    const char *id = NULL;
    int64_t now = tl_clock_wall_ms();

    if (request_members(request, "the upload",
                        "upload table files bytes_total resumable batch_bytes dialect header max_errors "
                        "options",
                        err) < 0 ||
        request_text(request, "upload", TL_UPLOAD_ID_MAX, &id, err) < 0 ||
        request_text(request, "table", 4096, table, err) < 0)
        return -1;
    if (!*table)
        return tl_fail(err, TL_E_REFUSED, "\"table\" is missing");
    if (id && !tl_upload_id_valid(tl_str(id)))
        return tl_fail(
            err, TL_E_REFUSED,
            "\"%s\" can't be the id of an upload: letters, digits, '.', '_', '-', the first no sign", id);
    *named = id != NULL;
    u->started_ms = now;
    u->resumable = true;
    u->batch_bytes = TL_BATCH_ROWS_MAX_BYTES;
    if (id)
        snprintf(u->id, sizeof u->id, "%s", id);
    else if (tl_upload_id_make(now, u->id, err) < 0)
        return -1;
    if (request_number(request, "bytes_total", 0, INT64_MAX, &u->bytes_total, err) < 0 ||
        request_number(request, "batch_bytes", 1, TL_BATCH_ROWS_MAX_BYTES, &u->batch_bytes, err) < 0 ||
        request_bool(request, "resumable", &u->resumable, err) < 0)
        return -1;
    return read_files(request, u, err) < 0 || read_max_errors(request, u, err) < 0 ||
                   read_format(request, u, err) < 0 || read_options(request, u, err) < 0
               ? -1
               : 0;
}

static int set_table(struct control *c, struct upload *u, const char *table, json_t **schema,
                     struct tl_error *err)
{
    struct table_row row;
    int rc = 0;

    if (table_lookup(c, u->tenant, table, &row, err) < 0)
        return -1;
    if (!row.active)
        rc = tl_fail(err, TL_E_UNAVAILABLE, "table \"%s\" is still being made", row.name);
    else if (row.dropping)
        rc = tl_fail(err, TL_E_CONFLICT, "table \"%s\" is being dropped", row.name);
    memcpy(u->table, row.name, sizeof u->table);
    u->table_id = row.table_id;
    u->version = row.version;
    if (rc == 0) {
        *schema = json_loads(row.schema, 0, NULL);
        if (!*schema)
            rc = tl_fail(err, TL_E_CORRUPT, "metadata: the schema of table \"%s\" can't be read", row.name);
    }
    table_row_release(&row);
    return rc;
}

/* Durable first, then seen. Gives the upload's JSON. */
static json_t *add_upload(struct control *c, struct tenant *t, struct upload *u, struct tl_error *err)
{
    struct live *l;
    json_t *json = NULL;

    control_lock(c);
    u->change = control_next_change(c);
    turns_enter(c, t, u);
    if (atomic_load(&t->removing)) {
        control_no_tenant(err);
    } else if (live_find(c, u->tenant, u->id)) {
        tl_fail(err, TL_E_CONFLICT, "upload %s exists already", u->id);
    } else if (c->nlive >= LIVE_MAX || t->nlive >= LIVE_TENANT_MAX) {
        tl_fail(err, TL_E_REFUSED, "there are %d unfinished uploads already",
                (int)(t->nlive >= LIVE_TENANT_MAX ? LIVE_TENANT_MAX : LIVE_MAX));
    } else if (tracker_start(c, t, err) == 0 && store_upload_add(c->store, u, err) == 0) {
        l = live_add(c, t, u, err);
        if (l) {
            l->looked = true; /* there is nothing of it in the ledger */
            turns_pass(c, t); /* tells it what it waits for */
            json = live_to_json(l);
            if (!json)
                tl_fail_nomem(err);
        }
    }
    control_unlock(c);
    return json;
}

/*
 * Whether an upload of this id was made by the very same request, whose answer got lost: then it is answered once more.
 * Such a request says so by an "attempt" among its options that nobody else can have drawn.
 */
static int answer_again(struct control *c, struct tenant *t, const struct upload *u, const json_t *request,
                        json_t **answer, struct tl_error *err)
{
    struct tl_error conflict = *err;
    struct upload was;
    int rc;

    if (!json_is_string(json_object_get(json_object_get(request, "options"), "attempt")) ||
        upload_stored(c, u->tenant, u->id, &was, err) < 0) {
        *err = conflict;
        return -1;
    }
    if (was.options && strcmp(was.options, u->options) == 0) {
        rc = upload_session_again(c, t, &was, answer, err);
    } else {
        *err = conflict;
        rc = -1;
    }
    upload_release(&was);
    return rc;
}

/* One that can't be read is found out when it is added. */
static bool is_new(struct control *c, const struct upload *u)
{
    struct tl_error ignored;
    struct upload was;

    if (upload_stored(c, u->tenant, u->id, &was, &ignored) < 0)
        return true;
    upload_release(&was);
    return false;
}

static int create(struct control *c, struct tenant *t, struct upload *u, const json_t *request,
                  json_t **answer, struct tl_error *err)
{
    json_t *schema = NULL;
    const char *table = NULL;
    bool named = false;
    int rc = -1;

    if (read_request(request, u, &table, &named, err) < 0 || set_table(c, u, table, &schema, err) < 0) {
        rc = -1;
    } else if (named && is_new(c, u) && leftover_check_upload(c, t, u->id, err) < 0) {
        rc = -1;
    } else if ((*answer = add_upload(c, t, u, err)) == NULL) {
        rc = named && err->code == TL_E_CONFLICT ? answer_again(c, t, u, request, answer, err) : -1;
    } else {
        rc = upload_session(c, t, named ? json_string_value(json_object_get(*answer, "upload")) : NULL,
                            schema, *answer, err);
        if (rc < 0)
            json_decref(*answer);
    }
    json_decref(schema);
    return rc;
}

int control_upload_create(struct control *c, const char *tenant, const json_t *request, const char *who,
                          json_t **answer, struct tl_error *err)
{
    struct tenant *t = tenant_find(c, tenant, err);
    struct upload u;
    int rc;

    if (!t || control_running(c, err) < 0 || tenant_usable(c, t, err) < 0)
        return -1;
    upload_init(&u);
    memcpy(u.tenant, t->name, sizeof u.tenant);
    u.partitions = t->partitions;
    snprintf(u.who, sizeof u.who, "%s", who);
    rc = create(c, t, &u, request, answer, err);
    upload_release(&u);
    return rc;
}

/* --- reading --- */

static int no_such_upload(const char *id, struct tl_error *err)
{
    return tl_fail(err, TL_E_NOT_FOUND, "no upload \"%.64s\"", tl_upload_id_valid(tl_str(id)) ? id : "?");
}

int upload_stored(struct control *c, const char *tenant, const char *id, struct upload *u,
                  struct tl_error *err)
{
    int rc = store_upload_find(c->store, tenant, id, u, err);

    return rc == 0 ? no_such_upload(id, err) : rc < 0 ? -1 : 0;
}

static int stored_to_json(struct control *c, const char *tenant, const char *id, json_t **answer,
                          struct tl_error *err)
{
    struct upload u;
    int rc;

    if (upload_stored(c, tenant, id, &u, err) < 0)
        return -1;
    rc = control_answer(upload_to_json(&u), answer, err);
    upload_release(&u);
    return rc;
}

int upload_answer(struct control *c, const char *tenant, const char *id, json_t **answer,
                  struct tl_error *err)
{
    return control_upload(c, tenant, id, 0, 0, answer, err);
}

int control_upload(struct control *c, const char *tenant, const char *id, int wait_ms, int64_t seen,
                   json_t **answer, struct tl_error *err)
{
    int64_t deadline = tl_clock_ms() + TL_MIN(wait_ms, WAIT_MAX_MS);
    const struct tenant *t = tenant_find(c, tenant, err);
    struct live *l;
    json_t *json;

    if (!t)
        return -1;
    if (!tl_upload_id_valid(tl_str(id)))
        return no_such_upload(id, err);
    control_lock(c);
    live_await_looks(c, t);
    l = live_find(c, tenant, id);
    if (!l) {
        control_unlock(c);
        return stored_to_json(c, tenant, id, answer, err);
    }
    live_ref(l);
    if (wait_ms > 0 && l->u.change == seen) {
        l->waiters++;
        live_look_now(l);
        while (l->u.change == seen && !upload_final(l->u.state) && !atomic_load(&c->stop) &&
               control_wait(c, &c->changed, deadline))
            ;
        l->waiters--;
    }
    json = live_to_json(l);
    live_unref(l);
    control_unlock(c);
    return control_answer(json, answer, err);
}

/* --- what the sender says --- */

struct patch {
    int64_t rows_read;
    int64_t bytes_sent;
    int64_t epoch;     /* of the topics that it is sent to; 0: not said */
    const char *state; /* NULL: progress only */
    enum upload_state to;
    const char *reason;
};

/* Whether it asks for the upload's end. */
static bool is_wish(const struct patch *p)
{
    return p->state && (p->to == UPLOAD_FAILED || p->to == UPLOAD_CANCELLED);
}

static int read_patch(const json_t *request, struct patch *p, struct tl_error *err)
{
    if (request_members(request, "the change", "rows_read bytes_sent epoch state reason", err) < 0 ||
        request_number(request, "rows_read", 0, INT64_MAX, &p->rows_read, err) < 0 ||
        request_number(request, "bytes_sent", 0, INT64_MAX, &p->bytes_sent, err) < 0 ||
        request_number(request, "epoch", 0, INT64_MAX, &p->epoch, err) < 0 ||
        request_text(request, "state", 40, &p->state, err) < 0 ||
        request_text(request, "reason", 64 * 1024, &p->reason, err) < 0)
        return -1;
    if (p->state && !upload_state_parse(p->state, &p->to))
        p->to = UPLOAD_STATES;
    if (p->state && p->to != UPLOAD_PROCESSING && !is_wish(p))
        return tl_fail(err, TL_E_REFUSED,
                       "the state can be set to \"processing\", \"failed\" and \"cancelled\", not to \"%s\"",
                       p->state);
    if (p->reason && !is_wish(p))
        return tl_fail(err, TL_E_REFUSED, "a \"reason\" goes with \"state\": \"failed\" or \"cancelled\"");
    return 0;
}

/* Under the lock, with a reference. */
static int apply_patch(struct control *c, struct live *l, const struct patch *p, struct tl_error *err)
{
    struct upload before;
    bool moved;

    if (!p->state && turns_heard(c, l, err) < 0)
        return -1;
    /* It was sent to where the tenant does not live any more, so nothing that is said of it holds: the answer tells. */
    if (p->epoch && p->epoch != l->tenant->epoch && !is_wish(p))
        return 0;
    before = l->u;
    moved = upload_sent(&l->u, p->rows_read, p->bytes_sent);
    if (p->state && p->to == UPLOAD_PROCESSING) {
        if (upload_processing(&l->u, err) < 0) {
            upload_restore(&l->u, &before);
            return -1;
        }
        if (l->u.state == before.state && !moved)
            return 0;
    } else if (p->state) {
        const char *why = p->to == UPLOAD_FAILED ? "the sender gave up" : "cancelled";

        if (!upload_wish(&l->u, p->to, p->reason ? p->reason : why))
            return 0;
    } else {
        /* What a restart would not know again is not shown, so that no count falls. */
        if (moved && store_upload_progress(c->store, &l->u, err) < 0) {
            upload_restore(&l->u, &before);
            return -1;
        }
        if (live_waiting_update(c, l, tl_clock_ms()) || moved)
            live_changed(c, l);
        return 0;
    }
    if (live_store(c, l, &before, err) < 0)
        return -1;
    if (l->unlinked)
        return 0;
    if (l->u.wish != before.wish)
        keeper_kick(l->tenant->cluster);
    live_look_now(l);
    return 0;
}

/*
 * One that is not live any more. A small upload may be done before its sender comes to say that all is sent:
 * that is no conflict.
 */
static int patch_stored(struct control *c, const char *tenant, const char *id, const struct patch *p,
                        json_t **answer, struct tl_error *err)
{
    struct upload u;
    int rc = 0;

    if (upload_stored(c, tenant, id, &u, err) < 0)
        return -1;
    if (is_wish(p) || (u.state != UPLOAD_DONE && u.state != UPLOAD_DONE_WITH_ERRORS))
        rc = tl_fail(err, TL_E_CONFLICT, "upload %s is %s already", u.id, upload_state_name(u.state));
    else if (upload_sent(&u, 0, p->bytes_sent))
        rc = store_upload_save(c->store, &u, err);
    if (rc == 0)
        rc = control_answer(upload_to_json(&u), answer, err);
    upload_release(&u);
    return rc;
}

int control_upload_patch(struct control *c, const char *tenant, const char *id, const json_t *request,
                         json_t **answer, struct tl_error *err)
{
    struct patch patch = {0};
    struct live *l;
    json_t *json = NULL;
    int rc;

    if (!tenant_find(c, tenant, err))
        return -1;
    if (!tl_upload_id_valid(tl_str(id)))
        return no_such_upload(id, err);
    if (read_patch(request, &patch, err) < 0)
        return -1;
    control_lock(c);
    l = live_find(c, tenant, id);
    if (!l) {
        control_unlock(c);
        return patch_stored(c, tenant, id, &patch, answer, err);
    }
    live_ref(l);
    rc = apply_patch(c, l, &patch, err);
    if (rc == 0)
        json = live_to_json(l);
    live_unref(l);
    control_unlock(c);
    return rc < 0 ? -1 : control_answer(json, answer, err);
}
