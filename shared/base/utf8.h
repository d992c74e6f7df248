/* SPDX-License-Identifier: GPL-3.0-or-later */
/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, nothing above U+10FFFF. Any thread. */
#ifndef TL_BASE_UTF8_H
#define TL_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/* Length in bytes of the valid character at s (1–4), or 0 when what stands there is none. n ≥ 1. */
size_t tl_utf8_char(const char *s, size_t n);
/* True when all n bytes are valid; then *chars (may be NULL) is the number of characters. */
bool tl_utf8_valid(const char *s, size_t n, size_t *chars);
/* True when all n bytes are ASCII but NUL, as those of nearly all text are: faster than to ask for both. */
bool tl_utf8_ascii(const char *s, size_t n);
/* The longest prefix of at most max bytes that does not cut a character; n when n ≤ max. */
size_t tl_utf8_cut(const char *s, size_t n, size_t max);

#endif
