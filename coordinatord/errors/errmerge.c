/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each stream's lines are in order already, so the next line of all is the least of the streams' next lines.
 * The streams stand in a heap by that line; a stream holds one segment in memory and takes the next when it
 * is used up.
 */
#include "coordinatord/errors/errmerge.h"

#include <jansson.h>

/* Segments are values of Kafka messages. */
enum { SEGMENT_MAX = TL_MESSAGE_MAX };

struct stream {
    struct errmerge_stream to;
    int64_t seq, part;   /* of the segment that is read next */
    struct tl_buf lines; /* the segment that is being read */
    size_t at;           /* of what follows the present line */
    struct tl_str line;  /* the present one; ptr NULL: the stream is at its end */
    size_t file;         /* where it stands: index of the file, line */
    int64_t number;
};

struct errmerge {
    const struct errstore_ops *ops;
    struct errstore *store;
    char tenant[TL_TENANT_MAX + 1];
    char upload[TL_UPLOAD_ID_MAX + 1];
    struct tl_buf *files;
    size_t nfiles;
    struct stream *streams;
    size_t nstreams;
    size_t *heap; /* indexes of streams that have a line, the least line's first */
    size_t nheap;
    bool taken; /* the first one's line was handed out */
};

static bool at_bound(const struct stream *st)
{
    return st->seq > st->to.last_seq || (st->seq == st->to.last_seq && st->part > st->to.last_part);
}

/* The next segment that there is: 1, 0 when there is none up to the stream's bound, -1. */
static int next_segment(struct errmerge *m, struct stream *st, struct tl_error *err)
{
    while (!at_bound(st)) {
        struct segment_id id = {m->tenant, m->upload, st->to.partition, st->to.stage, st->seq, st->part};
        int found = m->ops->get(m->store, &id, &st->lines, err);

        if (found < 0)
            return -1;
        st->at = 0;
        if (found) {
            st->part++;
            return 1;
        }
        st->seq++;
        st->part = 1;
    }
    return 0;
}

static size_t file_index(const struct errmerge *m, struct tl_str name)
{
    for (size_t i = 0; i < m->nfiles; i++)
        if (tl_str_eq(tl_buf_str(&m->files[i]), name))
            return i;
    return m->nfiles;
}

static int fail_line(const struct stream *st, struct tl_error *err)
{
    return tl_fail(
        err, TL_E_CORRUPT, "rejected rows of partition %d: what is stored of batch %lld is not a row: %.*s",
        (int)st->to.partition, (long long)st->seq, (int)TL_MIN(st->line.len, (size_t)80), st->line.ptr);
}

/* Reads where the present line stands. */
static int read_place(const struct errmerge *m, struct stream *st, struct tl_error *err)
{
    json_t *row = json_loadb(st->line.ptr, st->line.len, JSON_ALLOW_NUL, NULL);
    json_t *file = json_object_get(row, "file"), *line = json_object_get(row, "line");
    bool good = json_is_string(file) && json_is_integer(line);

    if (good) {
        st->file = file_index(m, tl_str_n(json_string_value(file), json_string_length(file)));
        st->number = json_integer_value(line);
    }
    json_decref(row);
    return good ? 0 : fail_line(st, err);
}

/* Goes on to the stream's next line: 1, 0 at its end, -1. */
static int advance(struct errmerge *m, struct stream *st, struct tl_error *err)
{
    const char *lf;

    while (st->at >= st->lines.len) {
        int found = next_segment(m, st, err);

        if (found <= 0) {
            st->line = (struct tl_str){NULL, 0};
            return found;
        }
    }
    st->line = tl_str_n(st->lines.data + st->at, st->lines.len - st->at);
    lf = memchr(st->line.ptr, '\n', st->line.len);
    if (!lf)
        return fail_line(st, err);
    st->line.len = (size_t)(lf - st->line.ptr);
    st->at += st->line.len + 1;
    return read_place(m, st, err) ? -1 : 1;
}

