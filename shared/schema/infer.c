/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each column holds the set of types that every value so far has been of, and each value is tried against
 * what is left of it; nearly always that is one or two types after the first rows. Whether a value is of a
 * type is asked of the type itself (coltype.h); looks_like only takes away what that type would read but the
 * column surely is not.
 */
#include "shared/schema/infer.h"

#include <stdio.h>
#include <stdlib.h>

#include "shared/schema/canon.h"
#include "shared/schema/name.h"
#include "shared/schema/schema.h"
#include "shared/schema/seen.h"

enum {
    KEYS_MAX = 4,       /* columns that are watched for being unique */
    DIGITS_MAX = 38,    /* of a decimal */
    DIGITS_LEAST = 18,  /* that a decimal is given */
    DIGITS_ROOM = 4,    /* before the point, above what was seen */
    SCALE_MEASURED = 8, /* more digits than that behind the point are a measurement's */
    DIGITS_DOUBLE = 17, /* that a double can give back */
    SCRATCH_MAX = 4096  /* no number, date or UUID is longer */
};

/* From narrow to wide; the first that is left is the column's type. Text is what remains when none is. */
static const enum tl_type_id candidates[] = {
    TL_TYPE_BOOLEAN, TL_TYPE_INT,       TL_TYPE_BIGINT,      TL_TYPE_DECIMAL, TL_TYPE_DOUBLE,
    TL_TYPE_DATE,    TL_TYPE_TIMESTAMP, TL_TYPE_TIMESTAMPTZ, TL_TYPE_UUID,
};

struct guess {
    char base[TL_NAME_MAX + 1]; /* the header made legal */
    char name[TL_NAME_MAX + 1]; /* the same, with a number when it was there before */
    unsigned left;              /* bits of candidates */
    bool any;                   /* it has had a value */
    int before, behind, digits; /* most digits before and behind the point of any value, and in all */
    struct tl_seen *seen;       /* owned; NULL: it is not, or no longer, a candidate for the key */
};

struct tl_infer {
    size_t ncolumns;
    struct guess *columns; /* owned */
    struct tl_buf scratch;
    struct tl_infer_counts counts;
};

/* Gives the column its name: its base, with a number behind it when an earlier column has that. */
static void set_name(struct tl_infer *infer, size_t index)
{
    struct guess *column = &infer->columns[index];
    char suffix[24] = "";
    size_t number = 1;
    bool clash = true;

    for (size_t i = 0; i < index; i++)
        number += strcmp(infer->columns[i].base, column->base) == 0;
    for (; clash; number++) {
        if (number > 1)
            snprintf(suffix, sizeof suffix, "_%zu", number);
        snprintf(column->name, sizeof column->name, "%.*s%s", (int)(TL_NAME_MAX - strlen(suffix)),
                 column->base, suffix);
        clash = false;
        for (size_t i = 0; i < index && !clash; i++)
            clash = strcmp(infer->columns[i].name, column->name) == 0;
    }
}

static bool named_as_key(const char *name)
{
    size_t n = strlen(name);

    return strcmp(name, "id") == 0 || (n > 3 && strcmp(name + n - 3, "_id") == 0);
}

struct tl_infer *tl_infer_new(const struct tl_str *header, size_t ncolumns, struct tl_error *err)
{
    struct tl_infer *infer;
    size_t nkeys = 0;

    if (ncolumns == 0 || ncolumns > TL_COLUMNS_MAX) {
        tl_fail(err, TL_E_REFUSED, "a table has from 1 to %d columns; the file has %zu", TL_COLUMNS_MAX,
                ncolumns);
        return NULL;
    }
    infer = calloc(1, sizeof *infer);
    if (infer)
        infer->columns = calloc(ncolumns, sizeof *infer->columns);
    if (!infer || !infer->columns)
        goto nomem;
    tl_buf_init(&infer->scratch, SCRATCH_MAX);
    infer->ncolumns = ncolumns;
    for (size_t i = 0; i < ncolumns; i++) {
        struct guess *column = &infer->columns[i];

        if (!header || !tl_name_fold(header[i], column->base))
            snprintf(column->base, sizeof column->base, "column_%zu", i + 1);
        set_name(infer, i);
        column->left = (1U << TL_ARRAY_LEN(candidates)) - 1;
        if (nkeys < KEYS_MAX && named_as_key(column->name)) {
            column->seen = tl_seen_new();
            if (!column->seen)
                goto nomem;
            nkeys++;
        }
    }
    return infer;
nomem:
    tl_infer_free(infer);
    tl_fail_nomem(err);
    return NULL;
}

void tl_infer_free(struct tl_infer *infer)
{
    if (!infer)
        return;
    for (size_t i = 0; i < infer->ncolumns; i++)
        tl_seen_free(infer->columns[i].seen);
    free(infer->columns);
    tl_buf_release(&infer->scratch);
    free(infer);
}

struct tl_infer_counts tl_infer_counts(const struct tl_infer *infer)
{
    return infer->counts;
}

/* A number that reads the same when it is stored: no plus, no zeros in front. */
static bool keeps_its_look(struct tl_str s)
{
    if (s.len && s.ptr[0] == '-')
        s = tl_str_n(s.ptr + 1, s.len - 1);
    return s.len && s.ptr[0] != '+' && !(s.len > 1 && s.ptr[0] == '0' && tl_is_digit(s.ptr[1]));
}

