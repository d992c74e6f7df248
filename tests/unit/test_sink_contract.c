/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What sink.h asks of a data sink, over every sink in sinks.def. What only the sink's own database can tell (values as
 * they were stored, a user's constraint, a full disk) goes through the hooks at the top, one set of them a sink.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "coordinatord/sinks/sinks.h"
#include "coordinatord/sinks/sqlite/connection.h"

struct fixture {
    const struct sink_ops *ops;
    const struct hooks *hooks;
    char dir[64];
    char url[80];
    struct sink *sink;
    struct tl_buf dump;
    struct tl_schema *orders;
    struct tl_error err;
};

struct hooks {
    const char *scheme;
    void (*make_place)(struct fixture *f);
    void (*remove_place)(struct fixture *f);
    /* Rows of a query as `a|b\n`, null as NULL, into f->dump; "no such table" when that is the case. */
    void (*query)(struct fixture *f, const char *sql);
    /* Something that refuses rows of "orders" whose qty is negative, saying "qty is negative". */
    void (*add_check)(struct fixture *f);
    /* No more room for this connection; and again room. */
    void (*fill_disk)(struct sink *s);
    void (*free_disk)(struct sink *s);
    const char *edge_values; /* as query gives them: test_types */
};

/* --- sqlite --- */

static void sqlite_make_place(struct fixture *f)
{
    snprintf(f->dir, sizeof f->dir, "/tmp/tload-sink-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->url, sizeof f->url, "sqlite:%s/data", f->dir);
}

static void sqlite_path(struct fixture *f, const char *suffix, char out[128])
{
    snprintf(out, 128, "%s/data/acme.db%s", f->dir, suffix);
}

static void sqlite_remove_place(struct fixture *f)
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

static void append_value(struct tl_buf *out, sqlite3_stmt *stmt, int column)
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

static void sqlite_query(struct fixture *f, const char *sql)
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
            append_value(&f->dump, stmt, i);
        }
        assert_int_equal(tl_buf_append_char(&f->dump, '\n'), 0);
    }
    assert_int_equal(sqlite3_finalize(stmt), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(tl_buf_terminate(&f->dump), 0);
}

static void sqlite_add_check(struct fixture *f)
{
    sqlite_query(f, "CREATE TRIGGER no_negative BEFORE INSERT ON orders WHEN NEW.qty < 0 "
                    "BEGIN SELECT RAISE(ABORT, 'qty is negative'); END");
}

static void sqlite_fill_disk(struct sink *s)
{
    assert_int_equal(sqlite3_exec(s->db, "PRAGMA max_page_count = 1", NULL, NULL, NULL), SQLITE_OK);
}

static void sqlite_free_disk(struct sink *s)
{
    assert_int_equal(sqlite3_exec(s->db, "PRAGMA max_page_count = 1000000", NULL, NULL, NULL), SQLITE_OK);
}

static const struct hooks all_hooks[] = {
    {
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
    },
};

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

static struct tl_schema *schema_of(struct fixture *f, const char *json)
{
    struct tl_schema *schema;

    OK(tl_schema_from_text(tl_str(json), &schema, &f->err));
    return schema;
}

static struct sink *open_sink(struct fixture *f, bool read_only)
{
    struct sink_conf conf = {.url = f->url, .tenant = "acme", .read_only = read_only};

    return f->ops->open(&conf, &f->err);
}

static void apply(struct fixture *f, const struct tl_schema *schema)
{
    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->apply_schema(f->sink, schema, &f->err));
    OK(f->ops->commit(f->sink, &f->err));
}

static void apply_json(struct fixture *f, const char *json)
{
    struct tl_schema *schema = schema_of(f, json);

    apply(f, schema);
    tl_schema_free(schema);
}

/* A batch of rows whose fields are the columns named, all when columns is NULL. */
static int write_rows(struct fixture *f, struct sink *s, const struct tl_schema *schema, const char *columns,
                      const char *rows, int (*refused)(void *, int64_t, const char *, struct tl_error *),
                      void *app)
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

static void put(struct fixture *f, const struct tl_schema *schema, const char *columns, const char *rows)
{
    OK(f->ops->begin(f->sink, &f->err));
    OK(write_rows(f, f->sink, schema, columns, rows, NULL, NULL));
    OK(f->ops->commit(f->sink, &f->err));
}

static void expect(struct fixture *f, const char *sql, const char *rows)
{
    f->hooks->query(f, sql);
    assert_string_equal(f->dump.data, rows);
}

static void expect_orders(struct fixture *f, const char *rows)
{
    expect(f, "SELECT id, name, qty FROM orders ORDER BY id", rows);
}

static int setup(void **state)
{
    const struct sink_ops *ops = *state;
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->ops = ops;
    for (size_t i = 0; i < TL_ARRAY_LEN(all_hooks); i++)
        if (strcmp(all_hooks[i].scheme, ops->scheme) == 0)
            f->hooks = &all_hooks[i];
    assert_non_null(f->hooks);
    tl_buf_init(&f->dump, 10 * 1024 * 1024);
    f->hooks->make_place(f);
    f->orders = schema_of(f, orders_v1);
    *state = f;
    return 0;
}

