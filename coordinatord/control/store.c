/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/control/store_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/base/failpoint.h"

enum { BUSY_MS = 5000 };

static const char *const statement_sql[ST_COUNT] = {
#define X(name, sql) [ST_##name] = sql,
#include "coordinatord/control/statements.def"
#undef X
};

/* Step i brings a database from version i to i + 1 (PRAGMA user_version). Steps are added, never changed. */
static const char *const migrations[] = {
    "CREATE TABLE clusters("
    " cluster TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE tenants("
    " tenant TEXT PRIMARY KEY,"
    " cluster TEXT NOT NULL REFERENCES clusters,"
    " partitions INTEGER NOT NULL CHECK(partitions > 0),"
    " created_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE tables("
    " table_id INTEGER PRIMARY KEY AUTOINCREMENT," /* never given twice */
    " tenant TEXT NOT NULL REFERENCES tenants,"
    " name TEXT NOT NULL,"
    " version INTEGER NOT NULL," /* the active one; 0: none yet */
    " dropped INTEGER NOT NULL,"
    " created_ms INTEGER NOT NULL);"
    /* Nor by metadata that is made anew beside topics that are left: they still have messages of the old ones. */
    "INSERT INTO sqlite_sequence(name, seq) VALUES('tables', CAST(strftime('%s', 'now') AS INTEGER));"
    "CREATE UNIQUE INDEX tables_by_name ON tables(tenant, name) WHERE dropped=0;"
    "CREATE TABLE versions("
    " table_id INTEGER NOT NULL REFERENCES tables,"
    " version INTEGER NOT NULL,"
    " schema TEXT NOT NULL,"
    " state TEXT NOT NULL CHECK(state IN ('pending', 'active')),"
    " created_ms INTEGER NOT NULL,"
    " who TEXT NOT NULL,"
    " PRIMARY KEY(table_id, version)) WITHOUT ROWID;"
    "CREATE INDEX versions_pending ON versions(table_id, version) WHERE state='pending';"
    "CREATE TABLE uploads("
    " rowid INTEGER PRIMARY KEY AUTOINCREMENT,"
    " tenant TEXT NOT NULL REFERENCES tenants,"
    " upload TEXT NOT NULL,"
    " table_name TEXT NOT NULL,"
    " table_id INTEGER NOT NULL REFERENCES tables,"
    " version INTEGER NOT NULL,"
    " partitions INTEGER NOT NULL,"
    " state TEXT NOT NULL,"
    " wish TEXT,"
    " reason TEXT NOT NULL,"
    " rows_read INTEGER NOT NULL,"
    " rows_applied INTEGER NOT NULL,"
    " rows_rejected INTEGER NOT NULL,"
    " errors_stored INTEGER NOT NULL,"
    " bytes_sent INTEGER NOT NULL,"
    " bytes_total INTEGER NOT NULL,"
    " started_ms INTEGER NOT NULL,"
    " finished_ms INTEGER NOT NULL,"
    " change INTEGER NOT NULL,"
    " max_errors_rows INTEGER NOT NULL,"
    " max_errors_percent REAL NOT NULL,"
    " resumable INTEGER NOT NULL,"
    " batch_bytes INTEGER NOT NULL,"
    " dialect TEXT NOT NULL,"
    " header TEXT,"
    " files TEXT NOT NULL,"
    " content TEXT NOT NULL," /* fingerprints of all files; "" when it can't be told from others */
    " options TEXT,"
    " UNIQUE(tenant, upload));"
    "CREATE INDEX uploads_by_content ON uploads(table_id, content) WHERE content<>'';"
    "CREATE INDEX uploads_unfinished ON uploads(state) WHERE state IN ('sending', 'processing');",

    /* Clusters and tenants that come and go. */
    "ALTER TABLE clusters ADD COLUMN properties TEXT;" /* JSON; NULL: the one of the configuration */
    "ALTER TABLE clusters ADD COLUMN max_partitions INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE clusters ADD COLUMN draining INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE clusters ADD COLUMN kafka_id TEXT NOT NULL DEFAULT '';" /* as Kafka says; "" not known yet */
    "ALTER TABLE clusters ADD COLUMN created_ms INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE clusters ADD COLUMN who TEXT NOT NULL DEFAULT '';"
    "ALTER TABLE tenants ADD COLUMN epoch INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE tenants ADD COLUMN sink_url TEXT;" /* NULL: the configuration's, as the next one */
    "ALTER TABLE tenants ADD COLUMN errors_url TEXT;"
    "ALTER TABLE tenants ADD COLUMN max_uploads INTEGER NOT NULL DEFAULT 0;" /* 0: no limit, as the next one */
    "ALTER TABLE tenants ADD COLUMN max_bytes_per_second INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE tenants ADD COLUMN state TEXT NOT NULL DEFAULT 'ready'"
    " CHECK(state IN ('preparing', 'ready', 'moving', 'removing'));"
    "ALTER TABLE tenants ADD COLUMN move_to TEXT REFERENCES clusters;" /* has its topics too, or will have */
    "ALTER TABLE tenants ADD COLUMN move_from TEXT REFERENCES clusters;" /* still has its old ones */
    "ALTER TABLE tenants ADD COLUMN move_step INTEGER NOT NULL DEFAULT 0;"
    "ALTER TABLE tenants ADD COLUMN who TEXT NOT NULL DEFAULT '';"
    "CREATE INDEX tables_by_tenant ON tables(tenant);"
    /* The last life of each name there ever was: what the sink has of an earlier one is not to count. */
    "CREATE TABLE epochs("
    " tenant TEXT PRIMARY KEY,"
    " epoch INTEGER NOT NULL) WITHOUT ROWID;"
    "INSERT INTO epochs SELECT tenant, epoch FROM tenants;",

    /* Who asks. */
    "CREATE TABLE tokens("
    " token TEXT PRIMARY KEY,"
    " hash TEXT NOT NULL UNIQUE,"
    " role TEXT NOT NULL,"
    " tenant TEXT REFERENCES tenants ON DELETE CASCADE," /* null: all */
    " label TEXT NOT NULL,"
    " created_by TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL,"
    " expires_ms INTEGER NOT NULL," /* 0: never */
    " CHECK((role='admin')=(tenant IS NULL))) WITHOUT ROWID;"
    "CREATE INDEX tokens_by_tenant ON tokens(tenant, token);"
    "ALTER TABLE uploads ADD COLUMN who TEXT NOT NULL DEFAULT '';",
    /* Uploads that wait for their turn to send; and a tenant's list that is not looked for among all others'. */
    "ALTER TABLE uploads ADD COLUMN begun INTEGER NOT NULL DEFAULT 1;"
    "ALTER TABLE uploads ADD COLUMN ticket INTEGER NOT NULL DEFAULT 0;"
    "DROP INDEX uploads_unfinished;"
    "CREATE INDEX uploads_unfinished ON uploads(ticket) WHERE state IN ('queued', 'sending', 'processing');"
    "CREATE INDEX uploads_by_tenant ON uploads(tenant);",
    /* Tenants of a cluster are read in several consumer groups. */
    "ALTER TABLE tenants ADD COLUMN consumer_group INTEGER NOT NULL DEFAULT 0;",
};

