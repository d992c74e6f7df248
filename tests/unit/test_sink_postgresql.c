/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What only PostgreSQL does, and what it takes from several connections at once. */
#include <pthread.h>

#include "shared/base/clock.h"
#include "tests/unit/sink_fixture.h"

static void test_urls(void **state)
{
    static const char *const wrong[] = {"postgresql:",
                                        "postgresql:x",
                                        "postgresql://h/d?nothing=1",
                                        "postgresql://u:secret@h/d?nothing=1",
                                        "postgresql://u:secret@[::1/d",
                                        "postgresql://u@h/d?password=secret&nothing=1",
                                        "postgresql://u:secret%zz@h/d"};
    static const char *const right[] = {"postgresql:///d", "postgres://u@h:1/d",
                                        "postgresql://u:secret@h,g/d?passfile=/p"};
    struct fixture *f = *state;

    for (size_t i = 0; i < TL_ARRAY_LEN(wrong); i++) {
        if (f->ops->check_url(wrong[i], &f->err) == 0)
            fail_msg("%s", wrong[i]);
        assert_int_equal(f->err.code, TL_E_REFUSED);
        assert_non_null(strstr(f->err.text, "expected postgresql://"));
        assert_null(strstr(f->err.text, "secret"));
    }
    for (size_t i = 0; i < TL_ARRAY_LEN(right); i++) {
        OK(f->ops->check_url(right[i], &f->err));
        assert_ptr_equal(sink_for_url(right[i], &f->err), f->ops);
    }
}

static struct sink *open_tenant(struct fixture *f, const char *tenant)
{
    struct sink_conf conf = {.url = f->url, .tenant = tenant};

    return f->ops->open(&conf, &f->err);
}

static void test_tenants(void **state)
{
    static const char *const taken[] = {"tload", "information_schema", "pg_catalog", "pg_x"};
    struct fixture *f = *state;
    struct sink *other = open_tenant(f, "a-b");
    struct sink *mine = f->sink;

    assert_non_null(other);
    put(f, f->orders, NULL, "1\tacme\t1\n");
    f->sink = other;
    apply(f, f->orders);
    put(f, f->orders, NULL, "1\tother\t1\n");
    f->sink = mine;
    f->ops->close(other);
    expect(f, "SELECT name FROM acme.orders UNION ALL SELECT name FROM \"a-b\".orders", "acme\nother\n");
    expect(f, "SELECT tenant FROM tload.tables ORDER BY 1", "a-b\nacme\n");
    for (size_t i = 0; i < TL_ARRAY_LEN(taken); i++) {
        assert_null(open_tenant(f, taken[i]));
        assert_int_equal(f->err.code, TL_E_FATAL);
    }
}

struct opener {
    struct fixture *f;
    pthread_barrier_t *start;
    struct sink *sink;
    struct tl_error err;
};

static void *open_one(void *arg)
{
    struct opener *o = arg;
    struct sink_conf conf = {.url = o->f->url, .tenant = "acme"};

    pthread_barrier_wait(o->start);
    o->sink = o->f->ops->open(&conf, &o->err);
    return NULL;
}

/* In a database without anything, so that each of them finds that all is to be made. */
static void test_opened_at_once(void **state)
{
    enum { OPENERS = 6 };
    struct opener openers[OPENERS];
    struct fixture *f = *state;
    pthread_t threads[OPENERS];
    pthread_barrier_t start;

    pthread_barrier_init(&start, NULL, OPENERS);
    for (int i = 0; i < OPENERS; i++) {
        openers[i] = (struct opener){.f = f, .start = &start};
        assert_int_equal(pthread_create(&threads[i], NULL, open_one, &openers[i]), 0);
    }
    for (int i = 0; i < OPENERS; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < OPENERS; i++) {
        if (!openers[i].sink)
            fail_msg("%s", openers[i].err.text);
        f->ops->close(openers[i].sink);
    }
    pthread_barrier_destroy(&start);
    expect(f, "SELECT count(*), max(version) FROM tload.layout", "1|2\n");
}

static void test_applied_at_once(void **state)
{
    struct fixture *f = *state;
    struct sink *other = open_sink(f, false);

    assert_non_null(other);
    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->apply_schema(f->sink, f->orders, &f->err));
    OK(f->ops->begin(other, &f->err));
    FAILS(f->ops->apply_schema(other, f->orders, &f->err), TL_E_LOCKED);
    f->ops->rollback(other);
    OK(f->ops->commit(f->sink, &f->err));
    OK(f->ops->begin(other, &f->err));
    OK(f->ops->apply_schema(other, f->orders, &f->err));
    OK(write_rows(f, other, f->orders, NULL, "1\ta\t1\n", NULL, NULL));
    OK(f->ops->commit(other, &f->err));
    f->ops->close(other);
    expect_orders(f, "1|a|1\n");
}