static int setup_open(void **state)
{
    struct fixture *f;

    setup(state);
    f = *state;
    f->sink = open_sink(f, false);
    assert_non_null(f->sink);
    return 0;
}

static int setup_orders(void **state)
{
    setup_open(state);
    apply(*state, ((struct fixture *)*state)->orders);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    f->ops->close(f->sink);
    f->hooks->remove_place(f);
    tl_schema_free(f->orders);
    tl_buf_release(&f->dump);
    free(f);
    return 0;
}

/* --- tests --- */

static void test_url(void **state)
{
    struct fixture *f = *state;
    char bare[40];

    OK(f->ops->check_url(f->url, &f->err));
    snprintf(bare, sizeof bare, "%s:", f->ops->scheme);
    FAILS(f->ops->check_url(bare, &f->err), TL_E_REFUSED);
    assert_ptr_equal(sink_for_url(f->url, &f->err), f->ops);
    assert_null(sink_for_url("nothing:/x", &f->err));
    assert_int_equal(f->err.code, TL_E_REFUSED);
    assert_non_null(strstr(f->err.text, f->ops->scheme));
    assert_null(sink_for_url(f->ops->scheme, &f->err));
}

static void test_read_only(void **state)
{
    struct fixture *f = *state;
    struct upload_progress p;
    struct tl_schema *none;
    struct sink *reader;

    assert_null(open_sink(f, true));
    assert_int_equal(f->err.code, TL_E_NOT_FOUND);
    f->sink = open_sink(f, false);
    assert_non_null(f->sink);
    reader = open_sink(f, true);
    assert_non_null(reader);
    OK(f->ops->progress(reader, "u", &p, &f->err));
    assert_int_equal(p.rows_applied, 0);
    OK(f->ops->table(reader, "orders", &none, &f->err));
    assert_null(none);
    f->ops->close(reader);
}

static void test_create_and_describe(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *back;

    expect_orders(f, "");
    OK(f->ops->table(f->sink, "orders", &back, &f->err));
    assert_non_null(back);
    assert_true(tl_schema_same_shape(back, f->orders));
    assert_int_equal(back->table_id, 1);
    assert_int_equal(back->version, 1);
    assert_false(back->dropped);
    tl_schema_free(back);
    apply(f, f->orders);
}

static void test_last_one_wins(void **state)
{
    struct fixture *f = *state;

    put(f, f->orders, NULL, "1\ta\t1\n2\tb\t2\n1\tc\t3\n");
    expect_orders(f, "1|c|3\n2|b|2\n");
    put(f, f->orders, NULL, "2\td\t4\n3\te\t5\n");
    expect_orders(f, "1|c|3\n2|d|4\n3|e|5\n");
    put(f, f->orders, "qty,id,name", "9\t1\tz\n");
    expect_orders(f, "1|z|9\n2|d|4\n3|e|5\n");
}

static void test_nulls_and_empty(void **state)
{
    struct fixture *f = *state;

    put(f, f->orders, NULL, "1\t\\N\t1\n2\t\t\\N\n3\t\\\\N\t3\n4\ta\\tb\\nc\\\\d\t4\n");
    expect_orders(f, "1|NULL|1\n2||NULL\n3|\\N|3\n4|a\tb\nc\\d|4\n");
    put(f, f->orders, NULL, "3\t\\N\t\\N\n");
    expect_orders(f, "1|NULL|1\n2||NULL\n3|NULL|NULL\n4|a\tb\nc\\d|4\n");
}

static void test_columns_not_carried(void **state)
{
    struct fixture *f = *state;

    put(f, f->orders, NULL, "1\ta\t1\n");
    put(f, f->orders, "id,name", "1\tb\n2\tc\n");
    expect_orders(f, "1|b|1\n2|c|7\n");
    put(f, f->orders, "qty,id", "5\t1\n\\N\t3\n");
    expect_orders(f, "1|b|5\n2|c|7\n3|NULL|NULL\n");
    put(f, f->orders, "id", "1\n4\n");
    expect_orders(f, "1|b|5\n2|c|7\n3|NULL|NULL\n4|NULL|7\n");
}

static void test_no_key(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *log = schema_of(f,
                                      "{\"table\":\"log\",\"table_id\":5,\"version\":1,\"columns\":["
                                      "{\"id\":1,\"name\":\"at\",\"type\":\"date\"},"
                                      "{\"id\":2,\"name\":\"what\",\"type\":\"varchar(10)\"}],\"key\":[]}");

    apply(f, log);
    put(f, log, NULL, "2026-01-31\ta\n2026-01-31\ta\n\\N\t\\N\n");
    put(f, log, "what", "a\n");
    expect(f, "SELECT at, what FROM log ORDER BY 1, 2", "NULL|NULL\nNULL|a\n2026-01-31|a\n2026-01-31|a\n");
    tl_schema_free(log);
}

