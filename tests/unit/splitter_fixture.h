/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of the splitter stand on: a source of their own, in memory, which cuts its reads as a test
 * likes, a clock that the test sets, and an end that writes down what comes out. It takes the place of
 * source.c, so only one file of a program may include it.
 */
#ifndef TESTS_UNIT_SPLITTER_FIXTURE_H
#define TESTS_UNIT_SPLITTER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/upload/splitter.h"
#include "shared/base/clock.h"
#include "shared/wire/dialect.h"
#include "tests/unit/csv_reference.h"

/* ---- the source and the clock ---- */

struct source {
    const char *name;
    struct tl_str bytes;
    size_t at;
    size_t first;   /* bytes of the first read, when not 0 */
    size_t largest; /* of a read; 0: as large as asked for */
    uint64_t seed;  /* 0: all reads are of `largest` */
    bool trickles;
    bool quiet; /* every second read finds nothing and takes a second */
    bool just_quiet;
    uint64_t repeats; /* bytes come as often as this, one copy behind the other */
    int reads;
};

static int64_t now_ms;

int64_t tl_clock_ms(void)
{
    return now_ms;
}

const char *source_name(const struct source *s)
{
    return s->name;
}

bool source_trickles(const struct source *s)
{
    return s->trickles;
}

int source_read(struct source *s, char *dst, size_t size, int wait_ms, size_t *n, struct tl_error *err)
{
    (void)err;
    assert_true(size > 0);
    *n = 0;
    s->reads++;
    if (s->quiet && !s->just_quiet) {
        assert_true(wait_ms >= 0 && wait_ms <= SPLITTER_FLUSH_MS);
        s->just_quiet = true;
        now_ms += 1000;
        return 1;
    }
    s->just_quiet = false;
    if (s->at == s->bytes.len && s->repeats > 1) {
        s->repeats--;
        s->at = 0;
    }
    *n = TL_MIN(size, s->bytes.len - s->at);
    if (s->first && s->at == 0) {
        *n = s->first;
    } else if (s->largest) {
        size_t most = s->seed ? 1 + reference_random(&s->seed) % s->largest : s->largest;

        *n = TL_MIN(*n, most);
    }
    memcpy(dst, s->bytes.ptr + s->at, *n);
    s->at += *n;
    return 0;
}

int source_rewind(struct source *s, struct tl_error *err)
{
    (void)err;
    s->at = 0;
    return 0;
}

/* ---- what comes out ---- */

/* All batches as text, "partition/seq/rows/first_line/malformed/length:" before each value. */
struct sink {
    struct splitter *splitter;
    struct tl_buf text;
    int64_t batches;
    size_t largest;
    int64_t fail_at; /* this batch, from 1, is refused */
    int reads;
    bool keep; /* false: only counted */
};

static inline int on_batch(void *app, struct batch *b, struct tl_error *err)
{
    struct sink *sink = app;
    int rc = 0;

    sink->batches++;
    sink->largest = TL_MAX(sink->largest, b->len);
    if (sink->keep) {
        assert_int_equal(tl_buf_appendf(&sink->text, "%d/%d/%d/%d/%s/%zu:", b->partition, (int)b->seq,
                                        (int)b->rows, (int)b->first_line, b->malformed ? b->malformed : "",
                                        b->len),
                         TL_BUF_OK);
        assert_int_equal(tl_buf_append(&sink->text, b->value, b->len), TL_BUF_OK);
        assert_int_equal(tl_buf_append_char(&sink->text, '\n'), TL_BUF_OK);
    }
    free(b->malformed);
    if (sink->batches == sink->fail_at)
        rc = tl_fail(err, TL_E_UNAVAILABLE, "nobody there");
    if (sink->batches % 2)
        free(b->value);
    else
        splitter_recycle(sink->splitter, b->value, b->cap);
    return rc;
}

static inline int on_read(void *app, struct tl_error *err)
{
    struct sink *sink = app;

    (void)err;
    sink->reads++;
    return 0;
}

static inline struct tl_schema *schema_of(const char *json)
{
    struct tl_schema *schema;
    struct tl_error err;

    if (tl_schema_from_text(tl_str(json), &schema, &err))
        fail_msg("%s", err.text);
    return schema;
}

static const char orders_json[] =
    "{\"table\":\"orders\",\"columns\":["
    "{\"name\":\"id\",\"type\":\"bigint\"},"
    "{\"name\":\"qty\",\"type\":\"int\",\"nullable\":false},"
    "{\"name\":\"price\",\"type\":\"decimal(10,2)\",\"nullable\":false,\"default\":\"0\"},"
    "{\"name\":\"note\",\"type\":\"text\"}],\"key\":[\"id\"]}";
static const char log_json[] = "{\"table\":\"log\",\"columns\":["
                               "{\"name\":\"a\",\"type\":\"text\"},{\"name\":\"b\",\"type\":\"text\"}]}";
static inline struct split_options options(void)
{
    struct split_options o = {.partitions = 4,
                              .batch_bytes = 64 * 1024,
                              .record_max = 64 * 1024,
                              .malformed_in_a_row = SPLITTER_MALFORMED_IN_A_ROW,
                              .on_read = on_read};

    tl_dialect_csv(&o.dialect);
    return o;
}

/* One run over one source. The result of splitter_run, whose text, columns and totals are left behind. */
struct run {
    struct sink sink;
    struct split_totals totals;
    struct tl_error err;
    char columns[200];
    int rc;
};

static inline void run_source(struct run *run, const char *json, const struct split_options *o,
                              struct source *source)
{
    struct tl_schema *schema = schema_of(json);

    *run = (struct run){.sink.keep = true};
    tl_buf_init(&run->sink.text, 64 * 1024 * 1024);
    run->sink.splitter = splitter_new(schema, o, on_batch, &run->sink, &run->err);
    if (!run->sink.splitter)
        fail_msg("%s", run->err.text);
    run->rc = splitter_run(run->sink.splitter, source, &run->err);
    run->totals = splitter_totals(run->sink.splitter);
    snprintf(run->columns, sizeof run->columns, "%s", splitter_columns(run->sink.splitter));
    assert_int_equal(tl_buf_terminate(&run->sink.text), TL_BUF_OK);
    splitter_free(run->sink.splitter);
    tl_schema_free(schema);
}

static inline void release(struct run *run)
{
    tl_buf_release(&run->sink.text);
}

static inline void run_text(struct run *run, const char *json, const struct split_options *o,
                            const char *text)
{
    struct source source = {.name = "orders.csv", .bytes = tl_str(text)};

    run_source(run, json, o, &source);
}

#endif
