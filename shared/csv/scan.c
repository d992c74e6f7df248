/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The scan goes by 64 bytes at a time: a mask says where quotes, CRs and LFs are, and only those are looked
 * at one by one. In a file without quotes that is one bit a record.
 */
#include "shared/csv/scan.h"

#include "shared/csv/block.h"

enum state {
    OUTSIDE, /* not within quotes */
    QUOTED,  /* within quotes */
    JUNK /* something stands behind a closing quote: the record is malformed, its line end is looked for */
};

static enum tl_scan malformed(struct tl_scan_record *out, enum tl_reject_code why, size_t len, size_t end_len,
                              uint32_t lines, size_t seen)
{
    *out = (struct tl_scan_record){.len = len, .end_len = end_len, .lines = lines, .seen = seen, .why = why};
    return TL_SCAN_MALFORMED;
}

TL_HOT enum tl_scan tl_csv_scan(const struct tl_dialect *d, const char *p, const char *end, bool last,
                                size_t limit, struct tl_scan_record *out)
{
    const size_t avail = (size_t)(end - p);
    /* The byte at `limit` can be the record's line end, but none of its own. */
    const size_t n = avail > limit ? limit + 1 : avail;
    const char quote = d->quote, mark = quote ? quote : '\n';
    enum state state = OUTSIDE;
    uint32_t lines = 0; /* line ends passed within quotes */
    size_t cut = 0;     /* where the first of them begins */
    size_t cut_end = 0; /* and its bytes; 0: none so far */
    size_t next = 0;    /* marks before this are seen: the second of a doubled quote, the LF of a CRLF */

    for (size_t base = 0; base < n; base += TL_BLOCK) {
        uint64_t marks = tl_block_any4(p + base, n - base, avail - base, '\n', '\r', mark, mark);

        for (; marks; marks &= marks - 1) {
            size_t i = base + (size_t)__builtin_ctzll(marks);
            size_t end_len = 1;

            if (i < next)
                continue;
            if (quote && p[i] == quote) {
                if (i == limit)
                    continue;
                if (state == OUTSIDE) {
                    if (i == 0 || p[i - 1] == d->delimiter)
                        state = QUOTED;
                } else if (state == QUOTED) {
                    if (i + 1 == avail) {
                        if (!last)
                            return TL_SCAN_MORE;
                        state = OUTSIDE;
                    } else if (p[i + 1] == quote) {
                        next = i + 2;
                    } else if (p[i + 1] == d->delimiter || p[i + 1] == '\n' || p[i + 1] == '\r') {
                        state = OUTSIDE;
                    } else if (cut_end) {
                        return malformed(out, TL_REJECT_BAD_QUOTING, cut, cut_end, 1, i + 2);
                    } else {
                        state = JUNK;
                    }
                }
                continue;
            }
            if (p[i] == '\r') {
                if (i + 1 < avail)
                    end_len = p[i + 1] == '\n' ? 2 : 1;
                else if (!last)
                    return TL_SCAN_MORE;
            }
            if (state == OUTSIDE) {
                *out = (struct tl_scan_record){
                    .len = i, .end_len = end_len, .lines = lines + 1, .seen = i + end_len};
                return TL_SCAN_RECORD;
            }
            if (state == JUNK)
                return malformed(out, TL_REJECT_BAD_QUOTING, i, end_len, 1, i + end_len);
            if (i == limit)
                continue;
            if (!cut_end) {
                cut = i;
                cut_end = end_len;
            }
            lines++;
            next = i + end_len;
        }
    }

    if (avail > limit) {
        if (state == QUOTED && cut_end)
            return malformed(out, TL_REJECT_UNTERMINATED, cut, cut_end, 1, n);
        return malformed(out, TL_REJECT_RECORD_TOO_LONG, limit, 0, lines, n);
    }
    if (!last)
        return TL_SCAN_MORE;
    if (state == OUTSIDE) {
        *out = (struct tl_scan_record){.len = avail, .lines = lines, .seen = avail};
        return TL_SCAN_RECORD;
    }
    if (state == JUNK)
        return malformed(out, TL_REJECT_BAD_QUOTING, avail, 0, 0, avail);
    if (cut_end)
        return malformed(out, TL_REJECT_UNTERMINATED, cut, cut_end, 1, avail);
    return malformed(out, TL_REJECT_UNTERMINATED, avail, 0, 0, avail);
}

size_t tl_csv_skip_line(const char *p, const char *end, bool last)
{
    const size_t n = (size_t)(end - p);

    for (size_t base = 0; base < n; base += TL_BLOCK) {
        uint64_t marks = tl_block_any4(p + base, n - base, n - base, '\n', '\r', '\r', '\n');

        if (marks) {
            size_t i = base + (size_t)__builtin_ctzll(marks);

            if (p[i] == '\n')
                return i + 1;
            if (i + 1 < n)
                return p[i + 1] == '\n' ? i + 2 : i + 1;
            return last ? i + 1 : 0;
        }
    }
    return 0;
}

/* Bytes of the quoted field that begins at p, both quotes included. */
static size_t quoted_len(const char *p, const char *end, char quote)
{
    const char *at = p + 1;

    for (;;) {
        at = memchr(at, quote, (size_t)(end - at));
        if (!at)
            return (size_t)(end - p);
        if (at + 1 == end || at[1] != quote)
            return (size_t)(at + 1 - p);
        at += 2;
    }
}

size_t tl_csv_pick(const struct tl_dialect *d, struct tl_str record, const uint32_t *want, size_t n,
                   struct tl_str *out)
{
    const char *p = record.ptr, *end = record.ptr + record.len;
    uint32_t field = 0;
    size_t found = 0;

    while (found < n) {
        size_t skip = d->quote && p < end && *p == d->quote ? quoted_len(p, end, d->quote) : 0;
        const char *stop = p + skip < end ? memchr(p + skip, d->delimiter, (size_t)(end - p) - skip) : NULL;

        if (field == want[found]) {
            out[found].ptr = p;
            out[found].len = (size_t)((stop ? stop : end) - p);
            found++;
        }
        if (!stop)
            break;
        p = stop + 1;
        field++;
    }
    return found;
}

enum tl_verdict tl_csv_unquote(const struct tl_dialect *d, struct tl_str raw, struct tl_buf *scratch,
                               struct tl_str *out, bool *is_null)
{
    *is_null = false;
    if (!d->quote || raw.len < 2 || raw.ptr[0] != d->quote) {
        *is_null = raw.len == d->null_len && (raw.len == 0 || memcmp(raw.ptr, d->null_text, raw.len) == 0);
        *out = raw;
        return TL_VALUE_OK;
    }
    raw = tl_str_n(raw.ptr + 1, raw.len - 2);
    *out = raw;
    if (raw.len == 0 || !memchr(raw.ptr, d->quote, raw.len))
        return TL_VALUE_OK;

    size_t start = scratch->len;

    if (tl_buf_reserve(scratch, raw.len))
        return TL_VALUE_NOMEM;
    while (raw.len) {
        const char *at = memchr(raw.ptr, d->quote, raw.len);
        size_t n = at ? (size_t)(at - raw.ptr) + 1 : raw.len; /* the first of the two is kept */

        memcpy(scratch->data + scratch->len, raw.ptr, n);
        scratch->len += n;
        if (at && n < raw.len)
            n++;
        raw = tl_str_n(raw.ptr + n, raw.len - n);
    }
    *out = tl_str_n(scratch->data + start, scratch->len - start);
    return TL_VALUE_OK;
}
