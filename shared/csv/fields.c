/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *   record ──64 bytes at a time──► delimiters and quotes ──► values, in the record
 *                                                  └─ doubled within ──► text (one copy, no longer than the record) ──► values
 *
 * The record was cut before (tl_fields_split), or is cut here on the way (tl_fields_take). The latter can't tell how long
 * it is going to be, so there is room in text for all that may belong to it, little of which is ever touched.
 *
 * A file of 100 MB, a tenth of its fields quoted, takes a third of the time that it takes through libcsv, whose
 * strict mode is what the tests hold this against.
 */
#include "shared/csv/fields.h"

#include <stdio.h>
#include <stdlib.h>

#include "shared/csv/block.h"

enum { TEXT_MAX = 64 * 1024 * 1024 /* no record that anybody splits comes near */ };

struct tl_fields {
    struct tl_dialect dialect;
    struct tl_buf text; /* values of the record that had doubled quotes, one behind the other */
    size_t n, max;
    struct tl_str values[];
};

/* A field on its way. */
struct field {
    size_t start;   /* its first byte, in the record */
    bool in_quotes; /* and not behind the closing one */
    bool doubled;   /* there is a doubled quote in it */
};

struct tl_fields *tl_fields_new(const struct tl_dialect *d, size_t max_fields, struct tl_error *err)
{
    struct tl_fields *f = NULL;

    if (max_fields <= (SIZE_MAX - sizeof *f) / sizeof f->values[0])
        f = malloc(sizeof *f + max_fields * sizeof f->values[0]);
    if (!f) {
        tl_fail_nomem(err);
        return NULL;
    }
    f->dialect = *d;
    f->max = max_fields;
    tl_buf_init(&f->text, TEXT_MAX);
    return f;
}

void tl_fields_free(struct tl_fields *f)
{
    if (!f)
        return;
    tl_buf_release(&f->text);
    free(f);
}

static inline void keep(struct tl_fields *f, struct tl_str value)
{
    if (f->n < f->max)
        f->values[f->n] = value;
    f->n++;
}

static inline void keep_unquoted(struct tl_fields *f, const char *ptr, size_t len)
{
    if (len == f->dialect.null_len && (len == 0 || memcmp(ptr, f->dialect.null_text, len) == 0))
        keep(f, tl_str_n(NULL, 0));
    else
        keep(f, tl_str_n(ptr, len));
}

/* raw: both quotes included; room: bytes that are not less than the record's, which may be all that is at hand. */
static inline enum tl_verdict keep_quoted(struct tl_fields *f, struct tl_str raw, bool doubled, size_t room)
{
    struct tl_str value = tl_str_n(raw.ptr + 1, raw.len - 2);
    bool is_null;

    if (doubled) {
        /* Once for all of them: what is in it must not move. */
        if (tl_buf_reserve(&f->text, room - f->text.len) ||
            tl_csv_unquote(&f->dialect, raw, &f->text, &value, &is_null) != TL_VALUE_OK)
            return TL_VALUE_NOMEM;
    }
    keep(f, value);
    return TL_VALUE_OK;
}

static TL_COLD enum tl_verdict reject(const struct tl_fields *f, struct tl_reject *why,
                                      enum tl_reject_code code, const char *what, const char *more)
{
    why->code = code;
    snprintf(why->reason, sizeof why->reason, "has %s field %zu%s", what, f->n + 1, more);
    return TL_VALUE_REJECT;
}

/*
 * A quote at i. *next is set to the first byte that is still to be looked at; behind the record when a quoted field was
 * its last.
 */
static inline enum tl_verdict quote_at(struct tl_fields *f, struct field *at, struct tl_str record, size_t i,
                                       size_t *next, struct tl_reject *why)
{
    const char quote = f->dialect.quote;
    size_t start = at->start;

    *next = i + 1;
    if (!at->in_quotes) {
        if (i != start)
            return reject(f, why, TL_REJECT_BAD_QUOTING, "a quote within", ", which does not begin with one");
        at->in_quotes = true;
        return TL_VALUE_OK;
    }
    if (i + 1 < record.len && record.ptr[i + 1] == quote) {
        at->doubled = true;
        *next = i + 2;
        return TL_VALUE_OK;
    }
    if (i + 1 < record.len && record.ptr[i + 1] != f->dialect.delimiter)
        return reject(f, why, TL_REJECT_BAD_QUOTING, "something behind the closing quote of", "");
    if (keep_quoted(f, tl_str_n(record.ptr + start, i + 1 - start), at->doubled, record.len) != TL_VALUE_OK)
        return TL_VALUE_NOMEM;
    *next = i + 2;
    *at = (struct field){.start = i + 2};
    return TL_VALUE_OK;
}

