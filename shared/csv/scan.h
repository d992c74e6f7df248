/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a record ends.
 *
 * Records of a CSV file end at a line end (LF, CRLF or a CR alone) that is not within quotes. A quote opens
 * a quoted field only as the field's first byte; within it a doubled quote is one quote; behind the closing
 * one only a delimiter or a line end may stand. That much is decided here, by one pure function that the
 * splitter and the validator share, so that both always see the same records. (tl_fields_take finds the same end
 * of a good record together with its fields; a test holds it to this.) Whether the fields are any good is not its
 * business (see fields.h).
 *
 * A record whose quoting can't be right (anything else behind a closing quote, the end of the input within
 * quotes, or no end within `limit` bytes while in quotes) ends at its first line end instead, whatever the
 * quotes say, and is reported as malformed: a stray quote costs one line, never the rest of the file.
 *
 * What is found depends on the bytes alone, never on how many of them are at hand when the scan begins.
 * All functions here are pure and may be called from any thread.
 */
#ifndef TL_CSV_SCAN_H
#define TL_CSV_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/str.h"
#include "shared/schema/coltype.h"

enum { TL_DIALECT_NULL_MAX = 32 };

/* How a file is written. Delimiter and quote differ from each other, from CR and from LF. */
struct tl_dialect {
    char delimiter;                      /* ',' */
    char quote;                          /* '"'; '\0': quoting is not used, every quote is data */
    char null_text[TL_DIALECT_NULL_MAX]; /* an unquoted field of just this is null; "" by default */
    size_t null_len;
};

enum tl_scan {
    TL_SCAN_RECORD,    /* a record; out is filled */
    TL_SCAN_MALFORMED, /* a malformed one, cut at its first line end; out is filled, with why */
    TL_SCAN_MORE       /* the end is not in sight: call again from the same start with more bytes */
};

struct tl_scan_record {
    size_t len;              /* bytes of the record, without its line end */
    size_t end_len;          /* bytes of the line end: 0 (end of input), 1 or 2 */
    uint32_t lines;          /* line ends passed, its own included */
    size_t seen;             /* bytes that had to be looked at; ≥ len */
    enum tl_reject_code why; /* BAD_QUOTING, UNTERMINATED or RECORD_TOO_LONG; NONE for TL_SCAN_RECORD */
};

/*
 * Scans the record that starts at p. `last`: nothing follows end (it is the end of the input). A CR as the
 * last byte before end gives MORE unless last: an LF may follow.
 *
 * `limit`: longest record in bytes. A longer one that is within quotes at the limit ends at its first line
 * end, when it has passed one (UNTERMINATED). Any other that is longer is RECORD_TOO_LONG with len == limit
 * and end_len 0; the caller keeps what it wants of it and passes over the rest with tl_csv_skip_line. MORE
 * is never returned when end - p > limit + 1, so a window of limit + 2 bytes is enough for all files.
 */
enum tl_scan tl_csv_scan(const struct tl_dialect *d, const char *p, const char *end, bool last, size_t limit,
                         struct tl_scan_record *out);

/*
 * Bytes up to and with the first line end at or behind p, quotes ignored. 0 when none is in sight: then all
 * bytes belong to the line, save a CR as the very last one, which has to be looked at again with what
 * follows it.
 */
size_t tl_csv_skip_line(const char *p, const char *end, bool last);

/*
 * The raw text of fields of one well-formed record: fills out[i] for the field numbers want[0..n), which
 * ascend and count from 0; the quotes are still around it. Returns how many were found: fields that the
 * record lacks are not.
 */
size_t tl_csv_pick(const struct tl_dialect *d, struct tl_str record, const uint32_t *want, size_t n,
                   struct tl_str *out);

/*
 * The value of a raw field: *out borrows from raw, or from scratch (appended to) when quotes are doubled
 * within. *is_null when it is the null text, unquoted. TL_VALUE_OK, or TL_VALUE_NOMEM when scratch could
 * not grow.
 */
enum tl_verdict tl_csv_unquote(const struct tl_dialect *d, struct tl_str raw, struct tl_buf *scratch,
                               struct tl_str *out, bool *is_null);

#endif
