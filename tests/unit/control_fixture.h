/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Control with its HTTP server on a Unix socket in a directory of its own, over a Kafka, a sink and an error
 * store that are only pretended: a test says what they do and looks at what they were given. And a plain
 * HTTP/1.0 client.
 */
#ifndef TESTS_UNIT_CONTROL_FIXTURE_H
#define TESTS_UNIT_CONTROL_FIXTURE_H

#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "coordinatord/control/control.h"
#include "coordinatord/http/server.h"
#include "shared/base/clock.h"
#include "tests/unit/await.h"
#include "tests/unit/control_fakes.h"
#include "tests/unit/remove_tree.h"

/* --- the daemon's part --- */

struct fixture {
    char dir[32];
    char socket[64];
    char sink_url[16], errors_url[16], compression[8], no_file[1];
    struct config config;
    struct tl_log log;
    struct control *control;
    struct http_server *http;
};

static void fixture_start(struct fixture *f, const char *listen, bool dev)
{
    struct control_options options = {&f->config, &f->log, &fake_broker, fake_sink_for, fake_errstore_for};
    struct http_options http = {.log = &f->log, .socket = f->socket, .listen = listen, .dev = dev};
    struct tl_error err;

    f->control = control_start(&options, &err);
    if (!f->control)
        fail_msg("%s", err.text);
    http.control = f->control;
    f->http = http_server_start(&http, &err);
    if (!f->http)
        fail_msg("%s", err.text);
}

static void fixture_stop(struct fixture *f)
{
    if (f->http)
        http_server_quiesce(f->http);
    if (f->control)
        control_stop(f->control);
    http_server_free(f->http);
    control_free(f->control);
    f->http = NULL;
    f->control = NULL;
}

/* Without starting anything. */
static int fixture_new(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct tl_error err;

    fake_reset();
    snprintf(f->dir, sizeof f->dir, "/tmp/tload-http-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->socket, sizeof f->socket, "%s/sock", f->dir);
    snprintf(f->sink_url, sizeof f->sink_url, "fake:");
    snprintf(f->errors_url, sizeof f->errors_url, "fake:");
    snprintf(f->compression, sizeof f->compression, "none");
    tl_log_init(&f->log, STDERR_FILENO, TL_LOG_ERROR);
    f->config.state = f->dir;
    f->config.sink_url = f->sink_url;
    f->config.errors_url = f->errors_url;
    f->config.compression = f->compression;
    f->config.partitions = 4;
    f->config.max_partitions = 24;
    f->config.group_partitions = 512;
    f->config.trim_seconds = 30;
    tl_kafka_conf_init(&f->config.kafka);
    *state = f;
    return tl_kafka_conf_set(&f->config.kafka, "bootstrap.servers", "here:9092", &err);
}

static int fixture_setup(void **state)
{
    if (fixture_new(state) < 0)
        return -1;
    fixture_start(*state, "", false);
    return 0;
}

static int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    int rc;

    fixture_stop(f);
    tl_kafka_conf_release(&f->config.kafka);
    rc = remove_tree(f->dir);
    free(f);
    return rc;
}

/* --- the client --- */

struct answer {
    int status; /* 0: nothing came */
    char *text; /* head and body; owned */
    const char *body;
    json_t *json; /* NULL: the body is none */
};

static void answer_release(struct answer *a)
{
    json_decref(a->json);
    free(a->text);
    memset(a, 0, sizeof *a);
}

static int connect_unix(const char *path)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    snprintf(sun.sun_path, sizeof sun.sun_path, "%s", path);
    if (connect(fd, (struct sockaddr *)&sun, sizeof sun) == 0)
        return fd;
    close(fd);
    return -1;
}

/* Sends the bytes and reads until the other end closes. Takes over fd. */
static struct answer exchange_on(int fd, const char *bytes, size_t n)
{
    struct answer a = {0};
    size_t len = 0, cap = 64 * 1024;

