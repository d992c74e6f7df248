/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <sqlite3.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/store_fixture.h"

static struct tl_schema *schema(const char *table)
{
    char text[200];
    struct tl_schema *s;
    struct tl_error err;

    snprintf(text, sizeof text,
             "{\"table\":\"%s\",\"columns\":[{\"name\":\"id\",\"type\":\"int\"}],\"key\":[\"id\"]}", table);
    must(tl_schema_from_text(tl_str(text), &s, &err), &err);
    return s;
}

static int64_t create(struct fixture *f, const char *name)
{
    struct tl_schema *s = schema(name);
    struct tl_error err;
    int64_t id;

    must(store_table_create(f->store, "default", s, "me", 5, &err), &err);
    assert_int_equal(s->version, 1);
    id = s->table_id;
    tl_schema_free(s);
    return id;
}

static void test_table_is_pending_then_active(void **state)
{
    struct fixture *f = *state;
    struct tl_error err;
    struct table_row row;
    struct pending_version v;
    char tenant[TL_TENANT_MAX + 1];
    int64_t id = create(f, "orders");

    assert_int_equal(store_table_find(f->store, "default", "orders", &row, &err), 1);
    assert_false(row.active);
    assert_non_null(strstr(row.schema, "\"table_id\":"));
    table_row_release(&row);
    assert_int_equal(store_version_find(f->store, "default", "orders", 0, 1, &row, &err), 0);
    assert_int_equal(store_pending_tenant(f->store, "", tenant, &err), 1);
    assert_string_equal(tenant, "default");
    assert_int_equal(store_pending_tenant(f->store, tenant, tenant, &err), 0);
    assert_int_equal(store_pending_next(f->store, "default", 0, 0, &v, &err), 1);
    assert_int_equal(v.table_id, id);
    free(v.schema);
    assert_int_equal(store_pending_next(f->store, "default", id, 1, &v, &err), 0);
    assert_int_equal(store_pending_next(f->store, "other", 0, 0, &v, &err), 0);

    must(store_version_activate(f->store, id, 1, false, &err), &err);
    assert_int_equal(store_version_pending(f->store, id, 1, &err), 0);
    assert_int_equal(store_version_find(f->store, "default", "orders", 0, 1, &row, &err), 1);
    assert_true(row.active);
    assert_int_equal(row.version, 1);
    table_row_release(&row);
    assert_int_equal(store_table_find(f->store, "other", "orders", &row, &err), 0);
}

static void test_name_is_taken(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *s = schema("orders");
    struct tl_error err;

    create(f, "orders");
    assert_int_equal(store_table_create(f->store, "default", s, "me", 5, &err), -1);
    assert_int_equal(err.code, TL_E_CONFLICT);
    tl_schema_free(s);
}

static void test_drop_keeps_versions_and_never_reuses_ids(void **state)
{
    struct fixture *f = *state;
    struct tl_error err;
    struct table_row row;
    int64_t first = create(f, "orders"), second;

    assert_int_equal(store_table_drop(f->store, first, "me", 6, &err), -1);
    assert_int_equal(err.code, TL_E_CONFLICT); /* version 1 is still pending */
    must(store_version_activate(f->store, first, 1, false, &err), &err);
    must(store_table_drop(f->store, first, "me", 6, &err), &err);
    assert_int_equal(store_table_find(f->store, "default", "orders", &row, &err), 1);
    assert_true(row.dropping);
    assert_int_equal(row.version, 1);
    table_row_release(&row);
    must(store_version_activate(f->store, first, 2, true, &err), &err);
    assert_int_equal(store_table_find(f->store, "default", "orders", &row, &err), 0);
    assert_int_equal(store_version_find(f->store, "default", "orders", 0, 1, &row, &err), 0);
    assert_int_equal(store_version_find(f->store, "default", "orders", first, 1, &row, &err), 1);
    table_row_release(&row);
    assert_int_equal(store_version_find(f->store, "default", "orders", first, 2, &row, &err), 1);
    assert_non_null(strstr(row.schema, "\"dropped\":true"));
    table_row_release(&row);
    second = create(f, "orders");
    assert_true(second > first);
}

static struct tl_schema *next_version(int64_t table_id, int32_t version)
{
    struct tl_schema *s = schema("orders");

    s->table_id = table_id;
    s->version = version;
    return s;
}

static int add_version(void *app, const struct version_row *row, struct tl_error *err)
{
    char *text = app;
    size_t len = strlen(text);

    (void)err;
    snprintf(text + len, 100 - len, "%d%s by %s at %lld; ", (int)row->version, row->active ? "" : " pending",
             row->who, (long long)row->created_ms);
    return 0;
}

