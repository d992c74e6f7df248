/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A token bucket: no more than `rate` bytes a second in the long run, and no more at once than a quarter of a second
 * may have. What is larger than that is sent on credit and paid off before the next. One thread.
 */
#ifndef CLI_UPLOAD_BUCKET_H
#define CLI_UPLOAD_BUCKET_H

#include <stdint.h>

struct bucket {
    int64_t rate;   /* bytes a second; 0: no limit */
    int64_t level;  /* bytes that may be sent at once; below 0: owed */
    int64_t filled; /* up to this moment, tl_clock_us */
};

/* Takes another rate from now on. At first: a bucket of all zero. */
void bucket_set(struct bucket *b, int64_t rate, int64_t now_us);
/* Milliseconds until something may be sent; 0: now. */
int64_t bucket_wait_ms(struct bucket *b, int64_t now_us);
/* So many bytes are sent, whether they may or not. */
void bucket_take(struct bucket *b, int64_t bytes, int64_t now_us);

#endif
