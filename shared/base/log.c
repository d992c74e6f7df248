/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/base/clock.h"

static const char *const level_names[] = {"error", "warn", "info", "debug"};
/* sd-daemon(3): a line that begins with <N> has syslog's priority N. */
static const int journal_priorities[] = {3, 4, 6, 7};

bool tl_log_parse_level(const char *text, enum tl_log_level *level)
{
    for (size_t i = 0; i < TL_ARRAY_LEN(level_names); i++) {
        if (strcmp(text, level_names[i]) == 0) {
            *level = (enum tl_log_level)i;
            return true;
        }
    }
    return false;
}

void tl_log_init(struct tl_log *log, int fd, enum tl_log_level level)
{
    const char *wanted = getenv("TLOAD_LOG");
    enum tl_log_level from_env;

    log->fd = fd;
    log->journal = getenv("JOURNAL_STREAM") != NULL;
    if (wanted && tl_log_parse_level(wanted, &from_env))
        level = from_env;
    atomic_init(&log->level, (int)level);
}

void tl_log_at(struct tl_log *log, enum tl_log_level level, const char *who, const char *fmt, ...)
{
    char line[2048];
    char when[TL_CLOCK_TEXT];
    va_list ap;
    int head, body;
    size_t len;

    if (!log || !tl_log_on(log, level))
        return;
    if (log->journal) {
        head = snprintf(line, sizeof line, "<%d>%s: ", journal_priorities[level], who);
    } else {
        tl_clock_text(tl_clock_wall_ms(), when);
        head = snprintf(line, sizeof line, "%s %s %s: ", when, level_names[level], who);
    }
    va_start(ap, fmt);
    body = vsnprintf(line + head, sizeof line - (size_t)head - 1, fmt, ap);
    va_end(ap);
    len = (size_t)head + (body < 0 ? 0 : TL_MIN((size_t)body, sizeof line - (size_t)head - 2));
    /* One event, one line: what comes from outside must not forge another. */
    for (size_t i = (size_t)head; i < len; i++)
        if ((unsigned char)line[i] < ' ')
            line[i] = ' ';
    line[len++] = '\n';
    /* A log that can't be written has nowhere to say so. */
    while (write(log->fd, line, len) < 0 && errno == EINTR)
        ;
}
