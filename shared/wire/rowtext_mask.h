/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * TL_ROWTEXT_SHORT bytes looked at as one: bit i of the mask is set when byte i has to be looked at more closely before it
 * stands in validated-input, since it is below a blank, from 0x80 on, or a backslash.
 *
 * Two forms of the same function, by SSE2 and in plain C, as in shared/csv/block.h. Any thread.
 */
#ifndef TL_WIRE_ROWTEXT_MASK_H
#define TL_WIRE_ROWTEXT_MASK_H

#include "shared/base/word.h"
#include "shared/wire/rowtext.h"

#ifdef __SSE2__
#include <emmintrin.h>
#endif

static inline uint32_t tl_mask_plain(const char *p)
{
    uint64_t mask = 0;

    for (int i = 0; i < TL_ROWTEXT_SHORT; i += TL_WORD) {
        uint64_t word = tl_word_load(p + i);
        uint64_t from_blank = (word & TL_EVERY(0x7F)) + TL_EVERY(0x80 - ' ');

        mask |= tl_word_bits(((word | ~from_blank) & TL_EVERY(0x80)) | tl_word_zeros(word ^ TL_EVERY('\\')))
                << i;
    }
    return (uint32_t)mask;
}

#ifdef __SSE2__
static inline uint32_t tl_mask_sse2(const char *p)
{
    uint32_t mask = 0;

    for (int i = 0; i < TL_ROWTEXT_SHORT / 16; i++) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        /* Signed: from 0x80 on they are below a blank, too. */
        __m128i hits = _mm_or_si128(_mm_cmplt_epi8(v, _mm_set1_epi8(' ')),
                                    _mm_cmpeq_epi8(v, _mm_set1_epi8('\\')));

        mask |= (uint32_t)_mm_movemask_epi8(hits) << (16 * i);
    }
    return mask;
}
#define tl_mask_of tl_mask_sse2
#else
#define tl_mask_of tl_mask_plain
#endif

#endif
