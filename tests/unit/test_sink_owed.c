/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What sink.h asks of messages that are owed, and of an offset that is compared and stays, on every sink. */
#include "tests/unit/sink_fixture.h"

struct owed_seen {
    int n;
    char text[200];
};

static int see_owed(void *app, const char *table, int64_t offset, struct tl_error *err)
{
    struct owed_seen *seen = app;
    size_t len = strlen(seen->text);

    if (seen->n-- == 0)
        return tl_fail(err, TL_E_INTERRUPTED, "enough");
    snprintf(seen->text + len, sizeof seen->text - len, "%s %lld\n", table, (long long)offset);
    return 0;
}

static void expect_owed(struct fixture *f, int32_t partition, const char *text)
{
    struct owed_seen seen = {.n = -1};

    OK(f->ops->owed_tables(f->sink, "t", partition, see_owed, &seen, &f->err));
    assert_string_equal(seen.text, text);
}

static void test_owed(void **state)
{
    struct fixture *f = *state;
    struct owed_seen seen = {.n = 1};
    int64_t offset = -1;

    expect_owed(f, 0, "");
    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->owe(f->sink, "t", 0, "a", 5, &f->err));
    expect_owed(f, 0, "a 5\n");
    f->ops->rollback(f->sink);
    expect_owed(f, 0, "");

    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->owe(f->sink, "t", 0, "a", INT64_MAX, &f->err));
    OK(f->ops->owe(f->sink, "t", 0, "a", 10, &f->err));
    OK(f->ops->owe(f->sink, "t", 0, "a", 9, &f->err));
    OK(f->ops->owe(f->sink, "t", 0, "a", 9, &f->err)); /* again */
    OK(f->ops->owe(f->sink, "t", 0, "b", 7, &f->err));
    OK(f->ops->owe(f->sink, "t", 1, "b", 3, &f->err));
    OK(f->ops->owe(f->sink, "other", 0, "c", 1, &f->err));
    OK(f->ops->commit(f->sink, &f->err));
    expect_owed(f, 0, "a 9\nb 7\n");
    expect_owed(f, 1, "b 3\n");
    FAILS(f->ops->owed_tables(f->sink, "t", 0, see_owed, &seen, &f->err), TL_E_INTERRUPTED);
    assert_int_equal(f->ops->owed_first(f->sink, "t", 0, "a", &offset, &f->err), 1);
    assert_int_equal(offset, 9);
    assert_int_equal(f->ops->owed_first(f->sink, "t", 1, "a", &offset, &f->err), 0);

    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->settle(f->sink, "t", 0, "a", 9, &f->err));
    OK(f->ops->settle(f->sink, "t", 0, "a", 10, &f->err));
    assert_int_equal(f->ops->owed_first(f->sink, "t", 0, "a", &offset, &f->err), 1);
    assert_true(offset == INT64_MAX);
    OK(f->ops->settle(f->sink, "t", 0, "a", INT64_MAX, &f->err));
    assert_int_equal(f->ops->owed_first(f->sink, "t", 0, "a", &offset, &f->err), 0);
    OK(f->ops->commit(f->sink, &f->err));
    expect_owed(f, 0, "b 7\n");
    FAILS(f->ops->owe(f->sink, "t", 0, "a", 9, &f->err), TL_E_FATAL);
    FAILS(f->ops->settle(f->sink, "t", 0, "b", 7, &f->err), TL_E_FATAL);
    FAILS(f->ops->patience(f->sink, 100, &f->err), TL_E_FATAL);
}

/* Of two connections only one applies a message that is owed. */
static void test_settled_once(void **state)
{
    struct fixture *f = *state;
    struct sink *zombie = open_sink(f, false);

    assert_non_null(zombie);
    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->owe(f->sink, "t", 0, "a", 5, &f->err));
    OK(f->ops->commit(f->sink, &f->err));
    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->patience(f->sink, 100, &f->err));
    OK(f->ops->settle(f->sink, "t", 0, "a", 5, &f->err));
    if (f->ops->connections > 1) {
        OK(f->ops->begin(zombie, &f->err));
        OK(f->ops->patience(zombie, 50, &f->err));
        FAILS(f->ops->settle(zombie, "t", 0, "a", 5, &f->err), TL_E_LOCKED);
    } else {
        FAILS(f->ops->begin(zombie, &f->err), TL_E_AGAIN);
    }
    f->ops->rollback(zombie);
    OK(f->ops->commit(f->sink, &f->err));
    OK(begin_at_last(f, zombie));
    FAILS(f->ops->settle(zombie, "t", 0, "a", 5, &f->err), TL_E_FENCED);
    f->ops->rollback(zombie);
    f->ops->close(zombie);
    expect_owed(f, 0, "");
}

/* A transaction that does not move the offset finds out, too, that somebody else has. */
static void test_fenced_in_place(void **state)
{
    struct fixture *f = *state;
    int64_t next;

    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->offset_move(f->sink, "t", 0, 0, 0, &f->err));
    OK(f->ops->offset_move(f->sink, "t", 0, 0, 10, &f->err));
    OK(f->ops->offset_move(f->sink, "t", 0, 10, 10, &f->err));
    OK(f->ops->commit(f->sink, &f->err));
    OK(f->ops->begin(f->sink, &f->err));
    FAILS(f->ops->offset_move(f->sink, "t", 0, 9, 9, &f->err), TL_E_FENCED);
    f->ops->rollback(f->sink);
    OK(f->ops->begin(f->sink, &f->err));
    FAILS(f->ops->offset_move(f->sink, "t", 0, 0, 0, &f->err), TL_E_FENCED);
    f->ops->rollback(f->sink);
    OK(f->ops->offset(f->sink, "t", 0, &next, &f->err));
    assert_int_equal(next, 10);
}

/* Data of the version before these messages were known gets what is missing, and keeps what it has. */
static void test_earlier_layout(void **state)
{
    static const char *const back[][2] = {{"DROP TABLE _tload_owed", "PRAGMA user_version = 2"},
                                          {"DROP TABLE tload.owed", "UPDATE tload.layout SET version = 1"}};
    struct fixture *f = *state;
    const char *const *sql = back[f->ops->connections > 1];
    struct sink *reader;
    int64_t next;

    OK(f->ops->begin(f->sink, &f->err));
    OK(f->ops->offset_move(f->sink, "t", 0, 0, 10, &f->err));
    OK(f->ops->commit(f->sink, &f->err));
    f->ops->close(f->sink);
    for (int i = 0; i < 2; i++)
        f->hooks->query(f, sql[i]);
    reader = open_sink(f, true);
    assert_non_null(reader);
    f->sink = open_sink(f, false);
    assert_non_null(f->sink);
    expect_owed(f, 0, "");
    OK(f->ops->offset(reader, "t", 0, &next, &f->err));
    assert_int_equal(next, 10);
    f->ops->close(reader);
}

int main(void)
{
    static const struct sink_test tests[] = {
        {"owed", test_owed, setup_open},
        {"settled_once", test_settled_once, setup_open},
        {"fenced_in_place", test_fenced_in_place, setup_open},
        {"earlier_layout", test_earlier_layout, setup_open},
    };

    return run_over_sinks(tests, TL_ARRAY_LEN(tests));
}
