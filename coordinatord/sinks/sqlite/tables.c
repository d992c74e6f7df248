/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables are made and changed by their schema messages. SQLite's ALTER TABLE can do a part of what a new
 * version may ask for (alter.c); making a table of the new shape, moving the rows, and giving it the old one's name can
 * do all of it, within the transaction. Indexes and triggers that somebody added are made again, those that
 * name a column that is gone are left out, with a warning.
 */
#include "coordinatord/sinks/sqlite/connection.h"

static const char new_name[] = "_tload_new";

/* What is applied of a table. */
struct applied {
    int64_t table_id; /* 0: nothing ever was */
    int32_t version;
    bool dropped;
};

static int applied_get(struct sink *s, const char *table, struct applied *a, struct tl_error *err)
{
    sqlite3_stmt *stmt = connection_query(s, QUERY_TABLE_VERSION, err);
    int rc, failed;

    *a = (struct applied){0};
    if (!stmt)
        return -1;
    sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        *a = (struct applied){.table_id = sqlite3_column_int64(stmt, 0),
                              .version = sqlite3_column_int(stmt, 1),
                              .dropped = sqlite3_column_int(stmt, 2) != 0};
    failed = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : connection_fail(s, rc, "reading the schema", err);
    sqlite3_reset(stmt);
    return failed;
}

static int read_schema(sqlite3_stmt *stmt, const char *table, struct tl_schema **schema, struct tl_error *err)
{
    const unsigned char *text = sqlite3_column_text(stmt, 0);

    if (!text)
        return tl_fail_nomem(err);
    if (tl_schema_from_text(tl_str_n((const char *)text, (size_t)sqlite3_column_bytes(stmt, 0)), schema,
                            err)) {
        if (err->code != TL_E_NOMEM)
            err->code = TL_E_FATAL;
        return tl_error_prefix(err, "the stored schema of table %s", table);
    }
    return 0;
}

int table_get(struct sink *s, const char *table, struct tl_schema **schema, struct tl_error *err)
{
    sqlite3_stmt *stmt = connection_query(s, QUERY_TABLE_GET, err);
    int rc, failed = 0;

    *schema = NULL;
    if (!stmt)
        return -1;
    sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        failed = read_schema(stmt, table, schema, err);
    else if (rc != SQLITE_DONE)
        failed = connection_fail(s, rc, "reading the schema", err);
    sqlite3_reset(stmt);
    return failed;
}

static int table_put(struct sink *s, const struct tl_schema *schema, struct tl_error *err)
{
    sqlite3_stmt *stmt = connection_query(s, QUERY_TABLE_PUT, err);
    json_t *json;
    char *text;
    int failed;

    if (!stmt)
        return -1;
    json = tl_schema_to_json(schema);
    text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    if (!text)
        return tl_fail_nomem(err);
    sqlite3_bind_text(stmt, 1, schema->table, -1, SQLITE_STATIC);
    sqlite3_bind_int64(stmt, 2, schema->table_id);
    sqlite3_bind_int(stmt, 3, schema->version);
    sqlite3_bind_int(stmt, 4, schema->dropped);
    sqlite3_bind_text(stmt, 5, text, -1, SQLITE_STATIC);
    failed = connection_run(s, stmt, "storing the schema", err);
    free(text);
    return failed;
}

/* `CREATE TABLE name (columns, key)`; a TL_BUF_ result. */
static int append_create(struct tl_buf *sql, const char *name, const struct tl_schema *schema)
{
    const struct tl_type *first = schema->nkey ? &schema->columns[schema->key[0]].type : NULL;
    /* An INTEGER key of one column is the row's own number: no second tree is kept for it. */
    bool own_number = schema->nkey == 1 && (first->id == TL_TYPE_INT || first->id == TL_TYPE_BIGINT);
    int rc = tl_buf_append_z(sql, "CREATE TABLE ");

    if (!rc)
        rc = type_append_name(sql, name);
    for (size_t i = 0; !rc && i < schema->ncolumns; i++) {
        rc = tl_buf_append_z(sql, i ? ", " : " (");
        if (!rc)
            rc = type_append_column(sql, &schema->columns[i]);
        if (!rc && own_number && i == schema->key[0])
            rc = tl_buf_append_z(sql, " PRIMARY KEY");
    }
    for (size_t i = 0; !rc && !own_number && i < schema->nkey; i++) {
        rc = tl_buf_append_z(sql, i ? ", " : ", PRIMARY KEY (");
        if (!rc)
            rc = type_append_name(sql, schema->columns[schema->key[i]].name);
    }
    if (!rc && !own_number && schema->nkey)
        rc = tl_buf_append_char(sql, ')');
    return rc ? rc : tl_buf_append_char(sql, ')');
}

