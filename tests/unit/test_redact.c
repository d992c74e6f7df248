/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "coordinatord/control/redact.h"
#include "shared/base/str.h"

static void test_urls(void **state)
{
    static const struct {
        const char *url, *shown;
    } cases[] = {
        {"sqlite:/var/lib/tload/data", "sqlite:/var/lib/tload/data"},
        {"file:/var/lib/tload/errors", "file:/var/lib/tload/errors"},
        {"postgresql://me@host:5432/db", "postgresql://me@host:5432/db"},
        {"postgresql://host:5432/db", "postgresql://host:5432/db"},
        {"postgresql://me:pw@host:5432/db", "postgresql://me:***@host:5432/db"},
        {"postgresql://me:p@w:x@host/db", "postgresql://me:***@host/db"},
        {"postgresql://me:p/w@host/db", "postgresql://me:***@host/db"},
        {"postgresql://me:@host/db", "postgresql://me:***@host/db"},
        {"postgresql:///db?user=me&password=pw&sslmode=require",
         "postgresql:///db?user=me&password=***&sslmode=require"},
        {"postgresql://h/db?sslpassword=a@b:c&p%61ssword=x&flag",
         "postgresql://h/db?sslpassword=***&p%61ssword=***&flag"},
        {"webhdfs://h:9870/e?token=t", "webhdfs://h:9870/e?token=***"},
    };

    (void)state;
    for (size_t i = 0; i < TL_ARRAY_LEN(cases); i++) {
        char *shown = redact_url(cases[i].url);

        assert_string_equal(shown, cases[i].shown);
        free(shown);
    }
}

static void test_kafka(void **state)
{
    static const char *const secret[] = {"sasl.password",         "ssl.key.password",
                                         "ssl.keystore.password", "sasl.oauthbearer.client.secret",
                                         "ssl.key.pem",           "sasl.oauthbearer.config"};
    static const char *const open[] = {"bootstrap.servers", "sasl.username", "sasl.mechanism",
                                       "ssl.ca.location"};
    json_t *json = json_object();

    (void)state;
    for (size_t i = 0; i < TL_ARRAY_LEN(secret); i++)
        json_object_set_new(json, secret[i], json_string("x"));
    for (size_t i = 0; i < TL_ARRAY_LEN(open); i++)
        json_object_set_new(json, open[i], json_string("x"));
    assert_int_equal(redact_kafka(json), 0);
    for (size_t i = 0; i < TL_ARRAY_LEN(secret); i++)
        assert_string_equal(json_string_value(json_object_get(json, secret[i])), "***");
    for (size_t i = 0; i < TL_ARRAY_LEN(open); i++)
        assert_string_equal(json_string_value(json_object_get(json, open[i])), "x");
    json_decref(json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_urls), cmocka_unit_test(test_kafka)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