static void test_key_of_texts(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *t = schema_of(
        f, "{\"table\":\"t\",\"table_id\":5,\"version\":1,\"columns\":["
           "{\"id\":1,\"name\":\"n\",\"type\":\"int\"},"
           "{\"id\":2,\"name\":\"day\",\"type\":\"date\"},"
           "{\"id\":3,\"name\":\"code\",\"type\":\"text\"}],\"key\":[\"code\",\"day\"]}");

    apply(f, t);
    put(f, t, NULL, "1\t2026-01-31\t007\n2\t2026-01-31\t7\n3\t2026-02-01\t7\n4\t2026-01-31\t007\n");
    expect(f, "SELECT n, day, code FROM t ORDER BY n", "2|2026-01-31|7\n3|2026-02-01|7\n4|2026-01-31|007\n");
    tl_schema_free(t);
}

static void test_types(void **state)
{
    struct fixture *f = *state;
    static const char *const columns[] = {"b", "i",  "l",  "d",  "m", "x", "v",
                                          "t", "da", "ts", "tz", "u", "j", "y"};
    struct tl_schema *t = schema_of(f, "{\"table\":\"t\",\"table_id\":5,\"version\":1,\"columns\":["
                                       "{\"id\":1,\"name\":\"id\",\"type\":\"int\"},"
                                       "{\"id\":2,\"name\":\"b\",\"type\":\"boolean\"},"
                                       "{\"id\":3,\"name\":\"i\",\"type\":\"int\"},"
                                       "{\"id\":4,\"name\":\"l\",\"type\":\"bigint\"},"
                                       "{\"id\":5,\"name\":\"d\",\"type\":\"double\"},"
                                       "{\"id\":6,\"name\":\"m\",\"type\":\"decimal(10,2)\"},"
                                       "{\"id\":7,\"name\":\"x\",\"type\":\"decimal(30,9)\"},"
                                       "{\"id\":8,\"name\":\"v\",\"type\":\"varchar(5)\"},"
                                       "{\"id\":9,\"name\":\"t\",\"type\":\"text\"},"
                                       "{\"id\":10,\"name\":\"da\",\"type\":\"date\"},"
                                       "{\"id\":11,\"name\":\"ts\",\"type\":\"timestamp\"},"
                                       "{\"id\":12,\"name\":\"tz\",\"type\":\"timestamptz\"},"
                                       "{\"id\":13,\"name\":\"u\",\"type\":\"uuid\"},"
                                       "{\"id\":14,\"name\":\"j\",\"type\":\"json\"},"
                                       "{\"id\":15,\"name\":\"y\",\"type\":\"bytea\"}],\"key\":[\"id\"]}");
    char sql[400];
    size_t at = (size_t)snprintf(sql, sizeof sql, "SELECT ");

    apply(f, t);
    put(f, t, NULL,
        "1\tt\t-2147483648\t-9223372036854775808\t0.1\t12345678.90\t12345678901234567890.123456789\t007\t\\t\\n\\\\\t"
        "0001-01-01\t2026-01-31 12:00:00.5\t2026-01-31 12:00:00+00\t123e4567-e89b-12d3-a456-426614174000\t"
        "{\"a\": \"\\\\n\"}\t\\\\x00ff10\n"
        "2\tf\t2147483647\t9223372036854775807\tNaN\t-99999999.99\t0.000000000\t1e5\t\t"
        "9999-12-31\t0001-01-01 00:00:00\t9999-12-31 23:59:59.999999+00\t00000000-0000-0000-0000-000000000000\t1.0\t"
        "\\\\x\n"
        "3\t\\N\t\\N\t\\N\t-Infinity\t5.00\t\\N\t\\N\t\xC3\xA9\xF0\x9F\x98\x80\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\n");
    for (size_t i = 0; i < TL_ARRAY_LEN(columns); i++)
        at += (size_t)snprintf(sql + at, sizeof sql - at, "%s%s, typeof(%s)", i ? ", " : "", columns[i],
                               columns[i]);
    snprintf(sql + at, sizeof sql - at, " FROM t ORDER BY id");
    expect(f, sql, f->hooks->edge_values);
    tl_schema_free(t);
}

static void test_defaults(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *t = schema_of(
        f, "{\"table\":\"t\",\"table_id\":5,\"version\":1,\"columns\":["
           "{\"id\":1,\"name\":\"id\",\"type\":\"int\"},"
           "{\"id\":2,\"name\":\"b\",\"type\":\"boolean\",\"nullable\":false,\"default\":\"true\"},"
           "{\"id\":3,\"name\":\"d\",\"type\":\"double\",\"default\":\"-1.5e300\"},"
           "{\"id\":4,\"name\":\"m\",\"type\":\"decimal(4,2)\",\"default\":\"-0.25\"},"
           "{\"id\":5,\"name\":\"s\",\"type\":\"text\",\"default\":\"it's\"},"
           "{\"id\":6,\"name\":\"e\",\"type\":\"text\",\"default\":\"\"},"
           "{\"id\":7,\"name\":\"y\",\"type\":\"bytea\",\"default\":\"\\\\x00ff\"}],\"key\":[\"id\"]}");

    apply(f, t);
    put(f, t, "id", "1\n");
    expect(f, "SELECT b, d, m, s, e, y FROM t", "1|-1.5e+300|-0.25|it's||00ff\n");
    tl_schema_free(t);
}

