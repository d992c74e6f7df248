/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Tables that somebody else made: described, adopted, changed and left alone, over every sink. */
#include <sys/stat.h>

#include "tests/unit/sink_fixture.h"

static const char theirs[] =
    "CREATE TABLE orders (id bigint NOT NULL PRIMARY KEY, name text, qty int DEFAULT 7,"
    " extra varchar(9) DEFAULT 'kept', CHECK (qty >= 0))";

static const char adopted_v1[] =
    "{\"table\":\"orders\",\"table_id\":1,\"version\":1,\"adopted\":true,\"columns\":["
    "{\"id\":1,\"name\":\"id\",\"type\":\"bigint\",\"nullable\":false},"
    "{\"id\":2,\"name\":\"name\",\"type\":\"text\"},"
    "{\"id\":3,\"name\":\"qty\",\"type\":\"int\",\"default\":\"7\"}],\"key\":[\"id\"]}";

static void run(struct fixture *f, const char *sql)
{
    f->hooks->query(f, sql);
    assert_string_equal(f->dump.data, "");
}

static struct foreign_table *look(struct fixture *f, struct sink *s, const char *table,
                                  const struct tl_schema *wanted)
{
    struct foreign_table *found;

    OK(f->ops->foreign(s, table, wanted, &found, &f->err));
    return found;
}

static int setup_theirs(void **state)
{
    struct fixture *f;

    setup_open(state);
    f = *state;
    run(f, theirs);
    run(f, "INSERT INTO orders (id, name, qty) VALUES (1, 'before', 1)");
    tl_schema_free(f->orders);
    f->orders = schema_of(f, adopted_v1);
    return 0;
}

static void expect_extra(struct fixture *f, const char *rows)
{
    expect(f, "SELECT id, name, qty, extra FROM orders ORDER BY id", rows);
}

static int count_refused(void *app, int64_t index, const char *reason, struct tl_error *err)
{
    (void)err;
    (void)reason;
    *(int64_t *)app = *(int64_t *)app * 10 + index;
    return 0;
}

static void test_adopted_and_written_to(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *schema;
    int64_t refused = 0;

    apply(f, f->orders);
    OK(f->ops->table(f->sink, "orders", &schema, &f->err));
    assert_true(schema->adopted);
    tl_schema_free(schema);
    put(f, f->orders, "id,name", "1\tagain\n2\tnew\n");
    expect_extra(f, "1|again|1|kept\n2|new|7|kept\n");

    /* What its owner does not allow is still not allowed. */
    OK(f->ops->begin(f->sink, &f->err));
    OK(write_rows(f, f->sink, f->orders, NULL, "3\ta\t3\n4\tb\t-4\n5\tc\t5\n", count_refused, &refused));
    OK(f->ops->commit(f->sink, &f->err));
    assert_int_equal(refused, 1);
    expect_extra(f, "1|again|1|kept\n2|new|7|kept\n3|a|3|kept\n5|c|5|kept\n");
}

static void test_dropped_it_stays(void **state)
{
    struct fixture *f = *state;
    struct foreign_table *found;

    apply(f, f->orders);
    put(f, f->orders, NULL, "2\tnew\t2\n");
    f->orders->version = 2;
    f->orders->dropped = true;
    apply(f, f->orders);
    expect_extra(f, "1|before|1|kept\n2|new|2|kept\n");
    found = look(f, f->sink, "orders", NULL);
    assert_non_null(found);
    foreign_free(found);

    /* And can be adopted anew, also when the word of the drop is missed. */
    for (int id = 2; id < 4; id++) {
        f->orders->table_id = id;
        f->orders->version = 1;
        f->orders->dropped = false;
        apply(f, f->orders);
    }
    put(f, f->orders, NULL, "3\tthird\t3\n");
    expect_extra(f, "1|before|1|kept\n2|new|2|kept\n3|third|3|kept\n");
}

static void refuse(struct fixture *f, const char *why)
{
    struct tl_schema *schema;

    OK(f->ops->begin(f->sink, &f->err));
    FAILS(f->ops->apply_schema(f->sink, f->orders, &f->err), TL_E_FATAL);
    if (!strstr(f->err.text, why))
        fail_msg("\"%s\" is not in \"%s\"", why, f->err.text);
    f->ops->rollback(f->sink);
    OK(f->ops->table(f->sink, "orders", &schema, &f->err));
    assert_null(schema);
}

