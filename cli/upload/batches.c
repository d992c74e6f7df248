/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/upload/batches.h"

#include <stdlib.h>

#include "shared/base/buf.h"
#include "shared/base/clock.h"
#include "shared/check/rowcheck.h"
#include "shared/wire/malformed.h"

enum {
    CANONICAL_FACTOR = 3, /* escapes double a byte, and an empty field with its delimiter becomes three */
    SPARE_MAX = 16,       /* buffers kept for later batches */
    MALFORMED_FULL = BATCH_MALFORMED_MAX - 64 /* no entry of the list is longer than that */
};

struct open_batch {
    char *value; /* NULL: nothing is open here */
    size_t len, cap;
    int64_t rows, first_line;
    int64_t opened_ms; /* only when timed */
    struct tl_buf malformed;
};

struct count {
    int64_t batches, rows;
};

struct batches {
    struct batches_options o;
    size_t target; /* bytes at which a batch is handed on; also what buffers have */
    const char *file;
    bool timed;
    size_t growth;     /* bytes that a row's values may gain beyond CANONICAL_FACTOR times their text */
    int64_t handed_on; /* batches in all */
    int32_t nopen;     /* elements of open: one per partition, or one */
    struct open_batch *open;
    struct count *counts; /* by partition */
    size_t nspare;
    char *spare[SPARE_MAX]; /* each of target bytes */
};

struct batches *batches_new(const struct batches_options *options, struct tl_error *err)
{
    struct batches *b = calloc(1, sizeof *b);

    if (b) {
        b->o = *options;
        b->nopen = options->keyed ? options->partitions : 1;
        b->target = TL_MAX(BATCHES_OPEN_MAX / (size_t)b->nopen, (size_t)BATCH_LEAST);
        b->target = TL_MIN(b->target, options->batch_bytes);
        b->open = calloc((size_t)b->nopen, sizeof *b->open);
        b->counts = calloc((size_t)options->partitions, sizeof *b->counts);
    }
    if (!b || !b->open || !b->counts) {
        batches_free(b);
        tl_fail_nomem(err);
        return NULL;
    }
    for (int32_t i = 0; i < b->nopen; i++)
        tl_buf_init(&b->open[i].malformed, BATCH_MALFORMED_MAX);
    return b;
}

void batches_free(struct batches *b)
{
    if (!b)
        return;
    for (int32_t i = 0; b->open && i < b->nopen; i++) {
        free(b->open[i].value);
        tl_buf_release(&b->open[i].malformed);
    }
    for (size_t i = 0; i < b->nspare; i++)
        free(b->spare[i]);
    free(b->open);
    free(b->counts);
    free(b);
}

void batches_begin(struct batches *b, const char *file, bool timed)
{
    b->file = file;
    b->timed = timed;
    b->growth = 0;
}

void batches_set_growth(struct batches *b, size_t growth)
{
    b->growth = growth;
}

/*
 * Whether the batch, with one more record of `need` bytes, may not fit into a message once its values are
 * canonical.
 */
static bool outgrows(const struct batches *b, const struct open_batch *open, size_t need)
{
    return ((size_t)open->rows + 1) * b->growth + CANONICAL_FACTOR * (open->len + need) > ROWCHECK_OUT_MAX;
}

static int hand_on(struct batches *b, int32_t which, struct tl_error *err)
{
    struct open_batch *open = &b->open[which];
    int32_t partition = b->o.keyed ? which : (int32_t)(b->handed_on % b->o.partitions);
    struct batch batch = {
        .partition = partition,
        .seq = b->counts[partition].batches + 1,
        .rows = open->rows,
        .first_line = open->first_line,
        .value = open->value,
        .len = open->len,
        .cap = open->cap,
        .file = b->file,
    };

    if (open->malformed.len) {
        int rc = tl_buf_terminate(&open->malformed);

        if (rc)
            return tl_buf_fail(rc, &open->malformed, "the list of malformed records", err);
        batch.malformed = open->malformed.data;
        tl_buf_init(&open->malformed, BATCH_MALFORMED_MAX);
    }
    open->value = NULL;
    b->handed_on++;
    b->counts[partition].batches++;
    b->counts[partition].rows += open->rows;
    return b->o.on_batch(b->o.app, &batch, err);
}