#define T_OF(version, columns) \
    "{\"table\":\"t\",\"table_id\":5,\"version\":" version ",\"columns\":[" columns "],\"key\":[\"id\"]}"
#define COLUMN(id, name, type, more) "{\"id\":" id ",\"name\":\"" name "\",\"type\":\"" type "\"" more "}"

static const char three[] = T_OF(
    "1", COLUMN("1", "id", "int", ",\"nullable\":false") "," COLUMN("2", "a", "text", "") "," COLUMN(
             "3", "b", "text", ",\"default\":\"x\""));
/* a and b have changed their names, c is between them, the key has another name as well. */
static const char swapped[] = T_OF(
    "2", COLUMN("1", "id", "int", ",\"nullable\":false") "," COLUMN("2", "b", "text", "") "," COLUMN(
             "3", "a", "text", ",\"default\":\"y\"") "," COLUMN("4", "c", "int",
                                                                ",\"nullable\":false,\"default\":\"7\""));

/* The other connection changes the table between two transactions of this one, which writes the first version. */
static void test_changed_by_another(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *v1 = schema_of(f, three);
    struct sink *mine = f->sink, *other = open_sink(f, false);

    assert_non_null(other);
    apply(f, v1);
    put(f, v1, NULL, "1\ta1\tb1\n");
    put(f, v1, NULL, "1\ta2\tb2\n");
    f->sink = other;
    apply_json(f, swapped);
    f->sink = mine;
    expect(f, "SELECT id, a, b, c FROM t", "1|b2|a2|7\n");
    put(f, v1, NULL, "1\ta3\tb3\n2\ta4\t\\N\n");
    put(f, v1, "b,id", "b5\t1\n");
    expect(f, "SELECT id, a, b, c FROM t ORDER BY id", "1|b5|a3|7\n2|NULL|a4|7\n");
    f->ops->close(other);
    tl_schema_free(v1);
}

/* The lock that a writer has keeps the table as it is; whoever comes to change it waits, and fails in time. */
static void test_change_waits_for_writers(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *v1 = schema_of(f, three), *v2 = schema_of(f, swapped);
    struct sink *other = open_sink(f, false);

    assert_non_null(other);
    apply(f, v1);
    OK(f->ops->begin(f->sink, &f->err));
    OK(write_rows(f, f->sink, v1, NULL, "1\ta1\tb1\n", NULL, NULL));
    OK(f->ops->begin(other, &f->err));
    FAILS(f->ops->apply_schema(other, v2, &f->err), TL_E_LOCKED);
    f->ops->rollback(other);
    OK(write_rows(f, f->sink, v1, NULL, "2\ta2\tb2\n", NULL, NULL));
    OK(f->ops->commit(f->sink, &f->err));
    OK(f->ops->begin(other, &f->err));
    OK(f->ops->apply_schema(other, v2, &f->err));
    OK(f->ops->commit(other, &f->err));
    f->ops->close(other);
    expect(f, "SELECT id, a, b, c FROM t ORDER BY id", "1|b1|a1|7\n2|b2|a2|7\n");
    tl_schema_free(v1);
    tl_schema_free(v2);
}

static const char catalog[] =
    "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns"
    " WHERE table_schema = 'acme' AND table_name = 't' ORDER BY column_name";

static void test_definitions_follow(void **state)
{
    struct fixture *f = *state;

    apply_json(
        f,
        T_OF(
            "1",
            COLUMN("1", "id", "int", ",\"nullable\":false") "," COLUMN("2", "a", "int", ",\"nullable\":false,\"default\":\"7\"") "," COLUMN(
                "3", "b", "varchar(5)",
                ",\"default\":\"it's\\\\\"") "," COLUMN("4", "c", "date",
                                                        ",\"default\":\"2026-01-31\"") "," COLUMN("5", "d",
                                                                                                  "int",
                                                                                                  "")));
    apply_json(
        f,
        T_OF(
            "2",
            COLUMN("1", "id", "bigint", ",\"nullable\":false") "," COLUMN("2", "d", "decimal(20,2)", ",\"default\":\"8.50\"") "," COLUMN(
                "3", "b", "text",
                ",\"default\":\"it's\\\\\"") "," COLUMN("4", "c", "timestamp",
                                                        "") "," COLUMN("6", "a", "boolean",
                                                                       ",\"nullable\":false,\"default\":\"t\"")));
    expect(f, catalog,
           "a|boolean|NO|true\n"
           "b|text|YES|'it''s\\'::text\n"
           "c|timestamp without time zone|YES|NULL\n"
           "d|numeric|YES|8.50::numeric(20,2)\n"
           "id|bigint|NO|NULL\n");
    apply_json(f, "{\"table\":\"t\",\"table_id\":5,\"version\":3,\"columns\":["
                  "{\"id\":1,\"name\":\"id\",\"type\":\"bigint\",\"nullable\":false}],\"key\":[\"id\"]}");
    expect(f, catalog, "id|bigint|NO|NULL\n");
}

