/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How column types are kept in SQLite.
 *
 *   boolean                 BOOLEAN       0, 1
 *   int, bigint             INTEGER
 *   double                  REAL          NaN as the text 'NaN': SQLite has no NaN and would make it null
 *   decimal(p,s), p <= 15   DECIMAL(p,s)  a number, so that sums and comparisons work; 15 digits survive it
 *   decimal(p,s), p > 15    TEXT          canonical, exact
 *   bytea                   BLOB
 *   all others              TEXT          canonical
 */
#include "coordinatord/sinks/sqlite/connection.h"

enum { NUMERIC_DIGITS = 15, EXACT_POWERS = 22 };

bool type_is_number(const struct tl_type *type)
{
    return type->id == TL_TYPE_DECIMAL && type->length <= NUMERIC_DIGITS;
}

bool type_stays(const struct tl_type *from, const struct tl_type *to)
{
    switch (from->id) {
    case TL_TYPE_INT:
        return to->id == TL_TYPE_INT || to->id == TL_TYPE_BIGINT;
    case TL_TYPE_VARCHAR:
        return to->id == TL_TYPE_VARCHAR || to->id == TL_TYPE_TEXT;
    case TL_TYPE_DECIMAL:
        return tl_type_eq(from, to) || (to->id == TL_TYPE_DECIMAL && !type_is_number(from) &&
                                        !type_is_number(to) && from->scale == to->scale);
    default:
        return tl_type_eq(from, to);
    }
}

int type_append_name(struct tl_buf *sql, const char *name)
{
    int rc = tl_buf_append_char(sql, '"');

    for (; !rc && *name; name++) {
        if (*name == '"')
            rc = tl_buf_append_char(sql, '"');
        if (!rc)
            rc = tl_buf_append_char(sql, *name);
    }
    return rc ? rc : tl_buf_append_char(sql, '"');
}

static int append_declared(struct tl_buf *sql, const struct tl_type *type)
{
    switch (type->id) {
    case TL_TYPE_BOOLEAN:
        return tl_buf_append_z(sql, "BOOLEAN");
    case TL_TYPE_INT:
    case TL_TYPE_BIGINT:
        return tl_buf_append_z(sql, "INTEGER");
    case TL_TYPE_DOUBLE:
        return tl_buf_append_z(sql, "REAL");
    case TL_TYPE_BYTEA:
        return tl_buf_append_z(sql, "BLOB");
    case TL_TYPE_DECIMAL:
        if (type_is_number(type))
            return tl_buf_appendf(sql, "DECIMAL(%d,%d)", (int)type->length, (int)type->scale);
        return tl_buf_append_z(sql, "TEXT");
    default:
        return tl_buf_append_z(sql, "TEXT");
    }
}

bool type_is_declared(const struct tl_type *type, const char *declared)
{
    enum { DECLARED_MAX = 64 };
    struct tl_buf b;
    bool same;

    tl_buf_init(&b, DECLARED_MAX);
    same = append_declared(&b, type) == TL_BUF_OK && tl_buf_terminate(&b) == TL_BUF_OK &&
           strcasecmp(b.data, declared) == 0;
    tl_buf_release(&b);
    return same;
}

static int append_text(struct tl_buf *sql, const char *text)
{
    int rc = tl_buf_append_char(sql, '\'');

    for (; !rc && *text; text++) {
        if (*text == '\'')
            rc = tl_buf_append_char(sql, '\'');
        if (!rc)
            rc = tl_buf_append_char(sql, *text);
    }
    return rc ? rc : tl_buf_append_char(sql, '\'');
}

/* A canonical value as SQL writes it. */
static int append_literal(struct tl_buf *sql, const struct tl_type *type, const char *text)
{
    switch (type->id) {
    case TL_TYPE_BOOLEAN:
        return tl_buf_append_char(sql, *text == 't' ? '1' : '0');
    case TL_TYPE_INT:
    case TL_TYPE_BIGINT:
        return tl_buf_append_z(sql, text);
    case TL_TYPE_DOUBLE:
        if (strcmp(text, "Infinity") == 0)
            return tl_buf_append_z(sql, "9e999");
        if (strcmp(text, "-Infinity") == 0)
            return tl_buf_append_z(sql, "-9e999");
        return strcmp(text, "NaN") == 0 ? append_text(sql, text) : tl_buf_append_z(sql, text);
    case TL_TYPE_DECIMAL:
        return type_is_number(type) ? tl_buf_append_z(sql, text) : append_text(sql, text);
    case TL_TYPE_BYTEA:
        return tl_buf_appendf(sql, "X'%s'", text + 2);
    default:
        return append_text(sql, text);
    }
}

int type_append_column(struct tl_buf *sql, const struct tl_column *c)
{
    int rc = type_append_name(sql, c->name);

    if (!rc)
        rc = tl_buf_append_char(sql, ' ');
    if (!rc)
        rc = append_declared(sql, &c->type);
    if (!rc && !c->nullable)
        rc = tl_buf_append_z(sql, " NOT NULL");
    if (!rc && c->default_text) {
        rc = tl_buf_append_z(sql, " DEFAULT ");
        if (!rc)
            rc = append_literal(sql, &c->type, c->default_text);
    }
    return rc;
}

/* An int, bigint or decimal as a decimal that is kept as text, with exactly the scale's digits behind the
 * point. */
