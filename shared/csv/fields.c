/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Before a record's first quote there is nothing that libcsv could find fault with: the fields are what
 * stands between the delimiters, and they are cut right there, 64 bytes at a time. The rest, from the field
 * with that quote on, goes through libcsv. It hands out each field in a buffer that it uses again for the
 * next one, so they are copied:
 *
 *   record ──fields before the first quote──► values (in the record)
 *          └─the rest─► csv_parse ──on_field──► text (one copy, as long as the record at most) ──► values
 *
 * libcsv alone takes about six times as long for a record without quotes; that is why.
 */
#include "shared/csv/fields.h"

#include <csv.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/csv/block.h"

enum {
    TEXT_MAX = 64 * 1024 * 1024, /* no record that anybody splits comes near */
    TEXT_STEP = 16 * 1024        /* libcsv's buffer grows by this */
};

struct tl_fields {
    struct tl_dialect dialect;
    struct csv_parser parser;
    struct tl_buf text; /* values of the record, one behind the other */
    /* With a null_text that is not empty: where the next field begins in the record, and the record's end. */
    const char *raw, *raw_end;
    size_t n, max;
    struct tl_str values[];
};

static int no_byte(unsigned char c)
{
    (void)c;
    return 0;
}

struct tl_fields *tl_fields_new(const struct tl_dialect *d, size_t max_fields, struct tl_error *err)
{
    unsigned char options = CSV_STRICT | CSV_STRICT_FINI | (d->null_len ? 0 : CSV_EMPTY_IS_NULL);
    struct tl_fields *f = NULL;

    if (max_fields <= (SIZE_MAX - sizeof *f) / sizeof f->values[0])
        f = malloc(sizeof *f + max_fields * sizeof f->values[0]);
    if (!f || csv_init(&f->parser, options)) {
        free(f);
        tl_fail_nomem(err);
        return NULL;
    }
    csv_set_delim(&f->parser, (unsigned char)d->delimiter);
    csv_set_quote(&f->parser, (unsigned char)d->quote);
    csv_set_space_func(&f->parser, no_byte);
    csv_set_term_func(&f->parser, no_byte);
    csv_set_blk_size(&f->parser, TEXT_STEP);
    f->dialect = *d;
    f->max = max_fields;
    tl_buf_init(&f->text, TEXT_MAX);
    return f;
}

void tl_fields_free(struct tl_fields *f)
{
    if (!f)
        return;
    csv_free(&f->parser);
    tl_buf_release(&f->text);
    free(f);
}

static inline void keep(struct tl_fields *f, const char *ptr, size_t len)
{
    if (f->n < f->max)
        f->values[f->n] = tl_str_n(ptr, len);
    f->n++;
}

static inline void keep_unquoted(struct tl_fields *f, const char *ptr, size_t len)
{
    if (len == f->dialect.null_len && (len == 0 || memcmp(ptr, f->dialect.null_text, len) == 0))
        keep(f, NULL, 0);
    else
        keep(f, ptr, len);
}

/* Keeps the fields before the first with a quote; *rest begins with that one. False when there is none. */
static TL_HOT bool split_plain(struct tl_fields *f, struct tl_str record, struct tl_str *rest)
{
    const struct tl_dialect *d = &f->dialect;
    const char delimiter = d->delimiter, quote = d->quote, mark = quote ? quote : delimiter;
    size_t start = 0;

    for (size_t base = 0; base < record.len; base += TL_BLOCK) {
        size_t n = record.len - base;
        uint64_t marks = tl_block_any3(record.ptr + base, n, n, delimiter, mark, delimiter);

        for (; marks; marks &= marks - 1) {
            size_t i = base + (size_t)__builtin_ctzll(marks);

            if (record.ptr[i] != delimiter) {
                *rest = tl_str_n(record.ptr + start, record.len - start);
                return true;
            }
            keep_unquoted(f, record.ptr + start, i - start);
            start = i + 1;
        }
    }
    keep_unquoted(f, record.ptr + start, record.len - start);
    return false;
}

/*
 * libcsv does not say whether a field was quoted, save that an unquoted empty one is NULL. With another
 * null text one has to know, so f->raw goes along: an unquoted field has as many bytes in the record as its
 * value, a quoted one two more and one for each quote in it.
 */
static bool was_quoted(struct tl_fields *f, const char *value, size_t len)
{
    bool quoted = f->raw < f->raw_end && *f->raw == f->dialect.quote;
    size_t raw_len = len;

    if (quoted) {
        raw_len += 2;
        for (size_t i = 0; i < len; i++)
            raw_len += value[i] == f->dialect.quote;
    }
    f->raw += raw_len + 1;
    return quoted;
}

static void on_field(void *value, size_t len, void *app)
{
    struct tl_fields *f = app;
    char *at = f->text.data + f->text.len;

    if (!value) {
        keep(f, NULL, 0);
        return;
    }
    /* There is room: all values together are no longer than the record. */
    memcpy(at, value, len);
    f->text.len += len;
    if (f->dialect.null_len && !was_quoted(f, value, len))
        keep_unquoted(f, at, len);
    else
        keep(f, at, len);
}

/* Back to the start of a record, with nothing handed out. */
static void reset(struct csv_parser *p)
{
    int options = csv_get_opts(p);

    csv_set_opts(p, (unsigned char)(options & ~CSV_STRICT_FINI));
    csv_fini(p, NULL, NULL, NULL);
    csv_set_opts(p, (unsigned char)options);
}

static enum tl_verdict reject(struct tl_fields *f, struct tl_reject *why, enum tl_reject_code code,
                              const char *what, const char *more)
{
    why->code = code;
    snprintf(why->reason, sizeof why->reason, "has %s field %zu%s", what, f->n + 1, more);
    reset(&f->parser);
    return TL_VALUE_REJECT;
}

static enum tl_verdict split_quoted(struct tl_fields *f, struct tl_str record, struct tl_reject *why)
{
    size_t parsed;

    tl_buf_reset(&f->text);
    if (tl_buf_reserve(&f->text, record.len))
        return TL_VALUE_NOMEM;
    f->raw = record.ptr;
    f->raw_end = record.ptr + record.len;
    parsed = csv_parse(&f->parser, record.ptr, record.len, on_field, NULL, f);
    if (parsed < record.len) {
        if (csv_error(&f->parser) != CSV_EPARSE) {
            reset(&f->parser);
            return TL_VALUE_NOMEM;
        }
        if (record.ptr[parsed] == f->dialect.quote)
            return reject(f, why, TL_REJECT_BAD_QUOTING, "a quote within", ", which does not begin with one");
        return reject(f, why, TL_REJECT_BAD_QUOTING, "something behind the closing quote of", "");
    }
    if (csv_fini(&f->parser, on_field, NULL, f))
        return reject(f, why, TL_REJECT_UNTERMINATED, "no closing quote in", "");
    return TL_VALUE_OK;
}

enum tl_verdict tl_fields_split(struct tl_fields *f, struct tl_str record, const struct tl_str **values,
                                size_t *n, struct tl_reject *why)
{
    enum tl_verdict verdict = TL_VALUE_OK;
    struct tl_str rest;

    f->n = 0;
    if (split_plain(f, record, &rest))
        verdict = split_quoted(f, rest, why);
    *values = f->values;
    *n = f->n;
    return verdict;
}
