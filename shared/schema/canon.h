/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of the column types share: the few ways in which a canon function ends. For this folder
 * alone.
 */
#ifndef TL_SCHEMA_CANON_H
#define TL_SCHEMA_CANON_H

#include "shared/schema/coltype.h"

#define X(id, symbol) extern const struct tl_coltype symbol;
#include "shared/schema/coltypes.def"
#undef X

/*
 * Rejects `in`. Whatever the type found wrong, a NUL byte or bytes that are not UTF-8 are the better reason,
 * so they are looked for first. Returns TL_VALUE_REJECT.
 */
enum tl_verdict tl_canon_reject(struct tl_reject *why, struct tl_str in, enum tl_reject_code code,
                                const char *fmt, ...) TL_PRINTF(4, 5) TL_COLD;

/* True when `in` is UTF-8 without NUL bytes; then *chars is its number of characters. Otherwise fills *why.
 */
bool tl_check_text(struct tl_str in, size_t *chars, struct tl_reject *why) TL_MUST_CHECK;

/* Appends the canonical form to scratch and lets *out be it. TL_VALUE_OK or TL_VALUE_NOMEM. */
enum tl_verdict tl_canon_copy(struct tl_buf *scratch, const char *bytes, size_t n, struct tl_str *out);

/* `in` or a part of it is canonical. */
static inline enum tl_verdict tl_canon_borrow(const char *ptr, size_t n, struct tl_str *out)
{
    *out = tl_str_n(ptr, n);
    return TL_VALUE_OK;
}

static inline bool tl_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static inline char tl_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static inline bool tl_is_hex(char c)
{
    char low = tl_lower(c);

    return tl_is_digit(c) || (low >= 'a' && low <= 'f');
}

/* Compares with a word in lower case, case ignored. */
static inline bool tl_is_word(struct tl_str s, const char *lower)
{
    size_t i;

    for (i = 0; i < s.len && lower[i] && tl_lower(s.ptr[i]) == lower[i]; i++)
        continue;
    return i == s.len && lower[i] == '\0';
}

#endif
