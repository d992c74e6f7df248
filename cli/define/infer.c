/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The start of a CSV file, record by record, into tl_infer. */
#include <errno.h>
#include <stdlib.h>

#include "cli/define/definition.h"
#include "shared/csv/fields.h"
#include "shared/schema/infer.h"
#include "shared/schema/schema.h"

enum { SAMPLE_BYTES = 8 << 20, SAMPLE_RECORDS = 10000, RECORD_MAX = 1 << 20 };

struct sample {
    const char *name; /* for messages */
    char *bytes;
    size_t len;
    bool whole; /* the file ends here */
};

static int read_sample(struct sample *s, const char *path, struct tl_error *err)
{
    bool from_stdin = strcmp(path, "-") == 0;
    FILE *f = from_stdin ? stdin : fopen(path, "re");
    int rc = 0;

    *s = (struct sample){.name = from_stdin ? "(stdin)" : path};
    if (!f)
        return tl_fail_errno(err, errno, "%s", s->name);
    s->bytes = malloc(SAMPLE_BYTES);
    if (s->bytes)
        s->len = fread(s->bytes, 1, SAMPLE_BYTES, f);
    if (!s->bytes)
        rc = tl_fail_nomem(err);
    else if (ferror(f))
        rc = tl_fail_errno(err, errno, "%s", s->name);
    s->whole = feof(f) != 0;
    if (!from_stdin)
        fclose(f);
    return rc;
}

/* Passes over a byte order mark; refuses what is not text in UTF-8 as far as the first bytes tell. */
static int start_of_text(const struct sample *s, size_t *at, struct tl_error *err)
{
    const char *p = s->bytes;

    *at = 0;
    if (s->len >= 2 && (memcmp(p, "\xFF\xFE", 2) == 0 || memcmp(p, "\xFE\xFF", 2) == 0))
        return tl_fail(err, TL_E_REFUSED, "%s is UTF-16: convert it first, with 'iconv -f UTF-16 -t UTF-8'",
                       s->name);
    if (s->len >= 2 && memcmp(p, "\x1F\x8B", 2) == 0)
        return tl_fail(err, TL_E_REFUSED, "%s is compressed with gzip: 'zcat FILE | tload ... -'", s->name);
    if (s->len >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0)
        *at = 3;
    if (s->len == *at)
        return tl_fail(err, TL_E_REFUSED, "%s is empty: there is nothing to guess from", s->name);
    return 0;
}

/* Starts with the first record: its values are the header's names, or of a file without one the first row. */
static struct tl_infer *start(const struct tl_str *values, size_t n, bool header, const char *name,
                              struct tl_error *err)
{
    struct tl_infer *infer;

    if (n > TL_COLUMNS_MAX) {
        tl_fail(err, TL_E_REFUSED, "%s has %zu fields in its first record; a table has at most %d columns",
                name, n, TL_COLUMNS_MAX);
        return NULL;
    }
    infer = tl_infer_new(header ? values : NULL, n, err);
    if (infer && !header && tl_infer_row(infer, values, n, err)) {
        tl_infer_free(infer);
        return NULL;
    }
    return infer;
}

/* Goes through the records; *infer is made at the first one. */
static int walk(const struct sample *s, struct tl_fields *fields, const struct tl_dialect *dialect,
                bool header, struct tl_infer **infer, struct infer_counts *counts, struct tl_error *err)
{
    const char *end = s->bytes + s->len;
    const struct tl_str *values;
    size_t at, n;

    if (start_of_text(s, &at, err))
        return -1;
    while (at < s->len && counts->rows < SAMPLE_RECORDS) {
        struct tl_scan_record r;
        struct tl_reject why;
        enum tl_scan scan = tl_csv_scan(dialect, s->bytes + at, end, s->whole, RECORD_MAX, &r);
        struct tl_str record = {s->bytes + at, r.len};
        enum tl_verdict verdict = TL_VALUE_REJECT;

        if (scan == TL_SCAN_MORE)
            break;
        if (scan == TL_SCAN_RECORD)
            verdict = tl_fields_split(fields, record, &values, &n, &why);
        if (verdict == TL_VALUE_NOMEM)
            return tl_fail_nomem(err);
        if (!*infer && verdict != TL_VALUE_OK)
            return tl_fail(err, TL_E_REFUSED,
                           "%s:1: the quoting of the first record is not right; see --quote", s->name);
        if (!*infer) {
            *infer = start(values, n, header, s->name, err);
            if (!*infer)
                return -1;
            counts->rows += !header;
        } else {
            counts->rows++;
            counts->bad += verdict != TL_VALUE_OK;
            if (verdict == TL_VALUE_OK &&
                tl_infer_row(*infer, values, TL_MIN(n, (size_t)TL_COLUMNS_MAX), err))
                return -1;
        }
        at += r.len + r.end_len;
        if (scan == TL_SCAN_MALFORMED && r.end_len == 0) {
            size_t skip = tl_csv_skip_line(s->bytes + at, end, s->whole);

            if (skip == 0)
                break;
            at += skip;
        }
    }
    counts->whole = s->whole && at >= s->len;
    return 0;
}

json_t *definition_infer(const char *path, const char *table, const struct tl_dialect *dialect, bool header,
                         struct infer_counts *counts, struct tl_error *err)
{
    struct tl_fields *fields = tl_fields_new(dialect, TL_COLUMNS_MAX + 1, err);
    struct tl_infer *infer = NULL;
    json_t *definition = NULL;
    struct sample s = {0};

    *counts = (struct infer_counts){0};
    if (!fields || read_sample(&s, path, err) || walk(&s, fields, dialect, header, &infer, counts, err))
        goto out;
    if (!infer) {
        tl_fail(err, TL_E_REFUSED,
                "the first record of %s is longer than %d bytes: see --quote and --delimiter", s.name,
                RECORD_MAX);
        goto out;
    }
    definition = tl_infer_finish(infer, tl_str(table), err);
    counts->bad += (int64_t)tl_infer_counts(infer).ragged;
out:
    tl_infer_free(infer);
    tl_fields_free(fields);
    free(s.bytes);
    return definition;
}
