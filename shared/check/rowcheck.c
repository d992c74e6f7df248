/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The way of a row:
 *
 *   value of the raw batch
 *     │ tl_rawtext_line      LINE TAB cut off
 *     │ tl_fields_take       where it ends, and its fields, in one look; copied only where quotes are doubled, into
 *     │                      the parser's own buffer
 *     │   what that does not take: tl_csv_scan, the same function as the splitter's, or tl-malformed, says where the
 *     │   record ends, and tl_fields_split what is wrong with it
 *     ▼
 *   values                   one tl_str a field, null as ptr NULL
 *     │ canon                by the column's type; a value that is canonical already is not copied
 *     │ tl_rowtext_append    escaped, into `out`; in one piece if it is short, and a short text of plain letters is not
 *     │                      even asked for its canonical form
 *     ▼
 *   out                      cut back to where the row began when a value is rejected
 *
 * One row is in hand at a time. Memory is `out` (a message), the parser's text (a message, of which a
 * record's length is used) and `scratch` (a value).
 */
#include "shared/check/rowcheck.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/csv/fields.h"
#include "shared/wire/dialect.h"
#include "shared/wire/malformed.h"
#include "shared/wire/rowtext.h"

/* What is loaded into a column. */
struct field {
    struct tl_column column; /* a copy, without its default */
    const struct tl_coltype *coltype;
};

struct rowcheck {
    int64_t table_id;
    int32_t version;
    char *format;
    char *columns;
    struct tl_dialect dialect;
    struct tl_fields *fields;
    size_t ncolumns;
    struct field *field;
    struct tl_buf scratch;
    struct tl_str batch; /* of the run under way */
    size_t short_before; /* offset in it, from which on less than TL_ROWTEXT_SHORT bytes follow */
};

static int bind_columns(struct rowcheck *rc, const struct tl_schema *schema, struct tl_error *err)
{
    struct tl_str rest = tl_str(rc->columns);
    size_t n = 1;

    for (size_t i = 0; i < rest.len; i++)
        n += rest.ptr[i] == ',';
    rc->field = calloc(n, sizeof *rc->field);
    if (!rc->field)
        return tl_fail_nomem(err);
    while (rest.ptr) {
        struct tl_str name = tl_str_cut(&rest, ',');
        int at = tl_schema_find(schema, name);

        if (at < 0)
            return tl_fail(err, TL_E_CORRUPT,
                           "column \"%.*s\" of a batch is not in version %d of table \"%s\"",
                           TL_STR_ARG(name), schema->version, schema->table);
        struct field *f = &rc->field[rc->ncolumns++];

        f->column = schema->columns[at];
        f->column.default_text = NULL;
        f->coltype = tl_coltype(f->column.type.id);
    }
    return 0;
}

struct rowcheck *rowcheck_new(const struct tl_schema *schema, struct tl_str format, struct tl_str columns,
                              struct tl_error *err)
{
    struct rowcheck *rc = calloc(1, sizeof *rc);

    if (!rc) {
        tl_fail_nomem(err);
        return NULL;
    }
    rc->table_id = schema->table_id;
    rc->version = schema->version;
    tl_buf_init(&rc->scratch, TL_MESSAGE_MAX);
    rc->format = strndup(format.ptr ? format.ptr : "", format.len);
    rc->columns = strndup(columns.ptr ? columns.ptr : "", columns.len);
    if (!rc->format || !rc->columns) {
        tl_fail_nomem(err);
        goto failed;
    }
    if (tl_dialect_parse(tl_str(rc->format), &rc->dialect, err) || bind_columns(rc, schema, err))
        goto failed;
    rc->fields = tl_fields_new(&rc->dialect, rc->ncolumns, err);
    if (!rc->fields)
        goto failed;
    return rc;
failed:
    rowcheck_free(rc);
    return NULL;
}

void rowcheck_free(struct rowcheck *rc)
{
    if (!rc)
        return;
    tl_fields_free(rc->fields);
    tl_buf_release(&rc->scratch);
    free(rc->field);
    free(rc->format);
    free(rc->columns);
    free(rc);
}

bool rowcheck_fits(const struct rowcheck *rc, const struct tl_schema *schema, struct tl_str format,
                   struct tl_str columns)
{
    return rc->table_id == schema->table_id && rc->version == schema->version &&
           tl_str_eq_z(format, rc->format) && tl_str_eq_z(columns, rc->columns);
}

/* What one row turned out to be; `row` is filled when it is rejected. */
struct verdict {
    bool reject;
    struct tl_reject why;
    const char *column;
    struct tl_str value;
};

