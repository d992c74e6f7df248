/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Control with its HTTP server on a Unix socket in a directory of its own, over a Kafka, a sink and an error
 * store that are only pretended: a test says what they do and looks at what they were given. And a plain
 * HTTP/1.0 client.
 */
#ifndef TESTS_UNIT_CONTROL_FIXTURE_H
#define TESTS_UNIT_CONTROL_FIXTURE_H

#include <ftw.h>
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

/* --- what is pretended; one of each, behind a mutex --- */

enum { FAKE_MESSAGES = 32, FAKE_VALUE = 2048, FAKE_COLUMNS_MAX = 6 };

struct fake_message {
    enum tl_msg_type type;
    char topic[80];
    int32_t partitions;
    char upload[TL_UPLOAD_ID_MAX + 1];
    int64_t version;
    char value[FAKE_VALUE];
};

static struct {
    pthread_mutex_t lock;
    bool kafka_down;
    bool wrong_partitions;
    struct fake_message message[FAKE_MESSAGES];
    size_t nmessages;
    bool sink_there;
    bool sink_broken;
    int (*foreign)(struct foreign_table *t,
                   struct tl_error *err); /* fills the one table there is; NULL none */
    char upload[TL_UPLOAD_ID_MAX + 1];    /* whose progress it is */
    struct upload_progress progress;
    const char *errors; /* JSON Lines of partition 0, batch 1; NULL none */
} fake = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void fake_reset(void)
{
    pthread_mutex_t fresh = PTHREAD_MUTEX_INITIALIZER;

    memset(&fake, 0, sizeof fake);
    fake.lock = fresh;
    fake.sink_there = true;
}

#define FAKE(statement)                   \
    do {                                  \
        pthread_mutex_lock(&fake.lock);   \
        statement;                        \
        pthread_mutex_unlock(&fake.lock); \
    } while (0)

static inline void fake_progress(const char *upload, int64_t read, int64_t applied, int64_t rejected,
                                 int64_t stored, int ended, int stopped)
{
    FAKE(snprintf(fake.upload, sizeof fake.upload, "%s", upload);
         fake.progress = ((struct upload_progress){applied, rejected, read, stored, ended, stopped, ""}));
}

static int fake_kafka(struct tl_error *err)
{
    bool down;

    FAKE(down = fake.kafka_down);
    return down ? tl_fail(err, TL_E_UNAVAILABLE, "no broker answers") : 0;
}

static struct broker *fake_broker_open(const struct config *config, struct tl_log *log,
                                       const atomic_bool *stop, struct tl_error *err)
{
    (void)config;
    (void)log;
    (void)stop;
    (void)err;
    return (struct broker *)&fake;
}

static void fake_broker_close(struct broker *b)
{
    (void)b;
}

static int fake_make_topics(struct broker *b, const char *tenant, int32_t partitions, int timeout_ms,
                            struct tl_error *err)
{
    bool wrong;

    (void)b;
    (void)timeout_ms;
    FAKE(wrong = fake.wrong_partitions);
    if (wrong)
        return tl_fail(err, TL_E_CONFLICT, "topic tload.%s.raw-input has 9 partitions, not %d", tenant,
                       (int)partitions);
    return fake_kafka(err);
}

static int fake_ping(struct broker *b, const char *topic, int timeout_ms, struct tl_error *err)
{
    (void)b;
    (void)topic;
    (void)timeout_ms;
    return fake_kafka(err);
}

static int fake_write_all(struct broker *b, const char *topic, int32_t partitions,
                          const struct tl_envelope *e, struct tl_str value, int timeout_ms,
                          struct tl_error *err)
{
    (void)b;
    (void)timeout_ms;
    if (fake_kafka(err) < 0)
        return -1;
    pthread_mutex_lock(&fake.lock);
    if (fake.nmessages < FAKE_MESSAGES) {
        struct fake_message *m = &fake.message[fake.nmessages++];

        m->type = e->type;
        m->partitions = partitions;
        m->version = e->version;
        snprintf(m->topic, sizeof m->topic, "%s", topic);
        snprintf(m->upload, sizeof m->upload, "%.*s", TL_STR_ARG(e->upload));
        snprintf(m->value, sizeof m->value, "%.*s", TL_STR_ARG(value));
    }
    pthread_mutex_unlock(&fake.lock);
    return 0;
}

static int fake_trim(struct broker *b, const char *topic, int32_t partition, int64_t before, int64_t worth,
                     int timeout_ms, struct tl_error *err)
{
    (void)b;
    (void)topic;
    (void)partition;
    (void)before;
    (void)worth;
    (void)timeout_ms;
    (void)err;
    return 0;
}

static int fake_pending(struct broker *b, const char *topic, int32_t partition, int64_t from, int timeout_ms,
                        struct broker_pending *out, struct tl_error *err)
{
    (void)b;
    (void)topic;
    (void)partition;
    (void)from;
    (void)timeout_ms;
    *out = (struct broker_pending){.since_ms = -1, .raw_offset = -1};
    return fake_kafka(err);
}

static int fake_committed(struct broker *b, const char *group, const char *topic, int32_t partition,
                          int timeout_ms, int64_t *next, struct tl_error *err)
{
    (void)b;
    (void)group;
    (void)topic;
    (void)partition;
    (void)timeout_ms;
    *next = -1;
    return fake_kafka(err);
}