static void test_view_in_the_way(void **state)
{
    struct fixture *f = *state;

    apply_json(f, three);
    f->hooks->query(f, "CREATE VIEW mine AS SELECT a FROM t");
    OK(f->ops->begin(f->sink, &f->err));
    struct tl_schema *v2 = schema_of(f, T_OF("2", COLUMN("1", "id", "int", ",\"nullable\":false")));
    FAILS(f->ops->apply_schema(f->sink, v2, &f->err), TL_E_FATAL);
    assert_non_null(strstr(f->err.text, "table t, version 2"));
    assert_non_null(strstr(f->err.text, "view acme.mine depends on column a"));
    f->ops->rollback(f->sink);
    tl_schema_free(v2);
}

/* Fields fall away, in both ways that rows can take; also all of them. */
static void test_dropped_columns(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *v1 = schema_of(f, three);
    struct tl_schema *log = schema_of(
        f, "{\"table\":\"log\",\"table_id\":6,\"version\":1,\"columns\":["
           "{\"id\":1,\"name\":\"gone\",\"type\":\"text\"},"
           "{\"id\":2,\"name\":\"n\",\"type\":\"int\",\"default\":\"7\"}],\"key\":[]}");

    apply(f, v1);
    apply_json(f, T_OF("2", COLUMN("1", "id", "int", ",\"nullable\":false") "," COLUMN(
                                "3", "b", "text", ",\"default\":\"x\"")));
    put(f, v1, NULL, "1\t\\\\\\t\tb\\t1\n2\t\\N\t\\N\n");
    put(f, v1, NULL, "1\tgone\tb\\n2\n3\tgone\t\n");
    put(f, v1, "a,id", "gone\t4\ngone\t1\n");
    expect(f, "SELECT id, b FROM t ORDER BY id", "1|b\n2\n2|NULL\n3|\n4|x\n");
    OK(f->ops->begin(f->sink, &f->err));
    FAILS(write_rows(f, f->sink, v1, NULL, "1\tb\n", NULL, NULL), TL_E_CORRUPT);
    f->ops->rollback(f->sink);

    apply(f, log);
    apply_json(f, "{\"table\":\"log\",\"table_id\":6,\"version\":2,\"columns\":["
                  "{\"id\":2,\"name\":\"n\",\"type\":\"int\",\"default\":\"7\"}],\"key\":[]}");
    put(f, log, "gone", "a\nb\nc\n");
    put(f, log, "gone", "a\n");
    expect(f, "SELECT n FROM log", "7\n7\n7\n7\n");
    tl_schema_free(log);
    tl_schema_free(v1);
}

struct told {
    int n;
    int64_t index[400];
};

static int note(void *app, int64_t index, const char *reason, struct tl_error *err)
{
    struct told *told = app;

    (void)err;
    assert_non_null(strstr(reason, "qty is negative"));
    assert_in_range(told->n, 0, 399);
    told->index[told->n++] = index;
    return 0;
}

/* Many rows, some of them refused: alone, side by side, and as the last one of their key. */
static void write_some_refused(struct fixture *f, const struct tl_schema *schema)
{
    struct told told = {0};
    struct tl_buf rows;
    int due = 0;

    tl_buf_init(&rows, 1024 * 1024);
    for (int i = 0; i < 5000; i++) {
        bool bad = i == 0 || i == 1234 || (i >= 3000 && i < 3300) || i == 4999;

        OK(tl_buf_appendf(&rows, "%d\tr%d\t%d\n", i == 4999 ? 4998 : i, i, bad ? -1 : i));
    }
    OK(tl_buf_terminate(&rows));
    OK(f->ops->begin(f->sink, &f->err));
    OK(write_rows(f, f->sink, schema, NULL, rows.data, note, &told));
    OK(f->ops->commit(f->sink, &f->err));
    assert_int_equal(told.n, 303);
    for (int i = 0; i < 5000; i++)
        if (i == 0 || i == 1234 || (i >= 3000 && i < 3300) || i == 4999)
            assert_int_equal(told.index[due++], i);
    tl_buf_release(&rows);
}

