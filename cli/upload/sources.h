/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The files of one upload, opened together so that one that can't be read is found before anything is sent.
 * One thread.
 */
#ifndef CLI_UPLOAD_SOURCES_H
#define CLI_UPLOAD_SOURCES_H

#include <jansson.h>

#include "cli/upload/splitter.h"

/*
 * Facts of every upload. A resumed one has to be split as it was at first: changing them changes the numbers
 * of batches.
 */
enum { UPLOAD_BATCH_BYTES = 1024 * 1024, UPLOAD_RECORD_MAX = UPLOAD_BATCH_BYTES - BATCH_ROW_EXTRA };
#define UPLOAD_COMPRESSION "none"

struct sources {
    size_t n;
    struct named_source {
        struct source *source;
        char *encoded; /* its name as in tl-file */
        char *path;    /* absolute, for who resumes the upload from another directory; NULL: none */
    } * item;
    int64_t bytes; /* of all together; -1: not known */
    bool trickle;  /* one of them does */
};

/* s is all zero. sources_close is due in either case. */
int sources_open(struct sources *s, const char *const *paths, size_t n, struct tl_error *err) TL_MUST_CHECK;
void sources_close(struct sources *s);
/* Matches all headers; TL_E_REFUSED also when the files have their columns in different orders. */
int sources_check_headers(struct sources *s, struct splitter *splitter, struct tl_error *err) TL_MUST_CHECK;
/* [{"name", "path", "bytes", "fingerprint"}]; NULL when memory is short. */
json_t *sources_to_json(const struct sources *s);

#endif
