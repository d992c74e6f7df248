/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rejected rows of an upload, in the order of its lines, as JSON Lines or as the records they were:
 *
 *   ledger (which segments there are) ──► errmerge over the error store ──► one piece at a time
 *
 * It holds one segment of each (partition, stage), whatever their number, and goes as fast as its reader
 * takes it.
 */
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "coordinatord/errors/errmerge.h"

static const enum tl_stage stages[] = {TL_STAGE_VALIDATE, TL_STAGE_SINK};

struct rejected_reader {
    const struct errstore_ops *ops;
    struct errstore *store;
    struct errmerge *merge; /* NULL: there are none */
    enum rejected_form form;
    char *header; /* CSV's first line, NULL when it was given or there is none */
    int64_t left; /* rows; below 0: no limit */
};

/* --- opening --- */

/*
 * Batches of a stopped upload that came after its end were dropped, and so their rejected rows don't count, though the
 * errors role may have stored them.
 */
static void bound(struct errmerge_stream *stream, const struct ledger_row *ledger)
{
    if (!ledger->stopped || stream->last_seq <= ledger->last_seq)
        return;
    stream->last_seq = ledger->last_seq;
    stream->last_part = INT64_MAX;
}

static int read_streams(const struct sink_ops *ops, struct sink *sink, const struct upload *u,
                        struct errmerge_stream *streams, size_t *n, struct tl_error *err)
{
    for (int32_t p = 0; p < u->partitions; p++) {
        struct ledger_row ledger = {0};

        if (ops->ledger_get(sink, u->id, p, &ledger, err) < 0)
            return -1;
        for (size_t s = 0; s < TL_ARRAY_LEN(stages); s++) {
            struct errors_row row;
            int rc = ops->errors_get(sink, u->id, p, stages[s], &row, err);

            if (rc < 0)
                return -1;
            if (rc == 0 || row.rows == 0)
                continue;
            streams[*n] = (struct errmerge_stream){p, stages[s], row.last_seq, row.last_part};
            bound(&streams[(*n)++], &ledger);
        }
    }
    return 0;
}

/* The ledger's streams; none when there is no ledger yet. */
static int find_streams(struct control *c, const struct tenant *t, const struct upload *u,
                        struct errmerge_stream **streams, size_t *n, struct tl_error *err)
{
    struct sink *sink;
    int rc;

    *n = 0;
    *streams = calloc((size_t)u->partitions * TL_ARRAY_LEN(stages), sizeof **streams);
    if (!*streams)
        return tl_fail_nomem(err);
    sink = control_open_sink(c, t, 0, err);
    if (!sink)
        return err->code == TL_E_NOT_FOUND ? 0 : -1;
    rc = read_streams(t->sink_ops, sink, u, *streams, n, err);
    t->sink_ops->close(sink);
    return rc;
}

static int start_merge(struct control *c, const struct tenant *t, struct rejected_reader *r,
                       const struct upload *u, const struct errmerge_stream *streams, size_t n,
                       struct tl_error *err)
{
    json_t *files = json_loads(u->files, 0, NULL);
    size_t nfiles = json_array_size(files);
    const char **names = calloc(nfiles + 1, sizeof *names);

    if (!files || !names) {
        tl_fail(err, files ? TL_E_NOMEM : TL_E_CORRUPT, "the files of upload %s can't be read", u->id);
    } else {
        for (size_t i = 0; i < nfiles; i++)
            names[i] = json_string_value(json_object_get(json_array_get(files, i), "name"));
        r->ops = t->errstore;
        r->store = r->ops->open(t->errors_url, c->log, err);
        if (r->store)
            r->merge = errmerge_new(r->ops, r->store, u->tenant, u->id, names, nfiles, streams, n, err);
    }
    free(names);
    json_decref(files);
    return r->merge ? 0 : -1;
}

static int open_reader(struct control *c, const struct tenant *t, struct rejected_reader *r, struct upload *u,
                       struct tl_error *err)
{
    struct errmerge_stream *streams = NULL;
    size_t n;
    int rc = find_streams(c, t, u, &streams, &n, err);

    if (rc == 0 && n > 0)
        rc = start_merge(c, t, r, u, streams, n, err);
    free(streams);
    if (rc == 0 && r->form == REJECTED_CSV) {
        r->header = u->header;
        u->header = NULL;
    }
    return rc;
}

