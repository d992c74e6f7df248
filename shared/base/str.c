/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/base/str.h"

bool tl_str_to_i64(struct tl_str s, int64_t min, int64_t max, int64_t *out)
{
    bool negative = s.len > 0 && s.ptr[0] == '-';
    size_t i = negative ? 1 : 0;
    int64_t value = 0;

    if (i == s.len)
        return false;
    /* Counted downwards: the most negative number has no positive twin. */
    for (; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9')
            return false;
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_sub_overflow(value, s.ptr[i] - '0', &value))
            return false;
    }
    if (!negative && __builtin_sub_overflow((int64_t)0, value, &value))
        return false;
    if (value < min || value > max)
        return false;
    *out = value;
    return true;
}

unsigned tl_str_distance(struct tl_str a, struct tl_str b)
{
    enum { LONGEST = 64 };
    unsigned row[LONGEST + 1];

    a.len = TL_MIN(a.len, (size_t)LONGEST);
    b.len = TL_MIN(b.len, (size_t)LONGEST);
    for (size_t j = 0; j <= b.len; j++)
        row[j] = (unsigned)j;
    for (size_t i = 1; i <= a.len; i++) {
        unsigned diagonal = row[0];

        row[0] = (unsigned)i;
        for (size_t j = 1; j <= b.len; j++) {
            unsigned above = row[j];
            unsigned best = diagonal + (a.ptr[i - 1] != b.ptr[j - 1]);

            best = TL_MIN(best, above + 1);
            best = TL_MIN(best, row[j - 1] + 1);
            row[j] = best;
            diagonal = above;
        }
    }
    return row[b.len];
}
