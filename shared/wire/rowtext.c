/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every byte that is loaded goes through here twice, written by the validator and read by the sink: eight at a time. */
#include "shared/wire/rowtext.h"

#include "shared/wire/rowtext_mask.h"

/* 0x80 in each byte from 8 to 13, and in each backslash. */
static uint64_t escaped(uint64_t w)
{
    uint64_t low = w & TL_EVERY(0x7F);
    uint64_t from8 = low + TL_EVERY(0x80 - 8), from14 = low + TL_EVERY(0x80 - 14);

    return (from8 & ~from14 & ~w & TL_EVERY(0x80)) | tl_word_zeros(w ^ TL_EVERY('\\'));
}

/* The letter that stands behind the backslash; 0 when the byte stands as it is. */
static char escape_letter(char c)
{
    switch (c) {
    case '\b':
        return 'b';
    case '\t':
        return 't';
    case '\n':
        return 'n';
    case '\v':
        return 'v';
    case '\f':
        return 'f';
    case '\r':
        return 'r';
    case '\\':
        return '\\';
    default:
        return 0;
    }
}

/*
 * Copies what needs no escape, and returns how many bytes that were; there is room for n at `to`, and what stands behind
 * those may have been written, too. Whether a word needs escapes is asked of what is to be stored anyway: to look
 * at a value first and to copy it then took twice as long.
 */
static inline size_t copy_plain(char *to, const char *p, size_t n)
{
    size_t i = 0;
    uint64_t hit;

    for (; n - i >= TL_WORD; i += TL_WORD) {
        hit = escaped(tl_word_load(p + i));
        memcpy(to + i, p + i, TL_WORD);
        if (TL_UNLIKELY(hit))
            return i + (size_t)__builtin_ctzll(hit) / 8;
    }
    if (i == n)
        return n;
    if (n >= TL_WORD) {
        /* The last word overlaps bytes that were found plain. */
        hit = escaped(tl_word_load(p + n - TL_WORD));
        memcpy(to + n - TL_WORD, p + n - TL_WORD, TL_WORD);
        return TL_UNLIKELY(hit) ? n - TL_WORD + (size_t)__builtin_ctzll(hit) / 8 : n;
    }
    for (; i < n && !escape_letter(p[i]); i++)
        to[i] = p[i];
    return i;
}

/* From the byte on that needs the first escape. */
static int append_escaped(struct tl_buf *b, struct tl_str rest)
{
    while (rest.len) {
        size_t plain;
        int rc = tl_buf_reserve(b, rest.len + 1);

        if (rc)
            return rc;
        b->data[b->len++] = '\\';
        b->data[b->len++] = escape_letter(rest.ptr[0]);
        rest = tl_str_n(rest.ptr + 1, rest.len - 1);
        plain = copy_plain(b->data + b->len, rest.ptr, rest.len);
        b->len += plain;
        rest = tl_str_n(rest.ptr + plain, rest.len - plain);
    }
    return TL_BUF_OK;
}

int tl_rowtext_append(struct tl_buf *b, struct tl_str value)
{
    size_t before = b->len, plain;
    int rc;

    if (!value.ptr)
        return tl_buf_append(b, "\\N", 2);
    if (value.len == 0)
        return TL_BUF_OK;
    rc = tl_buf_reserve(b, value.len);
    if (rc)
        return rc;
    plain = copy_plain(b->data + b->len, value.ptr, value.len);
    b->len += plain;
    if (TL_LIKELY(plain == value.len))
        return TL_BUF_OK;
    rc = append_escaped(b, tl_str_n(value.ptr + plain, value.len - plain));
    if (rc)
        b->len = before;
    return rc;
}

bool tl_rowtext_append_short_text(struct tl_buf *b, struct tl_str value)
{
    uint64_t of_it = ((uint64_t)1 << TL_MIN(value.len, (size_t)TL_ROWTEXT_SHORT)) - 1;

    return TL_LIKELY(!(tl_mask_of(value.ptr) & of_it)) && tl_rowtext_append_short(b, value);
}

