/* SPDX-License-Identifier: GPL-3.0-or-later */
/* bytea: bytes as PostgreSQL writes them, \x and two hexadecimal digits a byte; canonical is lower case. */
#include "shared/schema/canon.h"

static enum tl_verdict bytea_canon(const struct tl_type *type, struct tl_str in, struct tl_buf *scratch,
                                   struct tl_str *out, struct tl_reject *why)
{
    struct tl_str s = tl_str_trim(in);
    bool upper = false;
    size_t at = scratch->len;

    (void)type;
    if (s.len < 2 || s.ptr[0] != '\\' || s.ptr[1] != 'x')
        return tl_canon_reject(why, in, TL_REJECT_NOT_BYTEA,
                               "does not begin with \\x and hexadecimal digits");
    for (size_t i = 2; i < s.len; i++) {
        if (!tl_is_hex(s.ptr[i]))
            return tl_canon_reject(why, in, TL_REJECT_NOT_BYTEA,
                                   "has something else than hexadecimal digits");
        upper |= s.ptr[i] != tl_lower(s.ptr[i]);
    }
    if (s.len % 2)
        return tl_canon_reject(why, in, TL_REJECT_NOT_BYTEA, "has an odd number of hexadecimal digits");
    if (!upper)
        return tl_canon_borrow(s.ptr, s.len, out);
    if (tl_buf_append_str(scratch, s))
        return TL_VALUE_NOMEM;
    for (size_t i = at; i < scratch->len; i++)
        scratch->data[i] = tl_lower(scratch->data[i]);
    *out = tl_str_n(scratch->data + at, s.len);
    return TL_VALUE_OK;
}

const struct tl_coltype tl_coltype_bytea = {
    .name = "bytea",
    .usage = "bytea",
    .can_be_key = false,
    .canon = bytea_canon,
};