static void test_not_as_it_was(void **state)
{
    struct fixture *f = *state;

    run(f, "ALTER TABLE orders RENAME COLUMN name TO title");
    refuse(f, "it has no column \"name\"");
    expect(f, "SELECT title FROM orders", "before\n");
    run(f, "DROP TABLE orders");
    refuse(f, "orders");
    run(f, "CREATE VIEW orders AS SELECT 1 AS id");
    refuse(f, "it is a view");
    run(f, "DROP VIEW orders");
}

static void test_changed(void **state)
{
    static const char v2[] =
        "{\"table\":\"orders\",\"table_id\":1,\"version\":2,\"adopted\":true,\"columns\":["
        "{\"id\":1,\"name\":\"id\",\"type\":\"bigint\",\"nullable\":false},"
        "{\"id\":2,\"name\":\"title\",\"type\":\"text\"},"
        "{\"id\":3,\"name\":\"qty\",\"type\":\"int\",\"default\":\"7\"},"
        "{\"id\":4,\"name\":\"price\",\"type\":\"decimal(10,2)\",\"default\":\"1.50\"}],\"key\":[\"id\"]}";
    struct fixture *f = *state;
    int64_t refused = 0;

    apply(f, f->orders);
    apply_json(f, v2);
    put(f, f->orders, NULL, "2\told\t2\n");
    expect(f, "SELECT id, title, qty, extra FROM orders WHERE price = 1.5 ORDER BY id",
           "1|before|1|kept\n2|old|2|kept\n");
    OK(f->ops->begin(f->sink, &f->err));
    OK(write_rows(f, f->sink, f->orders, NULL, "3\ta\t-3\n", count_refused, &refused));
    f->ops->rollback(f->sink);
}

static void test_what_is_there(void **state)
{
    struct fixture *f = *state;
    struct foreign_table *found = look(f, f->sink, "orders", NULL);
    json_t *json;
    char *text;

    assert_non_null(found);
    OK(foreign_definition(found, "orders", &json, &f->err));
    text = json_dumps(json, JSON_COMPACT);
    assert_string_equal(
        text, "{\"table\":\"orders\",\"columns\":["
              "{\"name\":\"id\",\"type\":\"bigint\",\"nullable\":false,\"default\":null},"
              "{\"name\":\"name\",\"type\":\"text\",\"nullable\":true,\"default\":null},"
              "{\"name\":\"qty\",\"type\":\"int\",\"nullable\":true,\"default\":\"7\"},"
              "{\"name\":\"extra\",\"type\":\"varchar(9)\",\"nullable\":true,\"default\":\"kept\"}],"
              "\"key\":[\"id\"],\"notes\":[]}");
    free(text);
    json_decref(json);
    foreign_free(found);
    assert_null(look(f, f->sink, "nothing", NULL));
}

static void test_every_type(void **state)
{
    static const char *const types[] = {"boolean",       "int",         "bigint", "double precision",
                                        "decimal(10,2)", "varchar(5)",  "text",   "date",
                                        "timestamp",     "timestamptz", "uuid"};
    struct fixture *f = *state;
    struct foreign_table *found;
    char sql[400];
    size_t at = (size_t)snprintf(sql, sizeof sql, "CREATE TABLE t (");

    for (size_t i = 0; i < TL_ARRAY_LEN(types); i++)
        at += (size_t)snprintf(sql + at, sizeof sql - at, "%sc%zu %s", i ? ", " : "", i, types[i]);
    snprintf(sql + at, sizeof sql - at, ")");
    run(f, sql);
    found = look(f, f->sink, "t", NULL);
    assert_int_equal(found->ncolumns, TL_ARRAY_LEN(types));
    for (size_t i = 0; i < found->ncolumns; i++) {
        struct tl_type type;

        OK(tl_type_parse(tl_str(types[i]), &type, &f->err));
        assert_true(found->columns[i].mapped && tl_type_eq(&found->columns[i].type, &type));
        assert_true(found->columns[i].nullable && !found->columns[i].default_expr);
    }
    assert_int_equal(found->nkeys, 0);
    foreign_free(found);
}

