/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A transaction of this sink is what Kafka's data is trimmed on the strength of, so a commit is one fsync of
 * the WAL (synchronous=FULL), not less.
 */
#include "coordinatord/sinks/sqlite/connection.h"

#include <errno.h>
#include <unistd.h>

#include "shared/base/dirs.h"

enum {
    LAYOUT = 3,          /* of the _tload_ tables: PRAGMA user_version */
    BUSY_OPEN_MS = 2000, /* how long to wait for another writer, when the file is made */
    BUSY_MS = 50,        /* and in a begin; the caller comes again */
    PATH_LONGEST = 1024
};

static const char scheme[] = "sqlite:";

static const char *const settings[] = {
    "PRAGMA page_size = 8192",
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA cache_size = -16384",           /* KiB */
    "PRAGMA wal_autocheckpoint = 4096",     /* pages */
    "PRAGMA journal_size_limit = 67108864", /* a WAL that grew in one long transaction is cut back to this */
    "PRAGMA legacy_alter_table = ON",       /* a rename leaves views and triggers as their owner wrote them */
};

static const char *const layout[] = {
    "CREATE TABLE IF NOT EXISTS _tload_tables (name TEXT NOT NULL PRIMARY KEY, table_id INTEGER NOT NULL,"
    " version INTEGER NOT NULL, dropped INTEGER NOT NULL, schema TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS _tload_offsets (topic TEXT NOT NULL, partition INTEGER NOT NULL,"
    " next INTEGER NOT NULL, PRIMARY KEY (topic, partition)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS _tload_ledger (upload TEXT NOT NULL, partition INTEGER NOT NULL,"
    " table_name TEXT NOT NULL, table_id INTEGER NOT NULL, last_seq INTEGER NOT NULL, rows_applied INTEGER "
    "NOT NULL,"
    " rows_rejected INTEGER NOT NULL, ended INTEGER NOT NULL, rows_read INTEGER NOT NULL, stopped INTEGER "
    "NOT NULL,"
    " reason TEXT NOT NULL, PRIMARY KEY (upload, partition)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS _tload_errors (upload TEXT NOT NULL, partition INTEGER NOT NULL,"
    " stage INTEGER NOT NULL, last_seq INTEGER NOT NULL, last_part INTEGER NOT NULL, rows INTEGER NOT NULL,"
    " PRIMARY KEY (upload, partition, stage)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS _tload_refused (upload TEXT NOT NULL, partition INTEGER NOT NULL,"
    " seq INTEGER NOT NULL, attempt INTEGER NOT NULL, PRIMARY KEY (upload, partition, seq)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS _tload_owed (topic TEXT NOT NULL, partition INTEGER NOT NULL,"
    " table_name TEXT NOT NULL, message INTEGER NOT NULL,"
    " PRIMARY KEY (topic, partition, table_name, message)) WITHOUT ROWID",
    "PRAGMA user_version = 3",
};
_Static_assert(LAYOUT == 3, "the last line of layout[] says it too");

static const char *const queries[QUERY_COUNT] = {
#define X(id, sql) [QUERY_##id] = sql,
#include "coordinatord/sinks/sqlite/queries.def"
#undef X
};

static enum tl_error_code code_of(int rc, int system_errno)
{
    switch (rc & 0xFF) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return TL_E_AGAIN;
    case SQLITE_FULL:
        return TL_E_NO_SPACE;
    case SQLITE_NOMEM:
        return TL_E_NOMEM;
    case SQLITE_INTERRUPT:
        return TL_E_INTERRUPTED;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        if (rc == SQLITE_IOERR_NOMEM)
            return TL_E_NOMEM;
        return system_errno == ENOSPC || system_errno == EDQUOT ? TL_E_NO_SPACE : TL_E_UNAVAILABLE;
    case SQLITE_PROTOCOL:
        return TL_E_UNAVAILABLE;
    default:
        return TL_E_FATAL;
    }
}

