/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For the tests of what sink.h asks, which run over every sink in sinks.def: an empty place with the sink open on it, and
 * short ways to write rows. What only the sink's own database can tell (values as they were stored, a user's
 * constraint, a full disk) goes through the hooks, one set of them a sink.
 */
#ifndef TESTS_UNIT_SINK_FIXTURE_H
#define TESTS_UNIT_SINK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "coordinatord/sinks/sinks.h"
#include "coordinatord/sinks/sqlite/connection.h"

struct fixture {
    const struct sink_ops *ops;
    const struct hooks *hooks;
    char dir[64];
    char url[80];
    struct sink *sink;
    struct tl_buf dump;
    struct tl_schema *orders;
    struct tl_error err;
};

struct hooks {
    const char *scheme;
    void (*make_place)(struct fixture *f);
    void (*remove_place)(struct fixture *f);
    /* Rows of a query as `a|b\n`, null as NULL, into f->dump; "no such table" when that is the case. */
    void (*query)(struct fixture *f, const char *sql);
    /* Something that refuses rows of "orders" whose qty is negative, saying "qty is negative". */
    void (*add_check)(struct fixture *f);
    /* No more room for this connection; and again room. */
    void (*fill_disk)(struct sink *s);
    void (*free_disk)(struct sink *s);
    const char *edge_values; /* as query gives them: test_types */
};

/* --- sqlite --- */

static inline void sqlite_make_place(struct fixture *f)
{
    snprintf(f->dir, sizeof f->dir, "/tmp/tload-sink-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->url, sizeof f->url, "sqlite:%s/data", f->dir);
}

static inline void sqlite_path(struct fixture *f, const char *suffix, char out[128])
{
    snprintf(out, 128, "%s/data/acme.db%s", f->dir, suffix);
}

static inline void sqlite_remove_place(struct fixture *f)
{
    static const char *const suffixes[] = {"", "-wal", "-shm"};
    char path[128];

    for (size_t i = 0; i < TL_ARRAY_LEN(suffixes); i++) {
        sqlite_path(f, suffixes[i], path);
        unlink(path);
    }
    snprintf(path, sizeof path, "%s/data", f->dir);
    rmdir(path);
    assert_int_equal(rmdir(f->dir), 0);
}

static inline void append_value(struct tl_buf *out, sqlite3_stmt *stmt, int column)
{
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL) {
        assert_int_equal(tl_buf_append_z(out, "NULL"), 0);
    } else if (sqlite3_column_type(stmt, column) == SQLITE_BLOB) {
        const unsigned char *bytes = sqlite3_column_blob(stmt, column);

        for (int i = 0; i < sqlite3_column_bytes(stmt, column); i++)
            assert_int_equal(tl_buf_appendf(out, "%02x", bytes[i]), 0);
    } else {
        assert_int_equal(tl_buf_append_z(out, (const char *)sqlite3_column_text(stmt, column)), 0);
    }
}

static inline void sqlite_query(struct fixture *f, const char *sql)
{
    char path[128];
    sqlite3 *db;
    sqlite3_stmt *stmt;
    int rc;

    tl_buf_reset(&f->dump);
    sqlite_path(f, "", path);
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    sqlite3_busy_timeout(db, 5000);
    rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc && strstr(sqlite3_errmsg(db), "no such table"))
        assert_int_equal(tl_buf_append_z(&f->dump, "no such table"), 0);
    else
        assert_int_equal(rc, SQLITE_OK);
    while (!rc && sqlite3_step(stmt) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(stmt); i++) {
            assert_int_equal(tl_buf_append(&f->dump, "|", i ? 1 : 0), 0);
            append_value(&f->dump, stmt, i);
        }
        assert_int_equal(tl_buf_append_char(&f->dump, '\n'), 0);
    }
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(tl_buf_terminate(&f->dump), 0);
}

static inline void sqlite_add_check(struct fixture *f)
{
    sqlite_query(f, "CREATE TRIGGER no_negative BEFORE INSERT ON orders WHEN NEW.qty < 0 "
                    "BEGIN SELECT RAISE(ABORT, 'qty is negative'); END");
}

static inline void sqlite_fill_disk(struct sink *s)
{
    assert_int_equal(sqlite3_exec(s->db, "PRAGMA max_page_count = 1", NULL, NULL, NULL), SQLITE_OK);
}

static inline void sqlite_free_disk(struct sink *s)
{
    assert_int_equal(sqlite3_exec(s->db, "PRAGMA max_page_count = 1000000", NULL, NULL, NULL), SQLITE_OK);
}

static const struct hooks all_hooks[] = {
    {
        .scheme = "sqlite",
        .make_place = sqlite_make_place,
        .remove_place = sqlite_remove_place,
        .query = sqlite_query,
        .add_check = sqlite_add_check,
        .fill_disk = sqlite_fill_disk,
        .free_disk = sqlite_free_disk,
        .edge_values =
            "1|integer|-2147483648|integer|-9223372036854775808|integer|0.1|real|"
            "12345678.9|real|12345678901234567890.123456789|text|007|text|\t\n\\|text|"
            "0001-01-01|text|2026-01-31 12:00:00.5|text|2026-01-31 12:00:00+00|text|"
            "123e4567-e89b-12d3-a456-426614174000|text|{\"a\": \"\\n\"}|text|00ff10|blob\n"
            "0|integer|2147483647|integer|9223372036854775807|integer|NaN|text|"
            "-99999999.99|real|0.000000000|text|1e5|text||text|"
            "9999-12-31|text|0001-01-01 00:00:00|text|9999-12-31 23:59:59.999999+00|text|"
            "00000000-0000-0000-0000-000000000000|text|1.0|text||blob\n"
            "NULL|null|NULL|null|NULL|null|-Inf|real|5|integer|NULL|null|NULL|null|\xC3\xA9\xF0\x9F\x98\x80|text|"
            "NULL|null|NULL|null|NULL|null|NULL|null|NULL|null|NULL|null\n",
    },
};

