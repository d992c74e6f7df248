/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * decimal(p,s): exact numbers of at most p digits, s of them behind the point. Nothing is ever rounded: a
 * number with more digits behind the point than s is rejected, unless they are zeros.
 *
 * Canonical has no plus, no leading zeros but the one of 0.5, and exactly s digits behind the point. A value
 * of this form passes through untouched.
 *
 * Otherwise the digits are looked at as one run, numbered from 0, the point taken out: digit i stands for the
 * power of ten `top - i`, and all checks are about the powers of the first and the last digit that are not 0.
 */
#include "shared/schema/canon.h"

enum {
    PRECISION_MAX = 38,
    TEXT_MAX = PRECISION_MAX + 3 /* with sign, point and the zero before it */
};

/* Exponents beyond it stay there: no run of digits that fits into memory could bring such a number back. */
#define EXPONENT_MAX INT64_C(1000000000000000)

struct number {
    bool negative;
    const char *digits; /* the run of digits, with the point somewhere in it */
    int64_t ndigits;
    int64_t before;      /* digits before the point */
    int64_t top;         /* the power of ten of digit 0 */
    int64_t first, last; /* digits that are not 0; first is -1 when all are */
};

static char digit_at(const struct number *x, int64_t i)
{
    return x->digits[i < x->before ? i : i + 1];
}

static bool is_canonical(const struct tl_type *type, struct tl_str s)
{
    size_t first = s.len && s.ptr[0] == '-' ? 1 : 0;
    size_t scale = (size_t)type->scale, room = (size_t)(type->length - type->scale);
    size_t behind = scale ? scale + 1 : 0;
    size_t before, i;
    char any = '0';

    if (s.len < first + behind + 1)
        return false;
    before = s.len - first - behind;
    if (before > room && !(before == 1 && s.ptr[first] == '0'))
        return false;
    if (s.ptr[first] == '0' && before > 1)
        return false;
    for (i = first; i < first + before; i++) {
        if (!tl_is_digit(s.ptr[i]))
            return false;
        any |= s.ptr[i];
    }
    if (scale) {
        if (s.ptr[i++] != '.')
            return false;
        for (; i < s.len; i++) {
            if (!tl_is_digit(s.ptr[i]))
                return false;
            any |= s.ptr[i];
        }
    }
    return first == 0 || any != '0';
}

static bool read_exponent(struct tl_str s, size_t i, int64_t *exponent)
{
    bool negative = false;

    *exponent = 0;
    if (i == s.len)
        return true;
    if (s.ptr[i] != 'e' && s.ptr[i] != 'E')
        return false;
    i++;
    if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+'))
        negative = s.ptr[i++] == '-';
    if (i == s.len)
        return false;
    for (; i < s.len; i++) {
        if (!tl_is_digit(s.ptr[i]))
            return false;
        if (*exponent < EXPONENT_MAX)
            *exponent = *exponent * 10 + (s.ptr[i] - '0');
    }
    if (negative)
        *exponent = -*exponent;
    return true;
}

static bool read_number(struct tl_str s, struct number *x)
{
    size_t i = 0;
    bool point = false;
    int64_t exponent;

    *x = (struct number){.first = -1, .last = -1};
    if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+'))
        x->negative = s.ptr[i++] == '-';
    x->digits = s.ptr + i;
    for (; i < s.len; i++) {
        char c = s.ptr[i];

        if (c == '.' && !point) {
            point = true;
            x->before = x->ndigits;
        } else if (tl_is_digit(c)) {
            if (c != '0') {
                x->last = x->ndigits;
                if (x->first < 0)
                    x->first = x->ndigits;
            }
            x->ndigits++;
        } else {
            break;
        }
    }
    if (!point)
        x->before = x->ndigits;
    if (x->ndigits == 0 || !read_exponent(s, i, &exponent))
        return false;
    x->top = x->before - 1 + exponent;
    return true;
}

static enum tl_verdict write_number(const struct tl_type *type, const struct number *x,
                                    struct tl_buf *scratch, struct tl_str *out)
{
    int64_t highest = x->first < 0 ? 0 : TL_MAX(x->top - x->first, 0);
    char text[TEXT_MAX];
    size_t n = 0;

    if (x->negative && x->first >= 0)
        text[n++] = '-';
    for (int64_t power = highest; power >= -type->scale; power--) {
        bool there = x->first >= 0 && power <= x->top - x->first && power >= x->top - x->last;

        if (power == -1)
            text[n++] = '.';
        text[n++] = there ? digit_at(x, x->top - power) : '0';
    }
    return tl_canon_copy(scratch, text, n, out);
}

TL_HOT static enum tl_verdict decimal_canon(const struct tl_type *type, struct tl_str in,
                                            struct tl_buf *scratch, struct tl_str *out, struct tl_reject *why)
{
    struct tl_str s = tl_str_trim(in);
    int room = type->length - type->scale;
    struct number x;

    if (TL_LIKELY(is_canonical(type, s)))
        return tl_canon_borrow(s.ptr, s.len, out);
    if (!read_number(s, &x))
        return tl_canon_reject(why, in, TL_REJECT_NOT_NUMBER, "is not a number");
    if (x.first >= 0) {
        int64_t behind = x.last - x.top, before = x.top - x.first + 1;

        if (behind > type->scale)
            return tl_canon_reject(
                why, in, TL_REJECT_SCALE, "has %lld digit%s behind the point, decimal(%d,%d) keeps %d",
                (long long)behind, behind == 1 ? "" : "s", type->length, type->scale, type->scale);
        if (before > room)
            return tl_canon_reject(why, in, TL_REJECT_PRECISION,
                                   "has %lld digit%s before the point, decimal(%d,%d) has room for %d",
                                   (long long)before, before == 1 ? "" : "s", type->length, type->scale,
                                   room);
    }
    return write_number(type, &x, scratch, out);
}

static int decimal_args(struct tl_type *type, const int64_t *args, size_t n, struct tl_error *err)
{
    int64_t scale = n == 2 ? args[1] : 0;

    if (n == 0 || n > 2)
        return tl_fail(err, TL_E_REFUSED,
                       "decimal needs its number of digits and how many of them are behind the point, "
                       "as in decimal(10,2)");
    if (args[0] < 1 || args[0] > PRECISION_MAX)
        return tl_fail(err, TL_E_REFUSED, "a decimal has from 1 to %d digits, not %lld", PRECISION_MAX,
                       (long long)args[0]);
    if (scale < 0 || scale > args[0])
        return tl_fail(err, TL_E_REFUSED,
                       "a decimal of %lld digits has from 0 to %lld behind the point, not %lld",
                       (long long)args[0], (long long)args[0], (long long)scale);
    type->length = (int32_t)args[0];
    type->scale = (int32_t)scale;
    return 0;
}

const struct tl_coltype tl_coltype_decimal = {
    .name = "decimal",
    .usage = "decimal(p,s)",
    .can_be_key = true,
    .plain = true,
    .nargs = 2,
    .set_args = decimal_args,
    .canon = decimal_canon,
};
