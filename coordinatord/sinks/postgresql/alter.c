/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One version of a table becomes a later one. A column is the same when its id is, whatever its name; where it
 * stands among the others does not matter.
 *
 *   1. columns that are gone are dropped, so that their names are free
 *   2. renamed ones take a name of ours, so that two may swap theirs
 *   3. and then the new one
 *   4. types, defaults, NOT NULL and new columns, in one statement: the rows are rewritten at most once
 *
 * Rows that are there get a new column's default.
 */
#include "coordinatord/sinks/postgresql/connection.h"

/* The beginning of one more statement in s->sql. A TL_BUF_ result, like all append_. */
static int append_alter(struct sink *s)
{
    return tl_buf_append_z(&s->sql, "; ALTER TABLE ");
}

static int append_drops(struct sink *s, const struct tl_schema *from, const struct tl_schema *to)
{
    int rc = TL_BUF_OK;

    for (size_t i = 0; !rc && i < from->ncolumns; i++) {
        if (tl_schema_find_id(to, from->columns[i].id) >= 0)
            continue;
        rc = append_alter(s);
        if (!rc)
            rc = pg_append_table(&s->sql, s, to->table);
        if (!rc)
            rc = tl_buf_append_z(&s->sql, " DROP COLUMN ");
        if (!rc)
            rc = pg_append_name(&s->sql, from->columns[i].name);
    }
    return rc;
}

static int append_rename(struct sink *s, const char *table, const char *from, const char *to)
{
    int rc = append_alter(s);

    if (!rc)
        rc = pg_append_table(&s->sql, s, table);
    if (!rc)
        rc = tl_buf_append_z(&s->sql, " RENAME COLUMN ");
    if (!rc)
        rc = pg_append_name(&s->sql, from);
    if (!rc)
        rc = tl_buf_append_z(&s->sql, " TO ");
    return rc ? rc : pg_append_name(&s->sql, to);
}

static int append_renames(struct sink *s, const struct tl_schema *from, const struct tl_schema *to)
{
    int rc = TL_BUF_OK;

    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; !rc && i < to->ncolumns; i++) {
            int old = tl_schema_find_id(from, to->columns[i].id);
            char between[TL_NAME_MAX + 1];

            if (old < 0 || strcmp(from->columns[old].name, to->columns[i].name) == 0)
                continue;
            snprintf(between, sizeof between, "_tload_%u", (unsigned)to->columns[i].id);
            rc = pass ? append_rename(s, to->table, between, to->columns[i].name)
                      : append_rename(s, to->table, from->columns[old].name, between);
        }
    }
    return rc;
}

static int append_action(struct sink *s, size_t *n, const char *action, const char *column)
{
    int rc = tl_buf_append_z(&s->sql, (*n)++ ? ", " : " ");

    if (!rc)
        rc = tl_buf_append_z(&s->sql, action);
    return rc || !column ? rc : pg_append_name(&s->sql, column);
}

static bool same_default(const struct tl_column *a, const struct tl_column *b)
{
    if (!a->default_text || !b->default_text)
        return a->default_text == b->default_text;
    return strcmp(a->default_text, b->default_text) == 0;
}

static int append_type_change(struct sink *s, const struct tl_column *from, const struct tl_column *to,
                              size_t *n)
{
    int rc = TL_BUF_OK;

    /* Anew behind: a default is not always converted. */
    if (from->default_text) {
        rc = append_action(s, n, "ALTER COLUMN ", to->name);
        if (!rc)
            rc = tl_buf_append_z(&s->sql, " DROP DEFAULT");
    }
    if (!rc)
        rc = append_action(s, n, "ALTER COLUMN ", to->name);
    if (!rc)
        rc = tl_buf_append_z(&s->sql, " TYPE ");
    return rc ? rc : pg_append_type(&s->sql, &to->type);
}

static int append_default(struct sink *s, const struct tl_column *to, size_t *n)
{
    int rc = append_action(s, n, "ALTER COLUMN ", to->name);

    if (!rc)
        rc = tl_buf_append_z(&s->sql, to->default_text ? " SET DEFAULT " : " DROP DEFAULT");
    return rc || !to->default_text ? rc : pg_append_literal(&s->sql, &to->type, to->default_text);
}

static int append_changes(struct sink *s, const struct tl_column *from, const struct tl_column *to, size_t *n)
{
    bool retyped = !tl_type_eq(&from->type, &to->type);
    int rc = retyped ? append_type_change(s, from, to, n) : TL_BUF_OK;

    if (!rc && (retyped ? to->default_text != NULL : !same_default(from, to)))
        rc = append_default(s, to, n);
    if (!rc && from->nullable != to->nullable) {
        rc = append_action(s, n, "ALTER COLUMN ", to->name);
        if (!rc)
            rc = tl_buf_append_z(&s->sql, to->nullable ? " DROP NOT NULL" : " SET NOT NULL");
    }
    return rc;
}

/* The statement of step 4; nothing when it would change nothing. */
static int append_columns(struct sink *s, const struct tl_schema *from, const struct tl_schema *to)
{
    size_t start = s->sql.len, n = 0;
    int rc = append_alter(s);

    if (!rc)
        rc = pg_append_table(&s->sql, s, to->table);
    for (size_t i = 0; !rc && i < to->ncolumns; i++) {
        int old = tl_schema_find_id(from, to->columns[i].id);

        if (old >= 0) {
            rc = append_changes(s, &from->columns[old], &to->columns[i], &n);
        } else {
            rc = append_action(s, &n, "ADD COLUMN ", NULL);
            if (!rc)
                rc = pg_append_column(&s->sql, &to->columns[i]);
        }
    }
    if (!rc && n == 0)
        s->sql.len = start;
    return rc;
}

int pg_alter(struct sink *s, const struct tl_schema *from, const struct tl_schema *to, struct tl_error *err)
{
    int rc;

    tl_buf_reset(&s->sql);
    /* Rows that have to be written anew take as long as they take. */
    rc = tl_buf_append_z(&s->sql, "SET LOCAL statement_timeout = 0");
    if (!rc)
        rc = append_drops(s, from, to);
    if (!rc)
        rc = append_renames(s, from, to);
    if (!rc)
        rc = append_columns(s, from, to);
    if (pg_sql_done(s, rc, err))
        return -1;
    return pg_exec(s, "changing a table", err);
}
