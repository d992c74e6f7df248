/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/sinks/postgresql/connection.h"

#include <errno.h>

#include "shared/base/clock.h"

enum { LAYOUT = 2, SERVER_VERSION = 120000 };

/*
 * A transaction waits for locks only as long as its caller can do without it, and one whose process has gone
 * away without a word holds its own for not much longer. Constraints that its owner deferred are checked with
 * each batch all the same: at the commit nobody could tell the row.
 */
#define BEGIN_AT(level)                                                                                         \
    "BEGIN ISOLATION LEVEL " level "; "                                                                         \
    "SET LOCAL lock_timeout = '1s'; "                                                                           \
    "SET LOCAL statement_timeout = '5min'; "                                                                    \
    "SET LOCAL idle_in_transaction_session_timeout = '60s'; "                                                   \
    "SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'; " \
    "SET CONSTRAINTS ALL IMMEDIATE"

/* Several processes come here at once, so it is done under a lock, and all that is there already stays. */
static const char layout[] =
    "CREATE SCHEMA IF NOT EXISTS tload; "
    "CREATE TABLE IF NOT EXISTS tload.tables (tenant text NOT NULL, name text NOT NULL,"
    " table_id bigint NOT NULL, version integer NOT NULL, dropped boolean NOT NULL, schema text NOT NULL,"
    " PRIMARY KEY (tenant, name)); "
    "CREATE TABLE IF NOT EXISTS tload.offsets (tenant text NOT NULL, topic text NOT NULL,"
    " partition integer NOT NULL, next bigint NOT NULL, PRIMARY KEY (tenant, topic, partition))"
    " WITH (fillfactor = 50); "
    "CREATE TABLE IF NOT EXISTS tload.ledger (tenant text NOT NULL, upload text NOT NULL,"
    " partition integer NOT NULL, table_name text NOT NULL, table_id bigint NOT NULL, last_seq bigint NOT NULL,"
    " rows_applied bigint NOT NULL, rows_rejected bigint NOT NULL, ended boolean NOT NULL,"
    " rows_read bigint NOT NULL, stopped boolean NOT NULL, reason text NOT NULL,"
    " PRIMARY KEY (tenant, upload, partition)) WITH (fillfactor = 50); "
    "CREATE TABLE IF NOT EXISTS tload.errors (tenant text NOT NULL, upload text NOT NULL,"
    " partition integer NOT NULL, stage integer NOT NULL, last_seq bigint NOT NULL, last_part bigint NOT NULL,"
    " rows bigint NOT NULL, PRIMARY KEY (tenant, upload, partition, stage)) WITH (fillfactor = 50); "
    "CREATE TABLE IF NOT EXISTS tload.refused (tenant text NOT NULL, upload text NOT NULL,"
    " partition integer NOT NULL, seq bigint NOT NULL, attempt bigint NOT NULL,"
    " PRIMARY KEY (tenant, upload, partition, seq)); "
    "CREATE TABLE IF NOT EXISTS tload.owed (tenant text NOT NULL, topic text NOT NULL,"
    " partition integer NOT NULL, table_name text NOT NULL, message bigint NOT NULL,"
    " PRIMARY KEY (tenant, topic, partition, table_name, message)); "
    "CREATE TABLE IF NOT EXISTS tload.layout (version integer NOT NULL); "
    "INSERT INTO tload.layout SELECT 2 WHERE NOT EXISTS (SELECT FROM tload.layout); "
    "UPDATE tload.layout SET version = 2 WHERE version < 2; ";
_Static_assert(LAYOUT == 2, "the last line of layout[] says it too");

/* --- statements --- */

void params_of(struct params *p, const struct sink *s)
{
    p->n = 0;
    params_text(p, s->tenant);
}

void params_text(struct params *p, const char *text)
{
    p->value[p->n++] = text;
}

void params_int(struct params *p, int64_t number)
{
    snprintf(p->number[p->n], NUMBER_TEXT, "%lld", (long long)number);
    p->value[p->n] = p->number[p->n];
    p->n++;
}

static bool worked(const PGresult *r)
{
    ExecStatusType status = PQresultStatus(r);

    return status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK;
}

PGresult *pg_ask(struct sink *s, const char *sql, const struct params *p, const char *what,
                 struct tl_error *err)
{
    int sent = PQsendQueryParams(s->conn, sql, p ? p->n : 0, NULL, p ? p->value : NULL, NULL, NULL, 0);
    PGresult *r = pg_answer(s, sent);

    if (worked(r))
        return r;
    pg_fail(s, r, what, err);
    PQclear(r);
    return NULL;
}

int64_t pg_run(struct sink *s, const char *sql, const struct params *p, const char *what,
               struct tl_error *err)
{
    PGresult *r = pg_ask(s, sql, p, what, err);
    int64_t n = 0;

