/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The hooks for SQLite: each test has a directory of its own. */
#ifndef TESTS_UNIT_SINK_SQLITE_H
#define TESTS_UNIT_SINK_SQLITE_H

#include "coordinatord/sinks/sqlite/connection.h"
#include "tests/unit/sink_hooks.h"

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

static inline void sqlite_append_value(struct tl_buf *out, sqlite3_stmt *stmt, int column)
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
            sqlite_append_value(&f->dump, stmt, i);
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

static inline void sqlite_fill_disk(struct fixture *f)
{
    assert_int_equal(sqlite3_exec(f->sink->db, "PRAGMA max_page_count = 1", NULL, NULL, NULL), SQLITE_OK);
}

static inline void sqlite_free_disk(struct fixture *f)
{
    assert_int_equal(sqlite3_exec(f->sink->db, "PRAGMA max_page_count = 1000000", NULL, NULL, NULL),
                     SQLITE_OK);
}

static const struct hooks sqlite_hooks = {
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
};

#endif
