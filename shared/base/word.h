/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Eight bytes looked at as one word, in which a byte's place is its place in memory, the first the lowest. What is found of
 * each byte is 0x80 at its place. Any thread.
 */
#ifndef TL_BASE_WORD_H
#define TL_BASE_WORD_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

enum { TL_WORD = 8 };

/* Each byte is this one, from 0 to 255. */
#define TL_EVERY(byte) (0x0101010101010101u * (uint64_t)(byte))

static inline uint64_t tl_word_load(const char *p)
{
    uint64_t w;

    memcpy(&w, p, sizeof w);
    return le64toh(w);
}

/* The bytes that are zero. No carry goes from byte to byte: all of them are right, not only the first. */
static inline uint64_t tl_word_zeros(uint64_t w)
{
    return ~(((w & TL_EVERY(0x7F)) + TL_EVERY(0x7F)) | w | TL_EVERY(0x7F));
}

/* Of what was found, bit i for byte i: the multiplication gathers the eight flags in the topmost byte. */
static inline uint64_t tl_word_bits(uint64_t found)
{
    return ((found >> 7) * 0x0102040810204080) >> 56;
}

#endif