struct rejected_reader *control_rejected_open(struct control *c, const char *tenant, const char *id,
                                              enum rejected_form form, int64_t limit, struct tl_error *err)
{
    struct tenant *t = tenant_find(c, tenant, err);
    struct rejected_reader *r;
    struct upload u;
    int rc;

    if (!t)
        return NULL;
    rc = tl_upload_id_valid(tl_str(id)) ? store_upload_find(c->store, tenant, id, &u, err) : 0;
    if (rc <= 0) {
        if (rc == 0)
            tl_fail(err, TL_E_NOT_FOUND, "no such upload");
        return NULL;
    }
    r = calloc(1, sizeof *r);
    if (r) {
        r->form = form;
        r->left = limit;
        rc = open_reader(c, t, r, &u, err);
    } else {
        rc = tl_fail_nomem(err);
    }
    upload_release(&u);
    if (rc == 0)
        return r;
    rejected_reader_free(r);
    return NULL;
}

void rejected_reader_free(struct rejected_reader *r)
{
    if (!r)
        return;
    errmerge_free(r->merge);
    if (r->store)
        r->ops->close(r->store);
    free(r->header);
    free(r);
}

/* --- one piece --- */

static int base64_digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

static int append_base64(struct tl_buf *out, const char *text, struct tl_error *err)
{
    unsigned bits = 0;
    int nbits = 0;

    for (; *text && *text != '='; text++) {
        int d = base64_digit(*text);
        int rc;

        if (d < 0)
            return tl_fail(err, TL_E_CORRUPT, "the error store has a record that is not base64");
        bits = (bits << 6 | (unsigned)d) & 0xffffff;
        nbits += 6;
        if (nbits < 8)
            continue;
        nbits -= 8;
        rc = tl_buf_append_char(out, (char)(bits >> nbits & 0xff));
        if (rc != TL_BUF_OK)
            return tl_buf_fail(rc, out, "a rejected record", err);
    }
    return 0;
}

/* The record as it was: "raw", or "raw_base64" when it is not UTF-8. */
static int append_record(struct tl_buf *out, struct tl_str line, struct tl_error *err)
{
    json_error_t why;
    json_t *row = json_loadb(line.ptr, line.len, JSON_ALLOW_NUL, &why);
    const char *base64 = json_string_value(json_object_get(row, "raw_base64"));
    json_t *raw = json_object_get(row, "raw");
    int rc = 0;

    if (!row) {
        rc = tl_fail(err, TL_E_CORRUPT, "the error store has a line that is not JSON: %s", why.text);
    } else if (base64) {
        rc = append_base64(out, base64, err);
    } else if (raw) {
        rc = tl_buf_append(out, json_string_value(raw), json_string_length(raw));
        if (rc != TL_BUF_OK)
            rc = tl_buf_fail(rc, out, "a rejected record", err);
    }
    json_decref(row);
    return rc;
}

static int end_line(struct tl_buf *out, struct tl_error *err)
{
    int rc = tl_buf_append_char(out, '\n');

    return rc == TL_BUF_OK ? 1 : tl_buf_fail(rc, out, "a rejected row", err);
}

static int append_header(struct rejected_reader *r, struct tl_buf *out, struct tl_error *err)
{
    int rc = tl_buf_append_z(out, r->header);

    free(r->header);
    r->header = NULL;
    return rc == TL_BUF_OK ? end_line(out, err) : tl_buf_fail(rc, out, "the header", err);
}

int rejected_reader_next(struct rejected_reader *r, struct tl_buf *out, struct tl_error *err)
{
    struct tl_str line;
    int rc;

    if (r->header)
        return append_header(r, out, err);
    if (!r->merge || r->left == 0)
        return 0;
    rc = errmerge_next(r->merge, &line, err);
    if (rc <= 0)
        return rc;
    if (r->left > 0)
        r->left--;
    if (r->form == REJECTED_CSV)
        rc = append_record(out, line, err);
    else if ((rc = tl_buf_append_str(out, line)) != TL_BUF_OK)
        rc = tl_buf_fail(rc, out, "a rejected row", err);
    return rc == 0 ? end_line(out, err) : -1;
}