static void expect_ledger(struct fixture *f, const struct ledger_row *row)
{
    struct ledger_row back;

    assert_int_equal(f->ops->ledger_get(f->sink, row->upload, row->partition, &back, &f->err), 1);
    assert_string_equal(back.upload, row->upload);
    assert_string_equal(back.table, row->table);
    assert_true(back.table_id == row->table_id && back.partition == row->partition);
    assert_true(back.last_seq == row->last_seq && back.rows_applied == row->rows_applied);
    assert_true(back.rows_rejected == row->rows_rejected && back.rows_read == row->rows_read);
    assert_true(back.ended == row->ended && back.stopped == row->stopped);
    assert_string_equal(back.reason, row->reason);
}

static void expect_errors(struct fixture *f, const struct errors_row *row)
{
    struct errors_row back;

    assert_int_equal(f->ops->errors_get(f->sink, row->upload, row->partition, row->stage, &back, &f->err), 1);
    assert_string_equal(back.upload, row->upload);
    assert_true(back.partition == row->partition && back.stage == row->stage);
    assert_true(back.last_seq == row->last_seq && back.last_part == row->last_part && back.rows == row->rows);
}

static void test_ledger(void **state)
{
    struct fixture *f = *state;
    struct ledger_row row = {.upload = "u",
                             .table = "orders",
                             .table_id = 1,
                             .partition = 1,
                             .last_seq = 5,
                             .rows_applied = 90,
                             .rows_rejected = 10},
                      back;
    struct errors_row errors = {.upload = "u",
                                .partition = 1,
                                .stage = TL_STAGE_SINK,
                                .last_seq = 3,
                                .last_part = 2,
                                .rows = 4},
                      errors_back;
    struct upload_progress p;
    int64_t seqs[3] = {-1, -1, -1};

    assert_int_equal(f->ops->ledger_get(f->sink, "u", 1, &back, &f->err), 0);
    assert_int_equal(f->ops->errors_get(f->sink, "u", 1, TL_STAGE_SINK, &errors_back, &f->err), 0);
    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->ledger_put(f->sink, &row, &f->err));
    OK(f->ops->errors_put(f->sink, &errors, &f->err));
    errors.stage = TL_STAGE_VALIDATE;
    errors.rows = 6;
    OK(f->ops->errors_put(f->sink, &errors, &f->err));
    expect_ledger(f, &row);
    OK(f->ops->commit(f->sink, &f->err));
    expect_ledger(f, &row);
    expect_errors(f, &errors);
    OK(f->ops->progress(f->sink, "u", &p, &f->err));
    assert_true(p.rows_applied == 90 && p.rows_rejected == 10 && p.rows_read == 0 && p.errors_stored == 10);
    assert_true(p.partitions_ended == 0 && p.partitions_stopped == 0 && p.reason[0] == '\0');

    row.ended = true;
    row.last_seq = 6;
    row.rows_read = 100;
    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->ledger_put(f->sink, &row, &f->err));
    row.partition = 2;
    row.ended = false;
    row.stopped = true;
    row.last_seq = INT64_MAX;
    snprintf(row.reason, sizeof row.reason, "cancelled");
    OK(f->ops->ledger_put(f->sink, &row, &f->err));
    OK(f->ops->commit(f->sink, &f->err));
    expect_ledger(f, &row);
    OK(f->ops->progress(f->sink, "u", &p, &f->err));
    assert_true(p.rows_applied == 180 && p.rows_rejected == 20 && p.rows_read == 100 &&
                p.errors_stored == 10);
    assert_true(p.partitions_ended == 1 && p.partitions_stopped == 1);
    assert_string_equal(p.reason, "cancelled");
    OK(f->ops->last_seqs(f->sink, "u", 3, seqs, &f->err));
    assert_true(seqs[0] == 0 && seqs[1] == 6 && seqs[2] == INT64_MAX);
    OK(f->ops->last_seqs(f->sink, "other", 2, seqs, &f->err));
    assert_true(seqs[0] == 0 && seqs[1] == 0);

    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->forget(f->sink, "u", &f->err));
    OK(f->ops->commit(f->sink, &f->err));
    assert_int_equal(f->ops->ledger_get(f->sink, "u", 1, &back, &f->err), 0);
    assert_int_equal(f->ops->errors_get(f->sink, "u", 1, TL_STAGE_SINK, &errors_back, &f->err), 0);
}