static void conflicts(struct fixture *f, const struct tl_schema *next)
{
    struct tl_error err;

    assert_int_equal(store_table_alter(f->store, next, "me", 6, &err), -1);
    assert_int_equal(err.code, TL_E_CONFLICT);
}

/* The next version is taken when it is the next one, and when no other is under way. */
static void test_alter_compares_and_sets(void **state)
{
    struct fixture *f = *state;
    struct tl_error err;
    int64_t id = create(f, "orders");
    struct tl_schema *second = next_version(id, 2), *third = next_version(id, 3);
    struct table_row row;
    char text[100] = "";

    conflicts(f, second); /* version 1 is still pending */
    must(store_version_activate(f->store, id, 1, false, &err), &err);
    conflicts(f, third);
    must(store_table_alter(f->store, second, "you", 7, &err), &err);
    conflicts(f, second);
    assert_int_equal(store_table_drop(f->store, id, "me", 8, &err), -1);
    must(store_versions(f->store, id, 1, 10, add_version, text, &err), &err);
    assert_string_equal(text, "1 by me at 5; 2 pending by you at 7; ");
    assert_int_equal(store_table_find(f->store, "default", "orders", &row, &err), 1);
    assert_true(row.version == 1 && row.active && !row.dropping);
    assert_string_equal(row.who, "me");
    table_row_release(&row);
    must(store_version_activate(f->store, id, 2, false, &err), &err);
    assert_int_equal(store_table_find(f->store, "default", "orders", &row, &err), 1);
    assert_true(row.version == 2 && row.version_ms == 7);
    table_row_release(&row);
    must(store_table_alter(f->store, third, "me", 9, &err), &err);
    text[0] = '\0';
    must(store_versions(f->store, id, 2, 1, add_version, text, &err), &err);
    assert_string_equal(text, "2 by you at 7; ");
    tl_schema_free(second);
    tl_schema_free(third);
}

struct names {
    char text[200];
};

static int add_name(void *app, const struct table_row *row, struct tl_error *err)
{
    struct names *n = app;
    size_t len = strlen(n->text);

    (void)err;
    snprintf(n->text + len, sizeof n->text - len, "%s ", row->name);
    return 0;
}

static void test_pages_of_tables(void **state)
{
    struct fixture *f = *state;
    struct names n = {""};
    struct tl_error err;

    create(f, "c");
    create(f, "a");
    create(f, "b");
    must(store_tables(f->store, "default", "", 2, add_name, &n, &err), &err);
    assert_string_equal(n.text, "a b ");
    n.text[0] = '\0';
    must(store_tables(f->store, "default", "b", 2, add_name, &n, &err), &err);
    assert_string_equal(n.text, "c ");
}

static void fill_upload(struct upload *u, const char *id, int64_t table_id)
{
    upload_init(u);
    snprintf(u->tenant, sizeof u->tenant, "default");
    snprintf(u->id, sizeof u->id, "%s", id);
    snprintf(u->table, sizeof u->table, "orders");
    u->table_id = table_id;
    u->version = 1;
    u->partitions = 4;
    u->max_errors_percent = 2.5;
    u->dialect = strdup("csv");
    u->files = strdup("[]");
    u->content = strdup("");
}

static int add_id(void *app, const struct upload *u, struct tl_error *err)
{
    struct names *n = app;
    size_t len = strlen(n->text);

    (void)err;
    snprintf(n->text + len, sizeof n->text - len, "%s ", u->id);
    return 0;
}

static int add_unfinished(void *app, struct upload *u, struct tl_error *err)
{
    return add_id(app, u, err);
}

static void test_uploads(void **state)
{
    struct fixture *f = *state;
    int64_t table = create(f, "orders");
    struct upload u, found;
    struct tl_error err;
    struct names n = {""};
    struct upload_filter filter = {.tenant = "default", .limit = 10};

    for (int i = 1; i <= 3; i++) {
        char id[8];

        snprintf(id, sizeof id, "u%d", i);
        fill_upload(&u, id, table);
        must(store_upload_add(f->store, &u, &err), &err);
        if (i == 2) {
            assert_int_equal(store_upload_add(f->store, &u, &err), -1);
            assert_int_equal(err.code, TL_E_CONFLICT);
            u.state = UPLOAD_ABORTED;
            u.wish = UPLOAD_ABORTED;
            u.rows_read = 77;
            snprintf(u.reason, sizeof u.reason, "because");
            must(store_upload_save(f->store, &u, &err), &err);
        }
        upload_release(&u);
    }
    assert_int_equal(store_upload_find(f->store, "default", "u2", &found, &err), 1);
    assert_int_equal(found.state, UPLOAD_ABORTED);
    assert_int_equal(found.wish, UPLOAD_ABORTED);
    assert_int_equal(found.rows_read, 77);
    assert_string_equal(found.reason, "because");
    assert_null(found.header);
    assert_true(found.max_errors_percent > 2.4 && found.max_errors_percent < 2.6);
    assert_int_equal(found.bytes_total, -1);
    filter.before = found.rowid;
    upload_release(&found);
    assert_int_equal(store_upload_find(f->store, "other", "u2", &found, &err), 0);

    must(store_uploads(f->store, &filter, add_id, &n, &err), &err);
    assert_string_equal(n.text, "u1 ");
    filter.before = 0;
    n.text[0] = '\0';
    must(store_uploads(f->store, &filter, add_id, &n, &err), &err);
    assert_string_equal(n.text, "u3 u2 u1 ");
    filter.state = "aborted";
    n.text[0] = '\0';
    must(store_uploads(f->store, &filter, add_id, &n, &err), &err);
    assert_string_equal(n.text, "u2 ");
    n.text[0] = '\0';
    must(store_uploads_unfinished(f->store, add_unfinished, &n, &err), &err);
    assert_string_equal(n.text, "u1 u3 ");
}

