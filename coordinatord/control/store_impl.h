/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of the store share; nobody else includes it. All but store_lock need the lock. */
#ifndef COORDINATORD_CONTROL_STORE_IMPL_H
#define COORDINATORD_CONTROL_STORE_IMPL_H

#include <pthread.h>
#include <sqlite3.h>

#include "coordinatord/control/store.h"

enum statement {
#define X(name, sql) ST_##name,
#include "coordinatord/control/statements.def"
#undef X
    ST_COUNT
};

struct store {
    pthread_mutex_t mutex;
    sqlite3 *db;
    sqlite3_stmt *statement[ST_COUNT]; /* NULL until used */
};

void store_lock(struct store *s);
void store_unlock(struct store *s);

/* Fills err from SQLite's last error. Returns -1. */
int store_fail(struct store *s, const char *what, struct tl_error *err) TL_COLD;
/*
 * The statement, reset, with parameters bound as `types` says, one letter each from ?1 on: i int64_t, d
 * double, t text (const char *, NULL for null; must live until store_done). NULL with *err.
 */
sqlite3_stmt *store_bind(struct store *s, enum statement which, struct tl_error *err, const char *types, ...);
/* SQLITE_ROW as 1, SQLITE_DONE as 0, else -1. */
int store_step(struct store *s, sqlite3_stmt *st, struct tl_error *err) TL_MUST_CHECK;
/* Ends the use of a statement: it holds no lock and borrows nothing any more. NULL is fine. */
void store_done(sqlite3_stmt *st);
/* The same in one for statements that give no rows: 0 or -1. */
#define store_run(s, which, err, ...) store_finish(s, store_bind(s, which, err, __VA_ARGS__), err)
int store_finish(struct store *s, sqlite3_stmt *st, struct tl_error *err) TL_MUST_CHECK;

/* Statements without parameters and answers. Under the lock. */
int store_exec(struct store *s, const char *sql, struct tl_error *err) TL_MUST_CHECK;
int store_begin(struct store *s, struct tl_error *err) TL_MUST_CHECK;
/* Commits when rc is 0 and rolls back otherwise, or when that fails. Returns what then holds: 0 or -1. */
int store_end(struct store *s, int rc, struct tl_error *err) TL_MUST_CHECK;

/* store_rooms, under the lock. */
int store_rooms_locked(struct store *s, struct cluster_room *rooms, size_t *n,
                       struct tl_error *err) TL_MUST_CHECK;

/* A text column cut into a fixed array. */
void store_text(sqlite3_stmt *st, int column, char *out, size_t size);
/* A copy of a text column, NULL for null; -1 when memory is short. */
int store_text_dup(sqlite3_stmt *st, int column, char **out, struct tl_error *err) TL_MUST_CHECK;

#endif