static int append_decimal_text(struct tl_buf *sql, const struct tl_column *from, const struct tl_column *to)
{
    int had = from->type.id == TL_TYPE_DECIMAL ? from->type.scale : 0, zeros = to->type.scale - had;
    int rc;

    if (type_is_number(&from->type)) {
        rc = tl_buf_appendf(sql, "printf('%%.%df', ", had);
        if (!rc)
            rc = type_append_name(sql, from->name);
        if (!rc)
            rc = tl_buf_append_char(sql, ')');
    } else {
        rc = tl_buf_append_z(sql, "CAST(");
        if (!rc)
            rc = type_append_name(sql, from->name);
        if (!rc)
            rc = tl_buf_append_z(sql, " AS TEXT)");
    }
    if (!rc && zeros > 0)
        rc = tl_buf_appendf(sql, " || '%s%.*d'", had ? "" : ".", zeros, 0);
    return rc;
}

int type_append_widened(struct tl_buf *sql, const struct tl_column *from, const struct tl_column *to)
{
    int rc;

    if (to->type.id == TL_TYPE_DECIMAL && !type_is_number(&to->type) && !tl_type_eq(&from->type, &to->type)) {
        /* printf would make a null 0. */
        rc = tl_buf_append_z(sql, "CASE WHEN ");
        if (!rc)
            rc = type_append_name(sql, from->name);
        if (!rc)
            rc = tl_buf_append_z(sql, " IS NOT NULL THEN ");
        if (!rc)
            rc = append_decimal_text(sql, from, to);
        return rc ? rc : tl_buf_append_z(sql, " END");
    }
    rc = type_append_name(sql, from->name);
    if (!rc && from->type.id == TL_TYPE_DATE && to->type.id == TL_TYPE_TIMESTAMP)
        rc = tl_buf_append_z(sql, " || ' 00:00:00'");
    return rc;
}

/* A plain decimal of at most 15 digits: both numbers are exact as doubles, so their quotient is the nearest
 * one. */
static bool read_plain(struct tl_str s, double *value)
{
    static const double powers[EXACT_POWERS + 1] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                                    1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                                    1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    bool negative = s.len > 0 && s.ptr[0] == '-';
    int64_t digits = 0;
    size_t behind = 0, i = negative ? 1 : 0;
    bool point = false;

    if (s.len == i || s.len - i > NUMERIC_DIGITS + 1)
        return false;
    for (; i < s.len; i++) {
        char c = s.ptr[i];

        if (c >= '0' && c <= '9')
            digits = digits * 10 + (c - '0');
        else if (c != '.' || point)
            return false;
        else
            point = true;
        behind += point && c != '.';
    }
    if (digits >= INT64_C(1000000000000000))
        return false;
    *value = (double)digits / powers[behind];
    if (negative)
        *value = -*value;
    return true;
}

static int bind_real(sqlite3_stmt *stmt, int index, struct tl_str s)
{
    char text[400]; /* the longest canonical double has 24 bytes, a bigint that was widened 20 */
    char *end;
    double value;

    if (TL_LIKELY(read_plain(s, &value)))
        return sqlite3_bind_double(stmt, index, value);
    if (tl_str_eq_z(s, "NaN"))
        return sqlite3_bind_text(stmt, index, "NaN", 3, SQLITE_STATIC);
    if (s.len == 0 || !tl_str_copy(s, text, sizeof text))
        return SQLITE_MISMATCH;
    value = strtod(text, &end); /* "Infinity" as well */
    return *end ? SQLITE_MISMATCH : sqlite3_bind_double(stmt, index, value);
}

static int bind_int(sqlite3_stmt *stmt, int index, struct tl_str s)
{
    int64_t value;

    if (!tl_str_to_i64(s, INT64_MIN, INT64_MAX, &value))
        return SQLITE_MISMATCH;
    return sqlite3_bind_int64(stmt, index, value);
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int bind_bytes(sqlite3_stmt *stmt, int index, struct tl_str s)
{
    size_t n = s.len / 2;
    char *out;

    if (s.len < 2 || s.len % 2 || s.ptr[0] != '\\' || s.ptr[1] != 'x')
        return SQLITE_MISMATCH;
    n--;
    if (n == 0)
        return sqlite3_bind_zeroblob(stmt, index, 0);
    out = sqlite3_malloc64(n);
    if (!out)
        return SQLITE_NOMEM;
    for (size_t i = 0; i < n; i++) {
        int high = hex(s.ptr[2 + 2 * i]), low = hex(s.ptr[3 + 2 * i]);

        if (high < 0 || low < 0) {
            sqlite3_free(out);
            return SQLITE_MISMATCH;
        }
        out[i] = (char)(high << 4 | low);
    }
    return sqlite3_bind_blob64(stmt, index, out, n, sqlite3_free);
}

int type_bind(sqlite3_stmt *stmt, int index, const struct tl_type *type, struct tl_str value)
{
    switch (type->id) {
    case TL_TYPE_BOOLEAN:
        if (value.len != 1 || (value.ptr[0] != 't' && value.ptr[0] != 'f'))
            return SQLITE_MISMATCH;
        return sqlite3_bind_int(stmt, index, value.ptr[0] == 't');
    case TL_TYPE_INT:
    case TL_TYPE_BIGINT:
        return bind_int(stmt, index, value);
    case TL_TYPE_DOUBLE:
        return bind_real(stmt, index, value);
    case TL_TYPE_BYTEA:
        return bind_bytes(stmt, index, value);
    case TL_TYPE_DECIMAL:
        if (type_is_number(type))
            return bind_real(stmt, index, value);
        break;
    default:
        break;
    }
    return sqlite3_bind_text(stmt, index, value.ptr, (int)value.len, SQLITE_STATIC);
}
