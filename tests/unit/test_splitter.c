/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The splitter with a source of the test's own, which cuts its reads as the test likes, and a clock that
 * the test sets.
 */
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
#include "shared/wire/keyhash.h"
#include "shared/wire/malformed.h"
#include "tests/unit/csv_reference.h"

/* ---- the source and the clock ---- */

struct source {
    const char *name;
    struct tl_str bytes;
    size_t at;
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
    if (s->largest) {
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

static int on_batch(void *app, struct batch *b, struct tl_error *err)
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

static int on_read(void *app, struct tl_error *err)
{
    struct sink *sink = app;

    (void)err;
    sink->reads++;
    return 0;
}

static struct tl_schema *schema_of(const char *json)
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
static const char pairs_json[] =
    "{\"table\":\"pairs\",\"columns\":["
    "{\"name\":\"v\",\"type\":\"text\"},{\"name\":\"x\",\"type\":\"decimal(10,2)\"},"
    "{\"name\":\"y\",\"type\":\"int\"}],\"key\":[\"y\",\"x\"]}";

static struct split_options options(void)
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

static void run_source(struct run *run, const char *json, const struct split_options *o,
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

static void release(struct run *run)
{
    tl_buf_release(&run->sink.text);
}

static void run_text(struct run *run, const char *json, const struct split_options *o, const char *text)
{
    struct source source = {.name = "orders.csv", .bytes = tl_str(text)};

    run_source(run, json, o, &source);
}

/* A table without a key and without a header: what comes out for `text`. */
static void check_log(const char *text, const char *expected)
{
    struct split_options o = options();
    struct run run;

    o.header = HEADER_NONE;
    run_text(&run, log_json, &o, text);
    if (run.rc)
        fail_msg("%s", run.err.text);
    assert_string_equal(run.sink.text.data, expected);
    release(&run);
}

static void check_fails(const char *json, const struct split_options *o, struct tl_str text,
                        enum tl_error_code code, const char *message)
{
    struct source source = {.name = "orders.csv", .bytes = text};
    struct run run;

    run_source(&run, json, o, &source);
    assert_int_equal(run.rc, -1);
    assert_string_equal(run.err.text, message);
    assert_int_equal(run.err.code, code);
    assert_int_equal(run.sink.batches, 0);
    release(&run);
}

/* ---- records ---- */

static void lines_and_line_ends(void **state)
{
    (void)state;
    check_log("", "");
    check_log("\n\r\n\r", "");
    check_log("a,b", "0/1/1/1//6:1\ta,b\n\n");
    check_log("a,b\n", "0/1/1/1//6:1\ta,b\n\n");
    check_log("a,1\r\nb,2\rc,3\n\nd,4\r\r\ne,5", "0/1/5/1//30:1\ta,1\n2\tb,2\n3\tc,3\n5\td,4\n7\te,5\n\n");
    check_log("\xef\xbb\xbf"
              "a,b\n",
              "0/1/1/1//6:1\ta,b\n\n");
    check_log("a,\"x\r\ny\rz\"\nb,c\n", "0/1/2/1//19:1\ta,\"x\r\ny\rz\"\n4\tb,c\n\n");
    check_log("a,\"b", "0/1/1/1/2+4:unterminated_quote/7:1\ta,\"b\n\n");
    check_log("a,1\nb,\"2\nc,3\n", "0/1/3/1/8+4:unterminated_quote/19:1\ta,1\n2\tb,\"2\n3\tc,3\n\n");
    check_log("\"a\"b,1\nc\"c,2\n", "0/1/2/1/2+6:bad_quoting/17:1\t\"a\"b,1\n2\tc\"c,2\n\n");
}

static void nul_bytes_pass(void **state)
{
    struct source source = {.name = "orders.csv", .bytes = {"ab\0,x\nc,d\n", 10}};
    struct split_options o = options();
    struct run run;

    (void)state;
    o.header = HEADER_NONE;
    run_source(&run, log_json, &o, &source);
    assert_int_equal(run.rc, 0);
    assert_true(tl_str_eq(tl_buf_str(&run.sink.text), tl_str_n("0/1/2/1//14:1\tab\0,x\n2\tc,d\n\n", 27)));
    release(&run);
}

static void a_stray_quote_costs_one_line(void **state)
{
    enum { LINES = 200000, AT = 1000 };
    struct split_options o = options();
    struct tl_buf text;
    struct source source = {.name = "orders.csv"};
    struct run run;

    (void)state;
    tl_buf_init(&text, 64 * 1024 * 1024);
    for (int i = 0; i < LINES; i++)
        assert_int_equal(tl_buf_appendf(&text, "%s%d,xyz\n", i == AT ? "\"" : "", i), TL_BUF_OK);
    source.bytes = tl_buf_str(&text);
    o.header = HEADER_NONE;
    run_source(&run, log_json, &o, &source);
    assert_int_equal(run.rc, 0);
    assert_int_equal(run.totals.rows, LINES);
    assert_int_equal(run.totals.malformed, 1);
    assert_int_equal(run.totals.bytes, text.len);
    assert_non_null(strstr(run.sink.text.data, "\n1001\t\"1000,xyz\n1002\t1001,xyz\n"));
    release(&run);
    tl_buf_release(&text);
}

static void many_in_a_row_end_the_upload(void **state)
{
    struct split_options o = options();
    struct tl_buf text;
    struct run run;

    (void)state;
    o.header = HEADER_NONE;
    tl_buf_init(&text, 1024 * 1024);
    assert_int_equal(tl_buf_append_z(&text, "a,b\n"), TL_BUF_OK);
    for (int i = 0; i < SPLITTER_MALFORMED_IN_A_ROW; i++) {
        /* One less than too many, a good one, and then too many. */
        assert_int_equal(tl_buf_append_z(&text, "\"a\"x,b\n"), TL_BUF_OK);
        if (i == SPLITTER_MALFORMED_IN_A_ROW - 2)
            assert_int_equal(tl_buf_append_z(&text, "good,one\n"), TL_BUF_OK);
    }
    assert_int_equal(tl_buf_terminate(&text), TL_BUF_OK);
    run_text(&run, log_json, &o, text.data);
    assert_int_equal(run.rc, 0);
    assert_int_equal(run.totals.malformed, SPLITTER_MALFORMED_IN_A_ROW);
    release(&run);

    for (int i = 0; i < SPLITTER_MALFORMED_IN_A_ROW - 1; i++)
        assert_int_equal(tl_buf_append_z(&text, "\"a\"x,b\n"), TL_BUF_OK);
    assert_int_equal(tl_buf_terminate(&text), TL_BUF_OK);
    run_text(&run, log_json, &o, text.data);
    assert_int_equal(run.rc, -1);
    assert_int_equal(run.err.code, TL_E_CORRUPT);
    assert_string_equal(run.err.text,
                        "orders.csv:2001: 1000 records in a row have broken quoting; is the quote "
                        "character right? (--quote)");
    release(&run);
    tl_buf_release(&text);
}

/* Every second line opens a quote that the next such one closes and opens again: each costs the limit. */
static void looking_in_vain_is_bounded(void **state)
{
    struct source source = {.name = "orders.csv", .bytes = tl_str("z\",\"\ngood,one\n"), .repeats = 100000};
    struct split_options o = options();
    struct run run;

    (void)state;
    o.header = HEADER_NONE;
    run_source(&run, log_json, &o, &source);
    assert_int_equal(run.rc, -1);
    assert_int_equal(run.err.code, TL_E_CORRUPT);
    assert_non_null(
        strstr(run.err.text, "have quotes that nothing closes; is the quote character right? (--quote)"));
    release(&run);
}

static void a_record_of_200_MB(void **state)
{
    enum { MB = 1024 * 1024 };
    static const char *const filler[] = {"xy", "x\"", "\"\""};
    struct split_options o = options();
    char *part = malloc(MB);

    (void)state;
    assert_non_null(part);
    o.header = HEADER_NONE;
    o.batch_bytes = MB;
    o.record_max = MB;
    for (size_t kind = 0; kind < TL_ARRAY_LEN(filler); kind++) {
        struct tl_schema *schema = schema_of(log_json);
        struct run run = {.sink.keep = true};
        struct source first = {.name = "a", .repeats = 200};

        for (size_t i = 0; i < MB; i++)
            part[i] = filler[kind][i % 2];
        first.bytes = tl_str_n(part, MB);
        tl_buf_init(&run.sink.text, MB);
        run.sink.splitter = splitter_new(schema, &o, on_batch, &run.sink, &run.err);
        assert_non_null(run.sink.splitter);
        assert_int_equal(splitter_run(run.sink.splitter, &first, &run.err), 0);
        assert_int_equal(splitter_totals(run.sink.splitter).rows, 1);
        assert_int_equal(splitter_totals(run.sink.splitter).malformed, 1);
        assert_int_equal(splitter_totals(run.sink.splitter).bytes, 200ll * MB);
        assert_int_equal(run.sink.largest, 2 + SPLITTER_SAMPLE + 1);
        splitter_free(run.sink.splitter);
        tl_schema_free(schema);
        release(&run);
    }
    free(part);
}

static void lines_behind_a_record_too_long(void **state)
{
    struct split_options o = options();
    struct run run;

    (void)state;
    o.header = HEADER_NONE;
    o.record_max = 10;
    run_text(&run, log_json, &o,
             "a,b\n012345678901234567890\r\nc,d\n\"x\ny\",78901\"\re,f\n\"1\n3456789012\",3\nz,z");
    assert_int_equal(run.rc, 0);
    assert_string_equal(
        run.sink.text.data,
        "0/1/8/1/8+10:record_too_long,27+2:record_too_long,38+2:unterminated_quote,43+10:record_too_long/"
        "60:"
        "1\ta,b\n2\t0123456789\n3\tc,d\n4\t\"x\n6\te,f\n7\t\"1\n8\t3456789012\n9\tz,z\n\n");
    release(&run);
}

/* ---- the header ---- */

static void header_matched_by_name(void **state)
{
    static const char *const map[] = {"Menge = qty", "a=b=note"};
    struct split_options o = options();
    struct run run;

    (void)state;
    run_text(&run, orders_json, &o, "");
    assert_int_equal(run.rc, 0);
    assert_int_equal(run.totals.rows, 0);
    release(&run);
    run_text(&run, orders_json, &o, "id,qty\n");
    assert_int_equal(run.rc, 0);
    assert_int_equal(run.totals.rows, 0);
    assert_string_equal(run.columns, "id,qty");
    release(&run);
    run_text(&run, orders_json, &o, "\n QTY ,\"Note\", Id\n1,x,7\n");
    assert_int_equal(run.rc, 0);
    assert_string_equal(run.columns, "qty,note,id");
    assert_int_equal(run.totals.rows, 1);
    assert_non_null(strstr(run.sink.text.data, "/1/1/3//8:3\t1,x,7\n"));
    release(&run);
    o.map = map;
    o.nmap = 2;
    run_text(&run, orders_json, &o, "id,menge,a=b\n");
    assert_int_equal(run.rc, 0);
    assert_string_equal(run.columns, "id,qty,note");
    release(&run);
}

static void header_refused(void **state)
{
    static const char *const no_such_field[] = {"mng=qty"}, *const no_such_column[] = {"qty=nte"},
                             *const no_map[] = {"qty"};
    struct split_options o = options();

    (void)state;
#define REFUSED(text, message) check_fails(orders_json, &o, tl_str(text), TL_E_REFUSED, message)
    REFUSED("id,qtty\n1,2\n",
            "orders.csv:1: column \"qtty\" is not in table \"orders\"; did you mean \"qty\"? "
            "(--map qtty=qty)");
    REFUSED("id,qty,strange_thing\n", "orders.csv:1: column \"strange_thing\" is not in table \"orders\" "
                                      "(tload describe orders)");
    REFUSED("1,x\n2,y\n",
            "orders.csv:1: column \"1\" is not in table \"orders\", and neither is any other; has the "
            "file no header? (--header=none)");
    REFUSED("\n\nid,qty,ID\n", "orders.csv:3: column \"id\" is there twice, in fields 1 and 3");
    REFUSED("id,,qty\n", "orders.csv:1: field 2 has no name");
    REFUSED("note\n",
            "orders.csv:1: table \"orders\" needs a value for columns \"id\", \"qty\"; if a field holds it "
            "under another name: --map FIELD=id");
    REFUSED("qty,note\n",
            "orders.csv:1: table \"orders\" needs a value for column \"id\"; if a field holds it under "
            "another name: --map FIELD=id");
    REFUSED("id,\"qty\nx\n",
            "orders.csv:1: the header's quoting is broken; is the quote character right? (--quote)");
    REFUSED("id,q\"ty\nx\n",
            "orders.csv:1: the header has a quote within field 2, which does not begin with one; is "
            "the quote character right? (--quote)");
    REFUSED("id,q\033[1mty\n",
            "orders.csv:1: column \"q?[1mty\" is not in table \"orders\" (tload describe orders)");
    o.nmap = 1;
    o.map = no_such_field;
    REFUSED("id,qty\n", "orders.csv:1: --map mng=qty: the file has no field \"mng\"");
    o.map = no_such_column;
    REFUSED("id,qty\n", "--map qty=nte: column \"nte\" is not in table \"orders\"; did you mean \"note\"?");
    o.map = no_map;
    check_fails(orders_json, &o, tl_str("id,qty\n"), TL_E_USAGE, "--map qty: is not FIELD=COLUMN");
    o.nmap = 0;
    o.header = HEADER_NONE;
    o.columns = "id,qty,nte";
    REFUSED("1,2,3\n", "--columns: column \"nte\" is not in table \"orders\"; did you mean \"note\"?");
    o.columns = "qty";
    REFUSED("1\n", "--columns: table \"orders\" needs a value for column \"id\"");
#undef REFUSED
}

static void header_of_endless_length(void **state)
{
    static char text[2 * SPLITTER_HEADER_MAX];
    struct split_options o = options();

    (void)state;
    memset(text, 'x', sizeof text);
    check_fails(orders_json, &o, tl_str_n(text, sizeof text), TL_E_REFUSED,
                "orders.csv:1: the header is longer than 524288 bytes; is it CSV?");
    memset(text, ',', sizeof text / 4);
    text[sizeof text / 4] = '\n';
    check_fails(orders_json, &o, tl_str_n(text, sizeof text), TL_E_REFUSED,
                "orders.csv:1: the header has 262145 fields; no table has more than 2000 columns");
}

static void header_skipped_or_none(void **state)
{
    struct split_options o = options();
    struct tl_error err;
    struct run run;

    (void)state;
    o.header = HEADER_SKIP;
    o.columns = "qty, ID";
    run_text(&run, orders_json, &o, "whatever,\"this\nis\"\n1,7\n");
    assert_int_equal(run.rc, 0);
    assert_string_equal(run.columns, "qty,id");
    assert_non_null(strstr(run.sink.text.data, "/1/1/3//6:3\t1,7\n"));
    release(&run);
    o.header = HEADER_NONE;
    o.columns = NULL;
    run_text(&run, orders_json, &o, "7,1,1.00,\n");
    assert_int_equal(run.rc, 0);
    assert_string_equal(run.columns, "id,qty,price,note");
    assert_int_equal(run.totals.rows, 1);
    release(&run);

    o.header = HEADER_MATCH;
    o.columns = "id";
    assert_null(splitter_new(NULL, &o, on_batch, NULL, &err));
    assert_int_equal(err.code, TL_E_USAGE);
    o.header = HEADER_NONE;
    o.nmap = 1;
    assert_null(splitter_new(NULL, &o, on_batch, NULL, &err));
    assert_int_equal(err.code, TL_E_USAGE);
}

static void two_thousand_columns(void **state)
{
    struct split_options o = options();
    struct tl_buf json, text;
    struct run run;

    (void)state;
    tl_buf_init(&json, 1024 * 1024);
    tl_buf_init(&text, 1024 * 1024);
    assert_int_equal(tl_buf_append_z(&json, "{\"table\":\"wide\",\"columns\":["), TL_BUF_OK);
    for (int i = 0; i < TL_COLUMNS_MAX; i++) {
        assert_int_equal(tl_buf_appendf(&json, "%s{\"name\":\"c%d\",\"type\":\"int\"}", i ? "," : "", i),
                         TL_BUF_OK);
        /* The header backwards: the key comes last. */
        assert_int_equal(tl_buf_appendf(&text, "%sC%d", i ? "," : "", TL_COLUMNS_MAX - 1 - i), TL_BUF_OK);
    }
    assert_int_equal(tl_buf_append_z(&json, "],\"key\":[\"c0\"]}"), TL_BUF_OK);
    for (int row = 0; row < 3; row++)
        for (int i = 0; i < TL_COLUMNS_MAX; i++)
            assert_int_equal(tl_buf_appendf(&text, "%c%d", i ? ',' : '\n', i), TL_BUF_OK);
    assert_int_equal(tl_buf_terminate(&json) | tl_buf_terminate(&text), TL_BUF_OK);
    run_text(&run, json.data, &o, text.data);
    if (run.rc)
        fail_msg("%s", run.err.text);
    assert_int_equal(run.totals.rows, 3);
    assert_int_equal(run.sink.batches, 1);
    release(&run);
    tl_buf_release(&json);
    tl_buf_release(&text);
}

static void what_is_no_text_is_refused(void **state)
{
    struct split_options o = options();

    (void)state;
    check_fails(
        orders_json, &o, tl_str_n("\xff\xfei\0d\0\n\0", 8), TL_E_REFUSED,
        "orders.csv: is UTF-16; convert it first: iconv -f UTF-16 -t UTF-8 orders.csv | tload upload - "
        "--table orders");
    check_fails(
        orders_json, &o, tl_str_n("\xfe\xff\0i\0d\0\n", 8), TL_E_REFUSED,
        "orders.csv: is UTF-16; convert it first: iconv -f UTF-16 -t UTF-8 orders.csv | tload upload - "
        "--table orders");
    check_fails(
        orders_json, &o, tl_str_n("i\0d\0\n\0", 6), TL_E_REFUSED,
        "orders.csv: is UTF-16; convert it first: iconv -f UTF-16LE -t UTF-8 orders.csv | tload upload - "
        "--table orders");
    check_fails(
        orders_json, &o, tl_str_n("\0i\0d\0\n", 6), TL_E_REFUSED,
        "orders.csv: is UTF-16; convert it first: iconv -f UTF-16BE -t UTF-8 orders.csv | tload upload - "
        "--table orders");
    check_fails(orders_json, &o, tl_str("\x1f\x8b\x08"), TL_E_REFUSED,
                "orders.csv: is compressed with gzip; unpack it first: zcat orders.csv | tload upload - "
                "--table orders");
    check_fails(orders_json, &o, tl_str("\x28\xb5\x2f\xfd"), TL_E_REFUSED,
                "orders.csv: is compressed with zstd; unpack it first: zstdcat orders.csv | tload upload - "
                "--table orders");
    check_fails(orders_json, &o, tl_str("PK\x03\x04"), TL_E_REFUSED,
                "orders.csv: is a ZIP archive or a workbook; save its table as CSV first");
}

static void check_header_leaves_the_source_at_its_beginning(void **state)
{
    struct source source = {.name = "orders.csv", .bytes = tl_str("id,qty\n1,2\n")};
    struct tl_schema *schema = schema_of(orders_json);
    struct split_options o = options();
    struct run run = {.sink.keep = true};

    (void)state;
    tl_buf_init(&run.sink.text, 1000);
    run.sink.splitter = splitter_new(schema, &o, on_batch, &run.sink, &run.err);
    assert_non_null(run.sink.splitter);
    assert_int_equal(splitter_check_header(run.sink.splitter, &source, &run.err), 0);
    assert_string_equal(splitter_columns(run.sink.splitter), "id,qty");
    assert_int_equal(run.sink.batches, 0);
    assert_int_equal(splitter_run(run.sink.splitter, &source, &run.err), 0);
    assert_int_equal(run.sink.batches, 1);
    assert_int_equal(splitter_totals(run.sink.splitter).bytes, 11);
    splitter_free(run.sink.splitter);
    tl_schema_free(schema);
    release(&run);
}

/* ---- batches ---- */

static void batches_go_round_without_a_key(void **state)
{
    struct split_options o = options();
    struct tl_schema *schema = schema_of(log_json);
    struct run run = {.sink.keep = true};
    struct source one = {.name = "one", .bytes = tl_str("0123456789\n0123456789\n0123456789\n")};
    struct source two = {.name = "two", .bytes = tl_str("x\n")};

    (void)state;
    o.header = HEADER_NONE;
    o.partitions = 2;
    o.batch_bytes = 2 * (2 + 10 + 1);
    o.record_max = o.batch_bytes;
    tl_buf_init(&run.sink.text, 1000);
    run.sink.splitter = splitter_new(schema, &o, on_batch, &run.sink, &run.err);
    assert_non_null(run.sink.splitter);
    /* No more than 4 bytes of record fit, so that a LINE of any length does: the samples show it. */
    assert_int_equal(splitter_run(run.sink.splitter, &one, &run.err), 0);
    assert_int_equal(splitter_run(run.sink.splitter, &two, &run.err), 0);
    assert_int_equal(tl_buf_terminate(&run.sink.text), TL_BUF_OK);
    assert_string_equal(run.sink.text.data,
                        "0/1/3/1/2+4:record_too_long,9+4:record_too_long,16+4:record_too_long/21:"
                        "1\t0123\n2\t0123\n3\t0123\n\n"
                        "1/1/1/1//4:1\tx\n\n");
    assert_int_equal(splitter_batches(run.sink.splitter, 0), 1);
    assert_int_equal(splitter_batches(run.sink.splitter, 1), 1);
    assert_int_equal(splitter_rows(run.sink.splitter, 0), 3);
    assert_int_equal(splitter_rows(run.sink.splitter, 1), 1);
    splitter_free(run.sink.splitter);
    tl_schema_free(schema);
    release(&run);
}

static void equal_keys_meet(void **state)
{
    struct split_options o = options();
    struct run run;

    (void)state;
    o.partitions = 64;
    run_text(&run, orders_json, &o, "id,qty\n7,1\n007,1\n\" 7\",1\n+7,1\n\"7\",1\n");
    assert_int_equal(run.rc, 0);
    assert_int_equal(run.sink.batches, 1);
    assert_int_equal(run.totals.rows, 5);
    release(&run);
    /* The key's order counts, not the fields'. */
    run_text(&run, pairs_json, &o, "x,v,y\n1,a,2\n1.0,b,02\n\"1.00\",c,+2\n");
    assert_int_equal(run.rc, 0);
    assert_int_equal(run.sink.batches, 1);
    const struct tl_str key[] = {tl_str("2"), tl_str("1.00")};
    assert_int_equal(strtol(run.sink.text.data, NULL, 10), tl_key_partition(key, 2, 64));
    release(&run);
    /* No key to speak of: by the record. */
    run_text(&run, orders_json, &o, "qty,id\n1,x\n1,x\n1\n1\n1,\n1,\n");
    assert_int_equal(run.rc, 0);
    assert_int_equal(run.totals.rows, 6);
    assert_in_range(run.sink.batches, 1, 3);
    release(&run);
}

static void the_list_of_malformed_closes_a_batch(void **state)
{
    enum { LINES = 3000 };
    struct split_options o = options();
    struct tl_buf text;
    struct run run;

    (void)state;
    o.header = HEADER_NONE;
    o.malformed_in_a_row = UINT32_MAX;
    tl_buf_init(&text, 1024 * 1024);
    for (int i = 0; i < LINES; i++)
        assert_int_equal(tl_buf_append_z(&text, "\"a\"x\n"), TL_BUF_OK);
    assert_int_equal(tl_buf_terminate(&text), TL_BUF_OK);
    run_text(&run, log_json, &o, text.data);
    assert_int_equal(run.rc, 0);
    assert_int_equal(run.totals.malformed, LINES);
    assert_in_range(run.sink.batches, 3, 8);
    release(&run);
    tl_buf_release(&text);
}

static void a_batch_refused_ends_the_run(void **state)
{
    struct source source = {.name = "orders.csv", .bytes = tl_str("some,thing\n"), .repeats = 100000};
    struct split_options o = options();
    struct tl_schema *schema = schema_of(log_json);
    struct sink sink = {.fail_at = 3};
    struct tl_error err;

    (void)state;
    o.header = HEADER_NONE;
    sink.splitter = splitter_new(schema, &o, on_batch, &sink, &err);
    assert_non_null(sink.splitter);
    assert_int_equal(splitter_run(sink.splitter, &source, &err), -1);
    assert_int_equal(err.code, TL_E_UNAVAILABLE);
    assert_int_equal(sink.batches, 3);
    splitter_free(sink.splitter);
    tl_schema_free(schema);
}

static void trickling_input_is_flushed_by_time(void **state)
{
    struct source source = {.name = "(stdin)",
                            .bytes = tl_str("id,qty\n1,2\n1,3\n1,\"4\n5\"\n"),
                            .largest = 7,
                            .trickles = true,
                            .quiet = true};
    struct split_options o = options();
    struct run run;

    (void)state;
    run_source(&run, orders_json, &o, &source);
    assert_int_equal(run.rc, 0);
    /* "1,2 LF 1,3" came at once and "1,3" had no end yet: each record is alone. */
    assert_int_equal(run.sink.batches, 3);
    assert_int_equal(run.totals.rows, 3);
    assert_int_equal(run.sink.reads, source.reads);
    release(&run);

    /* The same without pauses is one batch. */
    source = (struct source){.name = "(stdin)", .bytes = source.bytes, .largest = 1, .trickles = true};
    run_source(&run, orders_json, &o, &source);
    assert_int_equal(run.rc, 0);
    assert_int_equal(run.sink.batches, 1);
    release(&run);
}

/* ---- against a second splitter, written without any thought of speed ---- */

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

        for (int way = 0; way < 3; way++) {
            struct source source = {.name = "orders.csv",
                                    .bytes = tl_str_n(file, n),
                                    .largest = way == 0   ? 0
                                               : way == 1 ? 1
                                                          : 1 + reference_random(&seed) % 100,
                                    .seed = way == 2 ? seed | 1 : 0};
            struct sink sink = {.keep = true};
            struct tl_error err;

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
        cmocka_unit_test(lines_and_line_ends),
        cmocka_unit_test(nul_bytes_pass),
        cmocka_unit_test(a_stray_quote_costs_one_line),
        cmocka_unit_test(many_in_a_row_end_the_upload),
        cmocka_unit_test(looking_in_vain_is_bounded),
        cmocka_unit_test(a_record_of_200_MB),
        cmocka_unit_test(lines_behind_a_record_too_long),
        cmocka_unit_test(header_matched_by_name),
        cmocka_unit_test(header_refused),
        cmocka_unit_test(header_of_endless_length),
        cmocka_unit_test(header_skipped_or_none),
        cmocka_unit_test(two_thousand_columns),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(check_header_leaves_the_source_at_its_beginning),
        cmocka_unit_test(batches_go_round_without_a_key),
        cmocka_unit_test(equal_keys_meet),
        cmocka_unit_test(the_list_of_malformed_closes_a_batch),
        cmocka_unit_test(a_batch_refused_ends_the_run),
        cmocka_unit_test(trickling_input_is_flushed_by_time),
        cmocka_unit_test(random_files_however_they_are_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
