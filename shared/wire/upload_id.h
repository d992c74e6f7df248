/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Ids of uploads that nobody gave one. Any thread. */
#ifndef TL_WIRE_UPLOAD_ID_H
#define TL_WIRE_UPLOAD_ID_H

#include "shared/wire/envelope.h"

/* When, and four bytes drawn by chance: 20260131-120000-0a1b2c3d. now: ms since 1970. */
int tl_upload_id_make(int64_t now, char out[TL_UPLOAD_ID_MAX + 1], struct tl_error *err) TL_MUST_CHECK;

#endif
