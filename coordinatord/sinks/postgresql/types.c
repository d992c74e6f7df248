/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each column type is PostgreSQL's own of the same meaning, and its canonical form is text that the type reads as
 * exactly that value; so does every wider type that a column can be changed to, which is why COPY takes
 * canonical rows as they come.
 */
#include "coordinatord/sinks/postgresql/connection.h"

int pg_append_name(struct tl_buf *sql, const char *name)
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

int pg_append_table(struct tl_buf *sql, const struct sink *s, const char *table)
{
    int rc = pg_append_name(sql, s->tenant);

    if (!rc)
        rc = tl_buf_append_char(sql, '.');
    return rc ? rc : pg_append_name(sql, table);
}

int pg_append_type(struct tl_buf *sql, const struct tl_type *type)
{
    static const char *const names[TL_TYPE_COUNT] = {
        [TL_TYPE_BOOLEAN] = "boolean",
        [TL_TYPE_INT] = "integer",
        [TL_TYPE_BIGINT] = "bigint",
        [TL_TYPE_DOUBLE] = "double precision",
        [TL_TYPE_DECIMAL] = "numeric",
        [TL_TYPE_VARCHAR] = "character varying",
        [TL_TYPE_TEXT] = "text",
        [TL_TYPE_DATE] = "date",
        [TL_TYPE_TIMESTAMP] = "timestamp without time zone",
        [TL_TYPE_TIMESTAMPTZ] = "timestamp with time zone",
        [TL_TYPE_UUID] = "uuid",
        [TL_TYPE_JSON] = "json",
        [TL_TYPE_BYTEA] = "bytea",
    };

    if (type->id == TL_TYPE_DECIMAL)
        return tl_buf_appendf(sql, "%s(%d,%d)", names[type->id], (int)type->length, (int)type->scale);
    if (type->id == TL_TYPE_VARCHAR)
        return tl_buf_appendf(sql, "%s(%d)", names[type->id], (int)type->length);
    return tl_buf_append_z(sql, names[type->id]);
}

int pg_append_literal(struct tl_buf *sql, const struct tl_type *type, const char *text)
{
    /* E: what a backslash means in it hangs on no setting. */
    int rc = tl_buf_append_z(sql, "E'");

    for (; !rc && *text; text++) {
        if (*text == '\'' || *text == '\\')
            rc = tl_buf_append_char(sql, *text);
        if (!rc)
            rc = tl_buf_append_char(sql, *text);
    }
    if (!rc)
        rc = tl_buf_append_z(sql, "'::");
    return rc ? rc : pg_append_type(sql, type);
}

int pg_append_column(struct tl_buf *sql, const struct tl_column *c)
{
    int rc = pg_append_name(sql, c->name);

    if (!rc)
        rc = tl_buf_append_char(sql, ' ');
    if (!rc)
        rc = pg_append_type(sql, &c->type);
    if (!rc && !c->nullable)
        rc = tl_buf_append_z(sql, " NOT NULL");
    if (!rc && c->default_text) {
        rc = tl_buf_append_z(sql, " DEFAULT ");
        if (!rc)
            rc = pg_append_literal(sql, &c->type, c->default_text);
    }
    return rc;
}