static TL_HOT enum tl_verdict split(struct tl_fields *f, struct tl_str record, struct tl_reject *why)
{
    const char delimiter = f->dialect.delimiter, quote = f->dialect.quote, mark = quote ? quote : delimiter;
    struct field at = {0};
    size_t next = 0; /* marks before it are seen */

    for (size_t base = 0; base < record.len; base += TL_BLOCK) {
        size_t n = record.len - base;
        uint64_t marks = tl_block_any4(record.ptr + base, n, n, delimiter, mark, mark, delimiter);

        for (; marks; marks &= marks - 1) {
            size_t i = base + (size_t)__builtin_ctzll(marks);

            if (i < next)
                continue;
            if (record.ptr[i] != delimiter) {
                enum tl_verdict verdict = quote_at(f, &at, record, i, &next, why);

                if (verdict != TL_VALUE_OK)
                    return verdict;
            } else if (!at.in_quotes) {
                keep_unquoted(f, record.ptr + at.start, i - at.start);
                at.start = i + 1;
            }
        }
    }
    if (at.in_quotes)
        return reject(f, why, TL_REJECT_UNTERMINATED, "no closing quote in", "");
    if (at.start <= record.len)
        keep_unquoted(f, record.ptr + at.start, record.len - at.start);
    return TL_VALUE_OK;
}

enum tl_verdict tl_fields_split(struct tl_fields *f, struct tl_str record, const struct tl_str **values,
                                size_t *n, struct tl_reject *why)
{
    enum tl_verdict verdict;

    f->n = 0;
    tl_buf_reset(&f->text);
    verdict = split(f, record, why);
    *values = f->values;
    *n = f->n;
    return verdict;
}

/* True when the record ends in an LF at *len, and its fields are kept. */
static TL_HOT bool take(struct tl_fields *f, struct tl_str text, size_t *len)
{
    const char delimiter = f->dialect.delimiter, quote = f->dialect.quote, mark = quote ? quote : delimiter;
    struct field at = {0};
    size_t next = 0; /* marks before it are seen */

    for (size_t base = 0; base < text.len; base += TL_BLOCK) {
        size_t n = text.len - base;
        uint64_t marks = tl_block_any4(text.ptr + base, n, n, delimiter, mark, '\n', '\r');

        for (; marks; marks &= marks - 1) {
            size_t i = base + (size_t)__builtin_ctzll(marks);
            char c = text.ptr[i], follows;

            if (i < next)
                continue;
            if (!at.in_quotes) {
                if (c == delimiter) {
                    keep_unquoted(f, text.ptr + at.start, i - at.start);
                    at.start = i + 1;
                } else if (c == '\n') {
                    keep_unquoted(f, text.ptr + at.start, i - at.start);
                    *len = i;
                    return true;
                } else if (c == quote && i == at.start) {
                    at.in_quotes = true;
                } else {
                    return false;
                }
                continue;
            }
            if (c != quote)
                continue;
            follows = i + 1 < text.len ? text.ptr[i + 1] : '\0';
            next = i + 2;
            if (follows == quote) {
                at.doubled = true;
                continue;
            }
            if ((follows != delimiter && follows != '\n') ||
                keep_quoted(f, tl_str_n(text.ptr + at.start, i + 1 - at.start), at.doubled, text.len) !=
                    TL_VALUE_OK)
                return false;
            if (follows == '\n') {
                *len = i + 1;
                return true;
            }
            at = (struct field){.start = i + 2};
        }
    }
    return false;
}

bool tl_fields_take(struct tl_fields *f, struct tl_str text, size_t *len, const struct tl_str **values,
                    size_t *n)
{
    bool taken;

    f->n = 0;
    tl_buf_reset(&f->text);
    taken = take(f, text, len);
    *values = f->values;
    *n = f->n;
    return taken;
}
