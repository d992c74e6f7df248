/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How far an upload is, on standard error: on a terminal a bar of one line, redrawn at most ten times a
 * second and never wider than the terminal; elsewhere a plain line at each change of the state or of what
 * is waited for, and every ten seconds. One thread.
 */
#ifndef CLI_TTY_PROGRESS_H
#define CLI_TTY_PROGRESS_H

#include "cli/upload/ui.h"
#include "shared/base/buf.h"

enum progress_mode { PROGRESS_NONE, PROGRESS_LINES, PROGRESS_BAR };

struct progress;

/* NULL when memory is short. */
struct progress *progress_new(FILE *file, enum progress_mode mode);
/* Takes the bar away. NULL is fine. */
void progress_free(struct progress *p);

/* now_ms: a monotonic clock. Shows what is due. */
void progress_show(struct progress *p, const struct upload_progress *now, int64_t now_ms);
/* Takes the bar away, so that a line can be printed; the next progress_show draws it again. */
void progress_clear(struct progress *p);

/* What a line says beside the counts. */
struct progress_estimate {
    /* Done; -1: can't be known. 1000 only when all rows of an upload that is all sent are settled. */
    int thousandths;
    int64_t rows_per_second; /* -1: can't be said yet */
    int64_t seconds_left;    /* the same */
};

/* What is done by the counts alone, in thousandths, as above. */
int progress_thousandths(const struct upload_progress *p);
/* The bar's line in at most `width` columns; no line end. Returns a TL_BUF_ result. */
int progress_render_bar(struct tl_buf *b, const struct upload_progress *p, const struct progress_estimate *e,
                        size_t width) TL_MUST_CHECK;
/* The plain line, likewise without a line end. */
int progress_render_line(struct tl_buf *b, const struct upload_progress *p,
                         const struct progress_estimate *e) TL_MUST_CHECK;
/* 1234567 as "1,234,567". */
enum { GROUPED_TEXT = 32 };
const char *progress_grouped(int64_t n, char out[GROUPED_TEXT]);

/* 10000000 as "10 MB/s". */
enum { RATE_TEXT = 24 };
const char *progress_rate(int64_t bytes_per_second, char out[RATE_TEXT]);

#endif
