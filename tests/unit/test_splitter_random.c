/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The splitter against a second one that is written without any thought of speed, over random files. */
#include "shared/wire/keyhash.h"
#include "shared/wire/malformed.h"
#include "tests/unit/splitter_fixture.h"

struct simple_batch {
    struct tl_buf value, malformed;
    int64_t rows, first_line;
};

struct simple {
    struct tl_buf text;
    struct simple_batch open[8];
    int64_t batches[8];
};

static void simple_close(struct simple *s, int p)
{
    struct simple_batch *b = &s->open[p];

    if (!b->rows)
        return;
    assert_int_equal(tl_buf_appendf(&s->text, "%d/%d/%d/%d/%.*s/%zu:", p, (int)++s->batches[p], (int)b->rows,
                                    (int)b->first_line, (int)b->malformed.len,
                                    b->malformed.data ? b->malformed.data : "", b->value.len),
                     TL_BUF_OK);
    assert_int_equal(tl_buf_append_str(&s->text, tl_buf_str(&b->value)), TL_BUF_OK);
    assert_int_equal(tl_buf_append_char(&s->text, '\n'), TL_BUF_OK);
    tl_buf_reset(&b->value);
    tl_buf_reset(&b->malformed);
    b->rows = 0;
}

static void simple_add(struct simple *s, const struct split_options *o, struct tl_str record, int64_t line,
                       enum tl_reject_code why)
{
    const struct tl_type bigint = {.id = TL_TYPE_BIGINT};
    struct tl_str raw, key, canonical;
    struct simple_batch *b;
    struct tl_buf scratch;
    struct tl_reject reject;
    uint32_t first = 0;
    char head[32];
    size_t nhead = (size_t)snprintf(head, sizeof head, "%d\t", (int)line);
    bool is_null = true;
    int p;

    tl_buf_init(&scratch, 1000);
    key = record;
    if (!why && tl_csv_pick(&o->dialect, record, &first, 1, &raw) == 1 &&
        tl_csv_unquote(&o->dialect, raw, &scratch, &canonical, &is_null) == TL_VALUE_OK && !is_null &&
        tl_type_canon(&bigint, canonical, &scratch, &canonical, &reject) == TL_VALUE_OK)
        key = canonical;
    p = tl_key_partition(&key, 1, o->partitions);
    tl_buf_release(&scratch);
    b = &s->open[p];
    if (b->value.len + nhead + record.len + 1 > o->batch_bytes)
        simple_close(s, p);
    if (!b->rows++)
        b->first_line = line;
    if (why)
        assert_int_equal(
            tl_malformed_append(&b->malformed, &(struct tl_malformed){b->value.len + nhead, record.len, why}),
            TL_BUF_OK);
    assert_int_equal(tl_buf_append(&b->value, head, nhead), TL_BUF_OK);
    assert_int_equal(tl_buf_append_str(&b->value, record), TL_BUF_OK);
    assert_int_equal(tl_buf_append_char(&b->value, '\n'), TL_BUF_OK);
}

static void simple_split(struct simple *s, const struct split_options *o, const char *p, size_t n)
{
    size_t limit = TL_MIN(o->record_max, o->batch_bytes - BATCH_ROW_EXTRA), at = 0;
    int64_t line = 1;

    tl_buf_init(&s->text, 1024 * 1024);
    for (int i = 0; i < o->partitions; i++) {
        s->batches[i] = 0;
        s->open[i].rows = 0;
        tl_buf_init(&s->open[i].value, 1024 * 1024);
        tl_buf_init(&s->open[i].malformed, 1024 * 1024);
    }
    while (at < n) {
        struct tl_scan_record r;
        enum tl_scan scan = reference_scan(&o->dialect, p + at, n - at, limit, &r);
        struct tl_str record = tl_str_n(p + at, r.len);

        if (r.why == TL_REJECT_RECORD_TOO_LONG) {
            for (size_t i = 0; i < record.len; i++)
                if (record.ptr[i] == '\n' || record.ptr[i] == '\r')
                    record.len = i;
            /* On to the line's end. */
            while (at + r.len < n && !r.end_len) {
                r.end_len = reference_line_end(p + at, n - at, r.len);
                if (r.end_len)
                    r.lines++;
                else
                    r.len++;
            }
        }
        if (record.len || scan == TL_SCAN_MALFORMED)
            simple_add(s, o, record, line, r.why);
        at += r.len + r.end_len;
        line += r.lines;
    }
    for (int i = 0; i < o->partitions; i++) {
        simple_close(s, i);
        tl_buf_release(&s->open[i].value);
        tl_buf_release(&s->open[i].malformed);
    }
}

static void random_files_however_they_are_read(void **state)
{
    static const char ids[] = "0123456789 +-\"";
    struct tl_schema *schema = schema_of(orders_json);
    uint64_t seed = 99;

    (void)state;
    for (int round = 0; round < 10000; round++) {
        struct split_options o = options();
        size_t n = reference_random(&seed) % (round % 50 ? 300 : 20000);
        char *file = malloc(n + 1);
        struct simple simple;

        assert_non_null(file);
        reference_fill(&seed, file, n, round % 2);
        /* Numbers at the lines' beginnings, so that many have keys. */
        for (size_t i = 0; i < n; i++)
            if ((i == 0 || file[i - 1] == '\n') && file[i] == 'a')
                file[i] = ids[reference_random(&seed) % (sizeof ids - 1)];
        o.header = HEADER_NONE;
        o.columns = "id,qty";
        o.partitions = 1 + (int32_t)(reference_random(&seed) % 5);
        o.batch_bytes = 60 + reference_random(&seed) % 200;
        o.record_max = 20 + reference_random(&seed) % 100;
        o.malformed_in_a_row = UINT32_MAX;
        simple_split(&simple, &o, file, n);

        /* Read at once, and then by single bytes or by a random number of them. */
        for (int cut = 0; cut < 2; cut++) {
            bool single = round % 2;
            struct source source = {.name = "orders.csv", .bytes = tl_str_n(file, n)};
            struct sink sink = {.keep = true};
            struct tl_error err;

            if (cut) {
                source.largest = single ? 1 : 1 + reference_random(&seed) % 100;
                source.seed = single ? 0 : seed | 1;
            }
            tl_buf_init(&sink.text, 1024 * 1024);
            sink.splitter = splitter_new(schema, &o, on_batch, &sink, &err);
            assert_non_null(sink.splitter);
            if (splitter_run(sink.splitter, &source, &err))
                fail_msg("%s", err.text);
            assert_true(sink.largest <= o.batch_bytes);
            assert_int_equal(splitter_totals(sink.splitter).bytes, n);
            assert_int_equal(sink.text.len, simple.text.len);
            if (n)
                assert_memory_equal(tl_buf_str(&sink.text).ptr, tl_buf_str(&simple.text).ptr,
                                    simple.text.len);
            splitter_free(sink.splitter);
            tl_buf_release(&sink.text);
        }
        tl_buf_release(&simple.text);
        free(file);
    }
    tl_schema_free(schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_files_however_they_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
