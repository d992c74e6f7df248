/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the compiler can hold for us: results that must be looked at, format strings that must fit, and functions
 * that nobody may call (banned.h).
 */
#ifndef TL_BASE_COMPILER_H
#define TL_BASE_COMPILER_H

#include <stddef.h>

#define TL_MUST_CHECK         __attribute__((warn_unused_result))
#define TL_PRINTF(fmt, first) __attribute__((format(printf, fmt, first)))
#define TL_NONNULL            __attribute__((nonnull))
#define TL_COLD               __attribute__((cold))
#define TL_HOT                __attribute__((hot))

#define TL_LIKELY(x)          __builtin_expect(!!(x), 1)
#define TL_UNLIKELY(x)        __builtin_expect(!!(x), 0)

#define TL_ARRAY_LEN(a)       (sizeof(a) / sizeof((a)[0]))
#define TL_MIN(a, b)          ((a) < (b) ? (a) : (b))
#define TL_MAX(a, b)          ((a) > (b) ? (a) : (b))

#include "shared/base/banned.h"

#endif
