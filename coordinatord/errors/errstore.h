/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where rejected rows are kept. Adding a store is one struct errstore_ops in a file of its own and one line
 * in errstores.def; tests/unit/test_errstore_contract.c runs over all of them.
 *
 * The unit is the segment: the JSON Lines of one import-error message, named by (tenant, upload, partition,
 * stage, seq, part). Putting a segment again overwrites it with the same bytes, so re-delivery changes
 * nothing. Lines within a segment, and segments of one (partition, stage) by (seq, part), are in the order of
 * the file's lines.
 *
 * Thread: a store is used by one thread at a time; several stores on the same URL, in several processes, MUST
 * be safe beside each other.
 */
#ifndef COORDINATORD_ERRORS_ERRSTORE_H
#define COORDINATORD_ERRORS_ERRSTORE_H

#include "shared/base/buf.h"
#include "shared/base/error.h"
#include "shared/base/log.h"
#include "shared/wire/envelope.h"

struct errstore;

struct segment_id {
    const char *tenant;
    const char *upload;
    int32_t partition;
    enum tl_stage stage;
    int64_t seq;
    int64_t part; /* from 1 */
};

struct errstore_ops {
    const char *scheme; /* "file" */
    int (*check_url)(const char *url, struct tl_error *err);
    struct errstore *(*open)(const char *url, struct tl_log *log, struct tl_error *err);
    void (*close)(struct errstore *s); /* NULL is fine */
    /*
     * Not durable before sync returns 0; a reader sees either all of a segment or nothing of it. TL_E_CORRUPT
     * when the id can't be a segment's.
     */
    int (*put)(struct errstore *s, const struct segment_id *id, struct tl_str lines, struct tl_error *err);
    /* When it or a put fails, all that was put since it last returned 0 has to be put again. */
    int (*sync)(struct errstore *s, struct tl_error *err);
    /* Fills out (reset first) and returns 1; 0 when there is no such segment; TL_E_TOO_LARGE when out has no
     * room. */
    int (*get)(struct errstore *s, const struct segment_id *id, struct tl_buf *out, struct tl_error *err);
    /* Removes all of an upload; there being nothing is fine. */
    int (*remove)(struct errstore *s, const char *tenant, const char *upload, struct tl_error *err);
};

/* The store for this URL, or NULL with TL_E_REFUSED naming the schemes that there are. */
const struct errstore_ops *errstore_for_url(const char *url, struct tl_error *err);

#endif
