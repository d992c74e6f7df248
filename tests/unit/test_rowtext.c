/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/wire/rowtext.h"
#include "shared/wire/rowtext_mask.h"

static void append_is(struct tl_str value, const char *expected)
{
    struct tl_buf b;

    tl_buf_init(&b, 1000);
    assert_int_equal(tl_rowtext_append(&b, value), TL_BUF_OK);
    assert_int_equal(b.len, strlen(expected));
    assert_memory_equal(tl_buf_str(&b).ptr, expected, b.len);
    tl_buf_release(&b);
}

static void test_append(void **state)
{
    (void)state;
    append_is((struct tl_str){NULL, 0}, "\\N");
    append_is(tl_str(""), "");
    append_is(tl_str("a"), "a");
    append_is(tl_str("\\N"), "\\\\N");
    append_is(tl_str("\b\f\n\r\t\v\\"), "\\b\\f\\n\\r\\t\\v\\\\");
    append_is(tl_str("Zo\xC3\xAB \x89\x8A\x8D\xDC \x01\x07\x0E\x1F"),
              "Zo\xC3\xAB \x89\x8A\x8D\xDC \x01\x07\x0E\x1F");
    append_is(tl_str("exactly8"), "exactly8");
    append_is(tl_str("exactly8exactly8\t"), "exactly8exactly8\\t");
}

/* Every byte at every place of short and long values, against the plain definition. */
static void test_append_every_byte(void **state)
{
    static const char special[] = "\b\t\n\v\f\r\\", letters[] = "btnvfr\\";

    (void)state;
    for (size_t len = 1; len <= 20; len++) {
        for (size_t at = 0; at < len; at++) {
            for (int c = 1; c < 256; c++) {
                char value[32], expected[40];
                const char *found = strchr(special, c);
                size_t n = at;

                memset(value, 'x', len);
                value[at] = (char)c;
                memset(expected, 'x', at);
                if (found)
                    expected[n++] = '\\';
                expected[n++] = found ? letters[found - special] : (char)c;
                memset(expected + n, 'x', len - at - 1);
                expected[n + len - at - 1] = '\0';
                append_is(tl_str_n(value, len), expected);
            }
        }
    }
}

/* Both forms, each byte at each place, beside neighbours that a carry could come from. */
static void test_mask(void **state)
{
    static const unsigned char beside[] = {'x', 0x00, 0x1F, 0x7F, 0x80, 0xFF, '\\'};

    (void)state;
    for (size_t b = 0; b < sizeof beside; b++)
        for (int at = 0; at < TL_ROWTEXT_SHORT; at++)
            for (int c = 0; c < 256; c++) {
                char bytes[TL_ROWTEXT_SHORT];
                uint32_t due = 0;

                memset(bytes, beside[b], sizeof bytes);
                bytes[at] = (char)c;
                for (int i = 0; i < TL_ROWTEXT_SHORT; i++) {
                    unsigned char byte = (unsigned char)bytes[i];

                    due |= (uint32_t)(byte < ' ' || byte >= 0x80 || byte == '\\') << i;
                }
                assert_int_equal(tl_mask_plain(bytes), due);
                assert_int_equal(tl_mask_of(bytes), due);
            }
}

/* The two ways into a buffer give the same, or the short one gives nothing. */
static void test_append_short(void **state)
{
    const size_t cap = 100;

    (void)state;
    for (size_t len = 0; len <= TL_ROWTEXT_SHORT + 1; len++)
        for (size_t used = cap - 2 * TL_ROWTEXT_SHORT; used <= cap; used++)
            for (size_t tab = 0; tab <= len; tab++) {
                char bytes[TL_ROWTEXT_SHORT + 1];
                struct tl_buf b;
                bool fits = len <= TL_ROWTEXT_SHORT && used <= cap - TL_ROWTEXT_SHORT, taken;

                memset(bytes, 'x', sizeof bytes);
                if (tab < sizeof bytes)
                    bytes[tab] = '\t'; /* behind the field if it is at its end: not of it */
                tl_buf_init(&b, cap);
                assert_int_equal(tl_buf_reserve(&b, cap), TL_BUF_OK);
                memset(b.data, 'y', used);
                b.len = used;
                taken = tl_rowtext_append_short_text(&b, tl_str_n(bytes, len));
                assert_int_equal(taken, fits && tab == len);
                assert_int_equal(b.len, used + (taken ? len : 0));
                assert_memory_equal(b.data + used, bytes, b.len - used);
                b.len = used;
                assert_int_equal(tl_rowtext_append_short(&b, tl_str_n(bytes, len)), fits);
                assert_int_equal(b.len, used + (fits ? len : 0));
                assert_memory_equal(b.data + used, bytes, b.len - used);
                assert_true(used == 0 || b.data[used - 1] == 'y');
                tl_buf_release(&b);
            }
}

static void test_append_ceiling(void **state)
{
    char tabs[50];
    struct tl_buf b;

    (void)state;
    memset(tabs, '\t', sizeof tabs);
    tl_buf_init(&b, 100);
    assert_int_equal(tl_rowtext_append(&b, tl_str("ab")), TL_BUF_OK);
    assert_int_equal(tl_rowtext_append(&b, tl_str_n(tabs, 50)), TL_BUF_FULL);
    assert_int_equal(b.len, 2);
    assert_int_equal(tl_rowtext_append(&b, tl_str_n(tabs, 49)), TL_BUF_OK);
    assert_int_equal(b.len, 100);
    tl_buf_release(&b);
}

