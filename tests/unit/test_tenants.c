/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Clusters and tenants that come and go while control runs, over Kafkas that are pretended. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/tenants_fixture.h"

/* --- placement --- */

/* There are 24, of which the tenant that there always is has 12. */
static void test_to_the_last_partition(void **state)
{
    struct fixture *f = *state;

    make_tenant(f, "a", 2, 201);
    make_tenant(f, "b", 2, 201);
    expect_number(f, CLUSTERS "/default", "free", 0);
    expect(f, "POST", TENANTS, "{\"tenant\":\"c\",\"partitions\":1}", 422, "default has 0 free of 24");
    ask_only(f, "GET", TENANTS "/c", NULL, 404);
    assert_int_equal(fake_partitions("here:9092", "tload.c.raw-input"), 0);

    ask_only(f, "POST", CLUSTERS, WEST, 201);
    expect(f, "POST", TENANTS, "{\"tenant\":\"c\",\"partitions\":3}", 422, "west has 6 free of 6");
    make_tenant(f, "c", 2, 201);
    expect_text(f, TENANTS "/c", "cluster", "west");
    expect_text(f, TENANTS "/c", "state", "ready");
    assert_int_equal(fake_partitions("west:9092", "tload.c.raw-input"), 2);
    expect(f, "POST", TENANTS, "{\"tenant\":\"d\",\"partitions\":1}", 422, "west has 0 free of 6");
}

static void test_where_most_is_free(void **state)
{
    struct fixture *f = *state;

    ask_only(f, "POST", CLUSTERS, WEST, 201);
    make_tenant(f, "a", 1, 201);
    expect_text(f, TENANTS "/a", "cluster", "default");
    make_tenant(f, "b", 2, 201); /* 9 free beside 6 */
    expect_text(f, TENANTS "/b", "cluster", "default");
    make_tenant(f, "c", 1, 201); /* 3 free beside 6 */
    expect_text(f, TENANTS "/c", "cluster", "west");
    ask_only(f, "POST", TENANTS, "{\"tenant\":\"d\",\"partitions\":1,\"cluster\":\"default\"}", 201);
    expect_text(f, TENANTS "/d", "cluster", "default");
    expect(f, "POST", TENANTS, "{\"tenant\":\"e\",\"partitions\":1,\"cluster\":\"east\"}", 422, "no cluster");
}

static void *make_one(void *app)
{
    struct fixture *f = ((void **)app)[0];
    struct answer a = ask_with(f, "POST", TENANTS, "", ((void **)app)[1]);

    ((void **)app)[2] = a.status == 201 ? app : NULL;
    answer_release(&a);
    return NULL;
}

