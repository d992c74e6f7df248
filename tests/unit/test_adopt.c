/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What control asks of the sink before it makes a version, and what it shows of the settings. */
#include "tests/unit/control_fixture.h"

/* orders as ORDERS has it, and a column of the owner's own. */
static int orders_there(struct foreign_table *t, struct tl_error *err)
{
    struct foreign_column *id = foreign_add(t, "id", "integer", NULL, err);
    struct foreign_key *key = foreign_add_key(t, true);

    id->mapped = true;
    id->type.id = TL_TYPE_INT;
    assert_true(foreign_key_add(t, key, "id"));
    for (int i = 0; i < 2; i++) {
        struct foreign_column *c = foreign_add(t, i ? "extra" : "qty", "integer", NULL, err);

        c->mapped = c->nullable = true;
        c->type.id = TL_TYPE_INT;
    }
    return 0;
}

/* The same, but its qty is something else. */
static int others_there(struct foreign_table *t, struct tl_error *err)
{
    orders_there(t, err);
    t->columns[1].mapped = false;
    t->columns[2].nullable = false;
    return 0;
}

#define ADOPT                                                \
    "{\"table\":\"orders\",\"key\":[\"id\"],\"adopt\":true," \
    "\"columns\":[{\"name\":\"id\",\"type\":\"int\"},{\"name\":\"qty\",\"type\":\"int\"}]}"

static void expect_refusal(struct fixture *f, const char *method, const char *path, const char *body,
                           int status, const char *detail)
{
    struct answer a = ask(f, method, path, body, status);

    assert_contains(text_of(&a, "detail"), detail);
    answer_release(&a);
}

static void test_adopted(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    FAKE(fake.foreign = orders_there);
    a = ask(f, "POST", TABLES, ADOPT, 201);
    assert_true(json_is_true(json_object_get(a.json, "adopted")));
    answer_release(&a);
    FAKE(assert_contains(fake.message[0].value, "\"adopted\":true"));
    ask_only(f, "POST", TABLES, ADOPT, 200);

    /* Its later versions and its end say so, too. */
    ask_only(f, "PATCH", TABLES "/orders",
             "{\"changes\":[{\"op\":\"add\",\"column\":{\"name\":\"v\",\"type\":\"text\"}}]}", 200);
    FAKE(assert_contains(fake.message[1].value, "\"adopted\":true"));
    ask_only(f, "DELETE", TABLES "/orders", NULL, 204);
    FAKE(assert_contains(fake.message[2].value, "\"adopted\":true"));
    FAKE(assert_contains(fake.message[2].value, "\"dropped\":true"));
}

static void test_not_to_be_adopted(void **state)
{
    struct fixture *f = *state;

    expect_refusal(f, "POST", TABLES, ADOPT, 404, "no table \"orders\" to be adopted");
    FAKE(fake.foreign = others_there);
    expect_refusal(
        f, "POST", TABLES, ADOPT, 409,
        "can't be adopted: column \"qty\" is integer, not int; column \"extra\", which the definition does "
        "not have, is not null and has no default");
    FAKE(fake.sink_broken = true);
    expect_refusal(f, "POST", TABLES, ADOPT, 503, "the data sink can't be asked: the sink does not answer");
    expect_refusal(f, "POST", TABLES, "{\"table\":\"t\",\"columns\":[],\"adopt\":1}", 422, "adopt");
    expect_refusal(f, "POST", TABLES, "{\"table\":\"t\",\"columns\":[],\"adopted\":true}", 422, "adopted");
    ask_only(f, "GET", TABLES "/orders", NULL, 404);
    FAKE(assert_int_equal(fake.nmessages, 0));
}

/* Found out at once, as long as the sink can be asked. */
static void test_in_the_way(void **state)
{
    struct fixture *f = *state;

    FAKE(fake.foreign = orders_there);
    expect_refusal(f, "POST", TABLES, ORDERS, 409, "--adopt");
    FAKE(fake.sink_broken = true);
    ask_only(f, "POST", TABLES, ORDERS, 201);
    /* It is defined, so nobody has to be asked. */
    FAKE(fake.sink_broken = false);
    ask_only(f, "POST", TABLES, ORDERS, 200);
}

static void test_alter_an_adopted_one(void **state)
{
    struct fixture *f = *state;

    FAKE(fake.foreign = orders_there);
    ask_only(f, "POST", TABLES, ADOPT, 201);
    expect_refusal(f, "PATCH", TABLES "/orders",
                   "{\"changes\":[{\"op\":\"add\",\"column\":{\"name\":\"extra\",\"type\":\"text\"}}]}", 409,
                   "a column \"extra\" of its own");
    expect_refusal(f, "PATCH", TABLES "/orders",
                   "{\"changes\":[{\"op\":\"rename\",\"column\":\"qty\",\"to\":\"extra\"}]}", 409, "extra");
    FAKE(fake.sink_broken = true);
    expect_refusal(f, "PATCH", TABLES "/orders",
                   "{\"changes\":[{\"op\":\"rename\",\"column\":\"qty\",\"to\":\"n\"}]}", 503,
                   "can't be asked");
    FAKE(fake.sink_broken = false);
    ask_only(f, "PATCH", TABLES "/orders",
             "{\"changes\":[{\"op\":\"rename\",\"column\":\"qty\",\"to\":\"n\"}]}", 200);
}

