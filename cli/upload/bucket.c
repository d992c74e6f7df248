/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/upload/bucket.h"

#include "shared/base/compiler.h"

enum {
    FULL_PART = 4, /* of a second */
    SECOND_US = 1000000
};

static void fill(struct bucket *b, int64_t now_us)
{
    double full = (double)b->rate / FULL_PART;
    double level = (double)b->level + (double)b->rate * (double)(now_us - b->filled) / SECOND_US;
    int64_t whole;

    if (level >= full) {
        b->level = (int64_t)full;
        b->filled = now_us;
        return;
    }
    /* The rest of a byte stays in the time, or a bucket that is asked often would never fill. */
    whole = (int64_t)level - b->level;
    b->level += whole;
    b->filled += (int64_t)((double)whole * SECOND_US / (double)b->rate);
}

void bucket_set(struct bucket *b, int64_t rate, int64_t now_us)
{
    if (rate == b->rate)
        return;
    if (b->rate == 0)
        b->level = 0;
    else
        fill(b, now_us);
    b->rate = rate;
    b->filled = now_us;
}

int64_t bucket_wait_ms(struct bucket *b, int64_t now_us)
{
    if (b->rate == 0)
        return 0;
    fill(b, now_us);
    return b->level >= 0 ? 0 : (int64_t)((double)-b->level * 1000 / (double)b->rate) + 1;
}

void bucket_take(struct bucket *b, int64_t bytes, int64_t now_us)
{
    if (b->rate == 0)
        return;
    fill(b, now_us);
    b->level -= bytes;
}
