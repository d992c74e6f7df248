/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What tells two contents of a file apart without reading all of it. Any thread. */
#ifndef TL_WIRE_FINGERPRINT_H
#define TL_WIRE_FINGERPRINT_H

#include "shared/base/str.h"

enum { TL_FINGERPRINT_TEXT = 80 };

/* "SIZE-MTIME-HASH": size in bytes, mtime in ns since 1970, XXH3-128 of the samples in hexadecimal. */
void tl_fingerprint(int64_t size, int64_t mtime_ns, struct tl_str samples, char out[TL_FINGERPRINT_TEXT]);

#endif
