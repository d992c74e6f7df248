/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The list of column types, the names of the reasons for a rejection, and the ways in which a canon function
 * ends. */
#include "shared/schema/coltype.h"

#include <stdarg.h>
#include <stdio.h>

#include "shared/base/utf8.h"
#include "shared/schema/canon.h"

static const struct tl_coltype *const coltypes[TL_TYPE_COUNT] = {
#define X(id, symbol) [TL_TYPE_##id] = &(symbol),
#include "shared/schema/coltypes.def"
#undef X
};

static const char *const reject_names[TL_REJECT_COUNT] = {
    [TL_REJECT_NONE] = "none",
#define X(code, name, meaning) [TL_REJECT_##code] = (name),
#include "shared/schema/rejects.def"
#undef X
};

const struct tl_coltype *tl_coltype(enum tl_type_id id)
{
    return coltypes[id];
}

const char *tl_reject_name(enum tl_reject_code code)
{
    return reject_names[code];
}

enum tl_reject_code tl_reject_by_name(struct tl_str name)
{
    for (int code = TL_REJECT_NONE + 1; code < TL_REJECT_COUNT; code++)
        if (tl_str_eq_z(name, reject_names[code]))
            return (enum tl_reject_code)code;
    return TL_REJECT_NONE;
}

bool tl_type_eq(const struct tl_type *a, const struct tl_type *b)
{
    return a->id == b->id && a->length == b->length && a->scale == b->scale;
}

bool tl_check_text(struct tl_str in, size_t *chars, struct tl_reject *why)
{
    if (TL_LIKELY(tl_utf8_ascii(in.ptr, in.len))) {
        if (chars)
            *chars = in.len;
        return true;
    }
    if (TL_UNLIKELY(in.len && memchr(in.ptr, '\0', in.len))) {
        why->code = TL_REJECT_NUL_BYTE;
        snprintf(why->reason, sizeof why->reason, "has a NUL byte");
        return false;
    }
    if (TL_UNLIKELY(!tl_utf8_valid(in.ptr, in.len, chars))) {
        why->code = TL_REJECT_INVALID_UTF8;
        snprintf(why->reason, sizeof why->reason, "is not UTF-8");
        return false;
    }
    return true;
}

enum tl_verdict tl_canon_reject(struct tl_reject *why, struct tl_str in, enum tl_reject_code code,
                                const char *fmt, ...)
{
    va_list ap;

    if (!tl_check_text(in, NULL, why))
        return TL_VALUE_REJECT;
    why->code = code;
    va_start(ap, fmt);
    vsnprintf(why->reason, sizeof why->reason, fmt, ap);
    va_end(ap);
    return TL_VALUE_REJECT;
}

enum tl_verdict tl_canon_copy(struct tl_buf *scratch, const char *bytes, size_t n, struct tl_str *out)
{
    size_t at = scratch->len;

    if (tl_buf_append(scratch, bytes, n))
        return TL_VALUE_NOMEM;
    *out = tl_str_n(scratch->data + at, n);
    return TL_VALUE_OK;
}