static void test_keys(void **state)
{
    struct fixture *f = *state;
    struct foreign_table *found;

    run(f, "CREATE TABLE t (a int, b int NOT NULL, c int NOT NULL, d int, PRIMARY KEY (c, b))");
    run(f, "CREATE UNIQUE INDEX one ON t (a)");
    run(f, "CREATE UNIQUE INDEX part ON t (d) WHERE d > 0");
    run(f, "CREATE UNIQUE INDEX computed ON t (abs(d))");
    run(f, "CREATE INDEX many ON t (d)");
    found = look(f, f->sink, "t", NULL);
    assert_int_equal(found->nkeys, 2);
    assert_true(found->keys[0].primary && found->keys[0].ncolumns == 2);
    assert_int_equal(found->keys[0].columns[0], 2);
    assert_int_equal(found->keys[0].columns[1], 1);
    assert_true(!found->keys[1].primary && found->keys[1].ncolumns == 1 && found->keys[1].columns[0] == 0);
    foreign_free(found);
}

static void test_ours_is_not_foreign(void **state)
{
    struct fixture *f = *state;

    assert_null(look(f, f->sink, "orders", NULL));
}

/* Before anything of tload's is there, and without making anything. */
static void test_looked_at_first(void **state)
{
    struct fixture *f = *state;
    struct sink_conf conf = {.url = f->url, .tenant = "acme", .read_only = true, .foreign = true};
    bool sqlite = strcmp(f->ops->scheme, "sqlite") == 0;
    struct foreign_table *found;
    struct sink *s;

    if (sqlite) {
        char path[128];
        sqlite3 *db;

        assert_null(f->ops->open(&conf, &f->err));
        assert_int_equal(f->err.code, TL_E_NOT_FOUND);
        sqlite_path(f, "", path);
        *strrchr(path, '/') = '\0';
        assert_int_equal(mkdir(path, 0700), 0);
        sqlite_path(f, "", path);
        assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
        assert_int_equal(sqlite3_exec(db, theirs, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(db);
    } else {
        run(f, "CREATE SCHEMA acme");
        run(f, theirs);
    }
    s = f->ops->open(&conf, &f->err);
    assert_non_null(s);
    found = look(f, s, "orders", f->orders);
    assert_non_null(found);
    assert_int_equal(found->ncolumns, 4);
    foreign_free(found);
    f->ops->close(s);
    conf.foreign = false;
    assert_null(f->ops->open(&conf, &f->err));
    assert_int_equal(f->err.code, TL_E_NOT_FOUND);
}

static const struct sink_test all[] = {
    {"adopted_and_written_to", test_adopted_and_written_to, setup_theirs},
    {"dropped_it_stays", test_dropped_it_stays, setup_theirs},
    {"not_as_it_was", test_not_as_it_was, setup_theirs},
    {"changed", test_changed, setup_theirs},
    {"what_is_there", test_what_is_there, setup_theirs},
    {"every_type", test_every_type, setup_open},
    {"keys", test_keys, setup_open},
    {"ours_is_not_foreign", test_ours_is_not_foreign, setup_orders},
    {"looked_at_first", test_looked_at_first, setup},
};

/* --- SQLite's own --- */

static void test_sqlite_types(void **state)
{
    struct fixture *f = *state;
    /* wanted NULL: what it is by itself; type NULL: none of ours. */
    static const struct {
        const char *declared, *wanted, *type;
    } cases[] = {
        {"INTEGER", NULL, "bigint"},
        {"INTEGER", "int", "int"},
        {"INTEGER", "boolean", "bigint"},
        {"TEXT", NULL, "text"},
        {"TEXT", "date", "date"},
        {"text", "decimal(20,2)", "decimal(20,2)"},
        {"TEXT", "json", "json"},
        {"TEXT", "decimal(10,2)", "text"},
        {"REAL", NULL, "double"},
        {"BLOB", NULL, "bytea"},
        {"DECIMAL(10, 2)", NULL, "decimal(10,2)"},
        {"DECIMAL(20,2)", NULL, NULL},
        {"JSON", "json", NULL},
        {"SMALLINT", "int", NULL},
        {"", "text", NULL},
    };

    for (size_t i = 0; i < TL_ARRAY_LEN(cases); i++) {
        char json[200], sql[80], format[TL_TYPE_FORMAT];
        struct tl_schema *wanted = NULL;
        struct foreign_table *found;

        snprintf(sql, sizeof sql, "CREATE TABLE t%zu (ID %s)", i, cases[i].declared);
        run(f, sql);
        if (cases[i].wanted) {
            snprintf(json, sizeof json, "{\"table\":\"t\",\"columns\":[{\"name\":\"id\",\"type\":\"%s\"}]}",
                     cases[i].wanted);
            wanted = schema_of(f, json);
        }
        snprintf(sql, sizeof sql, "t%zu", i);
        found = look(f, f->sink, sql, wanted);
        assert_string_equal(found->columns[0].name, "id");
        assert_int_equal(found->columns[0].mapped, cases[i].type != NULL);
        if (cases[i].type) {
            tl_type_format(&found->columns[0].type, format);
            assert_string_equal(format, cases[i].type);
        }
        foreign_free(found);
        tl_schema_free(wanted);
    }
}

static void test_sqlite_keys(void **state)
{
    struct fixture *f = *state;
    struct foreign_table *found;

    run(f, "CREATE TABLE a (k INTEGER PRIMARY KEY, v TEXT UNIQUE)");
    found = look(f, f->sink, "a", NULL);
    assert_int_equal(found->nkeys, 2);
    assert_true(found->keys[0].primary && !found->columns[0].nullable && found->columns[0].numbered);
    foreign_free(found);
    run(f, "CREATE TABLE b (k TEXT COLLATE NOCASE PRIMARY KEY)");
    found = look(f, f->sink, "b", NULL);
    assert_int_equal(found->nkeys, 0);
    foreign_free(found);
}

/* What would take making it anew is refused, by control before and by the sink in any case. */
static void test_sqlite_changes_in_place_alone(void **state)
{
    static const char v2[] =
        "{\"table\":\"orders\",\"table_id\":1,\"version\":2,\"adopted\":true,\"columns\":["
        "{\"id\":1,\"name\":\"id\",\"type\":\"bigint\",\"nullable\":false},"
        "{\"id\":3,\"name\":\"qty\",\"type\":\"int\",\"default\":\"7\"}],\"key\":[\"id\"]}";
    struct fixture *f = *state;
    struct tl_schema *next = schema_of(f, v2);

    apply(f, f->orders);
    FAILS(f->ops->alter_check(f->orders, next, &f->err), TL_E_REFUSED);
    OK(f->ops->begin(f->sink, &f->err));
    FAILS(f->ops->apply_schema(f->sink, next, &f->err), TL_E_FATAL);
    f->ops->rollback(f->sink);
    expect_extra(f, "1|before|1|kept\n");
    tl_schema_free(next);
}

/* --- PostgreSQL's own --- */

static void test_postgresql_types(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *declared, *type;
    } cases[] = {
        {"smallint", NULL},     {"real", NULL},
        {"numeric", NULL},      {"numeric(10,2)", "decimal(10,2)"},
        {"numeric(2,5)", NULL}, {"character varying", "text"},
        {"char(3)", NULL},      {"timestamp(3)", NULL},
        {"jsonb", NULL},        {"json", "json"},
        {"bytea", "bytea"},     {"int[]", NULL},
        {"interval", NULL},     {"citizen", NULL},
    };

    run(f, "CREATE DOMAIN citizen AS text CHECK (value <> '')");
    for (size_t i = 0; i < TL_ARRAY_LEN(cases); i++) {
        char sql[80], format[TL_TYPE_FORMAT];
        struct foreign_table *found;

        snprintf(sql, sizeof sql, "CREATE TABLE t%zu (id %s)", i, cases[i].declared);
        run(f, sql);
        snprintf(sql, sizeof sql, "t%zu", i);
        found = look(f, f->sink, sql, NULL);
        if (found->columns[0].mapped != (cases[i].type != NULL))
            fail_msg("%s", cases[i].declared);
        if (cases[i].type) {
            tl_type_format(&found->columns[0].type, format);
            assert_string_equal(format, cases[i].type);
        }
        foreign_free(found);
    }
}

static void test_postgresql_defaults(void **state)
{
    /* value NULL: the database's own */
    static const struct {
        const char *sql, *value;
    } cases[] = {
        {"int DEFAULT -5", "-5"},
        {"numeric(9,2) DEFAULT 1.5", "1.50"},
        {"text DEFAULT 'it''s \\n'", "it's \\n"},
        {"varchar(9) DEFAULT 'x'", "x"},
        {"boolean DEFAULT true", "t"},
        {"date DEFAULT '2026-01-31'", "2026-01-31"},
        {"timestamptz DEFAULT '2026-01-31 12:00:00+02'", "2026-01-31 10:00:00+00"},
        {"bytea DEFAULT '\\x00ff'", "\\x00ff"},
        {"double precision DEFAULT 0.1", "0.1"},
        {"timestamptz DEFAULT now()", NULL},
        {"int GENERATED BY DEFAULT AS IDENTITY", NULL},
        {"serial", NULL},
    };
    struct fixture *f = *state;
    char sql[200];

    snprintf(sql, sizeof sql, "ALTER DATABASE %s SET DateStyle = 'German'", f->dir);
    run(f, sql);
    f->ops->close(f->sink);
    f->sink = open_sink(f, false);
    for (size_t i = 0; i < TL_ARRAY_LEN(cases); i++) {
        struct foreign_table *found;
        char *value;

        snprintf(sql, sizeof sql, "CREATE TABLE t%zu (c %s)", i, cases[i].sql);
        run(f, sql);
        snprintf(sql, sizeof sql, "t%zu", i);
        found = look(f, f->sink, sql, NULL);
        assert_non_null(found->columns[0].default_expr);
        assert_int_equal(
            foreign_constant(found->columns[0].default_expr, &found->columns[0].type, &value, &f->err),
            cases[i].value != NULL);
        if (cases[i].value)
            assert_string_equal(value, cases[i].value);
        free(value);
        foreign_free(found);
    }
}

static void test_postgresql_obstacles(void **state)
{
    static const char *const cases[][3] = {
        {"CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY)", "", "DROP TABLE t"},
        {"CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id)", "", "DROP TABLE t"},
        {"CREATE UNLOGGED TABLE t (id int)", "it is unlogged: a crash of the server would empty it",
         "DROP TABLE t"},
        {"CREATE MATERIALIZED VIEW t AS SELECT 1 AS id", "it is a materialized view",
         "DROP MATERIALIZED VIEW t"},
        {"CREATE SEQUENCE t", "it is no table", "DROP SEQUENCE t"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < TL_ARRAY_LEN(cases); i++) {
        struct foreign_table *found;

        f->hooks->query(f, cases[i][0]);
        found = look(f, f->sink, "t", NULL);
        assert_non_null(found);
        assert_string_equal(found->obstacle, cases[i][1]);
        if (i == 0)
            assert_true(found->columns[0].computed);
        foreign_free(found);
        run(f, cases[i][2]);
    }
    run(f, "CREATE TABLE t (id int, CONSTRAINT late UNIQUE (id) DEFERRABLE)");
    {
        struct foreign_table *found = look(f, f->sink, "t", NULL);

        assert_int_equal(found->nkeys, 0);
        foreign_free(found);
    }
}

/* Whoever looks has somebody waiting for the answer. */
static void test_postgresql_patience(void **state)
{
    struct fixture *f = *state;
    struct sink_conf conf = {
        .url = f->url, .tenant = "acme", .read_only = true, .foreign = true, .patience_ms = 300};
    PGconn *holder = postgresql_connect(f->url);
    struct foreign_table *found;
    struct sink *s = f->ops->open(&conf, &f->err);

    assert_non_null(s);
    PQclear(postgresql_run(holder, "BEGIN; LOCK TABLE pg_catalog.pg_attrdef IN ACCESS EXCLUSIVE MODE"));
    FAILS(f->ops->foreign(s, "orders", NULL, &found, &f->err), TL_E_UNAVAILABLE);
    assert_null(found);
    f->ops->close(s);
    PQfinish(holder);
}

static const struct sink_test sqlite_own[] = {
    {"types", test_sqlite_types, setup_open},
    {"keys", test_sqlite_keys, setup_open},
    {"changes_in_place_alone", test_sqlite_changes_in_place_alone, setup_theirs},
};

static const struct sink_test postgresql_own[] = {
    {"types", test_postgresql_types, setup_open},
    {"defaults", test_postgresql_defaults, setup_open},
    {"obstacles", test_postgresql_obstacles, setup_open},
    {"patience", test_postgresql_patience, setup_theirs},
};

int main(void)
{
    return run_over_sinks(all, TL_ARRAY_LEN(all)) +
           run_over_sink(&sink_sqlite, sqlite_own, TL_ARRAY_LEN(sqlite_own)) +
           run_over_sink(&sink_postgresql, postgresql_own, TL_ARRAY_LEN(postgresql_own));
}
