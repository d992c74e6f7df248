/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/wire/keyhash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

enum { LENGTH_BYTES = 4, AT_ONCE = 240 };

static char *put_length(char *at, size_t len)
{
    for (int i = 0; i < LENGTH_BYTES; i++)
        *at++ = (char)(len >> (8 * i) & 0xFF);
    return at;
}

static uint64_t hash_long(const struct tl_str *values, size_t n)
{
    XXH3_state_t state;
    char length[LENGTH_BYTES];

    /* Both only fail for a NULL state. */
    XXH3_64bits_reset(&state);
    for (size_t i = 0; i < n; i++) {
        put_length(length, values[i].len);
        XXH3_64bits_update(&state, length, sizeof length);
        XXH3_64bits_update(&state, values[i].ptr, values[i].len);
    }
    return XXH3_64bits_digest(&state);
}

int32_t tl_key_partition(const struct tl_str *values, size_t n, int32_t partitions)
{
    char text[AT_ONCE];
    char *at = text;

    /* Keys are short: hashing one run of bytes is faster than feeding a state, and gives the same. */
    for (size_t i = 0; i < n; i++) {
        if ((size_t)(text + AT_ONCE - at) < LENGTH_BYTES + values[i].len)
            return (int32_t)(hash_long(values, n) % (uint32_t)partitions);
        at = put_length(at, values[i].len);
        if (values[i].len)
            memcpy(at, values[i].ptr, values[i].len);
        at += values[i].len;
    }
    return (int32_t)(XXH3_64bits(text, (size_t)(at - text)) % (uint32_t)partitions);
}
