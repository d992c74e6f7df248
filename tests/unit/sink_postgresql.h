/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The hooks for PostgreSQL: each test has a database of its own on the server that TEST_POSTGRESQL names, a URL
 * of a superuser; tests/run_unit.py starts one.
 */
#ifndef TESTS_UNIT_SINK_POSTGRESQL_H
#define TESTS_UNIT_SINK_POSTGRESQL_H

#include <libpq-fe.h>

#include "tests/unit/sink_hooks.h"

enum { PG_OID_BOOL = 16, PG_OID_BYTEA = 17 };

static inline void postgresql_ignore(void *app, const PGresult *r)
{
    (void)app;
    (void)r;
}

static inline PGconn *postgresql_connect(const char *url)
{
    PGconn *conn = PQconnectdb(url);

    if (PQstatus(conn) != CONNECTION_OK)
        fail_msg("%s", PQerrorMessage(conn));
    PQsetNoticeReceiver(conn, postgresql_ignore, NULL);
    return conn;
}

static inline PGresult *postgresql_run(PGconn *conn, const char *sql)
{
    PGresult *r = PQexec(conn, sql);
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);

    if (state && strcmp(state, "42P01") != 0)
        fail_msg("%s: %s", sql, PQresultErrorMessage(r));
    return r;
}

/* As the server's own superuser, in its first database. */
static inline void postgresql_administer(const char *sql)
{
    const char *server = getenv("TEST_POSTGRESQL");
    PGconn *conn;

    if (!server)
        fail_msg("TEST_POSTGRESQL names no server: run \"make check-unit\", which starts one");
    conn = postgresql_connect(server);
    PQclear(postgresql_run(conn, sql));
    PQfinish(conn);
}

static inline void postgresql_make_place(struct fixture *f)
{
    static int made;
    const char *server = getenv("TEST_POSTGRESQL");
    char sql[120];
    PGconn *conn;

    snprintf(f->dir, sizeof f->dir, "sink_%d_%d", (int)getpid(), ++made);
    snprintf(sql, sizeof sql, "CREATE DATABASE %s", f->dir);
    postgresql_administer(sql);
    snprintf(f->url, sizeof f->url, "%.*s/%s", (int)(strrchr(server, '/') - server), server, f->dir);
    conn = postgresql_connect(f->url);
    PQclear(postgresql_run(conn, "CREATE FUNCTION typeof(anyelement) RETURNS text LANGUAGE sql"
                                 " AS 'SELECT pg_typeof($1)::text'"));
    PQfinish(conn);
}

static inline void postgresql_remove_place(struct fixture *f)
{
    char sql[120];

    snprintf(sql, sizeof sql, "DROP DATABASE %s WITH (FORCE)", f->dir);
    postgresql_administer(sql);
}

static inline void postgresql_append_value(struct tl_buf *out, const PGresult *r, int row, int column)
{
    const char *text = PQgetvalue(r, row, column);

    if (PQgetisnull(r, row, column))
        text = "NULL";
    else if (PQftype(r, column) == PG_OID_BOOL)
        text = *text == 't' ? "1" : "0";
    else if (PQftype(r, column) == PG_OID_BYTEA)
        text += 2;
    assert_int_equal(tl_buf_append_z(out, text), 0);
}

static inline void postgresql_query(struct fixture *f, const char *sql)
{
    PGconn *conn = postgresql_connect(f->url);
    PGresult *r;

    tl_buf_reset(&f->dump);
    PQclear(postgresql_run(conn, "SET search_path TO acme, public; SET TimeZone TO 'UTC'"));
    r = postgresql_run(conn, sql);
    if (PQresultStatus(r) == PGRES_FATAL_ERROR)
        assert_int_equal(tl_buf_append_z(&f->dump, "no such table"), 0);
    for (int i = 0; i < PQntuples(r); i++) {
        for (int k = 0; k < PQnfields(r); k++) {
            assert_int_equal(tl_buf_append(&f->dump, "|", k ? 1 : 0), 0);
            postgresql_append_value(&f->dump, r, i, k);
        }
        assert_int_equal(tl_buf_append_char(&f->dump, '\n'), 0);
    }
    PQclear(r);
    PQfinish(conn);
    assert_int_equal(tl_buf_terminate(&f->dump), 0);
}

static inline void postgresql_add_check(struct fixture *f)
{
    postgresql_query(f, "ALTER TABLE orders ADD CONSTRAINT \"qty is negative\" CHECK (qty >= 0)");
}

/* The server says so, as it would; the disk is left in peace. */
static inline void postgresql_fill_disk(struct fixture *f)
{
    postgresql_query(f, "CREATE FUNCTION disk_full() RETURNS trigger LANGUAGE plpgsql AS "
                        "$$BEGIN RAISE 'could not extend file' USING ERRCODE = 'disk_full'; END$$");
    postgresql_query(f, "CREATE TRIGGER disk_full AFTER INSERT ON orders EXECUTE FUNCTION disk_full()");
}

static inline void postgresql_free_disk(struct fixture *f)
{
    postgresql_query(f, "DROP TRIGGER disk_full ON orders");
}

static const struct hooks postgresql_hooks = {
    .scheme = "postgresql",
    .make_place = postgresql_make_place,
    .remove_place = postgresql_remove_place,
    .query = postgresql_query,
    .add_check = postgresql_add_check,
    .fill_disk = postgresql_fill_disk,
    .free_disk = postgresql_free_disk,
    .edge_values =
        "1|boolean|-2147483648|integer|-9223372036854775808|bigint|0.1|double precision|"
        "12345678.90|numeric|12345678901234567890.123456789|numeric|007|character varying|\t\n\\|text|"
        "0001-01-01|date|2026-01-31 12:00:00.5|timestamp without time zone|"
        "2026-01-31 12:00:00+00|timestamp with time zone|123e4567-e89b-12d3-a456-426614174000|uuid|"
        "{\"a\": \"\\n\"}|json|00ff10|bytea\n"
        "0|boolean|2147483647|integer|9223372036854775807|bigint|NaN|double precision|"
        "-99999999.99|numeric|0.000000000|numeric|1e5|character varying||text|"
        "9999-12-31|date|0001-01-01 00:00:00|timestamp without time zone|"
        "9999-12-31 23:59:59.999999+00|timestamp with time zone|00000000-0000-0000-0000-000000000000|uuid|"
        "1.0|json||bytea\n"
        "NULL|boolean|NULL|integer|NULL|bigint|-Infinity|double precision|5.00|numeric|NULL|numeric|"
        "NULL|character varying|\xC3\xA9\xF0\x9F\x98\x80|text|NULL|date|"
        "NULL|timestamp without time zone|NULL|timestamp with time zone|NULL|uuid|NULL|json|NULL|bytea\n",
};

#endif
