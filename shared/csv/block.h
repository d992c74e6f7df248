/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * 64 bytes looked at as one: which of them are equal to one of four bytes, as a mask with bit i for byte i. Who looks
 * for fewer gives one twice, which costs nothing.
 *
 * Two forms of the same functions, by SSE2 (which every x86-64 has) and in plain C. Both are compiled
 * wherever they can be, so that a test can hold them against each other; TL_BLOCK_PLAIN picks the plain
 * ones for all. Any thread.
 */
#ifndef TL_CSV_BLOCK_H
#define TL_CSV_BLOCK_H

#include "shared/base/word.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

enum { TL_BLOCK = 64 };

/* Bytes equal to a, b, c or d. */
static inline uint64_t tl_block_plain_any4(const char *p, char a, char b, char c, char d)
{
    const uint64_t va = TL_EVERY((unsigned char)a), vb = TL_EVERY((unsigned char)b);
    const uint64_t vc = TL_EVERY((unsigned char)c), vd = TL_EVERY((unsigned char)d);
    uint64_t mask = 0;

    for (int i = 0; i < TL_BLOCK; i += TL_WORD) {
        uint64_t word = tl_word_load(p + i);

        mask |= tl_word_bits(tl_word_zeros(word ^ va) | tl_word_zeros(word ^ vb) | tl_word_zeros(word ^ vc) |
                             tl_word_zeros(word ^ vd))
                << i;
    }
    return mask;
}

#ifdef __SSE2__
static inline uint64_t tl_block_sse2_any4(const char *p, char a, char b, char c, char d)
{
    const __m128i va = _mm_set1_epi8(a), vb = _mm_set1_epi8(b), vc = _mm_set1_epi8(c), vd = _mm_set1_epi8(d);
    uint64_t mask = 0;

    for (int i = 0; i < TL_BLOCK / 16; i++) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        __m128i hits = _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(v, va), _mm_cmpeq_epi8(v, vb)),
                                    _mm_or_si128(_mm_cmpeq_epi8(v, vc), _mm_cmpeq_epi8(v, vd)));

        mask |= (uint64_t)(uint32_t)_mm_movemask_epi8(hits) << (16 * i);
    }
    return mask;
}
#endif

#if defined(__SSE2__) && !defined(TL_BLOCK_PLAIN)
#define tl_block_any4_of tl_block_sse2_any4
#else
#define tl_block_any4_of tl_block_plain_any4
#endif

/*
 * The same for n bytes at p of which only those are looked at; n > TL_BLOCK counts as TL_BLOCK. `readable`:
 * bytes that may be read at p, at least n.
 */
static inline uint64_t tl_block_any4(const char *p, size_t n, size_t readable, char a, char b, char c, char d)
{
    char copy[TL_BLOCK];

    if (readable < TL_BLOCK) {
        memset(copy, 0, sizeof copy);
        memcpy(copy, p, n);
        p = copy;
    }
    uint64_t mask = tl_block_any4_of(p, a, b, c, d);

    return n < TL_BLOCK ? mask & (((uint64_t)1 << n) - 1) : mask;
}

#endif
