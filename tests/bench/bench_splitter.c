/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How fast one core reads a CSV file and splits it into batches, and how fast records are cut into fields.
 *
 *   bench_splitter [FILE]     FILE: id, name, email, qty, price, active, created_at, note; made when absent
 *
 * Prints MB/s of the processor's time: the median of several rounds over a file in the page cache, with nobody behind the
 * splitter.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/upload/splitter.h"
#include "shared/csv/fields.h"
#include "shared/wire/dialect.h"
#include "tests/bench/cpu.h"
#include "tests/bench/orders.h"

enum { ROWS = 1000000, ROUNDS = 7, COLUMNS = 8, BATCH = 512 * 1024 };

static _Noreturn void die(const struct tl_error *err)
{
    fprintf(stderr, "bench_splitter: %s\n", err->text);
    exit(1);
}

static void make_file(FILE *f)
{
    uint32_t x = 1;

    fputs(ORDERS_COLUMNS "\n", f);
    for (int i = 1; i <= ROWS; i++) {
        x = x * 1664525 + 1013904223;
        fprintf(f, "%d,", i);
        if (i % 5 == 0)
            fprintf(f, "\"Miller, \"\"%u\"\" Jo\",", x >> 20);
        else
            fprintf(f, "Jo Miller %u,", x >> 16);
        fprintf(f, "user%u@example.com,%u,%u.%02u,%s,2026-%02u-%02u 12:%02u:%02u,", x >> 8, x % 1000,
                x % 100000, i % 100, i % 3 ? "true" : "false", 1 + x % 12, 1 + x % 28, x % 60, i % 60);
        fputs(i % 3 == 0   ? "\n"
              : i % 7 == 0 ? "\"left at the door, thanks\"\n"
                           : "left at the door as usual\n",
              f);
    }
}

struct app {
    struct splitter *splitter;
    struct tl_fields *fields; /* NULL: only split */
    struct tl_dialect dialect;
    uint64_t fields_us;
    int64_t values;
};

static int drop_batch(void *app, struct batch *batch, struct tl_error *err)
{
    struct app *a = app;

    (void)err;
    if (a->fields) {
        const char *p = batch->value, *end = p + batch->len;
        int64_t began = cpu_us();

        while (p < end) {
            struct tl_scan_record record;
            const struct tl_str *values;
            struct tl_reject why;
            size_t n = 0;

            p = (const char *)memchr(p, '\t', (size_t)(end - p)) + 1;
            tl_csv_scan(&a->dialect, p, end, true, BATCH, &record);
            if (tl_fields_split(a->fields, tl_str_n(p, record.len), &values, &n, &why) == TL_VALUE_OK)
                a->values += (int64_t)n;
            p += record.len + record.end_len;
        }
        a->fields_us += (uint64_t)(cpu_us() - began);
    }
    free(batch->malformed);
    splitter_recycle(a->splitter, batch->value, batch->cap);
    return 0;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
    char made[] = "/tmp/bench_splitter.XXXXXX";
    const char *path = argc > 1 ? argv[1] : made;
    double split[ROUNDS], fields[ROUNDS];
    struct tl_schema *schema;
    struct tl_error err;
    struct app app = {0};
    int64_t size = 0;

    if (argc < 2) {
        int fd = mkstemp(made);
        FILE *f = fd < 0 ? NULL : fdopen(fd, "w");

        if (!f) {
            perror(made);
            return 1;
        }
        make_file(f);
        if (fclose(f)) {
            perror(made);
            return 1;
        }
    }
    if (tl_schema_from_text(tl_str(ORDERS_TABLE), &schema, &err))
        die(&err);
    tl_dialect_csv(&app.dialect);
    for (int i = 0; i < 2 * ROUNDS; i++) {
        struct split_options o = {.dialect = app.dialect,
                                  .partitions = 4,
                                  .batch_bytes = BATCH,
                                  .record_max = BATCH,
                                  .malformed_in_a_row = SPLITTER_MALFORMED_IN_A_ROW};
        struct source *source = source_open(path, &err);
        int64_t began;

        if (i == ROUNDS && !(app.fields = tl_fields_new(&app.dialect, COLUMNS, &err)))
            die(&err);
        app.fields_us = 0;
        app.values = 0;
        if (!source || !(app.splitter = splitter_new(schema, &o, drop_batch, &app, &err)))
            die(&err);
        size = source_size(source);
        began = cpu_us();
        if (splitter_run(app.splitter, source, &err))
            die(&err);
        if (i < ROUNDS)
            split[i] = (double)size / (double)(cpu_us() - began);
        else
            fields[i - ROUNDS] = (double)size / (double)app.fields_us;
        splitter_free(app.splitter);
        source_close(source);
    }
    qsort(split, ROUNDS, sizeof split[0], by_size);
    qsort(fields, ROUNDS, sizeof fields[0], by_size);
    printf("%.0f MB/s read and split, %.0f MB/s scanned and cut into %" PRId64 " values (%.0f MB)\n",
           split[ROUNDS / 2], fields[ROUNDS / 2], app.values, (double)size / 1e6);
    tl_fields_free(app.fields);
    tl_schema_free(schema);
    if (argc < 2)
        unlink(made);
    return 0;
}
