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

#define TENANT(name, state, more)                                                                                \
    "{\"tenant\":\"" name "\",\"cluster\":\"default\",\"partitions\":4,\"group\":0,\"state\":\"" state           \
    "\",\"ready\":true,\"sink\":\"s\",\"errors\":\"e\",\"active\":false,\"kafka\":{\"bootstrap.servers\":\"b\"}" \
    ",\"stirred\":" more "}"
#define LIST(tenants, change, all) \
    "{\"tenants\":[" tenants "],\"change\":" #change ",\"life\":5,\"all\":" #all "}"

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

/* The names, with what stirred them. */
static void expect(const struct tenant_list *list, const char *names)
{
    char text[200] = "";
    size_t n = 0;

    for (size_t i = 0; i < list->n; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%s%s=%lld", i ? " " : "", list->item[i].name,
                              (long long)list->item[i].stirred);
    assert_string_equal(text, names);
}

static void test_tenants(void **state)
{
    static char text[6][2000];
    struct http_answer script[] = {
        answer(text[0], sizeof text[0],
               "{\"tenants\":[" TENANT(
                   "b", "ready", "7,\"epoch\":7") "],\"next\":\"b\",\"change\":41,\"life\":5,\"all\":true}"),
        answer(text[1], sizeof text[1], LIST(TENANT("a", "ready", "1,\"epoch\":1"), 42, true)),
        answer(
            text[2], sizeof text[2],
            LIST(TENANT("aa", "ready", "2,\"epoch\":1") "," TENANT(
                     "b", "removing",
                     "7,\"epoch\":7") "," TENANT("c", "ready", "3,\"epoch\":1") "," TENANT("d", "removing",
                                                                                           "3,\"epoch\":1"),
                 43, false)),
        answer(text[3], sizeof text[3],
               "{\"tenants\":[" TENANT(
                   "a", "ready", "9,\"epoch\":1") "],\"next\":\"a\",\"change\":44,\"life\":5,\"all\":false}"),
        answer(text[4], sizeof text[4], "{\"tenants\":[]}"),
        answer(text[5], sizeof text[5], LIST("", 45, true)),
    };
    struct http_server s;
    struct tenant_list list = {0};
    struct control_api *c;
    struct tl_error err;

    (void)state;
    http_server_start(&s, script, TL_ARRAY_LEN(script));
    c = control_api_new(s.url, NULL, &err);
    assert_non_null(c);
    ask(c, &list);
    expect(&list, "a=1 b=7");
    assert_int_equal(list.item[0].epoch, 1);
    assert_int_equal(list.item[1].epoch, 7);

    /* What changed between the pages is asked for again. One that is not known can go as well. */
    ask(c, &list);
    expect(&list, "a=1 aa=2 c=3");

    /* Half of an answer is none. */
    assert_int_equal(control_api_tenants(c, &list, &err), -1);
    assert_int_equal(err.code, TL_E_CORRUPT);
    expect(&list, "a=1 aa=2 c=3");

    control_api_tenants_again(c);
    ask(c, &list);
    expect(&list, "");
    control_api_free(c);
    tenant_list_release(&list);
    http_server_stop(&s);
    /* Its thread has ended. */
    assert_null(strstr(s.request[0], "seen"));
    assert_non_null(strstr(s.request[1], "cursor=b"));
    assert_non_null(strstr(s.request[2], "life=5&seen=41&wait_ms=20000"));
    assert_non_null(strstr(s.request[3], "life=5&seen=43"));
    assert_non_null(strstr(s.request[4], "seen=43&wait_ms=0&cursor=a"));
    assert_null(strstr(s.request[5], "seen"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tenants)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
