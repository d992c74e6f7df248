/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tables that somebody else made. SQLite takes any word for a type, and what is stored hangs on its affinity, so a
 * declared type is ours in one of two ways: it is what we declare for the type that is wanted (INTEGER for an int,
 * TEXT for a date), or it says a type whose values its affinity leaves as they are.
 *
 * SQLite does not tell upper from lower case in names; here they are in lower case.
 */
#include "coordinatord/sinks/sqlite/connection.h"

/* Words that mean something else in SQLite than in a definition, or nothing there. */
static const struct {
    const char *declared;
    enum tl_type_id id;
} sqlite_types[] = {
    {"integer", TL_TYPE_BIGINT}, {"real", TL_TYPE_DOUBLE}, {"float", TL_TYPE_DOUBLE},
    {"blob", TL_TYPE_BYTEA},     {"clob", TL_TYPE_TEXT},   {"datetime", TL_TYPE_TIMESTAMP},
};

/* A statement whose parameter is a name, or NULL with *err. */
static sqlite3_stmt *ask(struct sink *s, const char *sql, const char *name, struct tl_error *err)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL);

    if (rc) {
        connection_fail(s, rc, "reading the schema", err);
        return NULL;
    }
    sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
    return stmt;
}

/* Ends the statement; -1 with *err when its last step was a failure. */
static int done(struct sink *s, sqlite3_stmt *stmt, int rc, struct tl_error *err)
{
    int failed = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0
                                                       : connection_fail(s, rc, "reading the schema", err);

    sqlite3_finalize(stmt);
    return failed;
}

static const char *text(sqlite3_stmt *stmt, int column)
{
    const char *t = (const char *)sqlite3_column_text(stmt, column);

    return t ? t : "";
}

/* --- types --- */

/* Numbers look like numbers in a column without an affinity for text, and are kept as such. */
static bool affinity_leaves(const struct tl_type *type)
{
    return type->id != TL_TYPE_JSON && (type->id != TL_TYPE_DECIMAL || type_is_number(type));
}

static bool map_type(const char *declared, const struct tl_type *wanted, struct tl_type *type)
{
    struct tl_error ignored;

    if (wanted && type_is_declared(wanted, declared)) {
        *type = *wanted;
        return true;
    }
    *type = (struct tl_type){0};
    for (size_t i = 0; i < TL_ARRAY_LEN(sqlite_types); i++)
        if (strcasecmp(declared, sqlite_types[i].declared) == 0) {
            type->id = sqlite_types[i].id;
            return true;
        }
    return tl_type_parse(tl_str(declared), type, &ignored) == 0 && affinity_leaves(type) &&
           type->id != TL_TYPE_BYTEA;
}

/* --- columns and keys --- */

static void lower(char *name)
{
    for (; *name; name++)
        if (*name >= 'A' && *name <= 'Z')
            *name = (char)(*name + ('a' - 'A'));
}

static int add_column(sqlite3_stmt *stmt, const struct tl_schema *wanted, struct foreign_table *t,
                      struct tl_error *err)
{
    const char *default_expr = (const char *)sqlite3_column_text(stmt, 3);
    struct foreign_column *c = foreign_add(t, text(stmt, 0), text(stmt, 1), default_expr, err);
    int at;

    if (!c)
        return -1;
    lower(c->name);
    at = wanted ? tl_schema_find(wanted, tl_str(c->name)) : -1;
    c->mapped = map_type(c->declared, at < 0 ? NULL : &wanted->columns[at].type, &c->type);
    /* A null in a primary key is SQLite's own idea; nobody means it. */
    c->nullable = !sqlite3_column_int(stmt, 2) && !sqlite3_column_int(stmt, 4);
    c->computed = sqlite3_column_int(stmt, 5) != 0;
    return 0;
}

static int read_columns(struct sink *s, const char *table, const struct tl_schema *wanted,
                        struct foreign_table *t, struct tl_error *err)
{
    sqlite3_stmt *stmt = ask(
        s,
        "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?1)"
        " ORDER BY cid",
        table, err);
    int rc;

    if (!stmt)
        return -1;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW)
        if (add_column(stmt, wanted, t, err)) {
            sqlite3_finalize(stmt);
            return -1;
        }
    return done(s, stmt, rc, err);
}

/* The rows of the statement are (which key, is it the primary one, a column or null), each key's together. */
static int read_keys(struct sink *s, const char *table, const char *sql, struct foreign_table *t,
                     struct tl_error *err)
{
    sqlite3_stmt *stmt = ask(s, sql, table, err);
    struct foreign_key *key = NULL;
    int rc, last = -1;

    if (!stmt)
        return -1;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        char name[TL_NAME_MAX + 1] = "";