/* Counts the digits of a plain number into the column; false when a decimal has no room for them. */
static bool count_digits(struct guess *column, struct tl_str s)
{
    int before = 0, behind = 0;
    bool point = false;

    if (s.len > DIGITS_MAX + 2)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] == '.')
            point = true;
        else if (!tl_is_digit(s.ptr[i]))
            continue;
        else if (point)
            behind++;
        else
            before++;
    }
    column->before = TL_MAX(column->before, before);
    column->behind = TL_MAX(column->behind, behind);
    column->digits = TL_MAX(column->digits, before + behind);
    return column->before + column->behind <= DIGITS_MAX;
}

/* False for what the type would take but the column is not. */
static bool looks_like(enum tl_type_id id, struct guess *column, struct tl_str s)
{
    switch (id) {
    case TL_TYPE_BOOLEAN:
        return !tl_is_word(s, "0") && !tl_is_word(s, "1") && !tl_is_word(s, "y") && !tl_is_word(s, "n") &&
               !tl_is_word(s, "on") && !tl_is_word(s, "off");
    case TL_TYPE_INT:
    case TL_TYPE_BIGINT:
        return keeps_its_look(s);
    case TL_TYPE_DECIMAL:
        return keeps_its_look(s) && !memchr(s.ptr, 'e', s.len) && !memchr(s.ptr, 'E', s.len) &&
               count_digits(column, s);
    case TL_TYPE_DOUBLE:
        return keeps_its_look(s);
    case TL_TYPE_UUID:
        return memchr(s.ptr, '-', s.len) != NULL;
    default:
        return true;
    }
}

/* The type to try a value against: for a decimal the one that count_digits has made room in. */
static struct tl_type probe(enum tl_type_id id, const struct guess *column)
{
    struct tl_type type = {.id = id};

    if (id == TL_TYPE_DECIMAL) {
        type.length = TL_MAX(column->before + column->behind, 1);
        type.scale = column->behind;
    }
    return type;
}

static int take_value(struct tl_infer *infer, struct guess *column, struct tl_str value, struct tl_error *err)
{
    struct tl_str s = tl_str_trim(value);
    struct tl_reject why;
    struct tl_str out;

    column->any = true;
    if (s.len == 0 || s.len > SCRATCH_MAX / 2)
        column->left = 0;
    for (size_t i = 0; column->left >> i; i++) {
        enum tl_verdict verdict = TL_VALUE_REJECT;

        if (!(column->left >> i & 1))
            continue;
        if (looks_like(candidates[i], column, s)) {
            struct tl_type type = probe(candidates[i], column);

            tl_buf_reset(&infer->scratch);
            verdict = tl_type_canon(&type, s, &infer->scratch, &out, &why);
        }
        if (verdict == TL_VALUE_NOMEM)
            return tl_fail_nomem(err);
        if (verdict == TL_VALUE_REJECT)
            column->left &= ~(1U << i);
    }
    return 0;
}

static int watch_key(struct guess *column, struct tl_str value, struct tl_error *err)
{
    int rc = value.ptr ? tl_seen_add(column->seen, tl_str_trim(value)) : 0;

    if (rc < 0)
        return tl_fail_nomem(err);
    if (rc == 0) {
        tl_seen_free(column->seen);
        column->seen = NULL;
    }
    return 0;
}

int tl_infer_row(struct tl_infer *infer, const struct tl_str *values, size_t n, struct tl_error *err)
{
    infer->counts.rows++;
    if (n != infer->ncolumns) {
        infer->counts.ragged++;
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        struct guess *column = &infer->columns[i];

        if (values[i].ptr && (column->left || !column->any) && take_value(infer, column, values[i], err))
            return -1;
        if (column->seen && watch_key(column, values[i], err))
            return -1;
    }
    return 0;
}

static struct tl_type column_type(const struct guess *column)
{
    struct tl_type type = {.id = TL_TYPE_TEXT};

    if (!column->any || !column->left)
        return type;
    type.id = candidates[__builtin_ctz(column->left)];
    if (type.id != TL_TYPE_DECIMAL)
        return type;
    if (column->behind > SCALE_MEASURED && column->digits <= DIGITS_DOUBLE)
        return (struct tl_type){.id = TL_TYPE_DOUBLE};
    type.scale = column->behind;
    type.length = TL_MAX(column->before + DIGITS_ROOM + column->behind, DIGITS_LEAST);
    type.length = TL_MIN(type.length, DIGITS_MAX);
    return type;
}

json_t *tl_infer_finish(const struct tl_infer *infer, struct tl_str table, struct tl_error *err)
{
    char name[TL_NAME_MAX + 1], type_text[TL_TYPE_FORMAT];
    json_t *json, *columns, *key;
    bool ok, keyed = false;

    if (tl_name_parse(table, "table", name, err))
        return NULL;
    json = json_pack("{s:s, s:[], s:[]}", "table", name, "columns", "key");
    columns = json_object_get(json, "columns");
    key = json_object_get(json, "key");
    ok = json != NULL;
    for (size_t i = 0; ok && i < infer->ncolumns; i++) {
        const struct guess *column = &infer->columns[i];
        struct tl_type type = column_type(column);
        bool is_key = !keyed && column->seen && column->any && tl_coltype(type.id)->can_be_key;
        json_t *entry;

        tl_type_format(&type, type_text);
        entry = json_pack("{s:s, s:s, s:b}", "name", column->name, "type", type_text, "nullable", !is_key);
        ok = entry && json_array_append_new(columns, entry) == 0;
        if (ok && is_key)
            ok = json_array_append_new(key, json_string(column->name)) == 0;
        keyed = keyed || is_key;
    }
    if (!ok) {
        json_decref(json);
        tl_fail_nomem(err);
        return NULL;
    }
    return json;
}
