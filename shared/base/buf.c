/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/base/buf.h"

#include <stdio.h>
#include <stdlib.h>

enum { SMALLEST = 64 };

void tl_buf_init(struct tl_buf *b, size_t max)
{
    *b = (struct tl_buf){.max = max};
}

void tl_buf_release(struct tl_buf *b)
{
    free(b->data);
    *b = (struct tl_buf){.max = b->max};
}

int tl_buf_grow(struct tl_buf *b, size_t n)
{
    size_t need, cap;
    char *data;

    if (n > b->max || b->len > b->max - n)
        return TL_BUF_FULL;
    need = b->len + n;
    cap = b->cap < SMALLEST ? TL_MIN((size_t)SMALLEST, b->max) : b->cap;
    while (cap < need)
        cap = cap > b->max / 2 ? b->max : cap * 2;
    data = realloc(b->data, cap);
    if (!data)
        return TL_BUF_NOMEM;
    b->data = data;
    b->cap = cap;
    return TL_BUF_OK;
}

int tl_buf_append(struct tl_buf *b, const void *bytes, size_t n)
{
    int rc = tl_buf_reserve(b, n);

    if (rc)
        return rc;
    if (n)
        memcpy(b->data + b->len, bytes, n);
    b->len += n;
    return TL_BUF_OK;
}

int tl_buf_append_str(struct tl_buf *b, struct tl_str s)
{
    return tl_buf_append(b, s.ptr, s.len);
}

int tl_buf_append_z(struct tl_buf *b, const char *z)
{
    return tl_buf_append(b, z, strlen(z));
}

int tl_buf_append_i64(struct tl_buf *b, int64_t value)
{
    char digits[24];
    size_t at = sizeof digits;
    uint64_t rest = value < 0 ? -(uint64_t)value : (uint64_t)value;

    do {
        digits[--at] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest);
    if (value < 0)
        digits[--at] = '-';
    return tl_buf_append(b, digits + at, sizeof digits - at);
}

int tl_buf_appendf(struct tl_buf *b, const char *fmt, ...)
{
    va_list ap;
    int need, rc;

    va_start(ap, fmt);
    need = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (need < 0)
        return TL_BUF_NOMEM;
    rc = tl_buf_reserve(b, (size_t)need + 1);
    if (rc)
        return rc;
    va_start(ap, fmt);
    vsnprintf(b->data + b->len, (size_t)need + 1, fmt, ap);
    va_end(ap);
    b->len += (size_t)need;
    return TL_BUF_OK;
}

int tl_buf_terminate(struct tl_buf *b)
{
    int rc = tl_buf_reserve(b, 1);

    if (rc)
        return rc;
    b->data[b->len] = '\0';
    return TL_BUF_OK;
}

int tl_buf_fail(int result, const struct tl_buf *b, const char *what, struct tl_error *err)
{
    if (result == TL_BUF_NOMEM)
        return tl_fail_nomem(err);
    return tl_fail(err, TL_E_TOO_LARGE, "%s would be larger than %zu bytes", what, b->max);
}