static void test_offsets(void **state)
{
    struct fixture *f = *state;
    int64_t next;

    OK(f->ops->offset(f->sink, "t", 0, &next, &f->err));
    assert_int_equal(next, 0);
    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->offset_move(f->sink, "t", 0, 0, 10, &f->err));
    OK(f->ops->offset_move(f->sink, "t", 0, 10, INT64_MAX, &f->err));
    OK(f->ops->offset_move(f->sink, "t", 1, 0, 5, &f->err));
    OK(f->ops->commit(f->sink, &f->err));
    OK(f->ops->offset(f->sink, "t", 0, &next, &f->err));
    assert_true(next == INT64_MAX);
    OK(f->ops->offset(f->sink, "t", 1, &next, &f->err));
    assert_int_equal(next, 5);
    OK(f->ops->offset(f->sink, "other", 1, &next, &f->err));
    assert_int_equal(next, 0);
}

static int begin_at_last(struct fixture *f, struct sink *s)
{
    int rc;

    while ((rc = f->ops->begin(s, &f->err)) != 0 && f->err.code == TL_E_AGAIN)
        continue;
    return rc;
}

static void test_fenced(void **state)
{
    struct fixture *f = *state;
    struct ledger_row row = {.upload = "zombie", .table = "orders", .table_id = 1, .last_seq = 1}, back;
    struct sink *zombie = open_sink(f, false);
    int64_t next;

    assert_non_null(zombie);
    OK(f->ops->begin(f->sink, &f->err));
    OK(write_rows(f, f->sink, f->orders, NULL, "1\towner\t1\n", NULL, NULL));
    OK(f->ops->offset_move(f->sink, "t", 0, 0, 10, &f->err));
    FAILS(f->ops->begin(zombie, &f->err), TL_E_AGAIN);
    f->ops->rollback(zombie);
    OK(f->ops->commit(f->sink, &f->err));

    OK(begin_at_last(f, zombie));
    OK(write_rows(f, zombie, f->orders, NULL, "1\tzombie\t1\n2\tzombie\t2\n", NULL, NULL));
    OK(f->ops->ledger_put(zombie, &row, &f->err));
    FAILS(f->ops->offset_move(zombie, "t", 0, 0, 10, &f->err), TL_E_FENCED);
    f->ops->rollback(zombie);
    f->ops->close(zombie);
    expect_orders(f, "1|owner|1\n");
    assert_int_equal(f->ops->ledger_get(f->sink, "zombie", 0, &back, &f->err), 0);
    OK(f->ops->offset(f->sink, "t", 0, &next, &f->err));
    assert_int_equal(next, 10);
}

static void test_rollback(void **state)
{
    struct fixture *f = *state;
    struct ledger_row row = {.upload = "u", .table = "orders", .table_id = 1, .last_seq = 1}, back;
    struct tl_schema *none;
    int64_t next;

    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->apply_schema(f->sink, f->orders, &f->err));
    OK(write_rows(f, f->sink, f->orders, NULL, "1\ta\t1\n", NULL, NULL));
    OK(f->ops->ledger_put(f->sink, &row, &f->err));
    OK(f->ops->offset_move(f->sink, "t", 0, 0, 10, &f->err));
    f->ops->rollback(f->sink);
    f->ops->rollback(f->sink);
    expect_orders(f, "no such table");
    OK(f->ops->table(f->sink, "orders", &none, &f->err));
    assert_null(none);
    assert_int_equal(f->ops->ledger_get(f->sink, "u", 0, &back, &f->err), 0);
    OK(f->ops->offset(f->sink, "t", 0, &next, &f->err));
    assert_int_equal(next, 0);
    /* The same again, this time to the end. */
    apply(f, f->orders);
    put(f, f->orders, NULL, "1\ta\t1\n");
    expect_orders(f, "1|a|1\n");
}

static void test_outside_of_a_transaction(void **state)
{
    struct fixture *f = *state;
    struct ledger_row row = {.upload = "u"};

    FAILS(write_rows(f, f->sink, f->orders, NULL, "1\ta\t1\n", NULL, NULL), TL_E_FATAL);
    FAILS(f->ops->ledger_put(f->sink, &row, &f->err), TL_E_FATAL);
    FAILS(f->ops->offset_move(f->sink, "t", 0, 0, 1, &f->err), TL_E_FATAL);
    FAILS(f->ops->commit(f->sink, &f->err), TL_E_FATAL);
}

/* Closing with a transaction open undoes it; what was committed is there after opening again. */
static void test_close(void **state)
{
    struct fixture *f = *state;

    put(f, f->orders, NULL, "1\ta\t1\n");
    OK(f->ops->begin(f->sink, &f->err));
    OK(write_rows(f, f->sink, f->orders, NULL, "2\tb\t2\n", NULL, NULL));
    f->ops->close(f->sink);
    f->sink = open_sink(f, false);
    assert_non_null(f->sink);
    expect_orders(f, "1|a|1\n");
    f->ops->close(NULL);
}

