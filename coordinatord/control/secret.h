/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Secrets of tokens: drawn at random, kept as SHA-256 alone, compared in a time that does not tell how much of them
 * was right. A secret has 256 random bits, so its hash needs neither salt nor stretching. Any thread.
 */
#ifndef COORDINATORD_CONTROL_SECRET_H
#define COORDINATORD_CONTROL_SECRET_H

#include "shared/base/error.h"

#define SECRET_PREFIX "tload_" /* so that one that got lost is known for what it is */

/* Bytes of the texts, with the NUL. */
enum { SECRET_TEXT = sizeof SECRET_PREFIX + 64, SECRET_HASH_TEXT = 65, SECRET_ID_TEXT = 13 };

int secret_make(char secret[SECRET_TEXT], struct tl_error *err) TL_MUST_CHECK;
/* A name for it that may be known: lower case letters and digits. */
int secret_make_id(char id[SECRET_ID_TEXT], struct tl_error *err) TL_MUST_CHECK;
/* Of any text, as somebody sent it. */
int secret_hash(const char *secret, char hash[SECRET_HASH_TEXT], struct tl_error *err) TL_MUST_CHECK;
bool secret_hash_same(const char a[SECRET_HASH_TEXT], const char b[SECRET_HASH_TEXT]);
/* Overwrites it, also where a compiler sees that nobody reads it any more. */
void secret_wipe(void *secret, size_t size);

#endif
