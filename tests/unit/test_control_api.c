/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How the roles ask for the tenants: all pages, and then again when they have changed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "coordinatord/pipeline/control_api.h"
#include "shared/http/client.h"
#include "tests/unit/http_server.h"

#define TENANT(name, more)                                                                           \
    "{\"tenant\":\"" name                                                                            \
    "\",\"cluster\":\"default\",\"partitions\":4,\"state\":\"ready\",\"ready\":true,\"sink\":\"s\"," \
    "\"errors\":\"e\",\"kafka\":{\"bootstrap.servers\":\"b\"}" more "}"

static void ask(struct control_api *c, struct tenant_list *list)
{
    struct tl_error err;

    if (control_api_tenants(c, list, &err))
        fail_msg("%s", err.text);
}

static struct http_answer answer(char *text, size_t size, const char *body)
{
    snprintf(text, size, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
             strlen(body), body);
    return (struct http_answer){.bytes = text};
}

static void test_tenants(void **state)
{
    static char text[5][2000];
    struct http_answer script[] = {
        answer(text[0], sizeof text[0],
               "{\"tenants\":[" TENANT("b", ",\"epoch\":7") "],\"next\":\"b\",\"change\":41}"),
        answer(text[1], sizeof text[1], "{\"tenants\":[" TENANT("a", ",\"epoch\":1") "],\"change\":42}"),
        answer(text[2], sizeof text[2], "{\"tenants\":[],\"change\":43}"),
        answer(text[3], sizeof text[3], "{\"tenants\":[],\"change\":44}"),
        answer(text[4], sizeof text[4], "{\"tenants\":[]}"),
    };
    struct http_server s;
    struct tenant_list list;
    struct control_api *c;
    struct tl_error err;

    (void)state;
    http_server_start(&s, script, TL_ARRAY_LEN(script));
    c = control_api_new(s.url, NULL, &err);
    assert_non_null(c);
    ask(c, &list);
    assert_int_equal(list.n, 2);
    assert_string_equal(list.item[0].name, "a");
    assert_int_equal(list.item[0].epoch, 1);
    assert_int_equal(list.item[1].epoch, 7);
    tenant_list_release(&list);

    /* What changed between the pages is asked for again. */
    ask(c, &list);
    assert_int_equal(list.n, 0);
    tenant_list_release(&list);

    control_api_tenants_again(c);
    ask(c, &list);
    tenant_list_release(&list);
    assert_int_equal(control_api_tenants(c, &list, &err), -1);
    assert_int_equal(err.code, TL_E_CORRUPT);
    control_api_free(c);
    http_server_stop(&s);
    /* Its thread has ended. */
    assert_null(strstr(s.request[0], "seen"));
    assert_non_null(strstr(s.request[1], "cursor=b"));
    assert_non_null(strstr(s.request[2], "seen=41"));
    assert_non_null(strstr(s.request[2], "wait_ms="));
    assert_null(strstr(s.request[3], "seen"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tenants)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