/* --- helpers --- */

#define OK(call)                                    \
    do {                                            \
        if (call)                                   \
            fail_msg("%s: %s", #call, f->err.text); \
    } while (0)
#define FAILS(call, error)                      \
    do {                                        \
        f->err.code = TL_E_NONE;                \
        assert_int_equal((call), -1);           \
        assert_int_equal(f->err.code, (error)); \
    } while (0)

static const char orders_v1[] =
    "{\"table\":\"orders\",\"table_id\":1,\"version\":1,\"columns\":["
    "{\"id\":1,\"name\":\"id\",\"type\":\"bigint\",\"nullable\":false},"
    "{\"id\":2,\"name\":\"name\",\"type\":\"text\"},"
    "{\"id\":3,\"name\":\"qty\",\"type\":\"int\",\"default\":\"7\"}],\"key\":[\"id\"]}";

static inline struct tl_schema *schema_of(struct fixture *f, const char *json)
{
    struct tl_schema *schema;

    OK(tl_schema_from_text(tl_str(json), &schema, &f->err));
    return schema;
}

static inline struct sink *open_sink(struct fixture *f, bool read_only)
{
    struct sink_conf conf = {.url = f->url, .tenant = "acme", .read_only = read_only};

    return f->ops->open(&conf, &f->err);
}

static inline void apply(struct fixture *f, const struct tl_schema *schema)
{
    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->apply_schema(f->sink, schema, &f->err));
    OK(f->ops->commit(f->sink, &f->err));
}

static inline void apply_json(struct fixture *f, const char *json)
{
    struct tl_schema *schema = schema_of(f, json);

    apply(f, schema);
    tl_schema_free(schema);
}

/* A batch of rows whose fields are the columns named, all when columns is NULL. */
static inline int write_rows(struct fixture *f, struct sink *s, const struct tl_schema *schema,
                             const char *columns, const char *rows,
                             int (*refused)(void *, int64_t, const char *, struct tl_error *), void *app)
{
    uint32_t *ids = calloc(schema->ncolumns, sizeof *ids);
    struct sink_batch batch = {
        .schema = schema, .column_ids = ids, .rows = tl_str(rows), .refused = refused, .app = app};
    struct tl_str rest = tl_str(columns);
    int rc;

    assert_non_null(ids);
    for (size_t i = 0; !columns && i < schema->ncolumns; i++)
        ids[batch.ncolumns++] = schema->columns[i].id;
    while (rest.ptr) {
        int at = tl_schema_find(schema, tl_str_cut(&rest, ','));

        assert_true(at >= 0);
        ids[batch.ncolumns++] = schema->columns[at].id;
    }
    for (const char *p = rows; *p; p++)
        batch.nrows += *p == '\n';
    rc = f->ops->write(s, &batch, &f->err);
    free(ids);
    return rc;
}

static inline void put(struct fixture *f, const struct tl_schema *schema, const char *columns,
                       const char *rows)
{
    OK(f->ops->begin(f->sink, &f->err));
    OK(write_rows(f, f->sink, schema, columns, rows, NULL, NULL));
    OK(f->ops->commit(f->sink, &f->err));
}

static inline void expect(struct fixture *f, const char *sql, const char *rows)
{
    f->hooks->query(f, sql);
    assert_string_equal(f->dump.data, rows);
}

static inline void expect_orders(struct fixture *f, const char *rows)
{
    expect(f, "SELECT id, name, qty FROM orders ORDER BY id", rows);
}

static inline int setup(void **state)
{
    const struct sink_ops *ops = *state;
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->ops = ops;
    for (size_t i = 0; i < TL_ARRAY_LEN(all_hooks); i++)
        if (strcmp(all_hooks[i].scheme, ops->scheme) == 0)
            f->hooks = &all_hooks[i];
    assert_non_null(f->hooks);
    tl_buf_init(&f->dump, 10 * 1024 * 1024);
    f->hooks->make_place(f);
    f->orders = schema_of(f, orders_v1);
    *state = f;
    return 0;
}

static inline int setup_open(void **state)
{
    struct fixture *f;

    setup(state);
    f = *state;
    f->sink = open_sink(f, false);
    assert_non_null(f->sink);
    return 0;
}

static inline int setup_orders(void **state)
{
    setup_open(state);
    apply(*state, ((struct fixture *)*state)->orders);
    return 0;
}

static inline int teardown(void **state)
{
    struct fixture *f = *state;

    f->ops->close(f->sink);
    f->hooks->remove_place(f);
    tl_schema_free(f->orders);
    tl_buf_release(&f->dump);
    free(f);
    return 0;
}

struct sink_test {
    const char *name;
    CMUnitTestFunction run;
    CMFixtureFunction setup;
};

enum { SINK_TESTS_MAX = 40 };

/* Runs the tests over every sink. */
static inline int run_over_sinks(const struct sink_test *tests, size_t n)
{
    int failed = 0;

    assert_in_range(n, 1, SINK_TESTS_MAX);
    for (size_t i = 0; i < sinks_count; i++) {
        struct CMUnitTest list[SINK_TESTS_MAX];

        for (size_t k = 0; k < n; k++)
            list[k] = (struct CMUnitTest){.name = tests[k].name,
                                          .test_func = tests[k].run,
                                          .setup_func = tests[k].setup,
                                          .teardown_func = teardown,
                                          .initial_state = (void *)(uintptr_t)sinks[i]};
        failed += _cmocka_run_group_tests(sinks[i]->scheme, list, n, NULL, NULL);
    }
    return failed;
}

#endif