/* A buffer for at least `need` bytes; nearly always one of target bytes. */
static int begin_batch(struct batches *b, struct open_batch *open, size_t need, int64_t line,
                       struct tl_error *err)
{
    size_t cap = TL_MAX(need, b->target);

    open->value = cap == b->target && b->nspare ? b->spare[--b->nspare] : malloc(cap);
    if (!open->value)
        return tl_fail_nomem(err);
    open->cap = cap;
    open->len = 0;
    open->rows = 0;
    open->first_line = line;
    if (b->timed)
        open->opened_ms = tl_clock_ms();
    return 0;
}

/* In decimal; returns its length. */
static size_t put_line(char *at, int64_t line)
{
    static const char pairs[] = "00010203040506070809"
                                "10111213141516171819"
                                "20212223242526272829"
                                "30313233343536373839"
                                "40414243444546474849"
                                "50515253545556575859"
                                "60616263646566676869"
                                "70717273747576777879"
                                "80818283848586878889"
                                "90919293949596979899";
    char digits[20];
    size_t begin = sizeof digits;
    uint64_t rest = (uint64_t)line;

    for (; rest >= 100; rest /= 100)
        memcpy(digits + (begin -= 2), pairs + 2 * (rest % 100), 2);
    if (rest >= 10)
        memcpy(digits + (begin -= 2), pairs + 2 * rest, 2);
    else
        digits[--begin] = (char)('0' + rest);
    memcpy(at, digits + begin, sizeof digits - begin);
    return sizeof digits - begin;
}

TL_HOT int batches_add(struct batches *b, int32_t partition, int64_t line, struct tl_str record,
                       enum tl_reject_code why, struct tl_error *err)
{
    const int32_t which = b->o.keyed ? partition : 0;
    struct open_batch *open = &b->open[which];
    char head[BATCH_ROW_EXTRA];
    size_t nhead = put_line(head, line);
    size_t need;
    char *at;

    head[nhead++] = '\t';
    need = nhead + record.len + 1;
    if (open->value &&
        (open->len + need > b->target || outgrows(b, open, need) ||
         (why && open->malformed.len > MALFORMED_FULL)) &&
        hand_on(b, which, err))
        return -1;
    if (!open->value && begin_batch(b, open, need, line, err))
        return -1;
    if (TL_UNLIKELY(why)) {
        struct tl_malformed m = {.offset = open->len + nhead, .len = record.len, .why = why};
        int rc = tl_malformed_append(&open->malformed, &m);

        if (rc)
            return tl_buf_fail(rc, &open->malformed, "the list of malformed records", err);
    }
    at = open->value + open->len;
    memcpy(at, head, nhead);
    at += nhead;
    if (record.len)
        memcpy(at, record.ptr, record.len);
    at[record.len] = '\n';
    open->len += need;
    open->rows++;
    return 0;
}

int batches_flush(struct batches *b, struct tl_error *err)
{
    for (int32_t i = 0; i < b->nopen; i++)
        if (b->open[i].value && hand_on(b, i, err))
            return -1;
    return 0;
}

int batches_flush_older(struct batches *b, int64_t age_ms, int64_t *next_ms, struct tl_error *err)
{
    int64_t now = tl_clock_ms();

    *next_ms = -1;
    for (int32_t i = 0; i < b->nopen; i++) {
        int64_t left = b->open[i].opened_ms + age_ms - now;

        if (!b->open[i].value)
            continue;
        if (left <= 0) {
            if (hand_on(b, i, err))
                return -1;
        } else if (*next_ms < 0 || left < *next_ms) {
            *next_ms = left;
        }
    }
    return 0;
}

int64_t batches_count(const struct batches *b, int32_t partition)
{
    return b->counts[partition].batches;
}

int64_t batches_rows(const struct batches *b, int32_t partition)
{
    return b->counts[partition].rows;
}

void batches_recycle(struct batches *b, char *value, size_t cap)
{
    if (cap == b->target && b->nspare < SPARE_MAX)
        b->spare[b->nspare++] = value;
    else
        free(value);
}
