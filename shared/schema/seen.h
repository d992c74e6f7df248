/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whether a value has been there before, as far as bounded memory tells: the hashes of the first 100,000
 * different values are kept, and of later ones only those are known again that equal one of them. For infer.c
 * alone.
 */
#ifndef TL_SCHEMA_SEEN_H
#define TL_SCHEMA_SEEN_H

#include "shared/base/str.h"

struct tl_seen;

struct tl_seen *tl_seen_new(void);       /* NULL when memory is short */
void tl_seen_free(struct tl_seen *seen); /* NULL is fine */
/* 1: not seen before; 0: seen, upper and lower case being the same; -1: memory is short. */
int tl_seen_add(struct tl_seen *seen, struct tl_str value) TL_MUST_CHECK;

#endif
