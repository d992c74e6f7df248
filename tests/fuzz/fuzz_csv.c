/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Any bytes as CSV: the scan must agree with the reference, however much is at hand, and the splitter's way
 * to a field with the validator's. The first two bytes pick the dialect and the limit.
 */
#include "shared/csv/fields.h"
#include "tests/unit/csv_reference.h"

enum { FIELDS = 32 };

static const struct tl_dialect dialects[] = {
    {.delimiter = ',', .quote = '"'},
    {.delimiter = ',', .quote = '\0'},
    {.delimiter = '\t', .quote = '"', .null_text = "\\N", .null_len = 2},
    {.delimiter = ';', .quote = '\'', .null_text = "-", .null_len = 1},
};

static void require(bool holds)
{
    if (!holds)
        abort();
}

static void check_fields(const struct tl_dialect *d, struct tl_fields *f, struct tl_str record)
{
    const struct tl_str *values;
    struct tl_buf scratch;
    struct tl_reject why;
    size_t n;

    if (tl_fields_split(f, record, &values, &n, &why) != TL_VALUE_OK) {
        /* The scan finds all other faults, and these only in unquoted fields. */
        require(why.code == TL_REJECT_BAD_QUOTING);
        return;
    }
    tl_buf_init(&scratch, 1024 * 1024);
    for (uint32_t i = 0; i < n && i < FIELDS; i++) {
        struct tl_str raw, value;
        bool is_null;

        require(tl_csv_pick(d, record, &i, 1, &raw) == 1);
        require(tl_csv_unquote(d, raw, &scratch, &value, &is_null) == TL_VALUE_OK);
        require(is_null == (values[i].ptr == NULL));
        require(is_null || tl_str_eq(value, values[i]));
    }
    tl_buf_release(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct tl_dialect *d;
    struct tl_error err;
    struct tl_fields *f;
    const char *p, *end;
    size_t limit;

    if (size < 2)
        return 0;
    d = &dialects[data[0] % TL_ARRAY_LEN(dialects)];
    limit = data[1];
    p = (const char *)data + 2;
    end = (const char *)data + size;
    f = tl_fields_new(d, FIELDS, &err);
    require(f != NULL);
    while (p < end) {
        size_t n = (size_t)(end - p);
        struct tl_scan_record got, expected, early;
        enum tl_scan found = tl_csv_scan(d, p, end, true, limit, &got);

        require(found == reference_scan(d, p, n, limit, &expected));
        require(got.len == expected.len && got.end_len == expected.end_len && got.lines == expected.lines &&
                got.why == expected.why);
        for (size_t part = 0; part < n; part += 1 + part / 4) {
            enum tl_scan with_part = tl_csv_scan(d, p, p + part, false, limit, &early);

            require(with_part == found || with_part == TL_SCAN_MORE);
            require(with_part != TL_SCAN_MORE || part <= limit + 1);
            require(with_part == TL_SCAN_MORE || early.len == got.len);
        }
        if (found == TL_SCAN_RECORD)
            check_fields(d, f, tl_str_n(p, got.len));
        p += got.len + got.end_len;
        if (got.why == TL_REJECT_RECORD_TOO_LONG) {
            size_t rest = tl_csv_skip_line(p, end, true);

            p = rest ? p + rest : end;
        }
    }
    tl_fields_free(f);
    return 0;
}