static void test_next(void **state)
{
    struct tl_str text = tl_str("1\tabc\t\\N\t\tlonger than a word\\t\nx\n\n\t\na\tb\tc\td\te\tf\n");
    struct tl_str f[5];

    (void)state;
    assert_int_equal(tl_rowtext_next(&text, f, 5), 5);
    assert_true(tl_str_eq_z(f[0], "1"));
    assert_true(tl_str_eq_z(f[1], "abc"));
    assert_null(f[2].ptr);
    assert_non_null(f[3].ptr);
    assert_int_equal(f[3].len, 0);
    assert_true(tl_str_eq_z(f[4], "longer than a word\\t"));
    assert_int_equal(tl_rowtext_next(&text, f, 5), 1);
    assert_true(tl_str_eq_z(f[0], "x"));
    assert_int_equal(tl_rowtext_next(&text, f, 5), 1);
    assert_int_equal(f[0].len, 0);
    assert_int_equal(tl_rowtext_next(&text, f, 5), 2);
    assert_int_equal(tl_rowtext_next(&text, f, 5), 6);
    assert_true(tl_str_eq_z(f[4], "e"));
    assert_int_equal(tl_rowtext_next(&text, f, 5), 0);
    text = tl_str("a\tb");
    assert_int_equal(tl_rowtext_next(&text, f, 5), -1);
    text = (struct tl_str){NULL, 0};
    assert_int_equal(tl_rowtext_next(&text, f, 5), 0);
}

static void unescape_is(const char *field, const char *expected)
{
    struct tl_buf scratch;
    struct tl_str out;

    tl_buf_init(&scratch, 100);
    assert_int_equal(tl_rowtext_unescape(tl_str(field), &scratch, &out), TL_BUF_OK);
    assert_non_null(out.ptr);
    assert_true(tl_str_eq_z(out, expected));
    assert_true(scratch.len == 0 || scratch.len == out.len);
    tl_buf_release(&scratch);
}

static void test_unescape(void **state)
{
    (void)state;
    unescape_is("", "");
    unescape_is("plain", "plain");
    unescape_is("\\\\N", "\\N");
    unescape_is("\\b\\f\\n\\r\\t\\v\\\\", "\b\f\n\r\t\v\\");
    unescape_is("a\\tb\\\\\\nc", "a\tb\\\nc");
    unescape_is("\\q", "q");
    unescape_is("end\\", "end\\");
}

static void test_round_trip(void **state)
{
    unsigned seed = 7;

    (void)state;
    for (int round = 0; round < 2000; round++) {
        static const char alphabet[] = "ab\b\t\n\v\f\r\\N\xC3\xA9";
        char value[3][24];
        struct tl_str in[3], fields[3], text, out;
        struct tl_buf b, scratch;

        tl_buf_init(&b, 1000);
        tl_buf_init(&scratch, 1000);
        for (int i = 0; i < 3; i++) {
            seed = seed * 1103515245 + 12345;
            in[i] = tl_str_n(value[i], (seed >> 16) % sizeof value[i]);
            for (size_t k = 0; k < in[i].len; k++) {
                seed = seed * 1103515245 + 12345;
                value[i][k] = alphabet[(seed >> 16) % (sizeof alphabet - 1)];
            }
            assert_int_equal(tl_rowtext_append(&b, in[i]), TL_BUF_OK);
            assert_int_equal(tl_buf_append_char(&b, i == 2 ? '\n' : '\t'), TL_BUF_OK);
        }
        text = tl_buf_str(&b);
        assert_int_equal(tl_rowtext_next(&text, fields, 3), 3);
        assert_int_equal(text.len, 0);
        for (int i = 0; i < 3; i++) {
            assert_int_equal(tl_rowtext_unescape(fields[i], &scratch, &out), TL_BUF_OK);
            assert_true(tl_str_eq(out, in[i]));
        }
        tl_buf_release(&b);
        tl_buf_release(&scratch);
    }
}

static void test_raw_line(void **state)
{
    struct tl_str text = tl_str("42\ta,b\n");
    int64_t line;

    (void)state;
    assert_true(tl_rawtext_line(&text, &line));
    assert_int_equal(line, 42);
    assert_true(tl_str_eq_z(text, "a,b\n"));
    assert_false(tl_rawtext_line(&text, &line));
    assert_true(tl_str_eq_z(text, "a,b\n"));
    text = tl_str("\tx");
    assert_false(tl_rawtext_line(&text, &line));
    text = tl_str("0\tx");
    assert_false(tl_rawtext_line(&text, &line));
    text = tl_str("9223372036854775807\t");
    assert_true(tl_rawtext_line(&text, &line));
    assert_true(line == INT64_MAX);
    text = tl_str("9223372036854775808\t");
    assert_false(tl_rawtext_line(&text, &line));
    text = (struct tl_str){NULL, 0};
    assert_false(tl_rawtext_line(&text, &line));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),         cmocka_unit_test(test_append_every_byte),
        cmocka_unit_test(test_mask),           cmocka_unit_test(test_append_short),
        cmocka_unit_test(test_append_ceiling), cmocka_unit_test(test_next),
        cmocka_unit_test(test_unescape),       cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_raw_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
