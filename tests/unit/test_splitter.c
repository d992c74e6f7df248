/* SPDX-License-Identifier: GPL-3.0-or-later */
/* From records to batches: lines, malformed records, keys, numbers, time. */
#include "shared/wire/keyhash.h"
#include "tests/unit/splitter_fixture.h"

static const char pairs_json[] =
    "{\"table\":\"pairs\",\"columns\":["
    "{\"name\":\"v\",\"type\":\"text\"},{\"name\":\"x\",\"type\":\"decimal(10,2)\"},"
    "{\"name\":\"y\",\"type\":\"int\"}],\"key\":[\"y\",\"x\"]}";

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

/* A long record begun is not scanned at each read, but it is when nothing comes: its end may be there. */
static void a_long_record_that_trickles_is_not_held_up(void **state)
{
    enum { LONG = 17000 };
    static char text[LONG + 7];
    struct source source = {.name = "(stdin)",
                            .bytes = {text, sizeof text},
                            .first = LONG,
                            .largest = 3,
                            .trickles = true,
                            .quiet = true};
    struct split_options o = options();
    struct run run;

    (void)state;
    memset(text, 'x', LONG);
    memcpy(text + LONG, ",b\nc,d\n", 7);
    o.header = HEADER_NONE;
    run_source(&run, log_json, &o, &source);
    assert_int_equal(run.rc, 0);
    assert_int_equal(run.sink.batches, 2);
    release(&run);
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
        cmocka_unit_test(batches_go_round_without_a_key),
        cmocka_unit_test(equal_keys_meet),
        cmocka_unit_test(the_list_of_malformed_closes_a_batch),
        cmocka_unit_test(a_batch_refused_ends_the_run),
        cmocka_unit_test(trickling_input_is_flushed_by_time),
        cmocka_unit_test(a_long_record_that_trickles_is_not_held_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
