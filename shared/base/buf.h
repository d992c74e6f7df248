/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A growing run of bytes with a ceiling that it never passes.
 *
 * Appending beyond the ceiling fails with TL_BUF_FULL and beyond the machine's memory with TL_BUF_NOMEM; either way
 * the buffer keeps what it had. The bytes belong to the buffer and move when it grows. One thread at a time.
 */
#ifndef TL_BASE_BUF_H
#define TL_BASE_BUF_H

#include <stdarg.h>
#include <stddef.h>

#include "shared/base/compiler.h"
#include "shared/base/error.h"
#include "shared/base/str.h"

enum { TL_BUF_OK = 0, TL_BUF_FULL = -1, TL_BUF_NOMEM = -2 };

struct tl_buf {
    char *data; /* NULL until the first byte */
    size_t len;
    size_t cap;
    size_t max; /* bytes that it may ever hold */
};

/* No memory is taken before the first append. */
void tl_buf_init(struct tl_buf *b, size_t max);
/* Frees the bytes; the buffer may be used again afterwards, with the same ceiling. */
void tl_buf_release(struct tl_buf *b);

int tl_buf_grow(struct tl_buf *b, size_t n) TL_MUST_CHECK; /* for tl_buf_reserve */

/* Room for n more bytes at data + len. */
TL_MUST_CHECK static inline int tl_buf_reserve(struct tl_buf *b, size_t n)
{
    return TL_LIKELY(n <= b->cap - b->len) ? TL_BUF_OK : tl_buf_grow(b, n);
}

int tl_buf_append(struct tl_buf *b, const void *bytes, size_t n) TL_MUST_CHECK;
int tl_buf_append_str(struct tl_buf *b, struct tl_str s) TL_MUST_CHECK;
int tl_buf_append_z(struct tl_buf *b, const char *z) TL_MUST_CHECK;
TL_MUST_CHECK static inline int tl_buf_append_char(struct tl_buf *b, char c)
{
    int rc = tl_buf_reserve(b, 1);

    if (TL_LIKELY(!rc))
        b->data[b->len++] = c;
    return rc;
}
/* In decimal. */
int tl_buf_append_i64(struct tl_buf *b, int64_t value) TL_MUST_CHECK;
int tl_buf_appendf(struct tl_buf *b, const char *fmt, ...) TL_PRINTF(2, 3) TL_MUST_CHECK;
/* Makes data a C string: a NUL behind the last byte that is not counted in len. */
int tl_buf_terminate(struct tl_buf *b) TL_MUST_CHECK;

static inline void tl_buf_reset(struct tl_buf *b)
{
    b->len = 0;
}

static inline struct tl_str tl_buf_str(const struct tl_buf *b)
{
    return (struct tl_str){b->data ? b->data : "", b->len};
}

/* Turns a result other than TL_BUF_OK into an error; `what` names the thing that was being built. Returns -1. */
int tl_buf_fail(int result, const struct tl_buf *b, const char *what, struct tl_error *err) TL_COLD;

#endif
