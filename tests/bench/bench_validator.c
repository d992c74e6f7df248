/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How many rows one core checks: rowcheck over the batches of a file, as the validator does it.
 *
 *   bench_validator FILE     FILE: id, name, email, qty, price, active, created_at, note
 *
 * Prints rows/s and MB/s of the records: the median of several rounds, in seconds of the processor. Splitting is
 * not counted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/upload/splitter.h"
#include "shared/check/rowcheck.h"
#include "shared/wire/dialect.h"
#include "tests/bench/cpu.h"
#include "tests/bench/orders.h"

enum { ROUNDS = 5, BATCH = 512 * 1024 };

struct app {
    struct splitter *splitter;
    struct rowcheck *check;
    struct tl_buf out;
    int64_t cpu_us;
    int64_t valid, rejected;
    size_t bytes;
};

static _Noreturn void die(const struct tl_error *err)
{
    fprintf(stderr, "bench_validator: %s\n", err->text);
    exit(1);
}

static int check_batch(void *app, struct batch *batch, struct tl_error *err)
{
    struct app *a = app;
    struct tl_str malformed = batch->malformed ? tl_str(batch->malformed) : tl_str_n(NULL, 0);
    const struct rowcheck_sink sink = {0};
    struct rowcheck_result result;
    int64_t began = cpu_us();
    int rc;

    tl_buf_reset(&a->out);
    rc = rowcheck_run(a->check, tl_str_n(batch->value, batch->len), malformed, &a->out, &sink, &result, err);
    a->cpu_us += cpu_us() - began;
    if (!rc) {
        a->valid += result.valid;
        a->rejected += result.rejected;
        a->bytes += batch->len;
    }
    free(batch->malformed);
    splitter_recycle(a->splitter, batch->value, batch->cap);
    return rc;
}

/* Sets cpu_us, valid, rejected and bytes anew. */
static int check_file(struct app *app, const struct tl_schema *schema, const char *path, struct tl_error *err)
{
    struct split_options o = {.partitions = 4,
                              .batch_bytes = BATCH,
                              .record_max = BATCH,
                              .malformed_in_a_row = SPLITTER_MALFORMED_IN_A_ROW};
    struct source *source = source_open(path, err);
    int rc = -1;

    app->cpu_us = 0;
    app->valid = app->rejected = 0;
    app->bytes = 0;
    tl_dialect_csv(&o.dialect);
    app->splitter = source ? splitter_new(schema, &o, check_batch, app, err) : NULL;
    if (app->splitter)
        rc = splitter_run(app->splitter, source, err);
    splitter_free(app->splitter);
    source_close(source);
    return rc;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    double seconds[ROUNDS];
    struct tl_schema *schema;
    struct tl_error err;
    struct app app = {0};

    if (argc != 2) {
        fputs("usage: bench_validator FILE\n", stderr);
        return 2;
    }
    if (tl_schema_from_text(tl_str(ORDERS_TABLE), &schema, &err))
        die(&err);
    app.check = rowcheck_new(schema, tl_str("csv"), tl_str(ORDERS_COLUMNS), &err);
    if (!app.check)
        die(&err);
    tl_buf_init(&app.out, ROWCHECK_OUT_MAX);
    for (int i = 0; i < ROUNDS; i++) {
        if (check_file(&app, schema, argv[1], &err))
            die(&err);
        seconds[i] = (double)app.cpu_us / 1e6;
    }
    qsort(seconds, ROUNDS, sizeof seconds[0], by_size);
    printf("%.0f rows/s, %.0f MB/s checked (%" PRId64 " valid, %" PRId64 " rejected)\n",
           (double)(app.valid + app.rejected) / seconds[ROUNDS / 2],
           (double)app.bytes / 1e6 / seconds[ROUNDS / 2], app.valid, app.rejected);
    tl_buf_release(&app.out);
    rowcheck_free(app.check);
    tl_schema_free(schema);
    return 0;
}