int connection_fail(struct sink *s, int rc, const char *what, struct tl_error *err)
{
    /* The message is that of the last call, whose code tells more than the primary one. */
    int extended = sqlite3_extended_errcode(s->db);
    bool current = (extended & 0xFF) == (rc & 0xFF);

    return tl_fail(err, code_of(current ? extended : rc, sqlite3_system_errno(s->db)), "%s: %s", what,
                   current ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc));
}

int connection_in_transaction(struct sink *s, struct tl_error *err)
{
    if (sqlite3_get_autocommit(s->db))
        return tl_fail(err, TL_E_FATAL, "the data sink was written to outside of a transaction");
    return 0;
}

sqlite3_stmt *connection_query(struct sink *s, enum query q, struct tl_error *err)
{
    if (!s->queries[q]) {
        int rc = sqlite3_prepare_v3(s->db, queries[q], -1, SQLITE_PREPARE_PERSISTENT, &s->queries[q], NULL);

        if (rc) {
            connection_fail(s, rc, "preparing a statement", err);
            return NULL;
        }
    }
    return s->queries[q];
}

int connection_run(struct sink *s, sqlite3_stmt *stmt, const char *what, struct tl_error *err)
{
    int rc = sqlite3_step(stmt);
    int failed = rc == SQLITE_DONE || rc == SQLITE_ROW ? 0 : connection_fail(s, rc, what, err);

    sqlite3_reset(stmt);
    return failed;
}

static int exec(struct sink *s, const char *sql, const char *what, struct tl_error *err)
{
    int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);

    return rc ? connection_fail(s, rc, what, err) : 0;
}

int connection_exec_sql(struct sink *s, const char *what, struct tl_error *err)
{
    int rc = tl_buf_terminate(&s->sql);

    return rc ? tl_buf_fail(rc, &s->sql, "a statement", err) : exec(s, s->sql.data, what, err);
}

/* A number that one statement gives. */
static int ask(struct sink *s, const char *sql, int64_t *value, struct tl_error *err)
{
    sqlite3_stmt *stmt;
    int rc = sqlite3_prepare_v2(s->db, sql, -1, &stmt, NULL);

    if (rc)
        return connection_fail(s, rc, "opening the data sink", err);
    rc = sqlite3_step(stmt);
    *value = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        connection_fail(s, rc, "opening the data sink", err);
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : -1;
}

int connection_check_url(const char *url, struct tl_error *err)
{
    const char *dir = url + sizeof scheme - 1;

    if (strncmp(url, scheme, sizeof scheme - 1) != 0 || *dir == '\0')
        return tl_fail(err, TL_E_REFUSED,
                       "\"%s\": expected sqlite: and a directory, as in sqlite:/var/lib/tload/data", url);
    if (strlen(dir) + TL_TENANT_MAX + sizeof "/.db" > PATH_LONGEST)
        return tl_fail(err, TL_E_REFUSED, "the data sink's directory has a name of more than %d bytes",
                       PATH_LONGEST - TL_TENANT_MAX - (int)sizeof "/.db");
    return 0;
}

static int check_layout(struct sink *s, struct tl_error *err)
{
    int64_t version;

    if (ask(s, "PRAGMA user_version", &version, err))
        return -1;
    if (version > LAYOUT)
        return tl_fail(err, TL_E_FATAL, "the data was written by a later version of coordinatord");
    return 0;
}

static int make_layout(struct sink *s, struct tl_error *err)
{
    int64_t version;

    for (size_t i = 0; i < TL_ARRAY_LEN(settings); i++)
        if (exec(s, settings[i], "opening the data sink", err))
            return -1;
    if (ask(s, "PRAGMA user_version", &version, err))
        return -1;
    if (version == LAYOUT)
        return 0;
    if (connection_begin(s, err))
        return -1;
    for (size_t i = 0; i < TL_ARRAY_LEN(layout); i++)
        if (exec(s, layout[i], "making the ledger's tables", err))
            return -1;
    return connection_commit(s, err);
}

