/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/store_impl.h"

enum { SLICE = 2000 }; /* uploads that are looked at while nobody else gets at the store */

static const char *wish_name(const struct upload *u)
{
    return u->wish == UPLOAD_SENDING ? NULL : upload_state_name(u->wish);
}

/* In the transaction: whoever drops the table stops the uploads that there are after that is stored. */
static int table_open(struct store *s, const struct upload *u, struct tl_error *err)
{
    sqlite3_stmt *st = store_bind(s, ST_TABLE_OPEN, err, "i", u->table_id);
    int rc = st ? store_step(s, st, err) : -1;

    store_done(st);
    if (rc == 0)
        return tl_fail(err, TL_E_CONFLICT, "table \"%s\" was dropped", u->table);
    return rc < 0 ? -1 : 0;
}

static int insert(struct store *s, struct upload *u, struct tl_error *err)
{
    sqlite3_stmt *st = store_bind(s, ST_UPLOAD_FIND, err, "tt", u->tenant, u->id);
    int rc = st ? store_step(s, st, err) : -1;

    store_done(st);
    if (rc == 1)
        return tl_fail(err, TL_E_CONFLICT, "upload %s exists already", u->id);
    if (rc < 0 || table_open(s, u, err) < 0 ||
        store_run(s, ST_UPLOAD_ADD, err, "tttiiitttiiiiiiiiiidiittttttii", u->tenant, u->id, u->table,
                  u->table_id, (int64_t)u->version, (int64_t)u->partitions, upload_state_name(u->state),
                  wish_name(u), u->reason, u->rows_read, u->rows_applied, u->rows_rejected, u->errors_stored,
                  u->bytes_sent, u->bytes_total, u->started_ms, u->finished_ms, u->change, u->max_errors_rows,
                  u->max_errors_percent, (int64_t)u->resumable, u->batch_bytes, u->dialect, u->header,
                  u->files, u->content, u->options, u->who, (int64_t)u->begun, u->ticket) < 0)
        return -1;
    u->rowid = sqlite3_last_insert_rowid(s->db);
    return 0;
}

int store_upload_add(struct store *s, struct upload *u, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_begin(s, err);
    if (rc == 0)
        rc = store_end(s, insert(s, u, err), err);
    store_unlock(s);
    return rc;
}

static int save(struct store *s, const struct upload *u, struct tl_error *err)
{
    return store_run(s, ST_UPLOAD_SAVE, err, "itttiiiiiiiii", u->rowid, upload_state_name(u->state),
                     wish_name(u), u->reason, u->rows_read, u->rows_applied, u->rows_rejected,
                     u->errors_stored, u->bytes_sent, u->finished_ms, u->change, (int64_t)u->begun,
                     u->ticket);
}

int store_upload_save(struct store *s, const struct upload *u, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = save(s, u, err);
    store_unlock(s);
    return rc;
}

int store_upload_progress(struct store *s, const struct upload *u, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = store_exec(s, "PRAGMA synchronous=OFF", err);
    if (rc == 0)
        rc = save(s, u, err);
    if (store_exec(s, "PRAGMA synchronous=FULL", err) < 0)
        rc = -1;
    store_unlock(s);
    return rc;
}

static int read_state(sqlite3_stmt *st, int column, enum upload_state *out, struct tl_error *err)
{
    const char *name = (const char *)sqlite3_column_text(st, column);

    *out = UPLOAD_SENDING;
    if (name && !upload_state_parse(name, out))
        return tl_fail(err, TL_E_CORRUPT, "metadata: \"%s\" is no state of an upload", name);
    return 0;
}

/* Columns as UPLOAD_COLUMNS in statements.def. */
static int read_row(sqlite3_stmt *st, struct upload *u, struct tl_error *err)
{
    u->rowid = sqlite3_column_int64(st, 0);
    store_text(st, 1, u->tenant, sizeof u->tenant);
    store_text(st, 2, u->id, sizeof u->id);
    store_text(st, 3, u->table, sizeof u->table);
    u->table_id = sqlite3_column_int64(st, 4);
    u->version = sqlite3_column_int(st, 5);
    u->partitions = sqlite3_column_int(st, 6);
    if (read_state(st, 7, &u->state, err) < 0 || read_state(st, 8, &u->wish, err) < 0)
        return -1;
    store_text(st, 9, u->reason, sizeof u->reason);
    u->rows_read = sqlite3_column_int64(st, 10);
    u->rows_applied = sqlite3_column_int64(st, 11);
    u->rows_rejected = sqlite3_column_int64(st, 12);
    u->errors_stored = sqlite3_column_int64(st, 13);
    u->bytes_sent = sqlite3_column_int64(st, 14);
    u->bytes_total = sqlite3_column_int64(st, 15);
    u->started_ms = sqlite3_column_int64(st, 16);
    u->finished_ms = sqlite3_column_int64(st, 17);
    u->change = sqlite3_column_int64(st, 18);
    u->max_errors_rows = sqlite3_column_int64(st, 19);
    u->max_errors_percent = sqlite3_column_double(st, 20);
    u->resumable = sqlite3_column_int(st, 21) != 0;
    u->batch_bytes = sqlite3_column_int64(st, 22);
    store_text(st, 28, u->who, sizeof u->who);
    u->begun = sqlite3_column_int(st, 29) != 0;
    u->ticket = sqlite3_column_int64(st, 30);
    if (store_text_dup(st, 23, &u->dialect, err) < 0 || store_text_dup(st, 24, &u->header, err) < 0)
        return -1;
    if (store_text_dup(st, 25, &u->files, err) < 0 || store_text_dup(st, 26, &u->content, err) < 0)
        return -1;
    return store_text_dup(st, 27, &u->options, err);
}