    if (!r)
        return -1;
    if (!tl_str_to_i64(tl_str(PQcmdTuples(r)), 0, INT64_MAX, &n))
        n = 0;
    PQclear(r);
    return n;
}

int pg_sql_done(struct sink *s, int rc, struct tl_error *err)
{
    if (!rc)
        rc = tl_buf_terminate(&s->sql);
    return rc ? tl_buf_fail(rc, &s->sql, "a statement", err) : 0;
}

PGresult *pg_try(struct sink *s)
{
    return pg_answer(s, PQsendQuery(s->conn, s->sql.data));
}

static int exec(struct sink *s, const char *sql, const char *what, struct tl_error *err)
{
    PGresult *r = pg_answer(s, PQsendQuery(s->conn, sql));
    int rc = worked(r) ? 0 : pg_fail(s, r, what, err);

    PQclear(r);
    return rc;
}

int pg_exec(struct sink *s, const char *what, struct tl_error *err)
{
    return exec(s, s->sql.data, what, err);
}

int pg_undo(struct sink *s, struct tl_error *err)
{
    return exec(s, "ROLLBACK TO tload; RELEASE tload", "going back to a savepoint", err);
}

int64_t pg_int(const PGresult *r, int row, int column)
{
    int64_t value = 0;

    return tl_str_to_i64(tl_str(PQgetvalue(r, row, column)), INT64_MIN, INT64_MAX, &value) ? value : 0;
}

bool pg_bool(const PGresult *r, int row, int column)
{
    return PQgetvalue(r, row, column)[0] == 't';
}

void pg_text(const PGresult *r, int row, int column, char *out, size_t size)
{
    snprintf(out, size, "%s", PQgetvalue(r, row, column));
}

/* --- opening --- */

/* "NOTICE: …" and the like, which libpq would print. */
static void on_notice(void *log, const PGresult *r)
{
    char text[300];

    pg_message(r, text, sizeof text);
    tl_debug(log, "sink", "the server says: %s", text);
}

static int connect_to(struct sink *s, const char *url, struct tl_error *err)
{
    /* Those before "dbname", which is the URL, give way to what the URL says; those behind do not. */
    static const char *const names[] = {"application_name",
                                        "connect_timeout",
                                        "keepalives_idle",
                                        "keepalives_interval",
                                        "keepalives_count",
                                        "tcp_user_timeout",
                                        "dbname",
                                        "client_encoding",
                                        NULL};
    const char *values[] = {"tload", "3", "10", "5", "3", "30000", url, "UTF8", NULL};
    const char *encoding;

    s->conn = PQconnectdbParams(names, values, 1);
    if (!s->conn)
        return tl_fail_nomem(err);
    if (PQstatus(s->conn) != CONNECTION_OK)
        return pg_fail(s, NULL, "PostgreSQL", err);
    PQsetNoticeReceiver(s->conn, on_notice, s->log);
    if (PQsetnonblocking(s->conn, 1))
        return pg_fail(s, NULL, "PostgreSQL", err);
    if (PQserverVersion(s->conn) < SERVER_VERSION)
        return tl_fail(err, TL_E_FATAL, "PostgreSQL: the server is older than version %d",
                       SERVER_VERSION / 10000);
    encoding = PQparameterStatus(s->conn, "server_encoding");
    if (encoding && strcmp(encoding, "UTF8") != 0)
        return tl_fail(err, TL_E_FATAL, "PostgreSQL: the database's encoding is %s; it has to be UTF8",
                       encoding);
    return 0;
}

/* Schemas that are PostgreSQL's or ours can be no tenant's. */
static int check_tenant(const char *tenant, struct tl_error *err)
{
    if (strcmp(tenant, "tload") == 0 || strcmp(tenant, "information_schema") == 0 ||
        strncmp(tenant, "pg_", 3) == 0)
        return tl_fail(err, TL_E_FATAL, "PostgreSQL: no tenant can have schema \"%s\", which is taken",
                       tenant);
    return 0;
}

/* Which version of the ledger's layout is there, 0: none, and whether the tenant's schema is. */
static int look_around(struct sink *s, int64_t *version, bool *schema, struct tl_error *err)
{
    struct params p;
    PGresult *r;
    bool made;

    params_of(&p, s);
    r = pg_ask(s,
               "SELECT to_regclass('tload.layout') IS NOT NULL,"
               " EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = $1)",
               &p, "opening the data sink", err);
    if (!r)
        return -1;
    made = pg_bool(r, 0, 0);
    *schema = pg_bool(r, 0, 1);
    *version = 0;
    PQclear(r);
    if (!made)
        return 0;
    r = pg_ask(s, "SELECT max(version) FROM tload.layout", NULL, "opening the data sink", err);
    if (!r)
        return -1;
    *version = pg_int(r, 0, 0);
    PQclear(r);
    if (*version > LAYOUT)
        return tl_fail(err, TL_E_FATAL, "the data was written by a later version of coordinatord");
    return 0;
}

