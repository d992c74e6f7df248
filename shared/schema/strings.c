/* SPDX-License-Identifier: GPL-3.0-or-later */
/* text and varchar(n): UTF-8 without NUL bytes, as it stands; a varchar's length is in characters. */
#include "shared/schema/canon.h"

enum { VARCHAR_MAX = 10485760 }; /* PostgreSQL's limit */

TL_HOT static enum tl_verdict text_canon(const struct tl_type *type, struct tl_str in, struct tl_buf *scratch,
                                         struct tl_str *out, struct tl_reject *why)
{
    size_t chars;

    (void)type;
    (void)scratch;
    if (!tl_check_text(in, &chars, why))
        return TL_VALUE_REJECT;
    return tl_canon_borrow(in.ptr, in.len, out);
}

TL_HOT static enum tl_verdict varchar_canon(const struct tl_type *type, struct tl_str in,
                                            struct tl_buf *scratch, struct tl_str *out, struct tl_reject *why)
{
    size_t chars;

    (void)scratch;
    if (!tl_check_text(in, &chars, why))
        return TL_VALUE_REJECT;
    if (chars > (size_t)type->length)
        return tl_canon_reject(why, in, TL_REJECT_TOO_LONG, "has %zu characters, varchar(%d) takes %d", chars,
                               type->length, type->length);
    return tl_canon_borrow(in.ptr, in.len, out);
}

static int varchar_args(struct tl_type *type, const int64_t *args, size_t n, struct tl_error *err)
{
    if (n != 1)
        return tl_fail(err, TL_E_REFUSED,
                       "varchar needs its length in characters, as in varchar(20); text has no limit");
    if (args[0] < 1 || args[0] > VARCHAR_MAX)
        return tl_fail(err, TL_E_REFUSED,
                       "a varchar's length is from 1 to %d characters, not %lld; text has no limit",
                       VARCHAR_MAX, (long long)args[0]);
    type->length = (int32_t)args[0];
    type->scale = 0;
    return 0;
}

const struct tl_coltype tl_coltype_text = {
    .name = "text",
    .usage = "text",
    .can_be_key = true,
    .verbatim = true,
    .canon = text_canon,
};

const struct tl_coltype tl_coltype_varchar = {
    .name = "varchar",
    .usage = "varchar(n)",
    .can_be_key = true,
    .verbatim = true,
    .nargs = 1,
    .set_args = varchar_args,
    .canon = varchar_canon,
};