static void test_no_upload_into_a_table_that_is_dropped(void **state)
{
    struct fixture *f = *state;
    int64_t table = create(f, "orders");
    struct upload u;
    struct tl_error err;

    must(store_version_activate(f->store, table, 1, false, &err), &err);
    must(store_table_drop(f->store, table, "me", 6, &err), &err);
    fill_upload(&u, "late", table);
    assert_int_equal(store_upload_add(f->store, &u, &err), -1);
    assert_int_equal(err.code, TL_E_CONFLICT);
    must(store_version_activate(f->store, table, 2, true, &err), &err);
    assert_int_equal(store_upload_add(f->store, &u, &err), -1);
    assert_int_equal(err.code, TL_E_CONFLICT);
    upload_release(&u);
}

static void test_survives_reopening(void **state)
{
    struct fixture *f = *state;
    struct table_row row;
    struct tl_error err;

    create(f, "orders");
    store_close(f->store);
    f->store = must_open(f->path);
    assert_int_equal(store_table_find(f->store, "default", "orders", &row, &err), 1);
    table_row_release(&row);
}

static void test_newer_file_is_refused(void **state)
{
    enum { USER_VERSION_AT = 60 }; /* in the head of an SQLite file, big-endian */
    struct fixture *f = *state;
    struct tl_error err;
    FILE *db;

    store_close(f->store);
    f->store = NULL;
    db = fopen(f->path, "r+");
    assert_non_null(db);
    assert_int_equal(fseek(db, USER_VERSION_AT, SEEK_SET), 0);
    assert_int_equal(fwrite("\0\0\3\0", 1, 4, db), 4);
    assert_int_equal(fclose(db), 0);
    assert_null(store_open(f->path, &err));
    assert_non_null(strstr(err.text, "newer"));
}

static void test_not_a_database(void **state)
{
    struct fixture *f = *state;
    struct tl_error err;
    char path[80];
    FILE *out;

    snprintf(path, sizeof path, "%s/garbage", f->dir);
    out = fopen(path, "w");
    assert_non_null(out);
    for (int i = 0; i < 1000; i++)
        fputs("this is no database ", out);
    fclose(out);
    assert_null(store_open(path, &err));
    assert_int_equal(err.code, TL_E_CORRUPT);
}

/* --- from the first version on --- */

