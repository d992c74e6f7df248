/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What scan.h promises, written down a second time: a byte at a time, with all of the input at hand,
 * without any thought of speed. Tests hold the real thing against it. And random inputs to do that with.
 */
#ifndef TESTS_UNIT_CSV_REFERENCE_H
#define TESTS_UNIT_CSV_REFERENCE_H

#include <stdint.h>
#include <stdlib.h>

#include "shared/csv/scan.h"

static inline uint32_t reference_random(uint64_t *seed)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*seed >> 33);
}

/* Bytes of the line end at i, 0 when there is none. */
static inline size_t reference_line_end(const char *p, size_t n, size_t i)
{
    if (i < n && p[i] == '\n')
        return 1;
    if (i < n && p[i] == '\r')
        return i + 1 < n && p[i + 1] == '\n' ? 2 : 1;
    return 0;
}

/* n bytes are all that is left of the input. */
static inline enum tl_scan reference_scan(const struct tl_dialect *d, const char *p, size_t n, size_t limit,
                                          struct tl_scan_record *out)
{
    enum { FIELD_START, IN_FIELD, IN_QUOTES, QUOTE_SEEN, BROKEN } state = FIELD_START;
    size_t cut = 0, cut_end = 0;
    uint32_t lines = 0;
    size_t i = 0;

    *out = (struct tl_scan_record){0};
    for (;;) {
        size_t end_len = reference_line_end(p, n, i);
        bool is_quote = i < n && d->quote && p[i] == d->quote;
        bool is_delimiter = i < n && p[i] == d->delimiter;

        if (state == QUOTE_SEEN && is_quote) {
            state = IN_QUOTES;
            is_quote = false;
        } else if (state == QUOTE_SEEN && i < n && !is_delimiter && !end_len) {
            state = BROKEN;
        }
        if (state == BROKEN && cut_end) {
            *out = (struct tl_scan_record){
                .len = cut, .end_len = cut_end, .lines = 1, .why = TL_REJECT_BAD_QUOTING};
            return TL_SCAN_MALFORMED;
        }
        if (i == n || (end_len && state != IN_QUOTES)) {
            *out = (struct tl_scan_record){.len = i, .end_len = end_len, .lines = lines + (end_len > 0)};
            if (state == BROKEN)
                out->why = TL_REJECT_BAD_QUOTING;
            if (state == IN_QUOTES) {
                out->why = TL_REJECT_UNTERMINATED;
                if (cut_end) {
                    out->len = cut;
                    out->end_len = cut_end;
                    out->lines = 1;
                }
            }
            return out->why ? TL_SCAN_MALFORMED : TL_SCAN_RECORD;
        }
        if (i == limit) {
            if (state == IN_QUOTES && cut_end)
                *out = (struct tl_scan_record){
                    .len = cut, .end_len = cut_end, .lines = 1, .why = TL_REJECT_UNTERMINATED};
            else
                *out = (struct tl_scan_record){
                    .len = limit, .lines = lines, .why = TL_REJECT_RECORD_TOO_LONG};
            return TL_SCAN_MALFORMED;
        }
        if (state == IN_QUOTES && end_len) {
            /* A line end of two bytes may lie across the limit; it is one line all the same. */
            lines++;
            if (!cut_end) {
                cut = i;
                cut_end = end_len;
            }
            i += i + end_len <= limit ? end_len : 1;
            continue;
        }
        if (state == IN_QUOTES && is_quote)
            state = QUOTE_SEEN;
        else if (state == FIELD_START && is_quote)
            state = IN_QUOTES;
        else if (state != IN_QUOTES && state != BROKEN)
            state = is_delimiter ? FIELD_START : IN_FIELD;
        i++;
    }
}

/* Random bytes of the alphabet that matters; quotes are rarer when `few_quotes`. */
static inline void reference_fill(uint64_t *seed, char *p, size_t n, bool few_quotes)
{
    static const char alphabet[] = "aaaaaaaaaaa,,,\r\n\n;  \"\"\"\"";
    size_t letters = sizeof alphabet - 1 - (few_quotes ? 3 : 0);

    for (size_t i = 0; i < n; i++)
        p[i] = alphabet[reference_random(seed) % letters];
}

#endif