        if (sqlite3_column_int(stmt, 0) != last) {
            last = sqlite3_column_int(stmt, 0);
            key = foreign_add_key(t, sqlite3_column_int(stmt, 1) != 0);
        }
        snprintf(name, sizeof name, "%s", text(stmt, 2));
        lower(name);
        if (key && !foreign_key_add(t, key, name))
            key = NULL;
    }
    return done(s, stmt, rc, err);
}

/* An INTEGER PRIMARY KEY has no index; others that compare text in a way of their own are no keys for us. */
static const char number_key[] = "SELECT 0, 1, name FROM pragma_table_xinfo(?1) WHERE pk = 1 AND NOT EXISTS"
                                 " (SELECT 1 FROM pragma_index_list(?1) WHERE origin = 'pk')";
static const char index_keys[] =
    "SELECT seq, origin = 'pk', name FROM (SELECT l.seq, l.origin, x.seqno,"
    " CASE WHEN x.coll = 'BINARY' THEN x.name END AS name"
    " FROM pragma_index_list(?1) AS l, pragma_index_xinfo(l.name) AS x"
    " WHERE l.\"unique\" AND NOT l.partial AND x.key) ORDER BY origin <> 'pk', seq, seqno";

static int read_all_keys(struct sink *s, const char *table, struct foreign_table *t, struct tl_error *err)
{
    if (read_keys(s, table, number_key, t, err))
        return -1;
    if (t->nkeys)
        t->columns[t->keys[0].columns[0]].numbered = true;
    return read_keys(s, table, index_keys, t, err);
}

/* --- the table --- */

/* 1: made by us, and no one else's; 0; -1 with *err. */
static int is_ours(struct sink *s, const char *table, struct tl_error *err)
{
    sqlite3_stmt *stmt = ask(s, "SELECT 1 FROM sqlite_schema WHERE name = ?1", "_tload_tables", err);
    struct tl_schema *schema = NULL;
    int rc;

    if (!stmt)
        return -1;
    rc = sqlite3_step(stmt);
    if (done(s, stmt, rc, err))
        return -1;
    if (rc == SQLITE_ROW && table_get(s, table, &schema, err))
        return -1;
    rc = schema && !schema->dropped && !schema->adopted;
    tl_schema_free(schema);
    return rc;
}

static int find_obstacle(struct sink *s, const char *table, struct foreign_table **out, struct tl_error *err)
{
    sqlite3_stmt *stmt = ask(
        s,
        "SELECT CASE WHEN type <> 'table' THEN 'it is a' || substr('n', 1, type = 'index') ||"
        " ' ' || type WHEN sql LIKE 'create virtual %' THEN 'it is a virtual table' ELSE '' END"
        " FROM sqlite_schema WHERE name = ?1 COLLATE NOCASE",
        table, err);
    int rc;

    if (!stmt)
        return -1;
    rc = sqlite3_step(stmt);
    if (rc == SQLITE_ROW) {
        *out = foreign_new(err);
        if (!*out) {
            sqlite3_finalize(stmt);
            return -1;
        }
        snprintf((*out)->obstacle, sizeof(*out)->obstacle, "%s", text(stmt, 0));
    }
    return done(s, stmt, rc, err);
}

static int read_foreign(struct sink *s, const char *table, const struct tl_schema *wanted,
                        struct foreign_table **out, struct tl_error *err)
{
    int ours = is_ours(s, table, err);

    if (ours)
        return ours < 0 ? -1 : 0;
    if (find_obstacle(s, table, out, err) == 0 &&
        (!*out || (*out)->obstacle[0] ||
         (read_columns(s, table, wanted, *out, err) == 0 && read_all_keys(s, table, *out, err) == 0)))
        return 0;
    foreign_free(*out);
    *out = NULL;
    return -1;
}

int table_foreign(struct sink *s, const char *table, const struct tl_schema *wanted,
                  struct foreign_table **out, struct tl_error *err)
{
    /* All of one moment: a table of ours that the sink makes meanwhile would look like somebody else's. */
    bool own = sqlite3_get_autocommit(s->db);
    int rc;

    *out = NULL;
    if (own && (rc = sqlite3_exec(s->db, "BEGIN", NULL, NULL, NULL)) != SQLITE_OK)
        return connection_fail(s, rc, "reading the schema", err);
    rc = read_foreign(s, table, wanted, out, err);
    if (own)
        connection_rollback(s);
    return rc;
}

int table_alter_check(const struct tl_schema *from, const struct tl_schema *to, struct tl_error *err)
{
    if (alter_fits(from, to))
        return 0;
    return tl_fail(
        err, TL_E_REFUSED,
        "table \"%s\" was adopted, and SQLite can't change it like this without making it anew: columns"
        " can be added behind the others, renamed, and widened to a type that is stored alike",
        from->table);
}