static bool before(const struct stream *a, const struct stream *b)
{
    if (a->file != b->file)
        return a->file < b->file;
    if (a->number != b->number)
        return a->number < b->number;
    return a < b;
}

static bool heap_before(const struct errmerge *m, size_t i, size_t k)
{
    return before(&m->streams[m->heap[i]], &m->streams[m->heap[k]]);
}

static void sink_down(struct errmerge *m, size_t i)
{
    for (;;) {
        size_t least = i, left = 2 * i + 1, moved;

        for (size_t k = left; k < left + 2 && k < m->nheap; k++)
            if (heap_before(m, k, least))
                least = k;
        if (least == i)
            return;
        moved = m->heap[i];
        m->heap[i] = m->heap[least];
        m->heap[least] = moved;
        i = least;
    }
}

static int copy_files(struct errmerge *m, const char *const *files, size_t n, struct tl_error *err)
{
    m->files = calloc(n + 1, sizeof *m->files);
    if (!m->files)
        return tl_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        int rc;

        tl_buf_init(&m->files[i], 64 * 1024);
        m->nfiles = i + 1;
        rc = tl_buf_append_z(&m->files[i], files[i]);
        if (rc)
            return tl_buf_fail(rc, &m->files[i], "a file's name", err);
    }
    return 0;
}

static int open_streams(struct errmerge *m, const struct errmerge_stream *streams, size_t n,
                        struct tl_error *err)
{
    m->streams = calloc(n + 1, sizeof *m->streams);
    m->heap = calloc(n + 1, sizeof *m->heap);
    if (!m->streams || !m->heap)
        return tl_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        struct stream *st = &m->streams[i];
        int found;

        *st = (struct stream){.to = streams[i], .seq = 1, .part = 1};
        tl_buf_init(&st->lines, SEGMENT_MAX);
        m->nstreams = i + 1;
        found = advance(m, st, err);
        if (found < 0)
            return -1;
        if (found)
            m->heap[m->nheap++] = i;
    }
    for (size_t i = m->nheap / 2; i-- > 0;)
        sink_down(m, i);
    return 0;
}

struct errmerge *errmerge_new(const struct errstore_ops *ops, struct errstore *store, const char *tenant,
                              const char *upload, const char *const *files, size_t nfiles,
                              const struct errmerge_stream *streams, size_t n, struct tl_error *err)
{
    struct errmerge *m = calloc(1, sizeof *m);

    if (!m) {
        tl_fail_nomem(err);
        return NULL;
    }
    m->ops = ops;
    m->store = store;
    if (!tl_str_copy(tl_str(tenant), m->tenant, sizeof m->tenant) ||
        !tl_str_copy(tl_str(upload), m->upload, sizeof m->upload)) {
        tl_fail(err, TL_E_REFUSED, "the name of a tenant or upload is too long");
        free(m);
        return NULL;
    }
    if (copy_files(m, files, nfiles, err) || open_streams(m, streams, n, err)) {
        errmerge_free(m);
        return NULL;
    }
    return m;
}

void errmerge_free(struct errmerge *m)
{
    if (!m)
        return;
    for (size_t i = 0; i < m->nfiles; i++)
        tl_buf_release(&m->files[i]);
    for (size_t i = 0; i < m->nstreams; i++)
        tl_buf_release(&m->streams[i].lines);
    free(m->files);
    free(m->streams);
    free(m->heap);
    free(m);
}

int errmerge_next(struct errmerge *m, struct tl_str *line, struct tl_error *err)
{
    if (m->taken) {
        int found = advance(m, &m->streams[m->heap[0]], err);

        if (found < 0)
            return -1;
        if (!found)
            m->heap[0] = m->heap[--m->nheap];
        sink_down(m, 0);
        m->taken = false;
    }
    if (m->nheap == 0)
        return 0;
    m->taken = true;
    *line = m->streams[m->heap[0]].line;
    return 1;
}