void store_lock(struct store *s)
{
    pthread_mutex_lock(&s->mutex);
}

void store_unlock(struct store *s)
{
    pthread_mutex_unlock(&s->mutex);
}

int store_fail(struct store *s, const char *what, struct tl_error *err)
{
    enum tl_error_code code;

    switch (sqlite3_errcode(s->db) & 0xff) {
    case SQLITE_FULL:
        code = TL_E_NO_SPACE;
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        code = TL_E_AGAIN;
        break;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PROTOCOL:
        code = TL_E_UNAVAILABLE;
        break;
    case SQLITE_NOMEM:
        code = TL_E_NOMEM;
        break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        code = TL_E_CORRUPT;
        break;
    default:
        code = TL_E_IO;
        break;
    }
    /* Not the statement's fault: whoever asked can do nothing but come again. */
    if (code == TL_E_NO_SPACE || code == TL_E_UNAVAILABLE)
        return tl_fail(err, code, "the coordinator's metadata can't be written: %s", sqlite3_errmsg(s->db));
    return tl_fail(err, code, "metadata: %s: %s", what, sqlite3_errmsg(s->db));
}

static int bind_all(sqlite3_stmt *st, const char *types, va_list ap)
{
    int rc = SQLITE_OK;

    for (int i = 0; types[i] && rc == SQLITE_OK; i++) {
        const char *text;

        switch (types[i]) {
        case 'i':
            rc = sqlite3_bind_int64(st, i + 1, va_arg(ap, int64_t));
            break;
        case 'd':
            rc = sqlite3_bind_double(st, i + 1, va_arg(ap, double));
            break;
        default:
            text = va_arg(ap, const char *);
            rc = text ? sqlite3_bind_text(st, i + 1, text, -1, SQLITE_STATIC) : sqlite3_bind_null(st, i + 1);
            break;
        }
    }
    return rc;
}

sqlite3_stmt *store_bind(struct store *s, enum statement which, struct tl_error *err, const char *types, ...)
{
    sqlite3_stmt **st = &s->statement[which];
    va_list ap;
    int rc;

    if (!*st && sqlite3_prepare_v3(s->db, statement_sql[which], -1, SQLITE_PREPARE_PERSISTENT, st, NULL) !=
                    SQLITE_OK) {
        store_fail(s, statement_sql[which], err);
        return NULL;
    }
    va_start(ap, types);
    rc = bind_all(*st, types, ap);
    va_end(ap);
    if (rc != SQLITE_OK) {
        store_fail(s, statement_sql[which], err);
        return NULL;
    }
    return *st;
}

