/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What SQLite's ALTER TABLE does at once, however many rows there are: new columns at the end, and other names.
 * What it can't do tables.c does, by making the table anew.
 *
 * Names are changed in one step, or, when one is given that another column still has (two that swap), by way
 * of a name that nobody else can have. Whatever refers to the column, an index or a trigger, follows.
 */
#include <stdio.h>

#include "coordinatord/sinks/sqlite/connection.h"

static bool same_default(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool alter_fits(const struct tl_schema *from, const struct tl_schema *to)
{
    if (to->ncolumns < from->ncolumns)
        return false;
    for (size_t i = 0; i < from->ncolumns; i++) {
        const struct tl_column *was = &from->columns[i], *is = &to->columns[i];

        if (was->id != is->id || !type_stays(&was->type, &is->type) || was->nullable != is->nullable ||
            !same_default(was->default_text, is->default_text))
            return false;
    }
    return true;
}

/* 1: SQLite does not do it, for a reason of the table's own; 0; -1 with *err. */
static int run(struct sink *s, int rc, struct tl_error *err)
{
    if (rc)
        return tl_buf_fail(rc, &s->sql, "a statement", err);
    rc = tl_buf_terminate(&s->sql);
    if (rc)
        return tl_buf_fail(rc, &s->sql, "a statement", err);
    rc = sqlite3_exec(s->db, s->sql.data, NULL, NULL, NULL);
    if ((rc & 0xFF) == SQLITE_ERROR)
        return 1;
    return rc ? connection_fail(s, rc, "changing a table", err) : 0;
}

static int rename_column(struct sink *s, const char *table, const char *was, const char *is,
                         struct tl_error *err)
{
    int rc;

    tl_buf_reset(&s->sql);
    rc = tl_buf_append_z(&s->sql, "ALTER TABLE ");
    if (!rc)
        rc = type_append_name(&s->sql, table);
    if (!rc)
        rc = tl_buf_append_z(&s->sql, " RENAME COLUMN ");
    if (!rc)
        rc = type_append_name(&s->sql, was);
    if (!rc)
        rc = tl_buf_append_z(&s->sql, " TO ");
    if (!rc)
        rc = type_append_name(&s->sql, is);
    return run(s, rc, err);
}

static bool is_renamed(const struct tl_schema *from, const struct tl_schema *to, size_t i)
{
    return strcmp(from->columns[i].name, to->columns[i].name) != 0;
}

static bool name_is_taken(const struct tl_schema *from, const struct tl_schema *to)
{
    for (size_t i = 0; i < from->ncolumns; i++)
        if (is_renamed(from, to, i) && tl_schema_find(from, tl_str(to->columns[i].name)) >= 0)
            return true;
    return false;
}

static int rename_all(struct sink *s, const struct tl_schema *from, const struct tl_schema *to,
                      struct tl_error *err)
{
    bool two_steps = name_is_taken(from, to);
    char between[32];
    int rc = 0;

    for (size_t i = 0; !rc && two_steps && i < from->ncolumns; i++) {
        snprintf(between, sizeof between, "_tload_%u", (unsigned)from->columns[i].id);
        if (is_renamed(from, to, i))
            rc = rename_column(s, from->table, from->columns[i].name, between, err);
    }
    for (size_t i = 0; !rc && i < from->ncolumns; i++) {
        snprintf(between, sizeof between, "_tload_%u", (unsigned)from->columns[i].id);
        if (is_renamed(from, to, i))
            rc = rename_column(s, from->table, two_steps ? between : from->columns[i].name,
                               to->columns[i].name, err);
    }
    return rc;
}

static int add_column(struct sink *s, const char *table, const struct tl_column *c, struct tl_error *err)
{
    int rc;

    tl_buf_reset(&s->sql);
    rc = tl_buf_append_z(&s->sql, "ALTER TABLE ");
    if (!rc)
        rc = type_append_name(&s->sql, table);
    if (!rc)
        rc = tl_buf_append_z(&s->sql, " ADD COLUMN ");
    if (!rc)
        rc = type_append_column(&s->sql, c);
    return run(s, rc, err);
}

int alter_table(struct sink *s, const struct tl_schema *from, const struct tl_schema *to,
                struct tl_error *err)
{
    int rc = rename_all(s, from, to, err);

    for (size_t i = from->ncolumns; !rc && i < to->ncolumns; i++)
        rc = add_column(s, to->table, &to->columns[i], err);
    return rc;
}