    a.text = calloc(1, cap);
    if (fd >= 0 && send(fd, bytes, n, MSG_NOSIGNAL) >= 0) {
        for (;;) {
            ssize_t got = read(fd, a.text + len, cap - len - 1);

            if (got <= 0)
                break;
            len += (size_t)got;
            if (len + 1 == cap) {
                a.text = realloc(a.text, cap * 2);
                memset(a.text + cap, 0, cap);
                cap *= 2;
            }
        }
    }
    if (fd >= 0)
        close(fd);
    if (strncmp(a.text, "HTTP/1.", 7) == 0)
        a.status = (int)strtol(a.text + 9, NULL, 10);
    a.body = strstr(a.text, "\r\n\r\n");
    a.body = a.body ? a.body + 4 : a.text + len;
    a.json = json_loads(a.body, 0, NULL);
    return a;
}

/* head: more header lines, each ended by CR LF, or "". body may be NULL. */
static struct answer ask_with(const struct fixture *f, const char *method, const char *path, const char *head,
                              const char *body)
{
    size_t size = strlen(path) + strlen(head) + (body ? strlen(body) : 0) + 256;
    char *request = malloc(size);
    struct answer a;
    int n;

    if (body)
        n = snprintf(request, size,
                     "%s %s HTTP/1.0\r\n%sContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
                     method, path, head, strlen(body), body);
    else
        n = snprintf(request, size, "%s %s HTTP/1.0\r\n%s\r\n", method, path, head);
    a = exchange_on(connect_unix(f->socket), request, (size_t)n);
    free(request);
    return a;
}

/* The same, and looks at the status. */
static struct answer ask(const struct fixture *f, const char *method, const char *path, const char *body,
                         int status)
{
    struct answer a = ask_with(f, method, path, "", body);

    if (a.status != status)
        fail_msg("%s %s: %d instead of %d: %s", method, path, a.status, status, a.body);
    return a;
}

static void ask_only(const struct fixture *f, const char *method, const char *path, const char *body,
                     int status)
{
    struct answer a = ask(f, method, path, body, status);

    answer_release(&a);
}

static const char *text_of(const struct answer *a, const char *name)
{
    const char *text = json_string_value(json_object_get(a->json, name));

    return text ? text : "";
}

static int64_t number_of(const struct answer *a, const char *name)
{
    return json_integer_value(json_object_get(a->json, name));
}

/* --- what several tests begin with --- */

#define TABLES  "/v1/tenants/default/tables"
#define UPLOADS "/v1/tenants/default/uploads"
#define ORDERS                                \
    "{\"table\":\"orders\",\"key\":[\"id\"]," \
    "\"columns\":[{\"name\":\"id\",\"type\":\"int\"},{\"name\":\"qty\",\"type\":\"int\"}]}"
#define UPLOAD_U1 "{\"upload\":\"u1\",\"table\":\"orders\",\"files\":[{\"name\":\"a.csv\",\"bytes\":10}]}"

static inline void assert_contains(const char *text, const char *part)
{
    if (!strstr(text, part))
        fail_msg("\"%s\" is not in \"%s\"", part, text);
}

static void define_orders(struct fixture *f)
{
    ask_only(f, "POST", TABLES, ORDERS, 201);
}

static inline void create_upload(struct fixture *f, const char *body)
{
    define_orders(f);
    ask_only(f, "POST", UPLOADS, body, 201);
}

/* Long polls until the state is this one. */
static inline struct answer await_state(struct fixture *f, const char *state)
{
    int64_t seen = 0, deadline = tl_clock_ms() + AWAIT_MS;

    for (;;) {
        char path[128];
        struct answer a;

        snprintf(path, sizeof path, UPLOADS "/u1?wait_ms=30000&seen=%lld", (long long)seen);
        a = ask(f, "GET", path, NULL, 200);
        /* Also when it is right at last: a long poll is over as soon as something changes. */
        if (tl_clock_ms() > deadline)
            fail_msg("too late: %s", a.body);
        if (strcmp(text_of(&a, "state"), state) == 0)
            return a;
        assert_true(number_of(&a, "change") >= seen);
        seen = number_of(&a, "change");
        answer_release(&a);
    }
}

#define RUNNING(test)     cmocka_unit_test_setup_teardown(test, fixture_setup, fixture_teardown)
#define NOT_STARTED(test) cmocka_unit_test_setup_teardown(test, fixture_new, fixture_teardown)

#endif