static int create(struct sink *s, const char *name, const struct tl_schema *schema, struct tl_error *err)
{
    int rc;

    tl_buf_reset(&s->sql);
    rc = append_create(&s->sql, name, schema);
    if (rc)
        return tl_buf_fail(rc, &s->sql, "a statement", err);
    return connection_exec_sql(s, "making a table", err);
}

static int drop(struct sink *s, const char *name, struct tl_error *err)
{
    int rc;

    tl_buf_reset(&s->sql);
    rc = tl_buf_append_z(&s->sql, "DROP TABLE IF EXISTS ");
    if (!rc)
        rc = type_append_name(&s->sql, name);
    if (rc)
        return tl_buf_fail(rc, &s->sql, "a statement", err);
    return connection_exec_sql(s, "dropping a table", err);
}

/* The table of this name that is applied; one that was adopted is only forgotten. */
static int drop_applied(struct sink *s, const char *name, struct tl_error *err)
{
    struct tl_schema *schema;
    bool adopted;

    if (table_get(s, name, &schema, err))
        return -1;
    adopted = schema && schema->adopted;
    tl_schema_free(schema);
    return adopted ? 0 : drop(s, name, err);
}

/* Fails when something that is not ours has the name. */
static int check_way(struct sink *s, const char *table, struct tl_error *err)
{
    sqlite3_stmt *stmt = connection_query(s, QUERY_OBJECT_IN_THE_WAY, err);
    int rc, failed = 0;

    if (!stmt)
        return -1;
    sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW)
        failed = tl_fail(err, TL_E_FATAL, "%s \"%s\" exists and was not made by tload",
                         (const char *)sqlite3_column_text(stmt, 0), table);
    else if (rc != SQLITE_DONE)
        failed = connection_fail(s, rc, "reading the schema", err);
    sqlite3_reset(stmt);
    return failed;
}

static int adopt(struct sink *s, const struct tl_schema *schema, struct tl_error *err)
{
    struct foreign_table *found;
    int rc;

    if (table_foreign(s, schema->table, schema, &found, err))
        return -1;
    rc = found ? foreign_check(found, schema, TL_E_FATAL, err)
               : tl_fail(err, TL_E_FATAL, "there is no table \"%s\" to be adopted", schema->table);
    foreign_free(found);
    return rc;
}

static int make(struct sink *s, const struct tl_schema *schema, struct tl_error *err)
{
    if (schema->adopted)
        return adopt(s, schema, err);
    return check_way(s, schema->table, err) || create(s, schema->table, schema, err) ? -1 : 0;
}

/* `INSERT INTO new (columns) SELECT columns FROM old`, columns by their ids; a TL_BUF_ result. */
static int append_move(struct tl_buf *sql, const struct tl_schema *from, const struct tl_schema *to)
{
    int rc = tl_buf_append_z(sql, "INSERT INTO ");
    size_t n = 0;

    if (!rc)
        rc = type_append_name(sql, new_name);
    for (int pass = 0; !rc && pass < 2; pass++) {
        rc = tl_buf_append_z(sql, pass ? ") SELECT " : " (");
        n = 0;
        for (size_t i = 0; !rc && i < to->ncolumns; i++) {
            int old = tl_schema_find_id(from, to->columns[i].id);

            if (old < 0)
                continue;
            if (n++)
                rc = tl_buf_append_char(sql, ',');
            if (!rc)
                rc = pass ? type_append_widened(sql, &from->columns[old], &to->columns[i])
                          : type_append_name(sql, to->columns[i].name);
        }
    }
    if (!rc)
        rc = tl_buf_append_z(sql, " FROM ");
    return rc ? rc : type_append_name(sql, from->table);
}

static bool columns_remain(const struct tl_schema *from, const struct tl_schema *to)
{
    for (size_t i = 0; i < to->ncolumns; i++)
        if (tl_schema_find_id(from, to->columns[i].id) >= 0)
            return true;
    return false;
}

static int move_rows(struct sink *s, const struct tl_schema *from, const struct tl_schema *to,
                     struct tl_error *err)
{
    int rc;

    if (!columns_remain(from, to))
        return 0;
    tl_buf_reset(&s->sql);
    rc = append_move(&s->sql, from, to);
    if (rc)
        return tl_buf_fail(rc, &s->sql, "a statement", err);
    return connection_exec_sql(s, "moving the rows of a table that is changed", err);
}