/* st is bound, or NULL after a failure; the lock is held, and let go. */
static int find_one(struct store *s, sqlite3_stmt *st, struct upload *out, struct tl_error *err)
{
    int rc = st ? store_step(s, st, err) : -1;
    if (rc == 1 && read_row(st, out, err) < 0)
        rc = -1;
    store_done(st);
    store_unlock(s);
    if (rc < 0)
        upload_release(out);
    return rc;
}

int store_upload_find(struct store *s, const char *tenant, const char *id, struct upload *out,
                      struct tl_error *err)
{
    upload_init(out);
    store_lock(s);
    return find_one(s, store_bind(s, ST_UPLOAD_FIND, err, "tt", tenant, id), out, err);
}

int store_upload_by_content(struct store *s, int64_t table_id, const char *content, struct upload *out,
                            struct tl_error *err)
{
    upload_init(out);
    store_lock(s);
    return find_one(s, store_bind(s, ST_UPLOAD_BY_CONTENT, err, "it", table_id, content), out, err);
}

/* st is bound, or NULL after a failure; the lock is held. */
static int walk(struct store *s, sqlite3_stmt *st,
                int (*each)(void *app, struct upload *u, struct tl_error *err), void *app,
                struct tl_error *err)
{
    int rc = -1;

    while (st && (rc = store_step(s, st, err)) == 1) {
        struct upload u;

        upload_init(&u);
        rc = read_row(st, &u, err);
        if (rc == 0)
            rc = each(app, &u, err);
        upload_release(&u);
        if (rc < 0)
            break;
    }
    store_done(st);
    return rc < 0 ? -1 : 0;
}

struct counting_each {
    int (*each)(void *app, const struct upload *u, struct tl_error *err);
    void *app;
    int n;
};

static int call_counting(void *app, struct upload *u, struct tl_error *err)
{
    struct counting_each *c = app;

    c->n++;
    return c->each(c->app, u, err);
}

/* *from: where the next SLICE of the tenant's uploads end. 1: there may be more; 0. The lock is held. */
static int slice(struct store *s, const char *tenant, int64_t before, int64_t *from, struct tl_error *err)
{
    sqlite3_stmt *st = store_bind(s, ST_UPLOADS_SLICE, err, "tii", tenant, before, (int64_t)SLICE);
    int rc = st ? store_step(s, st, err) : -1;

    *from = rc == 1 ? sqlite3_column_int64(st, 0) : 0;
    if (rc == 1)
        rc = sqlite3_column_int64(st, 1) == SLICE;
    store_done(st);
    return rc;
}

int store_uploads(struct store *s, const struct upload_filter *filter,
                  int (*each)(void *app, const struct upload *u, struct tl_error *err), void *app,
                  struct tl_error *err)
{
    struct counting_each c = {each, app, 0};
    int64_t before = filter->before > 0 ? filter->before : INT64_MAX, from;
    int more = 1;

    /* Whoever looks for a few among very many lets others in between. */
    while (more == 1 && c.n < filter->limit) {
        store_lock(s);
        more = slice(s, filter->tenant, before, &from, err);
        if (more >= 0 && walk(s,
                              store_bind(s, ST_UPLOADS, err, "tittii", filter->tenant, before, filter->table,
                                         filter->state, (int64_t)(filter->limit - c.n), from),
                              call_counting, &c, err) < 0)
            more = -1;
        store_unlock(s);
        before = from;
    }
    return more < 0 ? -1 : 0;
}

int store_uploads_unfinished(struct store *s, int (*each)(void *app, struct upload *u, struct tl_error *err),
                             void *app, struct tl_error *err)
{
    int rc;

    store_lock(s);
    rc = walk(s, store_bind(s, ST_UPLOADS_UNFINISHED, err, ""), each, app, err);
    store_unlock(s);
    return rc;
}
