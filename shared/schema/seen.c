/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A set of 64-bit hashes in open addressing, at most half full, growing by doubling up to its bound. */
#include "shared/schema/seen.h"

#include <stdint.h>
#include <stdlib.h>

#include "shared/schema/canon.h"

enum { SLOTS_FIRST = 1024, VALUES_MAX = 100000 };

struct tl_seen {
    size_t nslots; /* a power of two */
    size_t n;
    uint64_t *slots; /* owned; 0 is an empty slot */
};

/* FNV-1a with the bits mixed at the end; never 0. */
static uint64_t hash_of(struct tl_str value)
{
    uint64_t hash = UINT64_C(0xCBF29CE484222325);

    for (size_t i = 0; i < value.len; i++)
        hash = (hash ^ (unsigned char)tl_lower(value.ptr[i])) * UINT64_C(0x100000001B3);
    hash ^= hash >> 32;
    return hash ? hash : 1;
}

/* The slot that has the hash, or the empty one where it belongs. */
static uint64_t *slot_of(uint64_t *slots, size_t nslots, uint64_t hash)
{
    size_t at = hash & (nslots - 1);

    while (slots[at] && slots[at] != hash)
        at = (at + 1) & (nslots - 1);
    return &slots[at];
}

struct tl_seen *tl_seen_new(void)
{
    struct tl_seen *seen = calloc(1, sizeof *seen);

    if (!seen)
        return NULL;
    seen->nslots = SLOTS_FIRST;
    seen->slots = calloc(seen->nslots, sizeof *seen->slots);
    if (!seen->slots) {
        free(seen);
        return NULL;
    }
    return seen;
}

void tl_seen_free(struct tl_seen *seen)
{
    if (!seen)
        return;
    free(seen->slots);
    free(seen);
}

static int grow(struct tl_seen *seen)
{
    size_t nslots = seen->nslots * 2;
    uint64_t *slots = calloc(nslots, sizeof *slots);

    if (!slots)
        return -1;
    for (size_t i = 0; i < seen->nslots; i++)
        if (seen->slots[i])
            *slot_of(slots, nslots, seen->slots[i]) = seen->slots[i];
    free(seen->slots);
    seen->slots = slots;
    seen->nslots = nslots;
    return 0;
}

int tl_seen_add(struct tl_seen *seen, struct tl_str value)
{
    uint64_t hash = hash_of(value);
    uint64_t *slot = slot_of(seen->slots, seen->nslots, hash);

    if (*slot)
        return 0;
    if (seen->n == VALUES_MAX)
        return 1;
    *slot = hash;
    seen->n++;
    return seen->n * 2 > seen->nslots && grow(seen) ? -1 : 1;
}
