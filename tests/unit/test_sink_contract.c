/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What sink.h asks of a data sink about rows, the ledger, offsets and transactions. */
#include "tests/unit/sink_fixture.h"

static void test_url(void **state)
{
    struct fixture *f = *state;
    char bare[40];

    OK(f->ops->check_url(f->url, &f->err));
    snprintf(bare, sizeof bare, "%s:", f->ops->scheme);
    FAILS(f->ops->check_url(bare, &f->err), TL_E_REFUSED);
    assert_null(sink_for_url("nothing://user:secret@host/", &f->err));
    assert_null(strstr(f->err.text, "secret"));
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
    expect(f, "SELECT at, what FROM log ORDER BY 1 NULLS FIRST, 2 NULLS FIRST",
           "NULL|NULL\nNULL|a\n2026-01-31|a\n2026-01-31|a\n");
    tl_schema_free(log);
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

static void test_refused_attempts(void **state)
{
    struct fixture *f = *state;
    int64_t attempt = 0;

    assert_int_equal(f->ops->refused_get(f->sink, "u", 1, 7, &attempt, &f->err), 0);
    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->refused_put(f->sink, "u", 1, 7, 5, &f->err));
    f->ops->rollback(f->sink);
    assert_int_equal(f->ops->refused_get(f->sink, "u", 1, 7, &attempt, &f->err), 0);
    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->refused_put(f->sink, "u", 1, 7, INT64_MAX, &f->err));
    OK(f->ops->refused_put(f->sink, "u", 2, 7, 6, &f->err));
    OK(f->ops->commit(f->sink, &f->err));
    assert_int_equal(f->ops->refused_get(f->sink, "u", 1, 7, &attempt, &f->err), 1);
    assert_true(attempt == INT64_MAX);
    assert_int_equal(f->ops->refused_get(f->sink, "u", 2, 7, &attempt, &f->err), 1);
    assert_true(attempt == 6);
    assert_int_equal(f->ops->refused_get(f->sink, "u", 1, 8, &attempt, &f->err), 0);
    assert_int_equal(f->ops->refused_get(f->sink, "other", 1, 7, &attempt, &f->err), 0);
    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->forget(f->sink, "u", &f->err));
    OK(f->ops->commit(f->sink, &f->err));
    assert_int_equal(f->ops->refused_get(f->sink, "u", 1, 7, &attempt, &f->err), 0);
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
    /* It waits, and fails: at its begin, or when it comes to the same row. */
    if (f->ops->connections > 1) {
        OK(f->ops->begin(zombie, &f->err));
        FAILS(write_rows(f, zombie, f->orders, NULL, "1\tzombie\t1\n", NULL, NULL), TL_E_LOCKED);
    } else {
        FAILS(f->ops->begin(zombie, &f->err), TL_E_AGAIN);
    }
    f->ops->rollback(zombie);
    OK(f->ops->commit(f->sink, &f->err));

    OK(begin_at_last(f, zombie));
    OK(write_rows(f, zombie, f->orders, NULL, "1\tzombie\t1\n2\tzombie\t2\n", NULL, NULL));
    OK(f->ops->ledger_put(zombie, &row, &f->err));
    FAILS(f->ops->offset_move(zombie, "t", 0, 0, 10, &f->err), TL_E_FENCED);
    f->ops->rollback(zombie);
    OK(begin_at_last(f, zombie));
    FAILS(f->ops->offset_move(zombie, "t", 0, 9, 20, &f->err), TL_E_FENCED);
    f->ops->rollback(zombie);
    OK(begin_at_last(f, zombie));
    FAILS(f->ops->offset_move(zombie, "never there", 0, 9, 20, &f->err), TL_E_FENCED);
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

static void test_disk_full(void **state)
{
    struct fixture *f = *state;
    struct tl_buf rows;

    tl_buf_init(&rows, 8 * 1024 * 1024);
    for (int i = 1; i <= 5000; i++)
        OK(tl_buf_appendf(&rows, "%d\ta name that takes some room on the disk\t%d\n", i, i));
    OK(tl_buf_terminate(&rows));
    put(f, f->orders, NULL, "1\tbefore\t1\n");
    f->hooks->fill_disk(f);
    OK(f->ops->begin(f->sink, &f->err));
    FAILS(write_rows(f, f->sink, f->orders, NULL, rows.data, NULL, NULL), TL_E_NO_SPACE);
    assert_true(tl_error_retriable(&f->err));
    f->ops->rollback(f->sink);
    expect_orders(f, "1|before|1\n");
    f->hooks->free_disk(f);
    put(f, f->orders, NULL, rows.data);
    expect(f, "SELECT count(*), max(qty) FROM orders", "5000|5000\n");
    tl_buf_release(&rows);
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
    static const struct sink_test tests[] = {
        {"url", test_url, setup},
        {"read_only", test_read_only, setup},
        {"last_one_wins", test_last_one_wins, setup_orders},
        {"nulls_and_empty", test_nulls_and_empty, setup_orders},
        {"columns_not_carried", test_columns_not_carried, setup_orders},
        {"no_key", test_no_key, setup_open},
        {"ledger", test_ledger, setup_open},
        {"refused_attempts", test_refused_attempts, setup_open},
        {"offsets", test_offsets, setup_open},
        {"fenced", test_fenced, setup_orders},
        {"rollback", test_rollback, setup_open},
        {"outside_of_a_transaction", test_outside_of_a_transaction, setup_orders},
        {"close", test_close, setup_orders},
        {"two_writers", test_two_writers, setup_orders},
        {"refused_rows", test_refused_rows, setup_orders},
        {"broken_batches", test_broken_batches, setup_orders},
        {"disk_full", test_disk_full, setup_orders},
        {"many_shapes", test_many_shapes, setup_orders},
    };

    return run_over_sinks(tests, TL_ARRAY_LEN(tests));
}