static void test_two_writers(void **state)
{
    struct fixture *f = *state;
    struct sink *other = open_sink(f, false);
    char row[40];

    assert_non_null(other);
    for (int i = 0; i < 10; i++) {
        struct sink *s = i % 2 ? other : f->sink;

        OK(begin_at_last(f, s));
        snprintf(row, sizeof row, "%d\tw%d\t0\n0\tw%d\t%d\n", i + 1, i % 2, i % 2, i);
        OK(write_rows(f, s, f->orders, NULL, row, NULL, NULL));
        OK(f->ops->offset_move(s, "t", i % 2, i / 2, i / 2 + 1, &f->err));
        OK(f->ops->commit(s, &f->err));
    }
    f->ops->close(other);
    expect(f, "SELECT count(*), max(id) FROM orders", "11|10\n");
    expect(f, "SELECT name, qty FROM orders WHERE id = 0", "w1|9\n");
}

struct refusals {
    int n;
    int64_t index[8];
    char reason[200];
};

static int note_refusal(void *app, int64_t index, const char *reason, struct tl_error *err)
{
    struct refusals *r = app;

    (void)err;
    assert_in_range(r->n, 0, 7);
    r->index[r->n++] = index;
    snprintf(r->reason, sizeof r->reason, "%s", reason);
    return 0;
}

static int stop_at_refusal(void *app, int64_t index, const char *reason, struct tl_error *err)
{
    (void)app;
    (void)index;
    return tl_fail(err, TL_E_TIMEOUT, "%s", reason);
}

static void test_refused_rows(void **state)
{
    struct fixture *f = *state;
    struct refusals r = {0};

    f->hooks->add_check(f);
    OK(f->ops->begin(f->sink, &f->err));
    OK(write_rows(f, f->sink, f->orders, NULL, "1\ta\t1\n2\tb\t-1\n3\tc\t3\n1\td\t-2\n", note_refusal, &r));
    OK(f->ops->commit(f->sink, &f->err));
    assert_int_equal(r.n, 2);
    assert_int_equal(r.index[0], 1);
    assert_int_equal(r.index[1], 3);
    assert_non_null(strstr(r.reason, "qty is negative"));
    expect_orders(f, "1|a|1\n3|c|3\n");

    OK(f->ops->begin(f->sink, &f->err));
    FAILS(write_rows(f, f->sink, f->orders, NULL, "4\ta\t1\n5\tb\t-1\n", NULL, NULL), TL_E_REFUSED);
    f->ops->rollback(f->sink);
    OK(f->ops->begin(f->sink, &f->err));
    FAILS(write_rows(f, f->sink, f->orders, NULL, "4\ta\t1\n5\tb\t-1\n", stop_at_refusal, NULL),
          TL_E_TIMEOUT);
    f->ops->rollback(f->sink);
    expect_orders(f, "1|a|1\n3|c|3\n");
}

static void test_broken_batches(void **state)
{
    static const char *const rows[] = {"1\ta\n", "1\ta\t1\t1\n", "1\ta\t1", "x\ta\t1\n",
                                       "1\ta\t1\n2\tb\ttwo\n"};
    struct fixture *f = *state;

    for (size_t i = 0; i < TL_ARRAY_LEN(rows); i++) {
        OK(f->ops->begin(f->sink, &f->err));
        FAILS(write_rows(f, f->sink, f->orders, NULL, rows[i], NULL, NULL), TL_E_CORRUPT);
        f->ops->rollback(f->sink);
    }
    OK(f->ops->begin(f->sink, &f->err));
    FAILS(write_rows(f, f->sink, f->orders, "name,qty", "a\t1\n", NULL, NULL), TL_E_CORRUPT);
    f->ops->rollback(f->sink);
    expect_orders(f, "");
}

static void test_drop_and_make_again(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *back, *second;

    put(f, f->orders, NULL, "1\ta\t1\n");
    apply_json(f, "{\"table\":\"orders\",\"table_id\":1,\"version\":2,\"dropped\":true,\"columns\":["
                  "{\"id\":1,\"name\":\"id\",\"type\":\"bigint\"}],\"key\":[\"id\"]}");
    expect_orders(f, "no such table");
    OK(f->ops->table(f->sink, "orders", &back, &f->err));
    assert_true(back && back->dropped);
    tl_schema_free(back);
    OK(f->ops->begin(f->sink, &f->err));
    FAILS(write_rows(f, f->sink, f->orders, NULL, "1\ta\t1\n", NULL, NULL), TL_E_NOT_FOUND);
    f->ops->rollback(f->sink);
    apply(f, f->orders); /* late: changes nothing */
    expect_orders(f, "no such table");

    second = schema_of(f, "{\"table\":\"orders\",\"table_id\":2,\"version\":1,\"columns\":["
                          "{\"id\":1,\"name\":\"code\",\"type\":\"text\"}],\"key\":[\"code\"]}");
    apply(f, second);
    put(f, second, NULL, "x\n");
    apply(f, f->orders);
    expect(f, "SELECT code FROM orders", "x\n");
    OK(f->ops->begin(f->sink, &f->err));
    FAILS(write_rows(f, f->sink, f->orders, NULL, "1\ta\t1\n", NULL, NULL), TL_E_NOT_FOUND);
    f->ops->rollback(f->sink);
    tl_schema_free(second);

    /* Another table of the same name takes the place also of one whose drop was never seen. */
    apply_json(f, "{\"table\":\"orders\",\"table_id\":3,\"version\":1,\"columns\":["
                  "{\"id\":1,\"name\":\"k\",\"type\":\"int\"}],\"key\":[\"k\"]}");
    expect(f, "SELECT k FROM orders", "");
}

