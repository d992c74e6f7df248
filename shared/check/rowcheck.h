/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rows of one raw batch, checked against one schema version: a pure function. The same batch and schema
 * give the same valid rows and the same rejected ones, always; that is what lets re-delivery be harmless.
 *
 * Thread: one at a time; each worker has its own.
 */
#ifndef TL_CHECK_ROWCHECK_H
#define TL_CHECK_ROWCHECK_H

#include "shared/schema/schema.h"
#include "shared/wire/envelope.h"

struct rowcheck;

/*
 * The room that `out` has in every run: which rows are valid depends on it. The rest of a message is for its
 * headers.
 */
enum { ROWCHECK_OUT_MAX = TL_MESSAGE_MAX - 1024 * 1024 };

/* A rejected row. Everything is borrowed for the time of the call. */
struct rejected_row {
    int64_t line;
    const char *column; /* NULL: the record as a whole */
    enum tl_reject_code code;
    const char *reason;
    struct tl_str value; /* as in the file, ptr NULL: none or null */
    struct tl_str raw;
};

struct rowcheck_sink {
    /* NULL is fine. -1 with *err stops the run. */
    int (*rejected)(void *app, const struct rejected_row *row, struct tl_error *err);
    /*
     * A valid row was appended: index from 0, where it stood. NULL is fine; only who looks for a certain row
     * needs it.
     */
    int (*valid)(void *app, int64_t index, int64_t line, struct tl_str raw, struct tl_error *err);
    void *app;
};

struct rowcheck_result {
    int64_t valid;
    int64_t rejected;
};

/* format and columns: of the batch's envelope. What is needed of the schema is copied. */
struct rowcheck *rowcheck_new(const struct tl_schema *schema, struct tl_str format, struct tl_str columns,
                              struct tl_error *err);
void rowcheck_free(struct rowcheck *rc); /* NULL is fine */
/* Whether it was made for these. */
bool rowcheck_fits(const struct rowcheck *rc, const struct tl_schema *schema, struct tl_str format,
                   struct tl_str columns);

/*
 * Checks `value` (records as raw-input has them; malformed: the header tl-malformed) and appends the valid
 * rows to `out` as COPY text; a row for which it has no room is rejected. TL_E_CORRUPT: this is no batch of
 * ours.
 */
int rowcheck_run(struct rowcheck *rc, struct tl_str value, struct tl_str malformed, struct tl_buf *out,
                 const struct rowcheck_sink *sink, struct rowcheck_result *result,
                 struct tl_error *err) TL_MUST_CHECK;

#endif