static void test_reserved_at_once(void **state)
{
    enum { THREADS = 8 };
    struct fixture *f = *state;
    char body[THREADS][60];
    void *arg[THREADS][3];
    pthread_t thread[THREADS];
    int made = 0;

    for (int i = 0; i < THREADS; i++) {
        snprintf(body[i], sizeof body[i], "{\"tenant\":\"t%d\",\"partitions\":1}", i);
        arg[i][0] = f;
        arg[i][1] = body[i];
        assert_int_equal(pthread_create(&thread[i], NULL, make_one, arg[i]), 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        made += arg[i][2] != NULL;
    }
    assert_int_equal(made, 4); /* of 3 partitions each, of 12 */
    expect_number(f, CLUSTERS "/default", "reserved", 24);
}

static void test_refused(void **state)
{
    static const char *const names[] = {
        "", "A", "1a", "a_b", "a.b", "a/b", "a123456789012345678901234567890x", "tload"};
    struct fixture *f = *state;

    for (size_t i = 0; i < TL_ARRAY_LEN(names); i++)
        make_tenant(f, names[i], 1, 422);
    make_tenant(f, "default", 1, 409);
    make_tenant(f, "a", 0, 422);
    ask_only(f, "POST", TENANTS, "{\"tenant\":\"a\",\"sink\":\"oracle:x\"}", 422);
    ask_only(f, "POST", TENANTS, "{\"tenant\":\"a\",\"errors\":\"oracle:x\"}", 422);
    ask_only(f, "POST", TENANTS, "{\"tenant\":\"a\",\"epoch\":7}", 422);
    expect_number(f, CLUSTERS "/default", "reserved", 12);
}

/* --- what a tenant has of its own --- */

static void test_neighbours_by_name(void **state)
{
    struct fixture *f = *state;

    make_tenant(f, "a", 1, 201);
    make_tenant(f, "a2", 1, 201);
    ask_only(f, "POST", TENANTS "/a/tables", ORDERS, 201);
    ask_only(f, "GET", TENANTS "/a2/tables/orders", NULL, 404);
    ask_only(f, "DELETE", TENANTS "/a", NULL, 204);
    assert_int_equal(fake_partitions("here:9092", "tload.a.raw-input"), 0);
    assert_int_equal(fake_partitions("here:9092", "tload.a2.raw-input"), 1);
    expect_text(f, TENANTS "/a2", "state", "ready");
}

static void test_of_its_own(void **state)
{
    struct fixture *f = *state;

    ask_only(
        f, "POST", TENANTS,
        "{\"tenant\":\"a\",\"partitions\":1,\"sink\":\"fake:mine\",\"errors\":\"fake:too\",\"max_uploads\":1}",
        201);
    expect_text(f, TENANTS "/a", "sink", "fake:mine");
    expect_text(f, TENANTS "/a", "errors", "fake:too");
    expect_text(f, TENANTS "/default", "sink", "fake:");
    ask_only(f, "POST", TENANTS "/a/tables", ORDERS, 201);
    ask_only(f, "POST", TENANTS "/a/uploads", UPLOAD_U1, 201);
    expect(f, "POST", TENANTS "/a/uploads",
           "{\"upload\":\"u2\",\"table\":\"orders\",\"files\":[{\"name\":\"b\"}]}", 201, "its limit is 1");
    expect(f, "PATCH", TENANTS "/a", "{\"max_uploads\":2,\"max_bytes_per_second\":1000}", 200,
           "\"max_uploads\":2");
    ask_only(f, "GET", TENANTS "/a/uploads/u2", NULL, 200);
    ask_only(f, "PATCH", TENANTS "/a", "{\"sink\":\"fake:other\"}", 422);

    fixture_stop(f);
    fixture_start(f, "", false);
    expect_text(f, TENANTS "/a", "sink", "fake:mine");
    expect_number(f, TENANTS "/a", "max_bytes_per_second", 1000);
    expect_number(f, TENANTS "/a", "uploads", 2);
}

/* --- crashes --- */

static void test_crash_while_it_is_made(void **state)
{
    static const char *const steps[] = {"control.after_commit", "control.before_topics",
                                        "control.after_topics"};
    struct fixture *f = *state;

    for (size_t i = 0; i < TL_ARRAY_LEN(steps); i++) {
        char body[60], path[40], topic[40];

        snprintf(body, sizeof body, "{\"tenant\":\"t%zu\",\"partitions\":1}", i);
        snprintf(path, sizeof path, TENANTS "/t%zu", i);
        snprintf(topic, sizeof topic, "tload.t%zu.import-error", i);
        crash(f, steps[i], "POST", TENANTS, body);
        await_text(f, path, "state", "ready");
        assert_int_equal(fake_partitions("here:9092", topic), 1);
        expect_number(f, path, "epoch", 1);
        ask_only(f, "POST", TENANTS, body, 409);
    }
    expect_number(f, CLUSTERS "/default", "free", 3);
    /* Not committed: it never was. */
    crash(f, "control.before_commit", "POST", TENANTS, "{\"tenant\":\"t9\",\"partitions\":1}");
    ask_only(f, "GET", TENANTS "/t9", NULL, 404);
    expect_number(f, CLUSTERS "/default", "free", 3);
}

static void test_crash_while_it_is_removed(void **state)
{
    static const char *const steps[] = {"control.before_removal", "control.before_forget",
                                        "control.after_commit"};
    struct fixture *f = *state;

    for (size_t i = 0; i < TL_ARRAY_LEN(steps); i++) {
        make_tenant(f, "a", 2, 201);
        ask_only(f, "POST", TENANTS "/a/tables", ORDERS, 201);
        ask_only(f, "POST", TENANTS "/a/uploads", "{\"table\":\"orders\",\"files\":[{\"name\":\"b\"}]}", 201);
        crash(f, steps[i], "DELETE", TENANTS "/a", NULL);
        ask_only(f, "GET", TENANTS "/a/tables", NULL, 404);
        await_status(f, "GET", TENANTS "/a", 404);
        /* What is stored last is that it is gone; the topics of the pretended Kafka were those of the other process. */
        if (i < 2)
            assert_int_equal(fake_partitions("here:9092", "tload.a.raw-input"), 0);
        expect_number(f, CLUSTERS "/default", "free", 12);
    }
}

/* --- removal --- */

static void test_remove(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    make_tenant(f, "a", 2, 201);
    ask_only(f, "POST", TENANTS "/a/tables", ORDERS, 201);
    ask_only(f, "POST", TENANTS "/a/uploads", UPLOAD_U1, 201);
    ask_only(f, "DELETE", TENANTS "/a", NULL, 204);
    ask_only(f, "GET", TENANTS "/a", NULL, 404);
    ask_only(f, "GET", TENANTS "/a/uploads/u1", NULL, 404);
    ask_only(f, "DELETE", TENANTS "/a", NULL, 404);
    assert_int_equal(fake_partitions("here:9092", "tload.a.raw-input"), 0);
    expect_number(f, CLUSTERS "/default", "free", 12);

    /* Made again it is another, which has nothing of it, and waits until nobody reads the old topics any more. */
    FAKE(fake.still_read = true);
    make_tenant(f, "a", 1, 201);
    expect_text(f, TENANTS "/a", "state", "preparing");
    expect_text(f, TENANTS "/a", "waiting", "tload.a.raw-input is still read");
    FAKE(fake.still_read = false);
    await_text(f, TENANTS "/a", "state", "ready");
    expect_number(f, TENANTS "/a", "epoch", 2);
    a = ask(f, "GET", TENANTS "/a/uploads", NULL, 200);
    assert_int_equal(json_array_size(json_object_get(a.json, "uploads")), 0);
    answer_release(&a);
    FAKE(fake.leftover = 77);
    expect(f, "POST", TENANTS "/a/tables", ORDERS, 409, "of an earlier tenant");
    FAKE(fake.leftover = 0);
    ask_only(f, "POST", TENANTS "/a/tables", ORDERS, 201);
    fake_progress("u1", 0, 7, 0, 0, 0, 0);
    expect(f, "POST", TENANTS "/a/uploads", UPLOAD_U1, 409, "knows upload u1 of an earlier tenant");
    fake_progress("u2", 0, 7, 0, 0, 0, 0);
    ask_only(f, "POST", TENANTS "/a/uploads", UPLOAD_U1, 201);
}

static void test_remove_while_kafka_is_down(void **state)
{
    struct fixture *f = *state;

    make_tenant(f, "a", 2, 201);
    ask_only(f, "POST", TENANTS "/a/tables", ORDERS, 201);
    FAKE(fake.kafka_down = true);
    expect(f, "DELETE", TENANTS "/a", NULL, 503, "no broker answers");
    expect_text(f, TENANTS "/a", "state", "removing");
    ask_only(f, "GET", TENANTS "/a/tables", NULL, 404);
    make_tenant(f, "a", 1, 409);
    FAKE(fake.kafka_down = false);
    await_status(f, "GET", TENANTS "/a", 404);
    make_tenant(f, "a", 1, 201);
}

static void test_the_first_one_stays_away(void **state)
{
    struct fixture *f = *state;

    ask_only(f, "DELETE", TENANTS "/default", NULL, 204);
    fixture_stop(f);
    fixture_start(f, "", false);
    ask_only(f, "GET", TENANTS "/default", NULL, 404);
    expect_number(f, CLUSTERS "/default", "reserved", 0);
}

/* --- clusters --- */

static void test_add_cluster(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    FAKE(fake.down = "west:9092");
    expect(f, "POST", CLUSTERS, WEST, 422, "does not answer at west:9092");
    FAKE(fake.down = NULL);
    ask_only(f, "GET", CLUSTERS "/west", NULL, 404);
    a = ask(f, "POST", CLUSTERS, WEST, 201);
    assert_null(strstr(a.body, "hush"));
    assert_int_equal(number_of(&a, "free"), 6);
    answer_release(&a);
    ask_only(f, "POST", CLUSTERS, WEST, 409);
    expect(f, "POST", CLUSTERS,
           "{\"cluster\":\"again\",\"kafka\":{\"bootstrap.servers\":\"west:9092,x\"},\"max_partitions\":6}",
           422, "as cluster \\\"west\\\"");
    expect(f, "POST", CLUSTERS,
           "{\"cluster\":\"again\",\"kafka\":{\"bootstrap.servers\":\"here:9092,x\"},\"max_partitions\":6}",
           422, "as cluster \\\"default\\\"");
    ask_only(f, "POST", CLUSTERS,
             "{\"cluster\":\"East\",\"kafka\":{\"bootstrap.servers\":\"e:1\"},\"max_partitions\":6}", 422);
    ask_only(f, "POST", CLUSTERS,
             "{\"cluster\":\"east\",\"kafka\":{\"bootstrap.server\":\"e:1\"},\"max_partitions\":6}", 422);
    ask_only(f, "POST", CLUSTERS, "{\"cluster\":\"east\",\"kafka\":{\"bootstrap.servers\":\"e:1\"}}", 422);
    a = ask(f, "GET", CLUSTERS "?limit=1", NULL, 200);
    assert_string_equal(text_of(&a, "next"), "default");
    answer_release(&a);
    expect(f, "GET", CLUSTERS "?cursor=default", NULL, 200, "\"west\"");
    fixture_stop(f);
    fixture_start(f, "", false);
    expect_number(f, CLUSTERS "/west", "max_partitions", 6);
}

static void test_used(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    await_text(f, TENANTS "/default", "state", "ready");
    FAKE(fake_topic_set("here:9092", "others", 7); fake_topic_set("here:9092", "tload.nobody.raw-input", 2));
    a = ask(f, "GET", CLUSTERS "/default", NULL, 200);
    assert_contains(a.body, "\"ours\":12");
    assert_contains(a.body, "\"foreign\":9");
    assert_int_equal(number_of(&a, "free"), 12);
    answer_release(&a);
}

static void test_drain_and_remove(void **state)
{
    struct fixture *f = *state;

    ask_only(f, "POST", CLUSTERS, WEST, 201);
    ask_only(f, "POST", TENANTS, "{\"tenant\":\"a\",\"partitions\":1,\"cluster\":\"west\"}", 201);
    expect(f, "PATCH", CLUSTERS "/west", "{\"draining\":true}", 200, "\"draining\":true");
    expect(f, "POST", TENANTS, "{\"tenant\":\"b\",\"partitions\":1,\"cluster\":\"west\"}", 422,
           "is being drained");
    expect_text(f, TENANTS "/a", "state", "ready");
    expect(f, "DELETE", CLUSTERS "/west", NULL, 409, "1 tenant lives on");
    expect(f, "DELETE", CLUSTERS "/default", NULL, 422, "of the configuration");
    ask_only(f, "PATCH", CLUSTERS "/default", "{\"max_partitions\":99}", 422);
    expect(f, "PATCH", CLUSTERS "/west", "{\"max_partitions\":2}", 422, "3 partitions");
    ask_only(f, "PATCH", CLUSTERS "/west", "{\"draining\":false,\"max_partitions\":9}", 200);
    ask_only(f, "POST", TENANTS, "{\"tenant\":\"b\",\"partitions\":2,\"cluster\":\"west\"}", 201);
    ask_only(f, "DELETE", TENANTS "/a", NULL, 204);
    ask_only(f, "DELETE", TENANTS "/b", NULL, 204);
    ask_only(f, "DELETE", CLUSTERS "/west", NULL, 204);
    ask_only(f, "GET", CLUSTERS "/west", NULL, 404);
    ask_only(f, "POST", CLUSTERS, WEST, 201);
    expect_number(f, CLUSTERS "/west", "reserved", 0);
}

static void test_another_address(void **state)
{
    struct fixture *f = *state;

    ask_only(f, "POST", CLUSTERS, WEST, 201);
    expect(f, "PATCH", CLUSTERS "/west", "{\"kafka\":{\"bootstrap.servers\":\"east:9092\"}}", 422,
           "another Kafka");
    ask_only(f, "PATCH", CLUSTERS "/west", "{\"kafka\":{\"bootstrap.servers\":\"west:9092,west2:9092\"}}",
             200);
    FAKE(fake.down = "west:9092");
    ask_only(f, "POST", TENANTS, "{\"tenant\":\"a\",\"partitions\":1,\"cluster\":\"west\"}", 201);
    expect_text(f, TENANTS "/a", "state", "ready");
    assert_int_equal(fake_partitions("west:9092,west2:9092", "tload.a.raw-input"), 1);
}

static void test_one_is_down(void **state)
{
    struct fixture *f = *state;

    ask_only(f, "POST", CLUSTERS, WEST, 201);
    ask_only(f, "POST", TENANTS, "{\"tenant\":\"a\",\"partitions\":1,\"cluster\":\"west\"}", 201);
    ask_only(f, "POST", TENANTS "/a/tables", ORDERS, 201);
    ask_only(f, "POST", TENANTS "/a/uploads", UPLOAD_U1, 201);
    create_upload(f, UPLOAD_U1);
    FAKE(fake.down = "west:9092");
    await_text(f, TENANTS "/a", "waiting", "no broker answers");
    await_text(f, TENANTS "/a/uploads/u1", "waiting", "cluster west: no broker answers");
    expect_text(f, TENANTS "/default", "waiting", "");
    expect_text(f, UPLOADS "/u1", "waiting", "");
    expect(f, "GET", "/readyz", NULL, 200, "cluster west: no broker answers");
    ask_only(f, "POST", TABLES, "{\"table\":\"b\",\"columns\":[{\"name\":\"a\",\"type\":\"text\"}]}", 201);
    expect(f, "POST", TENANTS "/a/tables",
           "{\"table\":\"b\",\"columns\":[{\"name\":\"a\",\"type\":\"text\"}]}", 503, "no broker answers");
    /* The other one has more room, but also the one that answers comes first. */
    make_tenant(f, "b", 1, 201);
    expect_text(f, TENANTS "/b", "cluster", "default");
    FAKE(fake.down = NULL);
    await_text(f, TENANTS "/a/tables/b", "state", "active");
    await_text(f, "/readyz", "kafka", "ok");
}

static void test_changed_by_hand(void **state)
{
    struct fixture *f = *state;

    create_upload(f, UPLOAD_U1);
    make_tenant(f, "a", 1, 201);
    FAKE(fake_topic_set("here:9092", "tload.default.validated-input", 5));
    ask_only(f, "GET", CLUSTERS "/default", NULL, 200);
    expect_text(f, TENANTS "/default", "state", "broken");
    expect(f, "GET", TENANTS "/default", NULL, 200, "tload.default.validated-input has 5 partitions, not 4");
    expect(f, "POST", UPLOADS, "{\"table\":\"orders\",\"files\":[{\"name\":\"b\"}]}", 500, "5 partitions");
    ask_only(f, "POST", TENANTS "/a/tables", ORDERS, 201);
    expect(f, "GET", "/v1/roles/tenants?cursor=a", NULL, 200, "\"ready\":false");
    fixture_stop(f);
    fixture_start(f, "", false);
    await_text(f, TENANTS "/default", "state", "broken");
    FAKE(fake_topic_set("here:9092", "tload.default.validated-input", 4));
    ask_only(f, "GET", CLUSTERS "/default", NULL, 200);
    expect_text(f, TENANTS "/default", "state", "ready");
}

/* --- for the roles --- */

struct poll {
    struct fixture *f;
    char path[120];
    struct answer answer;
};

static void *poll_run(void *app)
{
    struct poll *p = app;

    p->answer = ask_with(p->f, "GET", p->path, "", NULL);
    return NULL;
}

static void test_roles_hear_of_it(void **state)
{
    struct fixture *f = *state;
    struct poll p = {.f = f};
    struct answer a = ask(f, "GET", CLUSTERS "/default", NULL, 200);
    pthread_t thread;
    int64_t begun = tl_clock_ms();

    answer_release(&a);
    a = ask(f, "GET", "/v1/roles/tenants", NULL, 200);
    snprintf(p.path, sizeof p.path, "/v1/roles/tenants?wait_ms=30000&life=%lld&seen=%lld",
             (long long)number_of(&a, "life"), (long long)number_of(&a, "change"));
    answer_release(&a);
    assert_int_equal(pthread_create(&thread, NULL, poll_run, &p), 0);
    make_tenant(f, "a", 1, 201);
    pthread_join(thread, NULL);
    assert_int_equal(p.answer.status, 200);
    assert_true(tl_clock_ms() - begun < 30000);
    assert_contains(p.answer.body, "\"tenant\":\"a\"");
    assert_contains(p.answer.body, "\"epoch\":1");
    answer_release(&p.answer);

    FAKE(fake.kafka_down = true);
    ask_only(f, "DELETE", TENANTS "/a", NULL, 503);
    a = ask(f, "GET", "/v1/roles/tenants", NULL, 200);
    assert_null(strstr(a.body, "\"tenant\":\"a\""));
    /* Nothing new: that much is waited. */
    snprintf(p.path, sizeof p.path, "/v1/roles/tenants?wait_ms=50&life=%lld&seen=%lld",
             (long long)number_of(&a, "life"), (long long)number_of(&a, "change"));
    answer_release(&a);
    expect(f, "GET", p.path, NULL, 200, "\"tenants\":[]");
}

struct known {
    int64_t life;
    int64_t change;
};

/* The answer to who knows that; it moves on. */
static struct answer since(struct fixture *f, struct known *k)
{
    char path[120];
    struct answer a;

    snprintf(path, sizeof path, "/v1/roles/tenants?life=%lld&seen=%lld", (long long)k->life,
             (long long)k->change);
    a = ask(f, "GET", path, NULL, 200);
    *k = (struct known){number_of(&a, "life"), number_of(&a, "change")};
    return a;
}

static void test_roles_hear_of_what_changed(void **state)
{
    struct fixture *f = *state;
    struct known seen = {0}, before;
    int64_t stirred;
    struct answer a;

    make_tenant(f, "a", 1, 201);
    make_tenant(f, "b", 1, 201);
    await_text(f, TENANTS "/b", "state", "ready");
    a = since(f, &seen);
    assert_contains(a.body, "\"all\":true");
    answer_release(&a);

    /* A version is about to be written. */
    ask_only(f, "POST", TENANTS "/a/tables", ORDERS, 201);
    a = since(f, &seen);
    assert_contains(a.body, "\"all\":false");
    assert_contains(a.body, "\"tenant\":\"a\"");
    assert_contains(a.body, "\"active\":false");
    assert_null(strstr(a.body, "\"tenant\":\"b\""));
    stirred = json_integer_value(
        json_object_get(json_array_get(json_object_get(a.json, "tenants"), 0), "stirred"));
    answer_release(&a);

    /* Uploads begin and end. */
    ask_only(f, "POST", TENANTS "/a/uploads",
             "{\"table\":\"orders\",\"upload\":\"u\",\"files\":[{\"name\":\"b\"}]}", 201);
    a = since(f, &seen);
    assert_contains(a.body, "\"active\":true");
    assert_true(json_integer_value(json_object_get(json_array_get(json_object_get(a.json, "tenants"), 0),
                                                   "stirred")) != stirred);
    answer_release(&a);

    /* One that goes is told to who may know it, and one that comes in its place instead. */
    before = seen;
    ask_only(f, "DELETE", TENANTS "/b", NULL, 204);
    a = since(f, &seen);
    assert_contains(a.body, "\"tenant\":\"b\"");
    assert_contains(a.body, "\"state\":\"removing\"");
    answer_release(&a);
    make_tenant(f, "b", 1, 201);
    seen = before;
    a = since(f, &seen);
    assert_contains(a.body, "\"tenant\":\"b\"");
    assert_null(strstr(a.body, "removing"));
    answer_release(&a);

    /* What was removed before a start is not known after it. */
    fixture_stop(f);
    fixture_start(f, "", false);
    a = since(f, &seen);
    assert_contains(a.body, "\"all\":true");
    assert_contains(a.body, "\"active\":true");
    answer_release(&a);
    a = since(f, &seen);
    assert_contains(a.body, "\"all\":false");
    answer_release(&a);

    /* Whoever had the name of a living one is of no interest, whatever happens to his cluster. */
    ask_only(f, "POST", CLUSTERS, WEST, 201);
    ask_only(f, "POST", TENANTS, "{\"tenant\":\"d\",\"partitions\":1,\"cluster\":\"west\"}", 201);
    ask_only(f, "DELETE", TENANTS "/d", NULL, 204);
    make_tenant(f, "d", 1, 201);
    a = since(f, &seen);
    answer_release(&a);
    expect(f, "PATCH", CLUSTERS "/west", "{\"draining\":true}", 200, "\"draining\":true");
    a = since(f, &seen);
    assert_null(strstr(a.body, "\"tenant\":\"d\""));
    answer_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_to_the_last_partition),
        RUNNING(test_where_most_is_free),
        RUNNING(test_reserved_at_once),
        RUNNING(test_refused),
        RUNNING(test_neighbours_by_name),
        RUNNING(test_of_its_own),
        RUNNING(test_crash_while_it_is_made),
        RUNNING(test_crash_while_it_is_removed),
        RUNNING(test_remove),
        RUNNING(test_remove_while_kafka_is_down),
        RUNNING(test_the_first_one_stays_away),
        RUNNING(test_add_cluster),
        RUNNING(test_used),
        RUNNING(test_drain_and_remove),
        RUNNING(test_another_address),
        RUNNING(test_one_is_down),
        RUNNING(test_changed_by_hand),
        RUNNING(test_roles_hear_of_it),
        RUNNING(test_roles_hear_of_what_changed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
