/* SPDX-License-Identifier: GPL-3.0-or-later */
/* int and bigint: an optional sign and digits; canonical has no plus, no leading zeros and no -0. */
#include "shared/schema/canon.h"

enum { DIGITS_MAX = 19 }; /* that can't overflow an uint64_t */

struct range {
    uint64_t max;   /* the least value is -max - 1 */
    size_t all_fit; /* any number of so many digits is in it */
    const char *text;
};

static const struct range int_range = {INT32_MAX, 9, "int's range (-2147483648 to 2147483647)"};
static const struct range bigint_range = {INT64_MAX, 18,
                                          "bigint's range (-9223372036854775808 to 9223372036854775807)"};

/* As nearly all values are: canonical, and in range whatever its digits are. */
static inline bool is_short(const struct range *range, struct tl_str s)
{
    if (s.len == 0 || s.len > range->all_fit || s.ptr[0] == '0')
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (!tl_is_digit(s.ptr[i]))
            return false;
    return true;
}

TL_HOT static enum tl_verdict integer_canon(const struct range *range, struct tl_str in,
                                            struct tl_buf *scratch, struct tl_str *out, struct tl_reject *why)
{
    struct tl_str s = tl_str_trim(in);
    const char *p = s.ptr, *end = s.ptr + s.len, *digits;
    bool negative = false, too_many;
    uint64_t value = 0;
    size_t at, n;

    if (TL_LIKELY(is_short(range, s)))
        return tl_canon_borrow(s.ptr, s.len, out);
    if (p < end && (*p == '-' || *p == '+'))
        negative = *p++ == '-';
    if (p == end)
        return tl_canon_reject(why, in, TL_REJECT_NOT_INTEGER, "is not an integer");
    while (p < end && *p == '0')
        p++;
    digits = p;
    n = (size_t)(end - digits);
    too_many = n > DIGITS_MAX;
    for (; p < end; p++) {
        if (TL_UNLIKELY(!tl_is_digit(*p)))
            return tl_canon_reject(why, in, TL_REJECT_NOT_INTEGER, "is not an integer");
        if (!too_many)
            value = value * 10 + (uint64_t)(*p - '0');
    }
    if (TL_UNLIKELY(too_many || value > range->max + negative))
        return tl_canon_reject(why, in, TL_REJECT_OUT_OF_RANGE, "is outside of %s", range->text);

    if (value == 0)
        return tl_canon_borrow(end - 1, 1, out);
    if (!negative)
        return tl_canon_borrow(digits, n, out);
    if (digits == s.ptr + 1)
        return tl_canon_borrow(s.ptr, s.len, out);
    at = scratch->len;
    if (tl_buf_reserve(scratch, n + 1))
        return TL_VALUE_NOMEM;
    scratch->data[at] = '-';
    memcpy(scratch->data + at + 1, digits, n);
    scratch->len += n + 1;
    *out = tl_str_n(scratch->data + at, n + 1);
    return TL_VALUE_OK;
}

static enum tl_verdict int_canon(const struct tl_type *type, struct tl_str in, struct tl_buf *scratch,
                                 struct tl_str *out, struct tl_reject *why)
{
    (void)type;
    return integer_canon(&int_range, in, scratch, out, why);
}

static enum tl_verdict bigint_canon(const struct tl_type *type, struct tl_str in, struct tl_buf *scratch,
                                    struct tl_str *out, struct tl_reject *why)
{
    (void)type;
    return integer_canon(&bigint_range, in, scratch, out, why);
}

const struct tl_coltype tl_coltype_int = {
    .name = "int",
    .usage = "int",
    .can_be_key = true,
    .plain = true,
    .canon = int_canon,
};

const struct tl_coltype tl_coltype_bigint = {
    .name = "bigint",
    .usage = "bigint",
    .can_be_key = true,
    .plain = true,
    .canon = bigint_canon,
};
