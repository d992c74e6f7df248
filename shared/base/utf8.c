/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/base/utf8.h"

#include <stdint.h>
#include <string.h>

#include "shared/base/word.h"

static bool continues(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

size_t tl_utf8_char(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;

    if (u[0] < 0x80)
        return 1;
    if (u[0] < 0xC2)
        return 0;
    if (u[0] < 0xE0)
        return n >= 2 && continues(u[1]) ? 2 : 0;
    if (u[0] < 0xF0) {
        if (n < 3 || !continues(u[1]) || !continues(u[2]))
            return 0;
        if ((u[0] == 0xE0 && u[1] < 0xA0) || (u[0] == 0xED && u[1] > 0x9F))
            return 0;
        return 3;
    }
    if (u[0] > 0xF4 || n < 4 || !continues(u[1]) || !continues(u[2]) || !continues(u[3]))
        return 0;
    if ((u[0] == 0xF0 && u[1] < 0x90) || (u[0] == 0xF4 && u[1] > 0x8F))
        return 0;
    return 4;
}

bool tl_utf8_valid(const char *s, size_t n, size_t *chars)
{
    size_t i = 0, count = 0;

    while (i < n) {
        uint64_t eight;

        /* Nearly all text is ASCII: eight bytes at a time while no high bit is set. */
        while (n - i >= sizeof eight) {
            memcpy(&eight, s + i, sizeof eight);
            if (eight & UINT64_C(0x8080808080808080))
                break;
            i += sizeof eight;
            count += sizeof eight;
        }
        if (i == n)
            break;
        size_t len = tl_utf8_char(s + i, n - i);

        if (len == 0)
            return false;
        i += len;
        count++;
    }
    if (chars)
        *chars = count;
    return true;
}

/*
 * Is each byte of the word from 0x01 to 0x7F? The sum sets the high bit of every byte but a NUL, and ~word drops those
 * that had it before. Only a byte that had it carries into the next one, and then the answer is no anyway.
 */
static inline bool all_ascii(uint64_t word)
{
    return ((word + TL_EVERY(0x7F)) & ~word & TL_EVERY(0x80)) == TL_EVERY(0x80);
}

bool tl_utf8_ascii(const char *s, size_t n)
{
    enum { WORD = 8, HALF = 4 };
    uint64_t word;
    size_t i;

    if (n >= WORD) {
        for (i = 0; i + WORD < n; i += WORD) {
            memcpy(&word, s + i, WORD);
            if (!all_ascii(word))
                return false;
        }
        memcpy(&word, s + n - WORD, WORD); /* overlaps what was seen */
        return all_ascii(word);
    }
    if (n >= HALF) {
        uint32_t first, last;

        memcpy(&first, s, HALF);
        memcpy(&last, s + n - HALF, HALF);
        return all_ascii(first | (uint64_t)last << 32);
    }
    for (i = 0; i < n; i++)
        if ((signed char)s[i] <= 0)
            return false;
    return true;
}

size_t tl_utf8_cut(const char *s, size_t n, size_t max)
{
    if (n <= max)
        return n;
    size_t at = max;

    /* At most three steps back; text that is not UTF-8 is cut where it is. */
    for (int i = 0; i < 3 && at > 0 && continues((unsigned char)s[at]); i++)
        at--;
    return continues((unsigned char)s[at]) ? max : at;
}
