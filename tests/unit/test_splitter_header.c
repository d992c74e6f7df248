/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the splitter makes of a file's first bytes: encoding and header, and the options in place of one. */
#include "tests/unit/splitter_fixture.h"

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

/* "was" was the name of qty in version 1, "soon" is to be it in version 9, "gone" is none any more. */
static bool find_former(void *app, const char *name, struct header_former *out)
{
    (void)app;
    if (strcmp(name, "was") == 0)
        *out = (struct header_former){.version = 1, .id = 2};
    else if (strcmp(name, "soon") == 0)
        *out = (struct header_former){.version = 9, .id = 2, .pending = true};
    else if (strcmp(name, "gone") == 0)
        *out = (struct header_former){.version = 2, .id = 77};
    else
        return false;
    return true;
}

static void header_of_another_version(void **state)
{
    static const char third[] = "{\"table\":\"orders\",\"table_id\":1,\"version\":3,\"columns\":["
                                "{\"id\":1,\"name\":\"id\",\"type\":\"bigint\"},"
                                "{\"id\":2,\"name\":\"qty\",\"type\":\"int\"}],\"key\":[\"id\"]}";
    static const struct header_history history = {.find = find_former};
    static const struct {
        const char *text;
        const char *message;
    } cases[] = {
        {"id,Was\n",
         "orders.csv:1: column \"Was\" is not in version 3 of table \"orders\"; it was in version 1, "
         "and its name is \"qty\" now (--map Was=qty)"},
        {"id,soon\n",
         "orders.csv:1: column \"soon\" is not in version 3 of table \"orders\"; it is in version 9, "
         "which is pending, and is \"qty\" in this one (--map soon=qty)"},
        {"id,gone\n",
         "orders.csv:1: column \"gone\" is not in version 3 of table \"orders\"; version 2 has it, and "
         "it was dropped since"},
        {"id,qtty\n",
         "orders.csv:1: column \"qtty\" is not in table \"orders\"; did you mean \"qty\"? (--map "
         "qtty=qty)"},
    };
    struct split_options o = options();

    (void)state;
    o.history = &history;
    for (size_t i = 0; i < TL_ARRAY_LEN(cases); i++)
        check_fails(third, &o, tl_str(cases[i].text), TL_E_REFUSED, cases[i].message);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(header_matched_by_name),
        cmocka_unit_test(header_refused),
        cmocka_unit_test(header_of_another_version),
        cmocka_unit_test(header_of_endless_length),
        cmocka_unit_test(header_skipped_or_none),
        cmocka_unit_test(two_thousand_columns),
        cmocka_unit_test(what_is_no_text_is_refused),
        cmocka_unit_test(check_header_leaves_the_source_at_its_beginning),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
