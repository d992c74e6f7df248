/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * JSON written straight into a buffer, for what is written once a row; everything else uses jansson. Any thread.
 */
#ifndef TL_BASE_JSON_H
#define TL_BASE_JSON_H

#include "shared/base/buf.h"

/*
 * Appends s as a JSON string, quotes included. Bytes that are not UTF-8 become U+FFFD, one for each byte, and
 * *lossy (may be NULL) is set to true; it is left alone otherwise. Returns a TL_BUF_ result.
 */
int tl_json_append_string(struct tl_buf *b, struct tl_str s, bool *lossy) TL_MUST_CHECK;

/* Appends s in base64 (RFC 4648, with padding) as a JSON string. */
int tl_json_append_base64(struct tl_buf *b, struct tl_str s) TL_MUST_CHECK;

#endif
