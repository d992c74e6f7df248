/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The batches that are being filled: one per partition for a table with a key; for one without, one at a
 * time, whose partition goes round. One thread.
 *
 * A batch is handed on when the next record would make it larger than a batch may be, when its list of
 * malformed records is full, or when it is asked for. All batches together stay below about
 * BATCHES_OPEN_MAX bytes: with many partitions each is handed on the earlier.
 */
#ifndef CLI_UPLOAD_BATCHES_H
#define CLI_UPLOAD_BATCHES_H

#include <stdint.h>

#include "shared/base/error.h"
#include "shared/base/str.h"
#include "shared/schema/coltype.h"

enum {
    BATCHES_OPEN_MAX = 16 * 1024 * 1024,
    BATCH_LEAST = 16 * 1024,         /* no batch is handed on for its size before it has so many bytes */
    BATCH_MALFORMED_MAX = 16 * 1024, /* bytes of a batch's tl-malformed */
    BATCH_ROW_EXTRA = 20 + 1 + 1     /* LINE, TAB and LF around a record, at most */
};

/* A batch that is handed on. */
struct batch {
    int32_t partition;
    int64_t seq; /* from 1 in this partition */
    int64_t rows;
    int64_t first_line; /* of its first record */
    char *value;        /* LINE TAB RECORD LF, one behind the other */
    size_t len;
    size_t cap;
    char *malformed;  /* text of tl-malformed, malloc'ed, NULL for nearly all */
    const char *file; /* name as the messages show it; borrowed from the source */
};

/*
 * Takes a batch, with value and malformed, which are malloc'ed and from then on its own: it frees them, or
 * gives value back (splitter_recycle). The struct itself is borrowed. 0: go on. -1 with *err: stop. May
 * block: that is the back-pressure.
 */
typedef int splitter_on_batch(void *app, struct batch *batch, struct tl_error *err);

struct batches;

struct batches_options {
    int32_t partitions;
    bool keyed;
    size_t batch_bytes;
    splitter_on_batch *on_batch;
    void *app;
};

struct batches *batches_new(const struct batches_options *options, struct tl_error *err);
/* What is still open is dropped. */
void batches_free(struct batches *b);

/* What the batches from now on come from; none is open. `timed`: batches_flush_older will be asked. */
void batches_begin(struct batches *b, const char *file, bool timed);
/*
 * How many bytes a row's values may gain by their columns' types when they are made canonical; 0 after
 * batches_begin.
 */
void batches_set_growth(struct batches *b, size_t growth);
/*
 * Copies the record into the batch of its partition (which is ignored without a key), handing on what must
 * be first. record.len + BATCH_ROW_EXTRA ≤ batch_bytes. why: TL_REJECT_NONE, or what is wrong with a
 * malformed record.
 */
int batches_add(struct batches *b, int32_t partition, int64_t line, struct tl_str record,
                enum tl_reject_code why, struct tl_error *err) TL_MUST_CHECK;
/* Hands on all that is open. */
int batches_flush(struct batches *b, struct tl_error *err) TL_MUST_CHECK;
/*
 * Hands on what has been open for age_ms or longer. *next_ms: milliseconds until the next one is that old;
 * -1 when nothing is open. Only after batches_begin with `timed`.
 */
int batches_flush_older(struct batches *b, int64_t age_ms, int64_t *next_ms,
                        struct tl_error *err) TL_MUST_CHECK;

/* So far handed on in this partition. */
int64_t batches_count(const struct batches *b, int32_t partition);
int64_t batches_rows(const struct batches *b, int32_t partition);
void batches_recycle(struct batches *b, char *value, size_t cap);

#endif