/* Not the whole of it: most rows have no use for a reason. */
static void no_verdict(struct verdict *v)
{
    v->reject = false;
    v->column = NULL;
    v->value = tl_str_n(NULL, 0);
}

static void reject_record(struct verdict *v, enum tl_reject_code code, const char *reason)
{
    v->reject = true;
    v->column = NULL;
    v->value = tl_str_n(NULL, 0);
    v->why.code = code;
    snprintf(v->why.reason, sizeof v->why.reason, "%s", reason);
}

/* Whether TL_ROWTEXT_SHORT bytes can be read at it: it stands in the batch, and not at its end. Of a null: no. */
static inline bool can_be_short(const struct rowcheck *rc, struct tl_str value)
{
    return (uintptr_t)value.ptr - (uintptr_t)rc->batch.ptr < rc->short_before;
}

/* The way of nearly all texts: appended, and checked on the way. */
static inline bool append_text(const struct rowcheck *rc, const struct field *f, struct tl_str value,
                               struct tl_buf *out)
{
    return f->coltype->verbatim && can_be_short(rc, value) &&
           (f->column.type.length == 0 || value.len <= (size_t)f->column.type.length) &&
           tl_rowtext_append_short_text(out, value);
}

static int append_value(struct rowcheck *rc, const struct field *f, struct tl_str value, struct tl_buf *out,
                        struct verdict *v, struct tl_error *err)
{
    struct tl_str canon = value;
    int full;

    if (append_text(rc, f, value, out))
        return 0;
    if (!value.ptr && !f->column.nullable) {
        v->reject = true;
        v->why.code = TL_REJECT_NULL_VALUE;
        snprintf(v->why.reason, sizeof v->why.reason, "must have a value");
    } else if (value.ptr) {
        tl_buf_reset(&rc->scratch);
        switch (f->coltype->canon(&f->column.type, value, &rc->scratch, &canon, &v->why)) {
        case TL_VALUE_OK:
            break;
        case TL_VALUE_REJECT:
            v->reject = true;
            break;
        case TL_VALUE_NOMEM:
            return tl_fail_nomem(err);
        }
    }
    if (v->reject) {
        v->column = f->column.name;
        v->value = value;
        return 0;
    }
    if (f->coltype->plain && can_be_short(rc, canon) && tl_rowtext_append_short(out, canon))
        return 0;
    full = tl_rowtext_append(out, canon);
    return full ? tl_buf_fail(full, out, "a batch's validated rows", err) : 0;
}

static int check_values(struct rowcheck *rc, const struct tl_str *values, size_t n, struct tl_buf *out,
                        struct verdict *v, struct tl_error *err)
{
    if (n != rc->ncolumns) {
        char reason[80];

        snprintf(reason, sizeof reason, "has %zu field%s, not %zu", n, n == 1 ? "" : "s", rc->ncolumns);
        reject_record(v, n < rc->ncolumns ? TL_REJECT_TOO_FEW_FIELDS : TL_REJECT_TOO_MANY_FIELDS, reason);
        return 0;
    }
    for (size_t i = 0; i < n && !v->reject; i++) {
        int full = i ? tl_buf_append_char(out, '\t') : TL_BUF_OK;

        if (full)
            return tl_buf_fail(full, out, "a batch's validated rows", err);
        if (append_value(rc, &rc->field[i], values[i], out, v, err))
            return -1;
    }
    int full = v->reject ? TL_BUF_OK : tl_buf_append_char(out, '\n');

    return full ? tl_buf_fail(full, out, "a batch's validated rows", err) : 0;
}

/* Cuts the next record off rest: by its quoting, or as tl-malformed says, if that says anything of it. */
static int cut_record(const struct rowcheck *rc, struct tl_str whole, struct tl_str *rest,
                      const struct tl_malformed *bad, struct tl_str *record, struct verdict *v,
                      struct tl_error *err)
{
    size_t offset = (size_t)(rest->ptr - whole.ptr);
    size_t len;

    if (bad) {
        static const char *const reasons[TL_REJECT_COUNT] = {
            [TL_REJECT_BAD_QUOTING] = "has a quote where none may be",
            [TL_REJECT_UNTERMINATED] = "has a quoted field that does not end",
            [TL_REJECT_RECORD_TOO_LONG] = "is longer than a record may be",
        };
        const char *reason = reasons[bad->why];

        reject_record(v, bad->why, reason ? reason : "can't be read");
        len = bad->len;
    } else {
        struct tl_scan_record scanned;
        enum tl_scan found = tl_csv_scan(&rc->dialect, rest->ptr, rest->ptr + rest->len, true, TL_MESSAGE_MAX,
                                         &scanned);

        if (found != TL_SCAN_RECORD || scanned.end_len != 1)
            return tl_fail(err, TL_E_CORRUPT, "a raw batch has no record at byte %zu", offset);
        len = scanned.len;
    }
    if (len >= rest->len || rest->ptr[len] != '\n')
        return tl_fail(err, TL_E_CORRUPT, "a record of a raw batch does not end at byte %zu", offset + len);
    *record = tl_str_n(rest->ptr, len);
    *rest = tl_str_n(rest->ptr + len + 1, rest->len - len - 1);
    return 0;
}

