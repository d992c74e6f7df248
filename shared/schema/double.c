/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * double: decimal notation with an optional exponent, Infinity and NaN; no hexadecimal. Canonical is the
 * first of
 * %.15g, %.16g and %.17g that reads back as the same number, and Infinity, -Infinity, NaN as PostgreSQL
 * writes them.
 *
 * A plain decimal of at most 15 significant digits is what %.15g would print, but for zeros at the end, so it
 * is taken as it stands, without the zeros, and neither strtod nor printf is called.
 *
 * The programs never leave the C locale for numbers, so the point is a dot to strtod and printf.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/schema/canon.h"

enum {
    DIGITS_EXACT = 15,   /* decimal digits that every double keeps */
    ZEROS_BEFORE_EXP = 3 /* 0.0001 is printed so, 0.00001 as 1e-05 */
};

static size_t skip_digits(struct tl_str s, size_t i)
{
    while (i < s.len && tl_is_digit(s.ptr[i]))
        i++;
    return i;
}

/* The length of the part of s that is canonical as it stands, or 0 when s needs the long way. */
static size_t plain_decimal(struct tl_str s)
{
    size_t first = s.len && s.ptr[0] == '-' ? 1 : 0;
    size_t point, end, zeros;

    if (s.len - first > DIGITS_EXACT + 1)
        return 0;
    point = skip_digits(s, first);
    if (point == first || (s.ptr[first] == '0' && point > first + 1))
        return 0;
    if (point == s.len)
        return point - first <= DIGITS_EXACT ? point : 0;
    if (s.ptr[point] != '.')
        return 0;
    end = skip_digits(s, point + 1);
    if (end != s.len || end == point + 1)
        return 0;
    while (s.ptr[end - 1] == '0')
        end--;
    if (end == point + 1)
        return point;
    if (s.ptr[first] == '0') {
        for (zeros = 0; s.ptr[point + 1 + zeros] == '0'; zeros++)
            continue;
        if (zeros > ZEROS_BEFORE_EXP)
            return 0;
    }
    return end;
}

/* Digits with an optional point and exponent; *zero is true when no digit before the exponent is other than
 * 0. */
static bool is_number(struct tl_str s, bool *zero)
{
    size_t i = s.len && (s.ptr[0] == '-' || s.ptr[0] == '+') ? 1 : 0;
    size_t start = i, digits, after;

    i = skip_digits(s, i);
    digits = i - start;
    if (i < s.len && s.ptr[i] == '.') {
        after = skip_digits(s, i + 1);
        digits += after - (i + 1);
        i = after;
    }
    if (digits == 0)
        return false;
    *zero = true;
    for (size_t k = start; k < i; k++)
        if (s.ptr[k] != '0' && s.ptr[k] != '.')
            *zero = false;
    if (i < s.len && (s.ptr[i] == 'e' || s.ptr[i] == 'E')) {
        i++;
        if (i < s.len && (s.ptr[i] == '-' || s.ptr[i] == '+'))
            i++;
        after = skip_digits(s, i);
        if (after == i)
            return false;
        i = after;
    }
    return i == s.len;
}

static const char *special(struct tl_str s)
{
    bool negative = s.len && s.ptr[0] == '-';

    if (tl_is_word(s, "nan"))
        return "NaN";
    if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+')) {
        s.ptr++;
        s.len--;
    }
    if (tl_is_word(s, "inf") || tl_is_word(s, "infinity"))
        return negative ? "-Infinity" : "Infinity";
    return NULL;
}

static enum tl_verdict double_canon(const struct tl_type *type, struct tl_str in, struct tl_buf *scratch,
                                    struct tl_str *out, struct tl_reject *why)
{
    struct tl_str s = tl_str_trim(in);
    size_t plain = plain_decimal(s);
    char text[40];
    const char *word;
    double value;
    bool zero;
    int n = 0;

    (void)type;
    if (TL_LIKELY(plain))
        return tl_canon_borrow(s.ptr, plain, out);
    word = special(s);
    if (word)
        return tl_str_eq_z(s, word) ? tl_canon_borrow(s.ptr, s.len, out)
                                    : tl_canon_copy(scratch, word, strlen(word), out);
    if (!is_number(s, &zero))
        return tl_canon_reject(why, in, TL_REJECT_NOT_NUMBER, "is not a number");

    /* strtod wants a NUL behind: a copy in scratch that is not counted in its length. */
    if (tl_buf_reserve(scratch, s.len + 1))
        return TL_VALUE_NOMEM;
    memcpy(scratch->data + scratch->len, s.ptr, s.len);
    scratch->data[scratch->len + s.len] = '\0';
    value = strtod(scratch->data + scratch->len, NULL);
    if (isinf(value))
        return tl_canon_reject(why, in, TL_REJECT_OUT_OF_RANGE,
                               "is outside of double's range (1.8e308 at most)");
    if (value == 0 && !zero)
        return tl_canon_reject(why, in, TL_REJECT_OUT_OF_RANGE,
                               "is nearer to zero than any double (4.9e-324)");
    for (int digits = DIGITS_EXACT; digits <= 17; digits++) {
        n = snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value)
            break;
    }
    if (tl_str_eq(s, tl_str_n(text, (size_t)n)))
        return tl_canon_borrow(s.ptr, s.len, out);
    return tl_canon_copy(scratch, text, (size_t)n, out);
}

const struct tl_coltype tl_coltype_double = {
    .name = "double",
    .usage = "double",
    .can_be_key = false,
    .plain = true,
    .canon = double_canon,
};
