/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/tty/progress.h"

#include <stdlib.h>
#include <unistd.h>

#include "cli/tty/text.h"

enum {
    REDRAW_MS = 100,
    LINE_EVERY_MS = 10000,
    SAMPLE_MS = 500,
    BAR_MIN = 10, /* columns; a narrower one says nothing */
    BAR_MAX = 40,
    LINE_MAX_BYTES = 4096
};

struct progress {
    FILE *file;
    enum progress_mode mode;
    struct tl_buf line;
    bool drawn;
    bool started;
    int64_t shown_at;
    char state[32];
    char waiting[200];
    int most; /* thousandths that were shown: an estimate that gets worse does not go backwards */
    bool sampled;
    int64_t sample_at;
    int64_t sample_rows;
    double rate; /* rows a second, smoothed; < 0: not known */
};

struct progress *progress_new(FILE *file, enum progress_mode mode)
{
    struct progress *p = calloc(1, sizeof *p);

    if (!p)
        return NULL;
    *p = (struct progress){.file = file, .mode = mode, .rate = -1};
    tl_buf_init(&p->line, LINE_MAX_BYTES);
    return p;
}

void progress_free(struct progress *p)
{
    if (!p)
        return;
    progress_clear(p);
    tl_buf_release(&p->line);
    free(p);
}

void progress_clear(struct progress *p)
{
    if (!p->drawn)
        return;
    fputs("\r\033[K", p->file);
    fflush(p->file);
    p->drawn = false;
}

const char *progress_grouped(int64_t n, char out[GROUPED_TEXT])
{
    char digits[GROUPED_TEXT];
    int len = snprintf(digits, sizeof digits, "%lld", (long long)n), to = 0;

    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0 && digits[i - 1] != '-')
            out[to++] = ',';
        out[to++] = digits[i];
    }
    out[to] = '\0';
    return out;
}

const char *progress_rate(int64_t bytes_per_second, char out[RATE_TEXT])
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double n = (double)bytes_per_second;
    size_t unit = 0;

    for (; n >= 999.5 && unit + 1 < TL_ARRAY_LEN(units); unit++)
        n /= 1000;
    snprintf(out, RATE_TEXT, "%.3g %s/s", n, units[unit]);
    return out;
}

static int64_t settled(const struct upload_progress *p)
{
    return p->rows_applied + p->rows_rejected;
}

/* All its rows are counted. */
static bool is_read(const struct upload_progress *p)
{
    return strcmp(p->state, "sending") != 0 && strcmp(p->state, "queued") != 0;
}

/* Rows that the upload has, or will have by what is known so far; -1: no idea. */
static double all_rows(const struct upload_progress *p)
{
    if (is_read(p))
        return (double)p->rows_read;
    if (p->bytes_total <= 0 || p->bytes_sent <= 0 || p->rows_read <= 0)
        return -1;
    return (double)p->rows_read * ((double)p->bytes_total / (double)p->bytes_sent);
}

int progress_thousandths(const struct upload_progress *p)
{
    bool sending = !is_read(p);
    double all = all_rows(p), part;

    if (strncmp(p->state, "done", 4) == 0)
        return 1000;
    if (all <= 0)
        return sending && p->bytes_total > 0 ? 0 : -1;
    part = (double)settled(p) * 1000 / all;
    if (!sending && settled(p) >= p->rows_read)
        return 1000;
    return part > 999 ? 999 : (int)part;
}

static int append_seconds(struct tl_buf *b, int64_t s)
{
    if (s >= 3600)
        return tl_buf_appendf(b, "%lld:%02lld:%02lld", (long long)(s / 3600), (long long)(s / 60 % 60),
                              (long long)(s % 60));
    return tl_buf_appendf(b, "%lld:%02lld", (long long)(s / 60), (long long)(s % 60));
}

static int append_limit(struct tl_buf *b, const struct upload_progress *p)
{
    char text[RATE_TEXT];

    if (p->bytes_per_second <= 0 || strcmp(p->state, "sending") != 0)
        return 0;
    return tl_buf_appendf(b, ", limited to %s", progress_rate(p->bytes_per_second, text));
}

/* ", " and so on: what both kinds of line say behind the percentage. */
static int append_counts(struct tl_buf *b, const struct upload_progress *p, const struct progress_estimate *e)
{
    char number[GROUPED_TEXT];
    int rc = tl_buf_appendf(b, "%s rows", progress_grouped(p->rows_applied, number));

    if (!rc && p->rows_rejected > 0)
        rc = tl_buf_appendf(b, ", %s rejected", progress_grouped(p->rows_rejected, number));
    if (!rc && *p->waiting)
        return tl_buf_appendf(b, ", waiting: %s", p->waiting);
    if (!rc)
        rc = append_limit(b, p);
    if (!rc && e->rows_per_second >= 0)
        rc = tl_buf_appendf(b, ", %s/s", progress_grouped(e->rows_per_second, number));
    if (!rc && e->seconds_left >= 0) {
        rc = tl_buf_append_z(b, ", ");
        if (!rc)
            rc = append_seconds(b, e->seconds_left);
        if (!rc)
            rc = tl_buf_append_z(b, " left");
    }
    return rc;
}

