/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From bytes of a file to numbered batches, one per partition at a time.
 *
 *   source ──bytes──► window ──tl_csv_scan──► record ──key──► partition ──► batch[p] ──full──► on_batch
 *           64 KiB+    ≥ 2 × longest record    a view of the window          copied once, behind "LINE TAB"
 *
 * Splitting is deterministic: the same bytes with the same options give the same batches with the same numbers, however
 * the source cuts its reads (unless `flush` is called by time, for input that trickles in). One thread.
 */
#ifndef CLI_UPLOAD_SPLITTER_H
#define CLI_UPLOAD_SPLITTER_H

#include "cli/upload/source.h"
#include "shared/csv/scan.h"
#include "shared/schema/schema.h"

enum header_mode { HEADER_MATCH, HEADER_SKIP, HEADER_NONE };

struct split_options {
    struct tl_dialect dialect;
    enum header_mode header;
    const char *columns;       /* --columns A,B,…: names of the fields, with HEADER_SKIP and HEADER_NONE; NULL: the table's, in order */
    const char *const *map;    /* --map CSV=COL, nmap of them */
    size_t nmap;
    int32_t partitions;
    size_t batch_bytes;        /* a batch is handed on when the next record would make it larger; ≤ TL_BATCH_ROWS_MAX_BYTES */
    size_t record_max;         /* longest record in bytes, ≤ batch_bytes */
    uint32_t malformed_in_a_row; /* so many malformed records without a good one between end the upload */
};

/* A full batch. Ownership of value (malloc) passes to on_batch, which frees it or keeps it for recycling (splitter_recycle). */
struct batch {
    int32_t partition;
    int64_t seq;        /* from 1 in this partition */
    int64_t rows;
    int64_t first_line;
    char *value;
    size_t len;
    size_t cap;
    char *malformed;    /* text of tl-malformed, malloc'ed, NULL for nearly all */
    const char *file;   /* name as the messages show it; borrowed from the source */
};

/* 0: go on. -1 with *err: stop, splitter_run returns it. May block: that is the back-pressure. */
typedef int splitter_on_batch(void *app, struct batch *batch, struct tl_error *err);

struct splitter;

/* schema is borrowed for the splitter's life. */
struct splitter *splitter_new(const struct tl_schema *schema, const struct split_options *options, splitter_on_batch *on_batch, void *app,
                              struct tl_error *err);
void splitter_free(struct splitter *s);

/*
 * Reads the source to its end (one file of the upload; call it again for the next, numbers go on; batches never mix two files). The header is matched to the schema before the first
 * record: TL_E_REFUSED with a suggestion for an unknown, duplicate or missing required column, or UTF-16, or gzip. TL_E_CORRUPT when too many records in a row are malformed (with a hint about --quote).
 */
int splitter_run(struct splitter *s, struct source *source, struct tl_error *err) TL_MUST_CHECK;
/* Only the header: to refuse before anything is made. The source is left so that splitter_run starts at its beginning. */
int splitter_check_header(struct splitter *s, struct source *source, struct tl_error *err) TL_MUST_CHECK;
/* Hands on what is left, at the end. */
int splitter_finish(struct splitter *s, struct tl_error *err) TL_MUST_CHECK;

struct split_totals {
    int64_t rows;       /* records read, malformed ones included, the header not */
    int64_t malformed;
    int64_t bytes;      /* of input consumed */
};
struct split_totals splitter_totals(const struct splitter *s);
/* Per partition: batches and rows so far; for the end markers. */
int64_t splitter_batches(const struct splitter *s, int32_t partition);
int64_t splitter_rows(const struct splitter *s, int32_t partition);
/* Names with commas in the order of the fields: the header tl-columns. Known after the header is matched. */
const char *splitter_columns(const struct splitter *s);
/* Gives a value buffer back for the next batch; from the same thread. */
void splitter_recycle(struct splitter *s, char *value, size_t cap);

#endif