static int rename_new(struct sink *s, const char *table, struct tl_error *err)
{
    int rc;

    tl_buf_reset(&s->sql);
    rc = tl_buf_appendf(&s->sql, "ALTER TABLE \"%s\" RENAME TO ", new_name);
    if (!rc)
        rc = type_append_name(&s->sql, table);
    if (rc)
        return tl_buf_fail(rc, &s->sql, "a statement", err);
    return connection_exec_sql(s, "naming a table that is changed", err);
}

/* The statements that made the table's indexes and triggers, each behind the other, with a NUL. */
static int collect_additions(struct sink *s, const char *table, struct tl_buf *all, struct tl_error *err)
{
    sqlite3_stmt *stmt = connection_query(s, QUERY_ADDITIONS, err);
    int rc, failed = 0;

    if (!stmt)
        return -1;
    sqlite3_bind_text(stmt, 1, table, -1, SQLITE_STATIC);
    while (!failed && (rc = sqlite3_step(stmt)) != SQLITE_DONE) {
        if (rc != SQLITE_ROW) {
            failed = connection_fail(s, rc, "reading the schema", err);
        } else {
            rc = tl_buf_append(all, sqlite3_column_text(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0) + 1);
            if (rc)
                failed = tl_buf_fail(rc, all, "the table's indexes and triggers", err);
        }
    }
    sqlite3_reset(stmt);
    return failed;
}

static int make_additions(struct sink *s, const char *table, const struct tl_buf *all, struct tl_error *err)
{
    for (size_t at = 0; at < all->len; at += strlen(all->data + at) + 1) {
        int rc = sqlite3_exec(s->db, all->data + at, NULL, NULL, NULL);

        /* SQLITE_ERROR is the statement's own: it names a column that is gone. */
        if (rc == SQLITE_ERROR || rc == SQLITE_CONSTRAINT)
            tl_warn(s->log, "sink", "table %s has changed, and this can't be made again: %s: %s", table,
                    sqlite3_errmsg(s->db), all->data + at);
        else if (rc)
            return connection_fail(s, rc, "making an index again", err);
    }
    return 0;
}

static int rebuild(struct sink *s, const struct tl_schema *from, const struct tl_schema *to,
                   struct tl_error *err)
{
    struct tl_buf additions;
    int failed;

    tl_buf_init(&additions, SQL_MAX);
    failed = collect_additions(s, from->table, &additions, err) || drop(s, new_name, err) ||
             create(s, new_name, to, err) || move_rows(s, from, to, err) || drop(s, from->table, err) ||
             rename_new(s, to->table, err) || make_additions(s, to->table, &additions, err);
    tl_buf_release(&additions);
    return failed ? -1 : 0;
}

static int exec(struct sink *s, const char *sql, struct tl_error *err)
{
    int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

    return rc ? connection_fail(s, rc, "changing a table", err) : 0;
}

/* 1: ALTER TABLE does not do it, and nothing has happened. */
static int alter(struct sink *s, const struct tl_schema *from, const struct tl_schema *to,
                 struct tl_error *err)
{
    int rc;

    if (!alter_fits(from, to))
        return 1;
    if (exec(s, "SAVEPOINT change", err))
        return -1;
    rc = alter_table(s, from, to, err);
    if (rc > 0 && exec(s, "ROLLBACK TO change", err))
        return -1;
    return rc < 0 || exec(s, "RELEASE change", err) ? -1 : rc;
}

/* From one version of a table to a later one of the same. */
static int change(struct sink *s, const struct tl_schema *to, struct tl_error *err)
{
    struct tl_schema *from;
    int rc;

    if (table_get(s, to->table, &from, err))
        return -1;
    rc = alter(s, from, to, err);
    /* Made anew, one that was adopted would lose what it has beyond the definition. */
    if (rc > 0)
        rc = from->adopted
                 ? tl_fail(err, TL_E_FATAL, "adopted table \"%s\" can't be changed in place", to->table)
                 : rebuild(s, from, to, err);
    tl_schema_free(from);
    return rc;
}

int table_apply(struct sink *s, const struct tl_schema *schema, struct tl_error *err)
{
    struct applied a;
    bool stands;

    if (connection_in_transaction(s, err) || applied_get(s, schema->table, &a, err))
        return -1;
    if (a.table_id > schema->table_id || (a.table_id == schema->table_id && a.version >= schema->version))
        return 0;
    stands = a.table_id != 0 && !a.dropped;
    if (stands && !schema->dropped && a.table_id == schema->table_id) {
        if (change(s, schema, err))
            return -1;
    } else {
        if (stands && drop_applied(s, schema->table, err))
            return -1;
        if (!schema->dropped && make(s, schema, err))
            return -1;
    }
    return table_put(s, schema, err);
}