static void test_refused_in_many(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *log = schema_of(f, "{\"table\":\"log\",\"table_id\":6,\"version\":1,\"columns\":["
                                         "{\"id\":1,\"name\":\"id\",\"type\":\"int\"},"
                                         "{\"id\":2,\"name\":\"name\",\"type\":\"text\"},"
                                         "{\"id\":3,\"name\":\"qty\",\"type\":\"int\"}],\"key\":[]}");

    f->hooks->add_check(f);
    for (int round = 0; round < 2; round++) {
        write_some_refused(f, f->orders);
        expect(f, "SELECT count(*), min(qty), sum(qty) FROM orders", "4697|1|11546417\n");
        expect(f, "SELECT name FROM orders WHERE id = 4998", "r4998\n");
    }
    apply(f, log);
    f->hooks->query(f, "ALTER TABLE log ADD CONSTRAINT \"qty is negative\" CHECK (qty >= 0)");
    write_some_refused(f, log);
    write_some_refused(f, log);
    expect(f, "SELECT count(*), sum(qty) FROM log", "9394|23092834\n");
    expect(f, "SELECT count(*) FROM pg_class WHERE relpersistence = 't'", "0\n");
    tl_schema_free(log);
}

static void test_locked(void **state)
{
    struct fixture *f = *state;
    PGconn *conn = postgresql_connect(f->url);
    int64_t began;

    PQclear(postgresql_run(conn, "BEGIN; LOCK TABLE acme.orders IN ACCESS EXCLUSIVE MODE"));
    OK(f->ops->begin(f->sink, &f->err));
    FAILS(write_rows(f, f->sink, f->orders, NULL, "1\ta\t1\n", NULL, NULL), TL_E_LOCKED);
    f->ops->rollback(f->sink);
    OK(f->ops->begin(f->sink, &f->err));
    began = tl_clock_ms();
    OK(f->ops->patience(f->sink, 10, &f->err));
    FAILS(write_rows(f, f->sink, f->orders, NULL, "1\ta\t1\n", NULL, NULL), TL_E_LOCKED);
    assert_true(tl_clock_ms() - began < 900);
    f->ops->rollback(f->sink);
    PQfinish(conn);
    put(f, f->orders, NULL, "1\ta\t1\n");
}

/* At each point where the connection can be lost: told as what can be had again, and nothing is half done. */
static void test_connection_lost(void **state)
{
    static const char terminate[] = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                                    " WHERE datname = current_database() AND application_name = 'tload'";
    struct fixture *f = *state;
    int64_t next;

    for (int point = 0; point < 6; point++) {
        int rc = 0;

        if (point > 0)
            OK(f->ops->begin(f->sink, &f->err));
        if (point > 1)
            OK(write_rows(f, f->sink, f->orders, NULL, "1\ta\t1\n", NULL, NULL));
        expect(f, terminate, "1\n");
        switch (point) {
        case 0:
            rc = f->ops->begin(f->sink, &f->err);
            break;
        case 1:
        case 2:
            rc = write_rows(f, f->sink, f->orders, NULL, "2\tb\t2\n", NULL, NULL);
            break;
        case 3:
            rc = f->ops->offset_move(f->sink, "t", 0, 0, 1, &f->err);
            break;
        case 4:
            rc = f->ops->offset(f->sink, "t", 0, &next, &f->err);
            break;
        default:
            rc = f->ops->commit(f->sink, &f->err);
            break;
        }
        assert_int_equal(rc, -1);
        assert_int_equal(f->err.code, TL_E_UNAVAILABLE);
        f->ops->rollback(f->sink);
        FAILS(f->ops->begin(f->sink, &f->err), TL_E_UNAVAILABLE);
        f->ops->close(f->sink);
        f->sink = open_sink(f, false);
        assert_non_null(f->sink);
    }
    expect_orders(f, "");
    OK(f->ops->offset(f->sink, "t", 0, &next, &f->err));
    assert_int_equal(next, 0);
}

static void test_no_server(void **state)
{
    struct fixture *f = *state;

    snprintf(f->url, sizeof f->url, "postgresql://postgres:secret@127.0.0.1:1/nothing");
    assert_null(open_sink(f, false));
    assert_int_equal(f->err.code, TL_E_UNAVAILABLE);
    assert_null(strstr(f->err.text, "secret"));
    assert_null(strchr(f->err.text, '\n'));
}

int main(void)
{
    static const struct sink_test tests[] = {
        {"urls", test_urls, setup},
        {"tenants", test_tenants, setup_orders},
        {"opened_at_once", test_opened_at_once, setup},
        {"applied_at_once", test_applied_at_once, setup_open},
        {"changed_by_another", test_changed_by_another, setup_open},
        {"change_waits_for_writers", test_change_waits_for_writers, setup_open},
        {"definitions_follow", test_definitions_follow, setup_open},
        {"view_in_the_way", test_view_in_the_way, setup_open},
        {"dropped_columns", test_dropped_columns, setup_open},
        {"refused_in_many", test_refused_in_many, setup_orders},
        {"locked", test_locked, setup_orders},
        {"connection_lost", test_connection_lost, setup_orders},
        {"no_server", test_no_server, setup},
    };

    return run_over_sink(&sink_postgresql, tests, TL_ARRAY_LEN(tests));
}
