/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/wire/fingerprint.h"

#include <inttypes.h>
#include <stdio.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

void tl_fingerprint(int64_t size, int64_t mtime_ns, struct tl_str samples, char out[TL_FINGERPRINT_TEXT])
{
    XXH128_hash_t hash = XXH3_128bits(samples.ptr, samples.len);

    snprintf(out, TL_FINGERPRINT_TEXT, "%" PRId64 "-%" PRId64 "-%016" PRIx64 "%016" PRIx64, size, mtime_ns,
             (uint64_t)hash.high64, (uint64_t)hash.low64);
}