static int make(struct sink *s, bool ledger, bool schema, struct tl_error *err)
{
    int rc;

    tl_buf_reset(&s->sql);
    rc = tl_buf_append_z(&s->sql, "SELECT pg_advisory_xact_lock(hashtextextended('tload', 0)); ");
    if (!rc && !ledger)
        rc = tl_buf_append_z(&s->sql, layout);
    if (!rc && !schema) {
        rc = tl_buf_append_z(&s->sql, "CREATE SCHEMA IF NOT EXISTS ");
        if (!rc)
            rc = pg_append_name(&s->sql, s->tenant);
    }
    if (pg_sql_done(s, rc, err) || pg_begin(s, err))
        return -1;
    if (pg_exec(s, "making the ledger's tables and the tenant's schema", err) || pg_commit(s, err)) {
        pg_rollback(s);
        return -1;
    }
    return 0;
}

static int open_tenant(struct sink *s, const struct sink_conf *conf, struct tl_error *err)
{
    int64_t version;
    bool schema;

    if (check_tenant(conf->tenant, err) || connect_to(s, conf->url, err) ||
        look_around(s, &version, &schema, err))
        return -1;
    if (conf->foreign || (schema && (version == LAYOUT || (version && conf->read_only))))
        return 0;
    if (conf->read_only)
        return tl_fail(err, TL_E_NOT_FOUND, "tenant %s has no data yet", conf->tenant);
    return make(s, version == LAYOUT, schema, err);
}

struct sink *pg_open(const struct sink_conf *conf, struct tl_error *err)
{
    struct sink *s;

    if (pg_check_url(conf->url, err))
        return NULL;
    s = calloc(1, sizeof *s);
    if (!s) {
        tl_fail_nomem(err);
        return NULL;
    }
    s->log = conf->log;
    s->stop = conf->stop;
    s->patience_ends = conf->patience_ms ? tl_clock_ms() + conf->patience_ms : 0;
    snprintf(s->tenant, sizeof s->tenant, "%s", conf->tenant);
    tl_buf_init(&s->sql, SQL_MAX);
    tl_buf_init(&s->chunk, CHUNK_MAX);
    if (open_tenant(s, conf, err)) {
        pg_close(s);
        return NULL;
    }
    return s;
}

void pg_close(struct sink *s)
{
    if (!s)
        return;
    PQfinish(s->conn); /* then the server rolls back */
    shapes_release(s);
    tl_buf_release(&s->sql);
    tl_buf_release(&s->chunk);
    free(s->fields);
    free(s);
}

/* --- transactions --- */

int pg_in_transaction(struct sink *s, struct tl_error *err)
{
    if (s->lost || PQstatus(s->conn) == CONNECTION_BAD)
        return pg_fail(s, NULL, "PostgreSQL", err);
    if (PQtransactionStatus(s->conn) != PQTRANS_INTRANS)
        return tl_fail(err, TL_E_FATAL, "the data sink was written to outside of a transaction");
    return 0;
}

static int begin_with(struct sink *s, const char *sql, struct tl_error *err)
{
    if (exec(s, sql, "beginning a transaction", err))
        return -1;
    s->transactions++;
    s->epoch++;
    return 0;
}

int pg_begin(struct sink *s, struct tl_error *err)
{
    return begin_with(s, BEGIN_AT("READ COMMITTED"), err);
}

int pg_begin_snapshot(struct sink *s, struct tl_error *err)
{
    return begin_with(s, BEGIN_AT("REPEATABLE READ"), err);
}

int pg_patience(struct sink *s, int ms, struct tl_error *err)
{
    char sql[60];

    if (pg_in_transaction(s, err))
        return -1;
    snprintf(sql, sizeof sql, "SET LOCAL lock_timeout = %d", ms);
    return exec(s, sql, "setting how long to wait for a lock", err);
}

int pg_commit(struct sink *s, struct tl_error *err)
{
    PGresult *r;
    int rc = 0;

    if (pg_in_transaction(s, err))
        return -1;
    r = pg_answer(s, PQsendQuery(s->conn, "COMMIT"));
    if (!worked(r))
        rc = pg_fail(s, r, "committing", err);
    else if (strcmp(PQcmdStatus(r), "COMMIT") != 0)
        rc = tl_fail(err, TL_E_AGAIN, "committing: the server rolled the transaction back");
    PQclear(r);
    return rc;
}

void pg_rollback(struct sink *s)
{
    PGTransactionStatusType status = PQtransactionStatus(s->conn);

    if (!s->lost && (status == PQTRANS_INTRANS || status == PQTRANS_INERROR))
        PQclear(pg_answer(s, PQsendQuery(s->conn, "ROLLBACK")));
}