/* As it was made by the first version, with a tenant that has a table and an upload. */
static const char first_version[] =
    "CREATE TABLE clusters(cluster TEXT PRIMARY KEY) WITHOUT ROWID;"
    "CREATE TABLE tenants(tenant TEXT PRIMARY KEY, cluster TEXT NOT NULL REFERENCES clusters,"
    " partitions INTEGER NOT NULL CHECK(partitions > 0), created_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE tables(table_id INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL REFERENCES tenants,"
    " name TEXT NOT NULL, version INTEGER NOT NULL, dropped INTEGER NOT NULL, created_ms INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX tables_by_name ON tables(tenant, name) WHERE dropped=0;"
    "CREATE TABLE versions(table_id INTEGER NOT NULL REFERENCES tables, version INTEGER NOT NULL,"
    " schema TEXT NOT NULL, state TEXT NOT NULL CHECK(state IN ('pending', 'active')),"
    " created_ms INTEGER NOT NULL, who TEXT NOT NULL, PRIMARY KEY(table_id, version)) WITHOUT ROWID;"
    "CREATE INDEX versions_pending ON versions(table_id, version) WHERE state='pending';"
    "CREATE TABLE uploads(rowid INTEGER PRIMARY KEY AUTOINCREMENT, tenant TEXT NOT NULL REFERENCES tenants,"
    " upload TEXT NOT NULL, table_name TEXT NOT NULL, table_id INTEGER NOT NULL REFERENCES tables,"
    " version INTEGER NOT NULL, partitions INTEGER NOT NULL, state TEXT NOT NULL, wish TEXT, reason TEXT NOT NULL,"
    " rows_read INTEGER NOT NULL, rows_applied INTEGER NOT NULL, rows_rejected INTEGER NOT NULL,"
    " errors_stored INTEGER NOT NULL, bytes_sent INTEGER NOT NULL, bytes_total INTEGER NOT NULL,"
    " started_ms INTEGER NOT NULL, finished_ms INTEGER NOT NULL, change INTEGER NOT NULL,"
    " max_errors_rows INTEGER NOT NULL, max_errors_percent REAL NOT NULL, resumable INTEGER NOT NULL,"
    " batch_bytes INTEGER NOT NULL, dialect TEXT NOT NULL, header TEXT, files TEXT NOT NULL,"
    " content TEXT NOT NULL, options TEXT, UNIQUE(tenant, upload));"
    "CREATE INDEX uploads_by_content ON uploads(table_id, content) WHERE content<>'';"
    "CREATE INDEX uploads_unfinished ON uploads(state) WHERE state IN ('sending', 'processing');"
    "INSERT INTO clusters VALUES('default');"
    "INSERT INTO tenants VALUES('default', 'default', 4, 123);"
    "INSERT INTO tables VALUES(77, 'default', 'orders', 1, 0, 124);"
    "INSERT INTO versions VALUES(77, 1, '{}', 'active', 125, 'me');"
    "INSERT INTO uploads VALUES(9, 'default', 'u1', 'orders', 77, 1, 4, 'sending', NULL, '', 5, 4, 1, 1, 10, 20,"
    " 126, 0, 127, -1, -1, 1, 1048576, 'csv', NULL, '[]', '', NULL);"
    "PRAGMA user_version=1;";

struct found {
    int n;
    struct tenant_row row;
};

static int find_tenant(void *app, struct tenant_row *row, struct tl_error *err)
{
    struct found *found = app;

    (void)err;
    found->n++;
    found->row = *row;
    row->sink_url = row->errors_url = NULL;
    return 0;
}

static void test_first_version_is_brought_up_to_date(void **state)
{
    struct fixture *f = *state;
    struct tenant_row next = {.tenant = "default", .partitions = 1};
    struct found found = {0};
    struct cluster_room rooms[STORE_CLUSTERS_MAX];
    struct table_row table;
    struct upload u;
    struct tl_error err;
    sqlite3 *db;
    size_t n;

    store_close(f->store);
    assert_int_equal(remove_tree(f->dir), 0);
    assert_int_equal(mkdir(f->dir, 0700), 0);
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, first_version, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);

    for (int i = 0; i < 2; i++) {
        f->store = must_open(f->path);
        memset(&found, 0, sizeof found);
        must(store_tenants(f->store, find_tenant, &found, &err), &err);
        assert_int_equal(found.n, 1);
        assert_string_equal(found.row.tenant, "default");
        assert_true(found.row.partitions == 4 && found.row.epoch == 1 && found.row.state == TENANT_READY);
        assert_true(found.row.created_ms == 123 && !found.row.sink_url && !found.row.move_to[0]);
        must(store_rooms(f->store, rooms, &n, &err), &err);
        assert_true(n == 1 && rooms[0].reserved == 12 && !rooms[0].draining);
        assert_int_equal(store_table_find(f->store, "default", "orders", &table, &err), 1);
        assert_int_equal(table.table_id, 77);
        table_row_release(&table);
        assert_int_equal(store_upload_find(f->store, "default", "u1", &u, &err), 1);
        assert_true(u.rowid == 9 && u.rows_applied == 4);
        upload_release(&u);
        store_close(f->store);
    }
    f->store = must_open(f->path);
    assert_int_equal(store_tenant_known(f->store, "default", &err), 1);
    assert_int_equal(store_tenant_known(f->store, "other", &err), 0);
    must(store_tenant_remove(f->store, "default", &err), &err);
    assert_int_equal(store_upload_find(f->store, "default", "u1", &u, &err), 0);
    must(store_tenant_add(f->store, &next, GROUP_PARTITIONS, place, (void *)(uintptr_t) "default", &err),
         &err);
    assert_int_equal(next.epoch, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_table_is_pending_then_active, setup, teardown),
        cmocka_unit_test_setup_teardown(test_name_is_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(test_alter_compares_and_sets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drop_keeps_versions_and_never_reuses_ids, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages_of_tables, setup, teardown),
        cmocka_unit_test_setup_teardown(test_uploads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_upload_into_a_table_that_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_survives_reopening, setup, teardown),
        cmocka_unit_test_setup_teardown(test_newer_file_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_a_database, setup, teardown),
        cmocka_unit_test_setup_teardown(test_first_version_is_brought_up_to_date, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