struct split {
    struct tl_str *fields;
    size_t max;
    size_t n;
    const char *start; /* of the field that is being read */
};

static inline void end_field(struct split *s, const char *end)
{
    if (s->n < s->max) {
        size_t len = (size_t)(end - s->start);
        bool null = len == 2 && s->start[0] == '\\' && s->start[1] == 'N';

        s->fields[s->n] = null ? (struct tl_str){NULL, 0} : (struct tl_str){s->start, len};
    }
    s->n++;
    s->start = end + 1;
}

static int end_row(struct split *s, const char *lf, struct tl_str *text)
{
    end_field(s, lf);
    text->len -= (size_t)(s->start - text->ptr);
    text->ptr = s->start;
    return (int)s->n;
}

int tl_rowtext_next(struct tl_str *text, struct tl_str *fields, size_t max)
{
    const char *p = text->ptr, *end = p + text->len;
    struct split s = {.fields = fields, .max = max, .start = p};

    if (text->len == 0)
        return 0;
    for (; end - p >= TL_WORD; p += TL_WORD) {
        uint64_t w = tl_word_load(p);
        uint64_t hits = tl_word_zeros(w ^ TL_EVERY('\t')) | tl_word_zeros(w ^ TL_EVERY('\n'));

        for (; hits; hits &= hits - 1) {
            const char *at = p + __builtin_ctzll(hits) / 8;

            if (*at == '\n')
                return end_row(&s, at, text);
            end_field(&s, at);
        }
    }
    for (; p < end; p++) {
        if (*p == '\n')
            return end_row(&s, p, text);
        if (*p == '\t')
            end_field(&s, p);
    }
    return -1;
}

static char unescape_letter(char c)
{
    switch (c) {
    case 'b':
        return '\b';
    case 't':
        return '\t';
    case 'n':
        return '\n';
    case 'v':
        return '\v';
    case 'f':
        return '\f';
    case 'r':
        return '\r';
    default:
        return c; /* as COPY has it */
    }
}

int tl_rowtext_unescape(struct tl_str field, struct tl_buf *scratch, struct tl_str *out)
{
    const char *p = field.ptr, *end = p + field.len;
    const char *slash = field.len ? memchr(p, '\\', field.len) : NULL;
    size_t start = scratch->len;
    char *to;
    int rc;

    if (!slash) {
        *out = field;
        return TL_BUF_OK;
    }
    rc = tl_buf_reserve(scratch, field.len);
    if (rc)
        return rc;
    to = scratch->data + start;
    while (slash && end - slash > 1) {
        memcpy(to, p, (size_t)(slash - p));
        to += slash - p;
        *to++ = unescape_letter(slash[1]);
        p = slash + 2;
        slash = p < end ? memchr(p, '\\', (size_t)(end - p)) : NULL;
    }
    memcpy(to, p, (size_t)(end - p));
    to += end - p;
    scratch->len = (size_t)(to - scratch->data);
    *out = tl_str_n(scratch->data + start, scratch->len - start);
    return TL_BUF_OK;
}

bool tl_rawtext_line(struct tl_str *text, int64_t *line)
{
    enum { DIGITS_MAX = 19 }; /* that can't overflow an uint64_t */
    uint64_t value = 0;       /* once a row: read here, instead of looked for first and then read */
    size_t i;

    for (i = 0; i < text->len && text->ptr[i] >= '0' && text->ptr[i] <= '9'; i++) {
        if (i == DIGITS_MAX)
            return false;
        value = value * 10 + (uint64_t)(text->ptr[i] - '0');
    }
    if (i == text->len || text->ptr[i] != '\t' || value == 0 || value > INT64_MAX)
        return false;
    *line = (int64_t)value;
    *text = tl_str_n(text->ptr + i + 1, text->len - i - 1);
    return true;
}
