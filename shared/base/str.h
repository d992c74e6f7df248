/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A borrowed run of bytes. It owns nothing, need not end in NUL and may hold NUL bytes; whoever made it says how long
 * the bytes live. ptr NULL means "no value" (an SQL null, a header that is not there), which differs from len 0.
 */
#ifndef TL_BASE_STR_H
#define TL_BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "shared/base/compiler.h"

struct tl_str {
    const char *ptr;
    size_t len;
};

/* For printf's "%.*s". */
#define TL_STR_ARG(s) (int)(s).len, (s).ptr

static inline struct tl_str tl_str_n(const char *ptr, size_t len)
{
    return (struct tl_str){ptr, len};
}

static inline struct tl_str tl_str(const char *z)
{
    return (struct tl_str){z, z ? strlen(z) : 0};
}

static inline bool tl_str_eq(struct tl_str a, struct tl_str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline bool tl_str_eq_z(struct tl_str a, const char *z)
{
    return tl_str_eq(a, tl_str(z));
}

static inline bool tl_is_blank(char c)
{
    /* Each value that is loaded asks twice, and hardly any has one: that is one comparison. */
    return TL_UNLIKELY((unsigned char)c <= ' ') && (c == ' ' || c == '\t' || c == '\r' || c == '\n');
}

/* Without ASCII blanks (space, tab, CR, LF) at both ends. */
static inline struct tl_str tl_str_trim(struct tl_str s)
{
    while (s.len && tl_is_blank(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len && tl_is_blank(s.ptr[s.len - 1]))
        s.len--;
    return s;
}

/*
 * Cuts the part before the first sep off s and returns it; s is what follows. When sep is not there, the whole of s
 * is returned and s becomes {NULL, 0}, so `while (s.ptr)` visits every part, also an empty last one.
 */
static inline struct tl_str tl_str_cut(struct tl_str *s, char sep)
{
    struct tl_str head = *s;
    const char *at = s->len ? memchr(s->ptr, sep, s->len) : NULL;

    if (at) {
        head.len = (size_t)(at - s->ptr);
        *s = (struct tl_str){at + 1, s->len - head.len - 1};
    } else {
        *s = (struct tl_str){NULL, 0};
    }
    return head;
}

/* Copies s and a NUL into dst; false, and dst untouched, when it does not fit. */
static inline bool tl_str_copy(struct tl_str s, char *dst, size_t size) TL_MUST_CHECK;
static inline bool tl_str_copy(struct tl_str s, char *dst, size_t size)
{
    if (s.len >= size)
        return false;
    if (s.len)
        memcpy(dst, s.ptr, s.len);
    dst[s.len] = '\0';
    return true;
}

/* Whole-string decimal numbers in [min, max]; false for anything else, an empty string and blanks included. */
bool tl_str_to_i64(struct tl_str s, int64_t min, int64_t max, int64_t *out) TL_MUST_CHECK;

/* How alike two names are, as the number of single-character edits; for "did you mean". Reads at most 64 bytes of each. */
unsigned tl_str_distance(struct tl_str a, struct tl_str b);

#endif
