/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/wire/dialect.h"
#include "shared/wire/envelope.h"
#include "shared/wire/keyhash.h"
#include "shared/wire/malformed.h"
#include "shared/wire/topic.h"

static struct tl_envelope full_envelope(void)
{
    struct tl_envelope e;

    tl_envelope_init(&e, TL_MSG_ROWS);
    e.table = tl_str("orders");
    e.table_id = INT64_MAX;
    e.version = INT32_MAX;
    e.upload = tl_str("up-1");
    e.seq = INT64_MAX;
    e.rows = INT64_MAX;
    e.rejected = INT64_MAX;
    e.raw_offset = INT64_MAX;
    e.part = INT64_MAX;
    e.attempt = INT64_MAX;
    e.stage = TL_STAGE_SINK;
    e.format = tl_str("csv");
    e.columns = tl_str("id,name");
    e.file = tl_str("orders%20new.csv");
    e.malformed = tl_str("10+5:bad_quoting");
    e.traceparent = tl_str("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    return e;
}

static void read_headers(struct tl_envelope *e, const struct tl_headers *h)
{
    struct tl_error err;

    tl_envelope_init(e, TL_MSG_CANCEL);
    for (size_t i = 0; i < h->n; i++)
        assert_int_equal(tl_envelope_read_header(e, tl_str(h->item[i].name), h->item[i].value, &err), 0);
}

static void test_envelope_round_trip(void **state)
{
    struct tl_envelope e = full_envelope(), back;
    struct tl_headers h;
    struct tl_error err;

    (void)state;
    tl_envelope_to_headers(&e, &h);
    assert_int_equal(h.n, 17);
    assert_string_equal(h.item[0].name, "tl-type");
    read_headers(&back, &h);
    assert_int_equal(tl_envelope_check(&back, &err), 0);
    assert_int_equal(back.type, TL_MSG_ROWS);
    assert_true(tl_str_eq(back.table, e.table));
    assert_true(tl_str_eq(back.upload, e.upload));
    assert_true(tl_str_eq(back.format, e.format));
    assert_true(tl_str_eq(back.columns, e.columns));
    assert_true(tl_str_eq(back.file, e.file));
    assert_true(tl_str_eq(back.malformed, e.malformed));
    assert_true(tl_str_eq(back.traceparent, e.traceparent));
    assert_true(back.table_id == e.table_id && back.version == e.version && back.seq == e.seq);
    assert_true(back.rows == e.rows && back.rejected == e.rejected && back.raw_offset == e.raw_offset);
    assert_true(back.part == e.part);
    assert_true(back.attempt == e.attempt);
    assert_int_equal(back.stage, TL_STAGE_SINK);
}

static void test_envelope_leaves_out_what_is_not_there(void **state)
{
    struct tl_envelope e, back;
    struct tl_headers h;

    (void)state;
    tl_envelope_init(&e, TL_MSG_END);
    e.upload = tl_str("u");
    e.seq = 1;
    tl_envelope_to_headers(&e, &h);
    assert_int_equal(h.n, 3);
    read_headers(&back, &h);
    assert_int_equal(back.type, TL_MSG_END);
    assert_int_equal(back.rows, -1);
    assert_int_equal(back.part, -1);
    assert_int_equal(back.attempt, -1);
    assert_null(back.table.ptr);
}

static void test_envelope_check(void **state)
{
    struct tl_envelope e;
    struct tl_error err;
    int64_t *const needed[] = {&e.table_id, &e.version, &e.seq, &e.rows};

    (void)state;
    for (size_t i = 0; i < TL_ARRAY_LEN(needed); i++) {
        e = full_envelope();
        *needed[i] = -1;
        assert_int_equal(tl_envelope_check(&e, &err), -1);
        assert_int_equal(err.code, TL_E_CORRUPT);
    }
    e = full_envelope();
    e.upload = (struct tl_str){NULL, 0};
    assert_int_equal(tl_envelope_check(&e, &err), -1);
    e.upload = tl_str("../x");
    assert_int_equal(tl_envelope_check(&e, &err), -1);
    e = full_envelope();
    e.table = tl_str("");
    assert_int_equal(tl_envelope_check(&e, &err), -1);

    tl_envelope_init(&e, TL_MSG_SCHEMA);
    e.table = tl_str("orders");
    assert_int_equal(tl_envelope_check(&e, &err), -1);
    e.version = 1;
    assert_int_equal(tl_envelope_check(&e, &err), 0);

    tl_envelope_init(&e, TL_MSG_END);
    e.upload = tl_str("u");
    assert_int_equal(tl_envelope_check(&e, &err), -1);
    e.seq = 1;
    assert_int_equal(tl_envelope_check(&e, &err), 0);

    tl_envelope_init(&e, TL_MSG_CANCEL);
    assert_int_equal(tl_envelope_check(&e, &err), -1);
    e.upload = tl_str("u");
    assert_int_equal(tl_envelope_check(&e, &err), 0);
}

static void refused_header(const char *name, const char *value)
{
    struct tl_envelope e;
    struct tl_error err = {.code = TL_E_NONE};

    tl_envelope_init(&e, TL_MSG_ROWS);
    assert_int_equal(tl_envelope_read_header(&e, tl_str(name), tl_str(value), &err), -1);
    assert_int_equal(err.code, TL_E_CORRUPT);
    assert_non_null(strstr(err.text, name));
}

static void test_envelope_bad_headers(void **state)
{
    struct tl_envelope e;
    struct tl_error err;

    (void)state;
    refused_header("tl-type", "rowz");
    refused_header("tl-type", NULL);
    refused_header("tl-stage", "");
    refused_header("tl-seq", "0");
    refused_header("tl-seq", "-1");
    refused_header("tl-seq", "1x");
    refused_header("tl-seq", "");
    refused_header("tl-seq", NULL);
    refused_header("tl-seq", "9223372036854775808");
    refused_header("tl-version", "2147483648");
    refused_header("tl-rows", " 1");
    tl_envelope_init(&e, TL_MSG_ROWS);
    assert_int_equal(tl_envelope_read_header(&e, tl_str("x-other"), tl_str("?"), &err), 0);
}

static void test_positions(void **state)
{
    char name[TL_POSITION_NAME_MAX + 1];

    (void)state;
    tl_topic_position("tload.a.raw-input", 1, name);
    assert_string_equal(name, "tload.a.raw-input");
    tl_topic_position("tload.a.raw-input", 2, name);
    assert_string_equal(name, "tload.a.raw-input@2");
}

static void test_groups(void **state)
{
    char name[TL_GROUP_NAME_MAX + 1];

    (void)state;
    tl_group_name("validate", 0, name);
    assert_string_equal(name, "tload-validate");
    tl_group_name("validate", 1, name);
    assert_string_equal(name, "tload-validate-1");
}

static void test_ids(void **state)
{
    char longest[TL_UPLOAD_ID_MAX + 1];

    (void)state;
    memset(longest, 'a', sizeof longest);
    assert_true(tl_upload_id_valid(tl_str_n(longest, TL_UPLOAD_ID_MAX)));
    assert_false(tl_upload_id_valid(tl_str_n(longest, TL_UPLOAD_ID_MAX + 1)));
    assert_true(tl_upload_id_valid(tl_str("0B.c_d-e")));
    assert_false(tl_upload_id_valid(tl_str("")));
    assert_false(tl_upload_id_valid(tl_str(NULL)));
    assert_false(tl_upload_id_valid(tl_str(".")));
    assert_false(tl_upload_id_valid(tl_str("..")));
    assert_false(tl_upload_id_valid(tl_str("-a")));
    assert_false(tl_upload_id_valid(tl_str("a/b")));
    assert_false(tl_upload_id_valid(tl_str_n("a\0b", 3)));
    assert_true(tl_tenant_valid(tl_str("acme-2")));
    assert_true(tl_tenant_valid(tl_str_n(longest, TL_TENANT_MAX)));
    assert_false(tl_tenant_valid(tl_str_n(longest, TL_TENANT_MAX + 1)));
    assert_false(tl_tenant_valid(tl_str("2acme")));
    assert_false(tl_tenant_valid(tl_str("Acme")));
    assert_false(tl_tenant_valid(tl_str("a.b")));
    assert_false(tl_tenant_valid(tl_str("")));
}

static void test_topics(void **state)
{
    char longest[TL_TENANT_MAX + 1], name[TL_TOPIC_NAME_MAX + 1];
    enum tl_topic topic;
    struct tl_str tenant;

    (void)state;
    tl_topic_name(TL_TOPIC_RAW_INPUT, tl_str("acme"), name);
    assert_string_equal(name, "tload.acme.raw-input");
    tl_topic_name(TL_TOPIC_IMPORT_ERROR, tl_str("acme"), name);
    assert_string_equal(name, "tload.acme.import-error");
    memset(longest, 'a', sizeof longest);
    tl_topic_name(TL_TOPIC_VALIDATED_INPUT, tl_str_n(longest, TL_TENANT_MAX), name);
    assert_int_equal(strlen(name), TL_TOPIC_NAME_MAX);
    assert_true(tl_topic_parse(tl_str(name), &topic, &tenant));
    assert_int_equal(topic, TL_TOPIC_VALIDATED_INPUT);
    assert_int_equal(tenant.len, TL_TENANT_MAX);
    assert_false(tl_topic_parse(tl_str("tload.acme"), &topic, &tenant));
    assert_false(tl_topic_parse(tl_str("tload..raw-input"), &topic, &tenant));
    assert_false(tl_topic_parse(tl_str("tload.acme.raw-inputs"), &topic, &tenant));
    assert_false(tl_topic_parse(tl_str("other.acme.raw-input"), &topic, &tenant));
    assert_false(tl_topic_parse(tl_str(""), &topic, &tenant));
}

static void test_malformed(void **state)
{
    struct tl_malformed a = {0, 12, TL_REJECT_BAD_QUOTING}, b = {500, 1048576, TL_REJECT_UNTERMINATED}, m;
    static const char *const bad[] = {"1+2",
                                      "1+2:nothing",
                                      "+2:bad_quoting",
                                      "1:bad_quoting",
                                      "1+2:bad_quoting,",
                                      ",1+2:bad_quoting",
                                      "-1+2:bad_quoting",
                                      "1+-2:bad_quoting",
                                      "99999999999+2:bad_quoting"};
    struct tl_buf buf;
    struct tl_str text;

    (void)state;
    tl_buf_init(&buf, 60);
    assert_int_equal(tl_malformed_append(&buf, &a), TL_BUF_OK);
    assert_int_equal(tl_malformed_append(&buf, &b), TL_BUF_OK);
    text = tl_buf_str(&buf);
    assert_true(tl_str_eq_z(text, "0+12:bad_quoting,500+1048576:unterminated_quote"));
    assert_int_equal(tl_malformed_append(&buf, &b), TL_BUF_FULL);
    assert_int_equal(buf.len, text.len);
    assert_int_equal(tl_malformed_next(&text, &m), 1);
    assert_true(m.offset == 0 && m.len == 12 && m.why == TL_REJECT_BAD_QUOTING);
    assert_int_equal(tl_malformed_next(&text, &m), 1);
    assert_true(m.offset == 500 && m.len == 1048576 && m.why == TL_REJECT_UNTERMINATED);
    assert_int_equal(tl_malformed_next(&text, &m), 0);
    tl_buf_release(&buf);
    text = tl_str("");
    assert_int_equal(tl_malformed_next(&text, &m), 0);
    for (size_t i = 0; i < TL_ARRAY_LEN(bad); i++) {
        text = tl_str(bad[i]);
        assert_int_equal(tl_malformed_next(&text, &m), -1);
    }
}

static void dialect_is(const struct tl_dialect *d, const char *expected)
{
    char text[TL_FORMAT_MAX];
    struct tl_dialect back;
    struct tl_error err;

    tl_dialect_format(d, text);
    if (expected)
        assert_string_equal(text, expected);
    assert_int_equal(tl_dialect_parse(tl_str(text), &back, &err), 0);
    assert_int_equal(back.delimiter, d->delimiter);
    assert_int_equal(back.quote, d->quote);
    assert_int_equal(back.null_len, d->null_len);
    assert_memory_equal(back.null_text, d->null_text, d->null_len);
}

static void test_dialect(void **state)
{
    static const char *const bad[] = {"",
                                      "json",
                                      "csv;",
                                      "csv;delimiter",
                                      "csv;delimiter=",
                                      "csv;delimiter=3",
                                      "csv;delimiter=3b3b",
                                      "csv;delimiter=zz",
                                      "csv;delimiter=22",
                                      "csv;delimiter=0a",
                                      "csv;quote=0d",
                                      "csv;other=00"};
    struct tl_dialect d;
    struct tl_error err;

    (void)state;
    tl_dialect_csv(&d);
    dialect_is(&d, "csv");
    d.delimiter = ';';
    d.quote = '\'';
    memcpy(d.null_text, "NULL", 4);
    d.null_len = 4;
    dialect_is(&d, "csv;delimiter=3b;quote=27;null=4e554c4c");
    tl_dialect_tsv(&d);
    dialect_is(&d, "tsv");
    d.quote = '\0';
    dialect_is(&d, "tsv;quote=");
    d.delimiter = (char)0xFE;
    d.quote = '\'';
    memset(d.null_text, 0xFF, sizeof d.null_text);
    d.null_len = sizeof d.null_text;
    dialect_is(&d, NULL);
    for (size_t i = 0; i < TL_ARRAY_LEN(bad); i++) {
        assert_int_equal(tl_dialect_parse(tl_str(bad[i]), &d, &err), -1);
        assert_int_equal(err.code, TL_E_CORRUPT);
    }
}

/* These numbers must never change: rows that are in Kafka already, or still in a file, lie by them. */
static void test_key_partition_is_fixed(void **state)
{
    struct tl_str one = tl_str("1"), two[] = {tl_str("ab"), tl_str("c")},
                  other[] = {tl_str("a"), tl_str("bc")};
    char long_text[1000];
    struct tl_str long_value = {long_text, sizeof long_text}, empty = tl_str("");

    (void)state;
    memset(long_text, 'k', sizeof long_text);
    assert_int_equal(tl_key_partition(&one, 1, 1), 0);
    assert_int_equal(tl_key_partition(&one, 1, 1000000007), 699582580);
    assert_int_equal(tl_key_partition(two, 2, 1000000007), 543877745);
    assert_int_equal(tl_key_partition(other, 2, 1000000007), 224221722);
    assert_int_equal(tl_key_partition(&empty, 1, 1000000007), 347575554);
    assert_int_equal(tl_key_partition(&long_value, 1, 1000000007), 603110198);
}

static void test_key_partition_spread(void **state)
{
    int count[8] = {0};

    (void)state;
    for (int i = 0; i < 8000; i++) {
        char text[16];
        struct tl_str key = {text, (size_t)snprintf(text, sizeof text, "%d", i)};
        int32_t p = tl_key_partition(&key, 1, 8);

        assert_in_range(p, 0, 7);
        count[p]++;
    }
    for (int i = 0; i < 8; i++)
        assert_in_range(count[i], 850, 1150);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_envelope_round_trip),
        cmocka_unit_test(test_envelope_leaves_out_what_is_not_there),
        cmocka_unit_test(test_envelope_check),
        cmocka_unit_test(test_envelope_bad_headers),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_topics),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_dialect),
        cmocka_unit_test(test_key_partition_is_fixed),
        cmocka_unit_test(test_key_partition_spread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