static int open_read_only(struct sink *s, const struct sink_conf *conf, struct tl_error *err)
{
    int64_t made;

    if (ask(s, "SELECT count(*) FROM sqlite_schema WHERE name = '_tload_ledger'", &made, err))
        return -1;
    if (!made && !conf->foreign)
        return tl_fail(err, TL_E_NOT_FOUND, "tenant %s has no data yet", conf->tenant);
    return exec(s, "PRAGMA query_only = ON", "opening the data sink", err);
}

static int open_file(struct sink *s, const struct sink_conf *conf, struct tl_error *err)
{
    const char *dir = conf->url + sizeof scheme - 1;
    /* A reader as well may have to recover a WAL that a crash left, and so needs to write. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (conf->read_only ? 0 : SQLITE_OPEN_CREATE);
    char path[PATH_LONGEST];
    int rc;

    snprintf(path, sizeof path, "%s/%s.db", dir, conf->tenant);
    if (conf->read_only && access(path, F_OK) != 0 && (errno == ENOENT || errno == ENOTDIR))
        return tl_fail(err, TL_E_NOT_FOUND, "tenant %s has no data yet", conf->tenant);
    if (!conf->read_only && tl_dirs_make(dir, err))
        return tl_error_prefix(err, "data sink");
    rc = sqlite3_open_v2(path, &s->db, flags, NULL);
    if (!s->db)
        return tl_fail_nomem(err);
    if (rc)
        return connection_fail(s, rc, path, err);
    sqlite3_busy_timeout(s->db, BUSY_OPEN_MS);
    if (check_layout(s, err) || (conf->read_only ? open_read_only(s, conf, err) : make_layout(s, err)))
        return tl_error_prefix(err, "%s", path);
    sqlite3_busy_timeout(s->db, BUSY_MS);
    return 0;
}

struct sink *connection_open(const struct sink_conf *conf, struct tl_error *err)
{
    struct sink *s;

    if (connection_check_url(conf->url, err))
        return NULL;
    s = calloc(1, sizeof *s);
    if (!s) {
        tl_fail_nomem(err);
        return NULL;
    }
    s->log = conf->log;
    tl_buf_init(&s->sql, SQL_MAX);
    tl_buf_init(&s->values, VALUES_MAX);
    tl_buf_init(&s->widened, TL_MESSAGE_MAX);
    if (open_file(s, conf, err)) {
        connection_close(s);
        return NULL;
    }
    return s;
}

void connection_close(struct sink *s)
{
    if (!s)
        return;
    connection_rollback(s);
    write_release(s);
    for (int i = 0; i < QUERY_COUNT; i++)
        sqlite3_finalize(s->queries[i]);
    sqlite3_close(s->db);
    tl_buf_release(&s->sql);
    tl_buf_release(&s->values);
    tl_buf_release(&s->widened);
    free(s);
}

int connection_begin(struct sink *s, struct tl_error *err)
{
    sqlite3_stmt *stmt = connection_query(s, QUERY_BEGIN, err);

    return stmt ? connection_run(s, stmt, "beginning a transaction", err) : -1;
}

int connection_patience(struct sink *s, int ms, struct tl_error *err)
{
    /* Only a begin waits here: from then on the whole file is this connection's. */
    (void)ms;
    return connection_in_transaction(s, err);
}

int connection_commit(struct sink *s, struct tl_error *err)
{
    sqlite3_stmt *stmt;

    if (connection_in_transaction(s, err))
        return -1;
    stmt = connection_query(s, QUERY_COMMIT, err);
    return stmt ? connection_run(s, stmt, "committing", err) : -1;
}

void connection_rollback(struct sink *s)
{
    /* There may be no transaction any more: SQLite ends it by itself when it meets an error like a full disk.
     */
    if (s->db && !sqlite3_get_autocommit(s->db))
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
}