static int fake_limits(struct broker *b, const char *topic, int timeout_ms, struct tl_topic_limits *out,
                       struct tl_error *err)
{
    (void)b;
    (void)topic;
    (void)timeout_ms;
    *out = (struct tl_topic_limits){-1, -1};
    return fake_kafka(err);
}

static const struct broker_ops fake_broker = {fake_broker_open, fake_broker_close, fake_make_topics,
                                              fake_ping,        fake_write_all,    fake_pending,
                                              fake_committed,   fake_limits,       fake_trim};

static struct sink *fake_sink_open(const struct sink_conf *conf, struct tl_error *err)
{
    bool there, broken;

    (void)conf;
    FAKE(there = fake.sink_there || fake.foreign; broken = fake.sink_broken);
    if (there && !broken)
        return (struct sink *)&fake;
    tl_fail(err, broken ? TL_E_UNAVAILABLE : TL_E_NOT_FOUND,
            broken ? "the sink does not answer" : "nothing yet");
    return NULL;
}

static void fake_sink_close(struct sink *s)
{
    (void)s;
}

static int fake_offset(struct sink *s, const char *topic, int32_t partition, int64_t *next,
                       struct tl_error *err)
{
    (void)s;
    (void)topic;
    (void)partition;
    (void)err;
    *next = 0;
    return 0;
}

static int fake_owed_tables(struct sink *s, const char *topic, int32_t partition,
                            int (*each)(void *app, const char *table, int64_t offset, struct tl_error *err),
                            void *app, struct tl_error *err)
{
    (void)s;
    (void)topic;
    (void)partition;
    (void)each;
    (void)app;
    (void)err;
    return 0;
}

static int fake_progress_get(struct sink *s, const char *upload, struct upload_progress *out,
                             struct tl_error *err)
{
    bool broken;

    (void)s;
    memset(out, 0, sizeof *out);
    FAKE(broken = fake.sink_broken; if (strcmp(fake.upload, upload) == 0) *out = fake.progress);
    return broken ? tl_fail(err, TL_E_UNAVAILABLE, "the sink does not answer") : 0;
}

/* Partitions are ended first, the others stopped. */
static int fake_ledger_get(struct sink *s, const char *upload, int32_t partition, struct ledger_row *row,
                           struct tl_error *err)
{
    struct upload_progress p;

    if (fake_progress_get(s, upload, &p, err) < 0)
        return -1;
    memset(row, 0, sizeof *row);
    row->ended = partition < p.partitions_ended;
    row->stopped = !row->ended && partition < p.partitions_ended + p.partitions_stopped;
    return row->ended || row->stopped;
}

static const char *fake_errors(void)
{
    const char *errors;

    FAKE(errors = fake.errors);
    return errors;
}

static int fake_errors_get(struct sink *s, const char *upload, int32_t partition, enum tl_stage stage,
                           struct errors_row *row, struct tl_error *err)
{
    (void)s;
    (void)upload;
    (void)err;
    if (partition != 0 || stage != TL_STAGE_VALIDATE || !fake_errors())
        return 0;
    memset(row, 0, sizeof *row);
    row->last_seq = 1;
    row->last_part = 1;
    row->rows = 2;
    return 1;
}

static int fake_last_seqs(struct sink *s, const char *upload, int32_t n, int64_t *seqs, struct tl_error *err)
{
    (void)s;
    (void)upload;
    (void)err;
    for (int32_t i = 0; i < n; i++)
        seqs[i] = i * 10;
    return 0;
}

static int fake_foreign(struct sink *s, const char *table, const struct tl_schema *wanted,
                        struct foreign_table **out, struct tl_error *err)
{
    (void)s;
    (void)table;
    (void)wanted;
    *out = fake.foreign ? foreign_new(err) : NULL;
    return *out ? fake.foreign(*out, err) : 0;
}

static const struct sink_ops fake_sink = {
    .scheme = "fake",
    .columns_max = FAKE_COLUMNS_MAX,
    .columns_spent = true,
    .foreign = fake_foreign,
    .open = fake_sink_open,
    .close = fake_sink_close,
    .offset = fake_offset,
    .owed_tables = fake_owed_tables,
    .progress = fake_progress_get,
    .ledger_get = fake_ledger_get,
    .errors_get = fake_errors_get,
    .last_seqs = fake_last_seqs,
};

static struct errstore *fake_errstore_open(const char *url, struct tl_log *log, struct tl_error *err)
{
    (void)url;
    (void)log;
    (void)err;
    return (struct errstore *)&fake;
}

static void fake_errstore_close(struct errstore *s)
{
    (void)s;
}

static int fake_errstore_get(struct errstore *s, const struct segment_id *id, struct tl_buf *out,
                             struct tl_error *err)
{
    (void)s;
    (void)err;
    tl_buf_reset(out);
    if (id->seq != 1 || id->part != 1)
        return 0;
    return tl_buf_append_z(out, fake_errors()) == TL_BUF_OK ? 1 : tl_fail_nomem(err);
}

static const struct errstore_ops fake_errstore = {
    .scheme = "fake",
    .open = fake_errstore_open,
    .close = fake_errstore_close,
    .get = fake_errstore_get,
};

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
    struct control_options options = {&f->config, &f->log, &fake_broker, &fake_sink, &fake_errstore};
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

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    int rc;

    fixture_stop(f);
    tl_kafka_conf_release(&f->config.kafka);
    rc = nftw(f->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
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

static void assert_contains(const char *text, const char *part)
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
    int64_t seen = 0, deadline = tl_clock_ms() + 10000;

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