static void test_from_sink(void **state)
{
    struct fixture *f = *state;
    struct answer a;

    expect_refusal(f, "GET", "/v1/tenants/default/sink/tables/orders", NULL, 404, "orders");
    FAKE(fake.foreign = orders_there);
    a = ask(f, "GET", "/v1/tenants/default/sink/tables/Orders", NULL, 200);
    assert_string_equal(text_of(&a, "table"), "orders");
    assert_int_equal(json_array_size(json_object_get(a.json, "columns")), 3);
    assert_int_equal(json_array_size(json_object_get(a.json, "key")), 1);
    answer_release(&a);
    FAKE(fake.foreign = others_there);
    expect_refusal(f, "GET", "/v1/tenants/default/sink/tables/orders", NULL, 422,
                   "column \"qty\" is of type integer");
    FAKE(fake.sink_broken = true);
    ask_only(f, "GET", "/v1/tenants/default/sink/tables/orders", NULL, 503);
}

/* --- how many columns --- */

static void test_columns_max(void **state)
{
    struct fixture *f = *state;
    char body[600];
    size_t n;

    n = (size_t)snprintf(body, sizeof body, "{\"table\":\"wide\",\"columns\":[");
    for (int i = 0; i <= FAKE_COLUMNS_MAX; i++)
        n += (size_t)snprintf(body + n, sizeof body - n, "%s{\"name\":\"c%d\",\"type\":\"int\"}",
                              i ? "," : "", i);
    snprintf(body + n, sizeof body - n, "]}");
    expect_refusal(f, "POST", TABLES, body, 422, "fake takes at most 6 columns in a table, not 7");

    ask_only(f, "POST", TABLES, ORDERS, 201);
    n = (size_t)snprintf(body, sizeof body, "{\"changes\":[");
    for (int i = 2; i < FAKE_COLUMNS_MAX; i++)
        n += (size_t)snprintf(body + n, sizeof body - n,
                              "%s{\"op\":\"add\",\"column\":{\"name\":\"c%d\",\"type\":\"int\"}}",
                              i > 2 ? "," : "", i);
    snprintf(body + n, sizeof body - n, "]}");
    ask_only(f, "PATCH", TABLES "/orders", body, 200);
    expect_refusal(f, "PATCH", TABLES "/orders",
                   "{\"changes\":[{\"op\":\"add\",\"column\":{\"name\":\"c9\",\"type\":\"int\"}}]}", 422,
                   "not 7");
    expect_refusal(f, "PATCH", TABLES "/orders",
                   "{\"changes\":[{\"op\":\"drop\",\"column\":\"qty\"},"
                   "{\"op\":\"add\",\"column\":{\"name\":\"c9\",\"type\":\"int\"}}]}",
                   422, "counts those that were dropped: with this change it would be 7");
}

/* --- secrets --- */

static void test_secrets(void **state)
{
    static char sink_url[] = "fake://me:hush1@h/db?sslpassword=hush2", errors_url[] = "fake://me:hush3@h/";
    struct fixture *f = *state;
    struct tl_error err;
    struct answer a;

    f->config.sink_url = sink_url;
    f->config.errors_url = errors_url;
    assert_int_equal(tl_kafka_conf_set(&f->config.kafka, "sasl.password", "hush4", &err), 0);
    fixture_start(f, "", false);
    for (int i = 0; i < 2; i++) {
        a = ask(f, "GET", i ? "/v1/tenants/default" : "/v1/tenants", NULL, 200);
        assert_null(strstr(a.body, "hush"));
        assert_contains(a.body, "\"sink\":\"fake://me:***@h/db?sslpassword=***\"");
        assert_contains(a.body, "\"sasl.password\":\"***\"");
        assert_contains(a.body, "\"bootstrap.servers\":\"here:9092\"");
        answer_release(&a);
    }
    a = ask(f, "GET", "/v1/roles/tenants", NULL, 200);
    assert_contains(a.body, sink_url);
    assert_contains(a.body, errors_url);
    assert_contains(a.body, "\"sasl.password\":\"hush4\"");
    answer_release(&a);

    /* Who uploads reaches Kafka by these, and needs nothing else. */
    define_orders(f);
    a = ask(f, "POST", UPLOADS, UPLOAD_U1, 201);
    assert_contains(a.body, "\"sasl.password\":\"hush4\"");
    assert_null(strstr(a.body, "hush1"));
    answer_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        RUNNING(test_adopted),     RUNNING(test_not_to_be_adopted),
        RUNNING(test_in_the_way),  RUNNING(test_alter_an_adopted_one),
        RUNNING(test_from_sink),   RUNNING(test_columns_max),
        NOT_STARTED(test_secrets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