static void test_table_in_the_way(void **state)
{
    struct fixture *f = *state;

    f->hooks->query(f, "CREATE TABLE orders (mine integer)");
    OK(f->ops->begin(f->sink, &f->err));
    FAILS(f->ops->apply_schema(f->sink, f->orders, &f->err), TL_E_FATAL);
    assert_non_null(strstr(f->err.text, "\"orders\" exists and was not made by tload"));
    f->ops->rollback(f->sink);
    expect(f, "SELECT mine FROM orders", "");
}

static void test_keywords(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *t = schema_of(f, "{\"table\":\"order\",\"table_id\":5,\"version\":1,\"columns\":["
                                       "{\"id\":1,\"name\":\"select\",\"type\":\"int\"},"
                                       "{\"id\":2,\"name\":\"where\",\"type\":\"text\",\"default\":\"from\"},"
                                       "{\"id\":3,\"name\":\"rowid\",\"type\":\"text\"},"
                                       "{\"id\":4,\"name\":\"excluded\",\"type\":\"text\"}],"
                                       "\"key\":[\"select\"]}");

    apply(f, t);
    put(f, t, "select,rowid,excluded", "1\ta\tb\n1\tc\td\n");
    expect(f, "SELECT \"select\", \"where\", \"rowid\", \"excluded\" FROM \"order\"", "1|from|c|d\n");
    tl_schema_free(t);
}

static void test_most_columns(void **state)
{
    struct fixture *f = *state;
    struct tl_buf text;
    struct tl_schema *t;

    tl_buf_init(&text, 1024 * 1024);
    OK(tl_buf_append_z(&text, "{\"table\":\"wide\",\"table_id\":5,\"version\":1,\"columns\":["));
    for (int i = 1; i <= TL_COLUMNS_MAX; i++)
        OK(tl_buf_appendf(
            &text,
            "%s{\"id\":%d,\"name\":\"column_with_a_name_that_is_about_as_long_as_it_can_be_%d\","
            "\"type\":\"int\"}",
            i > 1 ? "," : "", i, i));
    OK(tl_buf_append_z(&text, "],\"key\":[\"column_with_a_name_that_is_about_as_long_as_it_can_be_2000\"]}"));
    OK(tl_buf_terminate(&text));
    t = schema_of(f, text.data);
    apply(f, t);
    tl_buf_reset(&text);
    for (int row = 0; row < 3; row++)
        for (int i = 1; i <= TL_COLUMNS_MAX; i++)
            OK(tl_buf_appendf(&text, "%d%c", i == TL_COLUMNS_MAX ? row % 2 : i + row,
                              i < TL_COLUMNS_MAX ? '\t' : '\n'));
    OK(tl_buf_terminate(&text));
    put(f, t, NULL, text.data);
    expect(f, "SELECT column_with_a_name_that_is_about_as_long_as_it_can_be_1999 FROM wide ORDER BY 1",
           "2000\n2001\n");
    tl_schema_free(t);
    tl_buf_release(&text);
}

static void test_disk_full(void **state)
{
    struct fixture *f = *state;
    struct tl_buf rows;

    tl_buf_init(&rows, 8 * 1024 * 1024);
    for (int i = 1; i <= 5000; i++)
        OK(tl_buf_appendf(&rows, "%d\ta name that takes some room on the disk\t%d\n", i, i));
    OK(tl_buf_terminate(&rows));
    put(f, f->orders, NULL, "1\tbefore\t1\n");
    f->hooks->fill_disk(f->sink);
    OK(f->ops->begin(f->sink, &f->err));
    FAILS(write_rows(f, f->sink, f->orders, NULL, rows.data, NULL, NULL), TL_E_NO_SPACE);
    assert_true(tl_error_retriable(&f->err));
    f->ops->rollback(f->sink);
    expect_orders(f, "1|before|1\n");
    f->hooks->free_disk(f->sink);
    put(f, f->orders, NULL, rows.data);
    expect(f, "SELECT count(*), max(qty) FROM orders", "5000|5000\n");
    tl_buf_release(&rows);
}

