/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rejected rows of one upload in the order of the file's lines: a merge over its partitions and stages.
 * Memory: one segment for each stream, whatever the number of rows. One thread.
 *
 * Files of an upload come in the order in which they were given, known by `files`.
 */
#ifndef COORDINATORD_ERRORS_ERRMERGE_H
#define COORDINATORD_ERRORS_ERRMERGE_H

#include "coordinatord/errors/errstore.h"

/* How far the segments of one stream go. */
struct errmerge_stream {
    int32_t partition;
    enum tl_stage stage;
    int64_t last_seq; /* nothing is read behind (last_seq, last_part) */
    int64_t last_part;
};

struct errmerge;

/*
 * files: names of the upload's files in order (as in the rows' "file"); rows of a file that is not among them
 * come last. All texts are copied; ops and store are borrowed.
 */
struct errmerge *errmerge_new(const struct errstore_ops *ops, struct errstore *store, const char *tenant,
                              const char *upload, const char *const *files, size_t nfiles,
                              const struct errmerge_stream *streams, size_t n, struct tl_error *err);
void errmerge_free(struct errmerge *m); /* NULL is fine */
/* 1 and the next JSON line without its LF, living until the next call; 0 at the end; -1, TL_E_CORRUPT for a
 * bad line. */
int errmerge_next(struct errmerge *m, struct tl_str *line, struct tl_error *err);

#endif
