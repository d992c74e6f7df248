/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Time: monotonic for measuring, wall for telling. Any thread. */
#ifndef TL_BASE_CLOCK_H
#define TL_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

enum { TL_CLOCK_TEXT = 32 };

/* Milliseconds and microseconds since some point in the past; never goes back. */
int64_t tl_clock_ms(void);
int64_t tl_clock_us(void);
/* The monotonic moment in ms milliseconds, for pthread_cond_clockwait and pthread_clockjoin_np. */
struct timespec tl_clock_after(int ms);
/* Milliseconds since 1970-01-01 UTC. */
int64_t tl_clock_wall_ms(void);
/* RFC 3339 in UTC with milliseconds: 2026-01-31T12:00:00.123Z. */
void tl_clock_text(int64_t wall_ms, char out[TL_CLOCK_TEXT]);

#endif