/* Everything that a new version can change, in one; rows made by the first version go on coming. */
static void test_later_version(void **state)
{
    struct fixture *f = *state;
    struct tl_schema *v1 = schema_of(
        f, "{\"table\":\"t\",\"table_id\":5,\"version\":1,\"columns\":["
           "{\"id\":1,\"name\":\"id\",\"type\":\"int\"},"
           "{\"id\":2,\"name\":\"gone\",\"type\":\"text\"},"
           "{\"id\":3,\"name\":\"was\",\"type\":\"varchar(3)\"},"
           "{\"id\":4,\"name\":\"day\",\"type\":\"date\"},"
           "{\"id\":5,\"name\":\"n\",\"type\":\"int\"},"
           "{\"id\":6,\"name\":\"m\",\"type\":\"decimal(5,1)\"}],\"key\":[\"id\"]}");
    struct tl_schema *back;
    static const char all[] = "SELECT id, \"is\", day, n, m, gone FROM t ORDER BY id";

    apply(f, v1);
    put(f, v1, NULL, "1\tx\tabc\t2026-01-31\t7\t-1.5\n2\tx\t\\N\t\\N\t\\N\t\\N\n");
    f->hooks->query(f, "CREATE INDEX t_day ON t (day)");
    f->hooks->query(f, "CREATE INDEX t_gone ON t (was)");
    apply_json(f, "{\"table\":\"t\",\"table_id\":5,\"version\":2,\"columns\":["
                  "{\"id\":5,\"name\":\"n\",\"type\":\"decimal(20,2)\"},"
                  "{\"id\":1,\"name\":\"id\",\"type\":\"bigint\"},"
                  "{\"id\":3,\"name\":\"is\",\"type\":\"text\"},"
                  "{\"id\":4,\"name\":\"day\",\"type\":\"timestamp\"},"
                  "{\"id\":6,\"name\":\"m\",\"type\":\"decimal(20,3)\"},"
                  "{\"id\":7,\"name\":\"gone\",\"type\":\"text\",\"default\":\"new\"}],\"key\":[\"id\"]}");
    expect(f, all, "1|abc|2026-01-31 00:00:00|7.00|-1.500|new\n2|NULL|NULL|NULL|NULL|new\n");
    put(f, v1, NULL, "2\tx\td\\te\t2025-12-24\t-8\t2.0\n3\tx\t\\N\t\\N\t\\N\t\\N\n");
    expect(f, all,
           "1|abc|2026-01-31 00:00:00|7.00|-1.500|new\n2|d\te|2025-12-24 00:00:00|-8.00|2.000|new\n"
           "3|NULL|NULL|NULL|NULL|new\n");
    apply(f, v1);
    OK(f->ops->table(f->sink, "t", &back, &f->err));
    assert_int_equal(back->version, 2);
    tl_schema_free(back);
    tl_schema_free(v1);
    if (strcmp(f->ops->scheme, "sqlite") == 0)
        expect(f, "SELECT name FROM sqlite_schema WHERE type = 'index' AND tbl_name = 't'", "t_day\n");
}

/* More sets of columns than statements are kept. */
static void test_many_shapes(void **state)
{
    struct fixture *f = *state;
    static const char *const shapes[] = {"id",          "id,name",     "name,id",     "id,qty",
                                         "qty,id",      "id,name,qty", "id,qty,name", "name,id,qty",
                                         "name,qty,id", "qty,id,name", "qty,name,id"};

    OK(f->ops->begin(f->sink, &f->err));
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < TL_ARRAY_LEN(shapes); i++) {
            size_t n = 1;

            for (const char *p = shapes[i]; *p; p++)
                n += *p == ',';
            OK(write_rows(f, f->sink, f->orders, shapes[i],
                          n == 1   ? "1\n"
                          : n == 2 ? "1\t1\n"
                                   : "1\t1\t1\n",
                          NULL, NULL));
        }
    }
    OK(f->ops->commit(f->sink, &f->err));
    expect_orders(f, "1|1|1\n");
}

int main(void)
{
    static const struct {
        const char *name;
        CMUnitTestFunction test;
        CMFixtureFunction setup;
    } tests[] = {
#define T(name, start) {#name, test_##name, start}
        T(url, setup),
        T(read_only, setup),
        T(create_and_describe, setup_orders),
        T(last_one_wins, setup_orders),
        T(nulls_and_empty, setup_orders),
        T(columns_not_carried, setup_orders),
        T(no_key, setup_open),
        T(key_of_texts, setup_open),
        T(types, setup_open),
        T(defaults, setup_open),
        T(ledger, setup_open),
        T(offsets, setup_open),
        T(fenced, setup_orders),
        T(rollback, setup_open),
        T(outside_of_a_transaction, setup_orders),
        T(close, setup_orders),
        T(two_writers, setup_orders),
        T(refused_rows, setup_orders),
        T(broken_batches, setup_orders),
        T(drop_and_make_again, setup_orders),
        T(table_in_the_way, setup_open),
        T(keywords, setup_open),
        T(most_columns, setup_open),
        T(disk_full, setup_orders),
        T(later_version, setup_open),
        T(many_shapes, setup_orders),
#undef T
    };
    int failed = 0;

    for (size_t i = 0; i < sinks_count; i++) {
        struct CMUnitTest list[TL_ARRAY_LEN(tests)];

        for (size_t k = 0; k < TL_ARRAY_LEN(tests); k++)
            list[k] = (struct CMUnitTest){.name = tests[k].name,
                                          .test_func = tests[k].test,
                                          .setup_func = tests[k].setup,
                                          .teardown_func = teardown,
                                          .initial_state = (void *)(uintptr_t)sinks[i]};
        failed += cmocka_run_group_tests_name(sinks[i]->scheme, list, NULL, NULL);
    }
    return failed;
}
