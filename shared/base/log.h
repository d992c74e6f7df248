/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Log lines on a file descriptor: `2026-01-31T12:00:00.123Z warn sink: what happened`, one write(2) a line, so lines
 * of threads and processes do not mix. On a journal (JOURNAL_STREAM is set) the time is left out and the level is
 * the prefix that journald understands. The struct belongs to main, is not changed after tl_log_init but for the
 * level (an atomic: SIGHUP may change it), and any thread may log.
 */
#ifndef TL_BASE_LOG_H
#define TL_BASE_LOG_H

#include <stdatomic.h>
#include <stdbool.h>

#include "shared/base/compiler.h"

enum tl_log_level { TL_LOG_ERROR, TL_LOG_WARN, TL_LOG_INFO, TL_LOG_DEBUG };

struct tl_log {
    int fd;
    bool journal;
    _Atomic int level;
};

/* The level is taken from `level`, or from the environment's TLOAD_LOG (error, warn, info, debug) when that is set. */
void tl_log_init(struct tl_log *log, int fd, enum tl_log_level level);
/* False when text names no level. */
bool tl_log_parse_level(const char *text, enum tl_log_level *level) TL_MUST_CHECK;
static inline bool tl_log_on(struct tl_log *log, enum tl_log_level level)
{
    return (int)level <= atomic_load_explicit(&log->level, memory_order_relaxed);
}

/* `who` is the part that speaks: "sink", "validate", "http". A NULL log says nothing. */
void tl_log_at(struct tl_log *log, enum tl_log_level level, const char *who, const char *fmt, ...)
    TL_PRINTF(4, 5);

#define tl_error_log(log, who, ...) tl_log_at(log, TL_LOG_ERROR, who, __VA_ARGS__)
#define tl_warn(log, who, ...)      tl_log_at(log, TL_LOG_WARN, who, __VA_ARGS__)
#define tl_info(log, who, ...)      tl_log_at(log, TL_LOG_INFO, who, __VA_ARGS__)
#define tl_debug(log, who, ...)     tl_log_at(log, TL_LOG_DEBUG, who, __VA_ARGS__)

#endif
