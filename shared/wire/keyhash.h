/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which partition a key belongs to: XXH3-64 over the canonical forms of the key's columns, each behind its
 * length as four bytes (little endian), modulo the number of partitions. It must never change: all versions
 * of a row meet in one partition. Any thread.
 */
#ifndef TL_WIRE_KEYHASH_H
#define TL_WIRE_KEYHASH_H

#include "shared/base/str.h"

/* values: canonical (coltype.h), never null. */
int32_t tl_key_partition(const struct tl_str *values, size_t n, int32_t partitions);

#endif
