/* SPDX-License-Identifier: GPL-3.0-or-later */
/* uuid: 8-4-4-4-12 hexadecimal digits, in braces or not, or 32 of them in a row; canonical is lower case with
 * dashes. */
#include "shared/schema/canon.h"

enum { UUID_TEXT = 36, UUID_DIGITS = 32 };

static bool dash_at(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

static enum tl_verdict uuid_canon(const struct tl_type *type, struct tl_str in, struct tl_buf *scratch,
                                  struct tl_str *out, struct tl_reject *why)
{
    struct tl_str s = tl_str_trim(in);
    char text[UUID_TEXT];
    size_t n = 0;
    bool dashes;

    (void)type;
    if (s.len >= 2 && s.ptr[0] == '{' && s.ptr[s.len - 1] == '}')
        s = tl_str_n(s.ptr + 1, s.len - 2);
    dashes = s.len == UUID_TEXT;
    if (!dashes && s.len != UUID_DIGITS)
        return tl_canon_reject(why, in, TL_REJECT_NOT_UUID, "is not a UUID");
    for (size_t i = 0; i < s.len; i++) {
        if (dash_at(n)) {
            text[n++] = '-';
            if (dashes) {
                if (s.ptr[i] != '-')
                    return tl_canon_reject(why, in, TL_REJECT_NOT_UUID, "is not a UUID");
                continue;
            }
        }
        if (!tl_is_hex(s.ptr[i]))
            return tl_canon_reject(why, in, TL_REJECT_NOT_UUID, "is not a UUID");
        text[n++] = tl_lower(s.ptr[i]);
    }
    if (dashes && memcmp(text, s.ptr, UUID_TEXT) == 0)
        return tl_canon_borrow(s.ptr, UUID_TEXT, out);
    return tl_canon_copy(scratch, text, UUID_TEXT, out);
}

const struct tl_coltype tl_coltype_uuid = {
    .name = "uuid",
    .usage = "uuid",
    .can_be_key = true,
    .plain = true,
    .canon = uuid_canon,
};
