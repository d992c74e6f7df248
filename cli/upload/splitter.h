/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From bytes of a file to numbered batches, one per partition at a time.
 *
 *   source ──bytes──► window ──tl_csv_scan──► record ──key──► partition ──► batch[p] ──full──► on_batch
 *           256 KiB    longest record          a view of the window          copied once, behind "LINE TAB"
 *                      + 256 KiB
 *
 * Splitting is deterministic: the same bytes with the same options give the same batches with the same
 * numbers, however the source cuts its reads. (Input that trickles in is also flushed by time; then they
 * depend on it.) Memory is bounded by the window, BATCHES_OPEN_MAX and the caller's on_batch, whatever the
 * input. One thread.
 */
#ifndef CLI_UPLOAD_SPLITTER_H
#define CLI_UPLOAD_SPLITTER_H

#include "cli/upload/batches.h"
#include "cli/upload/header.h"
#include "cli/upload/source.h"
#include "shared/csv/scan.h"
#include "shared/schema/schema.h"

enum {
    SPLITTER_FLUSH_MS = 500,          /* no record of input that trickles waits longer than that in a batch */
    SPLITTER_SAMPLE = 4096,           /* bytes that are kept of a record longer than record_max */
    SPLITTER_HEADER_MAX = 512 * 1024, /* longest header */
    SPLITTER_MALFORMED_IN_A_ROW = 1000
};

enum header_mode { HEADER_MATCH, HEADER_SKIP, HEADER_NONE };

struct split_options {
    struct tl_dialect dialect;
    enum header_mode header;
    /* --columns A,B,…: names of the fields, with HEADER_SKIP and HEADER_NONE; NULL: the table's. */
    const char *columns;
    const char *const *map; /* --map FIELD=COLUMN, nmap of them, with HEADER_MATCH */
    size_t nmap;
    const struct header_history *history; /* for messages; NULL: none */
    int32_t partitions;
    size_t batch_bytes; /* bytes that a batch's value may have; ≤ TL_BATCH_ROWS_MAX_BYTES */
    size_t record_max;  /* longest record in bytes; it and its LINE must find room in batch_bytes, too */
    uint32_t malformed_in_a_row; /* so many without a good one between end the upload; ≥ 1 */
    /*
     * Called before each read of the source, so at least twice a second while it trickles: to serve
     * connections and to see whether to stop. 0: go on; -1 with *err: stop. NULL: nobody wants to know.
     */
    int (*on_read)(void *app, struct tl_error *err);
};

struct splitter;

/*
 * schema and the options' texts are borrowed for the splitter's life; `app` is handed to the callbacks.
 * NULL and *err when the options contradict each other (TL_E_USAGE) or memory is short.
 */
struct splitter *splitter_new(const struct tl_schema *schema, const struct split_options *options,
                              splitter_on_batch *on_batch, void *app, struct tl_error *err);
void splitter_free(struct splitter *s); /* NULL is fine */

/*
 * Reads the source to its end and hands all of it on: one file of the upload. Called again for the next,
 * numbers go on; batches never mix two files. TL_E_REFUSED before the first record when the header does not
 * fit the schema (unknown, duplicate or missing required column) or the file is UTF-16 or compressed.
 * TL_E_CORRUPT when too many records in a row are malformed, or when finding that out takes too long. After
 * a failure only splitter_free, splitter_totals and splitter_recycle may be called.
 */
int splitter_run(struct splitter *s, struct source *source, struct tl_error *err) TL_MUST_CHECK;
/* Only the header: to refuse before anything is made. Leaves the source at its beginning. */
int splitter_check_header(struct splitter *s, struct source *source, struct tl_error *err) TL_MUST_CHECK;

struct split_totals {
    int64_t rows;      /* records read, malformed ones included, the header not */
    int64_t malformed; /* of them */
    int64_t bytes;     /* of input consumed */
};
struct split_totals splitter_totals(const struct splitter *s);
/* Batches and rows handed on in this partition so far; for the end markers. */
int64_t splitter_batches(const struct splitter *s, int32_t partition);
int64_t splitter_rows(const struct splitter *s, int32_t partition);
/*
 * Names with commas in the order of the fields: the header tl-columns. Known once the header is matched, so
 * in every on_batch; "" before, and for an empty file. Lives until the next file's header is matched.
 */
const char *splitter_columns(const struct splitter *s);
/* Gives a batch's value back, for a later one; from the splitter's thread. */
void splitter_recycle(struct splitter *s, char *value, size_t cap);

#endif
