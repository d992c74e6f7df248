/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/base/clock.h"

#include <stdio.h>

static int64_t read_clock(clockid_t id, int64_t per_second)
{
    struct timespec ts;

    clock_gettime(id, &ts); /* can't fail for the two clocks used here */
    return (int64_t)ts.tv_sec * per_second + ts.tv_nsec / (1000000000 / per_second);
}

int64_t tl_clock_ms(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000);
}

int64_t tl_clock_us(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000000);
}

struct timespec tl_clock_after(int ms)
{
    int64_t at = tl_clock_us() + (int64_t)ms * 1000;

    return (struct timespec){.tv_sec = (time_t)(at / 1000000), .tv_nsec = (long)(at % 1000000) * 1000};
}

int64_t tl_clock_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME, 1000);
}

void tl_clock_text(int64_t wall_ms, char out[TL_CLOCK_TEXT])
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;

    if (!gmtime_r(&seconds, &tm)) {
        snprintf(out, TL_CLOCK_TEXT, "?");
        return;
    }
    size_t len = strftime(out, TL_CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + len, TL_CLOCK_TEXT - len, ".%03dZ", (int)(wall_ms % 1000));
}
