/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinatord/control/store.h"

struct fixture {
    char dir[32];
    char path[64];
    struct store *store;
};

static struct store *must_open(const char *path)
{
    struct tl_error err;
    struct store *s = store_open(path, &err);

    if (!s)
        fail_msg("%s", err.text);
    return s;
}

static void must(int rc, const struct tl_error *err)
{
    if (rc < 0)
        fail_msg("%s", err->text);
}

/* On the cluster that app names. */
static const char *place(void *app, const struct cluster_room *rooms, size_t n, struct tl_error *err)
{
    (void)rooms;
    (void)n;
    (void)err;
    return app;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct cluster_row c = {.cluster = "default"};
    struct tenant_row t = {.tenant = "default", .partitions = 4, .state = TENANT_READY, .created_ms = 1};
    struct tl_error err;

    snprintf(f->dir, sizeof f->dir, "/tmp/tload-store-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/control.db", f->dir);
    f->store = must_open(f->path);
    must(store_cluster_add(f->store, &c, &err), &err);
    must(store_tenant_add(f->store, &t, place, (void *)(uintptr_t) "default", &err), &err);
    *state = f;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int rc;

    store_close(f->store);
    rc = nftw(f->dir, remove_one, 4, FTW_DEPTH | FTW_PHYS);
    free(f);
    return rc;
}

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
    int64_t id = create(f, "orders");

    assert_int_equal(store_table_find(f->store, "default", "orders", &row, &err), 1);
    assert_false(row.active);
    assert_non_null(strstr(row.schema, "\"table_id\":"));
    table_row_release(&row);
    assert_int_equal(store_version_find(f->store, "default", "orders", 0, 1, &row, &err), 0);
    assert_int_equal(store_pending_next(f->store, 0, 0, &v, &err), 1);
    assert_int_equal(v.table_id, id);
    assert_string_equal(v.tenant, "default");
    free(v.schema);
    assert_int_equal(store_pending_next(f->store, id, 1, &v, &err), 0);

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

/* --- the states of an upload --- */

static struct upload_seen seen(int64_t read, int64_t applied, int64_t rejected, int64_t stored, int ended,
                               int stopped)
{
    struct upload_seen s = {{applied, rejected, read, stored, ended, stopped, ""}, ended + stopped >= 4};

    return s;
}

static void new_upload(struct upload *u)
{
    upload_init(u);
    u->partitions = 4;
}

static enum upload_step observe(struct upload *u, struct upload_seen s)
{
    return upload_observe(u, &s, 42);
}

static void test_counts_never_fall(void **state)
{
    struct upload u;

    (void)state;
    new_upload(&u);
    assert_true(upload_sent(&u, 10, 100));
    assert_false(upload_sent(&u, 5, 50));
    assert_int_equal(observe(&u, seen(0, 20, 3, 0, 0, 0)), UPLOAD_MOVED);
    assert_int_equal(u.rows_read, 23);
    assert_int_equal(observe(&u, seen(0, 10, 3, 0, 0, 0)), UPLOAD_SAME);
    assert_int_equal(u.rows_applied, 20);
}

static void test_done(void **state)
{
    struct upload u;

    (void)state;
    new_upload(&u);
    assert_int_equal(observe(&u, seen(10, 10, 0, 0, 3, 0)), UPLOAD_MOVED);
    assert_int_equal(observe(&u, seen(10, 10, 0, 0, 4, 0)), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_DONE);
    assert_int_equal(u.finished_ms, 42);
    assert_int_equal(observe(&u, seen(11, 11, 0, 0, 4, 0)), UPLOAD_SAME);
}

static void test_done_waits_for_stored_errors(void **state)
{
    struct upload u;

    (void)state;
    new_upload(&u);
    assert_int_equal(observe(&u, seen(10, 8, 2, 1, 4, 0)), UPLOAD_MOVED);
    assert_int_equal(u.state, UPLOAD_SENDING);
    assert_int_equal(observe(&u, seen(10, 8, 2, 2, 4, 0)), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_DONE_WITH_ERRORS);
}

static void test_lost_rows_are_a_failure(void **state)
{
    struct upload u;

    (void)state;
    new_upload(&u);
    assert_int_equal(observe(&u, seen(10, 8, 1, 1, 4, 0)), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_FAILED);
    assert_non_null(strstr(u.reason, "missing"));
}

static void test_budget(void **state)
{
    struct upload u;

    (void)state;
    new_upload(&u);
    u.max_errors_rows = 2;
    assert_int_equal(observe(&u, seen(0, 8, 2, 0, 0, 0)), UPLOAD_MOVED);
    assert_int_equal(observe(&u, seen(0, 8, 3, 0, 0, 0)), UPLOAD_WISHED);
    assert_int_equal(u.wish, UPLOAD_ABORTED);
    assert_int_equal(observe(&u, seen(0, 9, 3, 0, 0, 0)), UPLOAD_MOVED);
    assert_int_equal(observe(&u, seen(0, 9, 3, 3, 0, 4)), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_ABORTED);

    new_upload(&u); /* found out when all is applied already */
    u.max_errors_rows = 0;
    assert_int_equal(observe(&u, seen(5, 4, 1, 1, 4, 0)), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_ABORTED);
}

static void test_budget_in_percent(void **state)
{
    struct upload u;

    (void)state;
    new_upload(&u);
    u.max_errors_percent = 10;
    assert_int_equal(observe(&u, seen(0, 100, 50, 0, 0, 0)), UPLOAD_MOVED); /* too few to tell */
    assert_int_equal(observe(&u, seen(0, 1000, 100, 0, 0, 0)), UPLOAD_MOVED);
    assert_int_equal(observe(&u, seen(0, 1000, 120, 0, 0, 0)), UPLOAD_WISHED);
}

static void test_stopped(void **state)
{
    struct upload u;
    struct upload_seen s;
    struct tl_error err;

    (void)state;
    new_upload(&u);
    assert_true(upload_wish(&u, UPLOAD_FAILED, "the file shrank"));
    assert_false(upload_wish(&u, UPLOAD_ABORTED, "later"));
    assert_int_equal(upload_processing(&u, &err), -1);
    assert_int_equal(observe(&u, seen(0, 5, 0, 0, 1, 2)), UPLOAD_MOVED);
    assert_int_equal(observe(&u, seen(3, 5, 0, 0, 1, 3)), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_FAILED);
    assert_string_equal(u.reason, "the file shrank");

    new_upload(&u); /* nobody wished it: the table went away */
    s = seen(0, 0, 0, 0, 0, 4);
    snprintf(s.progress.reason, sizeof s.progress.reason, "the table was dropped");
    assert_int_equal(observe(&u, s), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_FAILED);
    assert_string_equal(u.reason, "the table was dropped");

    new_upload(&u); /* the wish came too late */
    assert_true(upload_wish(&u, UPLOAD_FAILED, "gave up"));
    assert_int_equal(observe(&u, seen(9, 9, 0, 0, 4, 0)), UPLOAD_FINISHED);
    assert_int_equal(u.state, UPLOAD_DONE);
    assert_string_equal(u.reason, "");
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
        cmocka_unit_test(test_counts_never_fall),
        cmocka_unit_test(test_done),
        cmocka_unit_test(test_done_waits_for_stored_errors),
        cmocka_unit_test(test_lost_rows_are_a_failure),
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_budget_in_percent),
        cmocka_unit_test(test_stopped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
