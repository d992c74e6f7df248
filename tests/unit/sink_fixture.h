/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * For the tests of what sink.h asks, which run over every sink in sinks.def: an empty place with the sink open on it, and
 * short ways to write rows. What only the sink's own database can tell (values as they were stored, a user's
 * constraint, a full disk) goes through the hooks, one set of them a sink.
 */
#ifndef TESTS_UNIT_SINK_FIXTURE_H
#define TESTS_UNIT_SINK_FIXTURE_H

#include "tests/unit/sink_postgresql.h"
#include "tests/unit/sink_sqlite.h"

static const struct hooks *const all_hooks[] = {&sqlite_hooks, &postgresql_hooks};

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

/* It may be locked. */
static inline int begin_at_last(struct fixture *f, struct sink *s)
{
    int rc;

    while ((rc = f->ops->begin(s, &f->err)) != 0 && f->err.code == TL_E_AGAIN)
        continue;
    return rc;
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
        if (strcmp(all_hooks[i]->scheme, ops->scheme) == 0)
            f->hooks = all_hooks[i];
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

static inline int run_over_sink(const struct sink_ops *ops, const struct sink_test *tests, size_t n)
{
    struct CMUnitTest list[SINK_TESTS_MAX];

    assert_in_range(n, 1, SINK_TESTS_MAX);
    for (size_t k = 0; k < n; k++)
        list[k] = (struct CMUnitTest){.name = tests[k].name,
                                      .test_func = tests[k].run,
                                      .setup_func = tests[k].setup,
                                      .teardown_func = teardown,
                                      .initial_state = (void *)(uintptr_t)ops};
    return _cmocka_run_group_tests(ops->scheme, list, n, NULL, NULL);
}

/* Runs the tests over every sink. */
static inline int run_over_sinks(const struct sink_test *tests, size_t n)
{
    int failed = 0;

    for (size_t i = 0; i < sinks_count; i++)
        failed += run_over_sink(sinks[i], tests, n);
    return failed;
}

#endif