int store_step(struct store *s, sqlite3_stmt *st, struct tl_error *err)
{
    switch (sqlite3_step(st)) {
    case SQLITE_ROW:
        return 1;
    case SQLITE_DONE:
        return 0;
    default:
        return store_fail(s, sqlite3_sql(st), err);
    }
}

void store_done(sqlite3_stmt *st)
{
    if (!st)
        return;
    sqlite3_reset(st);
    sqlite3_clear_bindings(st);
}

int store_finish(struct store *s, sqlite3_stmt *st, struct tl_error *err)
{
    int rc = st ? store_step(s, st, err) : -1;

    store_done(st);
    return rc < 0 ? -1 : 0;
}

int store_begin(struct store *s, struct tl_error *err)
{
    return store_run(s, ST_BEGIN, err, "");
}

int store_end(struct store *s, int rc, struct tl_error *err)
{
    struct tl_error ignored;

    if (rc == 0 && TL_FAILPOINT_FAILS(CONTROL_BEFORE_COMMIT, err))
        rc = -1;
    if (rc == 0 && store_run(s, ST_COMMIT, err, "") == 0) {
        TL_FAILPOINT(CONTROL_AFTER_COMMIT);
        return 0;
    }
    /* SQLite may have rolled back by itself; then this fails, and that is fine. */
    if (!sqlite3_get_autocommit(s->db) && store_run(s, ST_ROLLBACK, &ignored, "") < 0)
        return tl_error_prefix(err, "not rolled back (%s)", ignored.text);
    return -1;
}

void store_text(sqlite3_stmt *st, int column, char *out, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(st, column);

    snprintf(out, size, "%s", text ? text : "");
}

int store_text_dup(sqlite3_stmt *st, int column, char **out, struct tl_error *err)
{
    const char *text;

    *out = NULL;
    if (sqlite3_column_type(st, column) == SQLITE_NULL)
        return 0;
    text = (const char *)sqlite3_column_text(st, column);
    *out = text ? strdup(text) : NULL;
    return *out ? 0 : tl_fail_nomem(err);
}

/* --- opening --- */

int store_exec(struct store *s, const char *sql, struct tl_error *err)
{
    if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return store_fail(s, "setting up", err);
    return 0;
}

static int user_version(struct store *s, int *version, struct tl_error *err)
{
    sqlite3_stmt *st;
    int rc;

    if (sqlite3_prepare_v2(s->db, "PRAGMA user_version", -1, &st, NULL) != SQLITE_OK)
        return store_fail(s, "user_version", err);
    rc = store_step(s, st, err);
    *version = rc == 1 ? sqlite3_column_int(st, 0) : 0;
    sqlite3_finalize(st);
    return rc < 0 ? -1 : 0;
}

static int migrate_in_transaction(struct store *s, const char *path, struct tl_error *err)
{
    char pragma[64];
    int version = 0;

    if (user_version(s, &version, err) < 0)
        return -1;
    if (version > (int)TL_ARRAY_LEN(migrations))
        return tl_fail(err, TL_E_FATAL,
                       "%s was made by a newer version of coordinatord (%d; this one knows %zu)", path,
                       version, TL_ARRAY_LEN(migrations));
    for (; version < (int)TL_ARRAY_LEN(migrations); version++) {
        if (store_exec(s, migrations[version], err) < 0)
            return -1;
        snprintf(pragma, sizeof pragma, "PRAGMA user_version=%d", version + 1);
        if (store_exec(s, pragma, err) < 0)
            return -1;
    }
    return 0;
}

static int set_up(struct store *s, const char *path, struct tl_error *err)
{
    if (store_exec(s, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;", err) < 0 ||
        store_begin(s, err) < 0)
        return -1;
    return store_end(s, migrate_in_transaction(s, path, err), err);
}

struct store *store_open(const char *path, struct tl_error *err)
{
    struct store *s = calloc(1, sizeof *s);
    int rc;

    if (!s) {
        tl_fail_nomem(err);
        return NULL;
    }
    rc = pthread_mutex_init(&s->mutex, NULL);
    if (rc != 0) {
        tl_fail_errno(err, rc, "a mutex");
        free(s);
        return NULL;
    }
    if (sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) != SQLITE_OK) {
        if (s->db)
            tl_fail(err, TL_E_IO, "can't open %s: %s", path, sqlite3_errmsg(s->db));
        else
            tl_fail_nomem(err);
    } else {
        sqlite3_busy_timeout(s->db, BUSY_MS);
        if (set_up(s, path, err) == 0)
            return s;
        tl_error_prefix(err, "%s", path);
    }
    store_close(s);
    return NULL;
}

void store_close(struct store *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < ST_COUNT; i++)
        sqlite3_finalize(s->statement[i]);
    sqlite3_close(s->db);
    pthread_mutex_destroy(&s->mutex);
    free(s);
}