static int append_repeated(struct tl_buf *b, char c, size_t n)
{
    int rc = 0;

    while (!rc && n-- > 0)
        rc = tl_buf_append_char(b, c);
    return rc;
}

static int append_bar(struct tl_buf *b, int thousandths, size_t width)
{
    size_t full = width * (size_t)thousandths / 1000;
    int rc = tl_buf_append_char(b, '[');

    if (!rc)
        rc = append_repeated(b, '#', full);
    if (!rc)
        rc = append_repeated(b, '.', width - full);
    return rc ? rc : tl_buf_append_z(b, "] ");
}

int progress_render_bar(struct tl_buf *b, const struct upload_progress *p, const struct progress_estimate *e,
                        size_t width)
{
    struct tl_buf counts, line;
    size_t used, bar;
    int rc;

    tl_buf_init(&counts, LINE_MAX_BYTES);
    tl_buf_init(&line, LINE_MAX_BYTES);
    rc = append_counts(&counts, p, e);
    if (!rc)
        rc = tl_buf_appendf(&line, "%s  ", p->table);
    if (!rc && e->thousandths >= 0)
        rc = tl_buf_appendf(&line, "%3d%% ", e->thousandths / 10);
    if (!rc && e->thousandths >= 0) {
        used = text_width(tl_buf_str(&line)) + text_width(tl_buf_str(&counts)) + strlen("[] ");
        bar = used < width ? width - used : 0;
        if (bar >= BAR_MIN)
            rc = append_bar(&line, e->thousandths, TL_MIN(bar, (size_t)BAR_MAX));
    }
    if (!rc)
        rc = tl_buf_append_str(&line, tl_buf_str(&counts));
    if (!rc)
        rc = text_append(b, tl_buf_str(&line), width, NULL);
    tl_buf_release(&counts);
    tl_buf_release(&line);
    return rc;
}

int progress_render_line(struct tl_buf *b, const struct upload_progress *p, const struct progress_estimate *e)
{
    struct tl_buf line;
    int rc;

    tl_buf_init(&line, LINE_MAX_BYTES);
    rc = tl_buf_appendf(&line, "%s: %s, ", p->table, p->state);
    if (!rc && e->thousandths >= 0)
        rc = tl_buf_appendf(&line, "%d%%, ", e->thousandths / 10);
    if (!rc)
        rc = append_counts(&line, p, e);
    if (!rc)
        rc = text_append(b, tl_buf_str(&line), LINE_MAX_BYTES, NULL);
    tl_buf_release(&line);
    return rc;
}

static void sample(struct progress *p, const struct upload_progress *now, int64_t now_ms)
{
    int64_t ms = now_ms - p->sample_at, rows = settled(now) - p->sample_rows;
    double rate;

    if (p->sampled && ms < SAMPLE_MS)
        return;
    if (p->sampled) {
        rate = (double)rows * 1000 / (double)ms;
        p->rate = p->rate < 0 ? rate : p->rate * 0.7 + rate * 0.3;
    }
    p->sampled = true;
    p->sample_at = now_ms;
    p->sample_rows = settled(now);
}

static void estimate(struct progress *p, const struct upload_progress *now, struct progress_estimate *e)
{
    double left = all_rows(now) - (double)settled(now);

    p->most = TL_MAX(p->most, progress_thousandths(now));
    e->thousandths = progress_thousandths(now) < 0 ? -1 : p->most;
    e->rows_per_second = p->rate >= 0 ? (int64_t)p->rate : -1;
    e->seconds_left = p->rate >= 1 && left >= 0 ? (int64_t)(left / p->rate + 0.5) : -1;
    if (e->seconds_left > 100 * 3600)
        e->seconds_left = -1;
}

void progress_show(struct progress *p, const struct upload_progress *now, int64_t now_ms)
{
    bool changed = !p->started || strcmp(p->state, now->state) != 0 ||
                   strncmp(p->waiting, now->waiting, sizeof p->waiting - 1) != 0;
    int every = p->mode == PROGRESS_BAR ? REDRAW_MS : LINE_EVERY_MS;
    struct progress_estimate e;
    size_t width;
    int rc;

    if (p->mode == PROGRESS_NONE)
        return;
    sample(p, now, now_ms);
    if (p->started && now_ms - p->shown_at < every && !(changed && p->mode == PROGRESS_LINES))
        return;
    p->started = true;
    p->shown_at = now_ms;
    snprintf(p->state, sizeof p->state, "%s", now->state);
    snprintf(p->waiting, sizeof p->waiting, "%s", now->waiting);
    estimate(p, now, &e);
    tl_buf_reset(&p->line);
    if (p->mode == PROGRESS_LINES) {
        rc = progress_render_line(&p->line, now, &e);
    } else {
        /* The last column stays free: a terminal may wrap when it is written to. */
        width = text_terminal_width(fileno(p->file));
        rc = progress_render_bar(&p->line, now, &e, width > 1 ? width - 1 : 1);
    }
    if (rc)
        return; /* short of memory: the next one may show */
    if (p->mode == PROGRESS_LINES) {
        fprintf(p->file, "tload: %.*s\n", TL_STR_ARG(tl_buf_str(&p->line)));
    } else {
        fprintf(p->file, "\r%.*s\033[K", TL_STR_ARG(tl_buf_str(&p->line)));
        p->drawn = true;
    }
    fflush(p->file);
}