/* The next record and its values, or why it has none. bad: what tl-malformed says of it; NULL nothing. */
static int next_record(struct rowcheck *rc, struct tl_str whole, struct tl_str *rest,
                       const struct tl_malformed *bad, struct tl_str *record, const struct tl_str **values,
                       size_t *n, struct verdict *v, struct tl_error *err)
{
    size_t len;

    if (TL_LIKELY(!bad && tl_fields_take(rc->fields, *rest, &len, values, n) && len <= TL_MESSAGE_MAX)) {
        *record = tl_str_n(rest->ptr, len);
        *rest = tl_str_n(rest->ptr + len + 1, rest->len - len - 1);
        return 0;
    }
    if (cut_record(rc, whole, rest, bad, record, v, err))
        return -1;
    if (v->reject)
        return 0;
    switch (tl_fields_split(rc->fields, *record, values, n, &v->why)) {
    case TL_VALUE_OK:
        return 0;
    case TL_VALUE_REJECT:
        v->reject = true;
        return 0;
    default:
        return tl_fail_nomem(err);
    }
}

/* The next entry of tl-malformed; len SIZE_MAX: no more. */
static int next_malformed(struct tl_str *text, struct tl_malformed *bad, struct tl_error *err)
{
    switch (tl_malformed_next(text, bad)) {
    case 1:
        return 0;
    case 0:
        bad->len = SIZE_MAX;
        return 0;
    default:
        return tl_fail(err, TL_E_CORRUPT, "header tl-malformed is not understood");
    }
}

static int tell_rejected(const struct rowcheck_sink *sink, const struct verdict *v, int64_t line,
                         struct tl_str record, struct tl_error *err)
{
    struct rejected_row row = {
        .line = line,
        .column = v->column,
        .code = v->why.code,
        .reason = v->why.reason,
        .value = v->value,
        .raw = record,
    };

    return sink->rejected ? sink->rejected(sink->app, &row, err) : 0;
}

int rowcheck_run(struct rowcheck *rc, struct tl_str value, struct tl_str malformed, struct tl_buf *out,
                 const struct rowcheck_sink *sink, struct rowcheck_result *result, struct tl_error *err)
{
    struct tl_str rest = value;
    struct tl_malformed bad;

    *result = (struct rowcheck_result){0};
    rc->batch = value;
    rc->short_before = value.len < TL_ROWTEXT_SHORT ? 0 : value.len - (TL_ROWTEXT_SHORT - 1);
    if (next_malformed(&malformed, &bad, err))
        return -1;
    while (rest.len) {
        struct verdict v;
        struct tl_str record;
        const struct tl_str *values;
        size_t row_start = out->len, n;
        int64_t line;
        bool is_malformed;

        no_verdict(&v);
        if (!tl_rawtext_line(&rest, &line))
            return tl_fail(err, TL_E_CORRUPT, "a raw batch has no line number at byte %zu",
                           (size_t)(rest.ptr - value.ptr));
        is_malformed = bad.len != SIZE_MAX && bad.offset == (size_t)(rest.ptr - value.ptr);
        if (next_record(rc, value, &rest, is_malformed ? &bad : NULL, &record, &values, &n, &v, err))
            return -1;
        if (is_malformed && next_malformed(&malformed, &bad, err))
            return -1;
        if (!v.reject && check_values(rc, values, n, out, &v, err)) {
            if (err->code != TL_E_TOO_LARGE)
                return -1;
            /* decimal(38,37) makes 40 bytes of the 2 of "1,": the batch fits into a message, this may not. */
            reject_record(&v, TL_REJECT_RECORD_TOO_LONG,
                          "is too long with all digits of its numbers, together with the rows before it; "
                          "upload it with fewer rows");
        }
        if (v.reject) {
            out->len = row_start;
            result->rejected++;
            if (tell_rejected(sink, &v, line, record, err))
                return -1;
        } else {
            if (sink->valid && sink->valid(sink->app, result->valid, line, record, err))
                return -1;
            result->valid++;
        }
    }
    return 0;
}
