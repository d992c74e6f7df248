/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The Kafkas, the sink and the error store that control_fixture.h pretends, behind a mutex. A Kafka is known by its
 * bootstrap.servers, and that is its cluster id, too, but for what stands behind a comma.
 */
#ifndef TESTS_UNIT_CONTROL_FAKES_H
#define TESTS_UNIT_CONTROL_FAKES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/broker.h"
#include "coordinatord/errors/errstore.h"
#include "coordinatord/sinks/sink.h"

enum { FAKE_MESSAGES = 32, FAKE_VALUE = 2048, FAKE_COLUMNS_MAX = 6, FAKE_TOPICS = 200 };

struct fake_message {
    enum tl_msg_type type;
    char topic[80];
    int32_t partitions;
    char upload[TL_UPLOAD_ID_MAX + 1];
    int64_t version;
    char value[FAKE_VALUE];
};

struct fake_topic {
    char kafka[64];
    char name[80];
    int32_t partitions;
};

struct broker {
    char kafka[64];
};

static struct {
    pthread_mutex_t lock;
    bool kafka_down;
    const char *down; /* one Kafka alone; NULL none */
    bool wrong_partitions;
    struct fake_topic topic[FAKE_TOPICS];
    size_t ntopics;
    struct fake_message message[FAKE_MESSAGES];
    size_t nmessages;
    const char *pending; /* the topic that has a message nobody has used; NULL none */
    bool still_read;     /* by somebody of the group whose offsets are to be forgotten */
    bool sink_there;
    bool sink_broken;
    const char *hangs; /* the tenant whose sink does not answer; NULL none */
    int hanging;       /* how often it was waited for */
    int (*foreign)(struct foreign_table *t,
                   struct tl_error *err); /* fills the one table there is; NULL none */
    char upload[TL_UPLOAD_ID_MAX + 1];    /* whose progress it is */
    struct upload_progress progress;
    int64_t leftover;   /* id of a table "orders" that the sink has; 0: none */
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

/* How many messages were written so far. */
static inline size_t fake_written(void)
{
    size_t n;

    FAKE(n = fake.nmessages);
    return n;
}

static inline void fake_progress(const char *upload, int64_t read, int64_t applied, int64_t rejected,
                                 int64_t stored, int ended, int stopped)
{
    FAKE(snprintf(fake.upload, sizeof fake.upload, "%s", upload);
         fake.progress = ((struct upload_progress){applied, rejected, read, stored, ended, stopped, ""}));
}

static int fake_kafka(const struct broker *b, struct tl_error *err)
{
    bool down;

    FAKE(down = fake.kafka_down || (fake.down && strcmp(fake.down, b->kafka) == 0));
    return down ? tl_fail(err, TL_E_UNAVAILABLE, "no broker answers") : 0;
}

static struct broker *fake_broker_open(const struct config *config, const struct tl_kafka_conf *kafka,
                                       struct tl_log *log, const atomic_bool *stop, struct tl_error *err)
{
    struct broker *b = calloc(1, sizeof *b);

    (void)config;
    (void)log;
    (void)stop;
    if (!b)
        tl_fail_nomem(err);
    else
        snprintf(b->kafka, sizeof b->kafka, "%s", tl_kafka_conf_get(kafka, "bootstrap.servers"));
    return b;
}

static void fake_broker_close(struct broker *b)
{
    free(b);
}

/* Under the lock. */
static struct fake_topic *fake_topic_find(const char *kafka, const char *name)
{
    for (size_t i = 0; i < fake.ntopics; i++)
        if (strcmp(fake.topic[i].kafka, kafka) == 0 && strcmp(fake.topic[i].name, name) == 0)
            return &fake.topic[i];
    return NULL;
}

/* Makes it, or gives it another number of partitions. Under the lock. */
static void fake_topic_set(const char *kafka, const char *name, int32_t partitions)
{
    struct fake_topic *t = fake_topic_find(kafka, name);

    if (!t && fake.ntopics < FAKE_TOPICS) {
        t = &fake.topic[fake.ntopics++];
        snprintf(t->kafka, sizeof t->kafka, "%s", kafka);
        snprintf(t->name, sizeof t->name, "%s", name);
    }
    if (t)
        t->partitions = partitions;
}

static inline int32_t fake_partitions(const char *kafka, const char *name)
{
    struct fake_topic *t;
    int32_t n;

    FAKE(t = fake_topic_find(kafka, name); n = t ? t->partitions : 0);
    return n;
}

static const char *const fake_kinds[] = {"raw-input", "validated-input", "import-error"};

static int fake_make_topics(struct broker *b, const char *tenant, int32_t partitions, int timeout_ms,
                            struct tl_error *err)
{
    bool wrong;

    (void)timeout_ms;
    FAKE(wrong = fake.wrong_partitions);
    if (fake_kafka(b, err) < 0)
        return -1;
    for (int i = 0; i < 3 && !wrong; i++) {
        char name[80];

        snprintf(name, sizeof name, "tload.%s.%s", tenant, fake_kinds[i]);
        FAKE(struct fake_topic *t = fake_topic_find(b->kafka, name); wrong = t && t->partitions != partitions;
             if (!wrong) fake_topic_set(b->kafka, name, partitions));
    }
    if (wrong)
        return tl_fail(err, TL_E_CONFLICT, "topic tload.%s.raw-input has 9 partitions, not %d", tenant,
                       (int)partitions);
    return 0;
}

static int fake_delete_topics(struct broker *b, const char *tenant, int timeout_ms, struct tl_error *err)
{
    char prefix[80];
    size_t left = 0;

    (void)timeout_ms;
    if (fake_kafka(b, err) < 0)
        return -1;
    snprintf(prefix, sizeof prefix, "tload.%s.", tenant);
    pthread_mutex_lock(&fake.lock);
    for (size_t i = 0; i < fake.ntopics; i++) {
        bool ours = strcmp(fake.topic[i].kafka, b->kafka) == 0 &&
                    strncmp(fake.topic[i].name, prefix, strlen(prefix)) == 0;

        if (!ours)
            fake.topic[left++] = fake.topic[i];
    }
    fake.ntopics = left;
    pthread_mutex_unlock(&fake.lock);
    return 0;
}

static int fake_survey(struct broker *b, int timeout_ms, struct tl_cluster_size *out,
                       void (*each)(void *app, const char *topic, int32_t partitions), void *app,
                       struct tl_error *err)
{
    struct fake_topic topics[FAKE_TOPICS];
    size_t n;

    (void)timeout_ms;
    if (fake_kafka(b, err) < 0)
        return -1;
    FAKE(n = fake.ntopics; memcpy(topics, fake.topic, sizeof topics));
    *out = (struct tl_cluster_size){.brokers = 1};
    snprintf(out->id, sizeof out->id, "%.*s", (int)strcspn(b->kafka, ","), b->kafka);
    for (size_t i = 0; i < n; i++) {
        if (strcmp(topics[i].kafka, b->kafka) != 0)
            continue;
        out->topics++;
        out->partitions += topics[i].partitions;
        if (each)
            each(app, topics[i].name, topics[i].partitions);
    }
    return 0;
}

static int fake_write_all(struct broker *b, const char *topic, int32_t partitions,
                          const struct tl_envelope *e, struct tl_str value, int timeout_ms,
                          struct tl_error *err)
{
    (void)timeout_ms;
    if (fake_kafka(b, err) < 0)
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
    (void)partition;
    (void)from;
    (void)timeout_ms;
    *out = (struct broker_pending){.since_ms = -1, .raw_offset = -1};
    FAKE(out->records = fake.pending && strcmp(fake.pending, topic) == 0 &&
                        strcmp(b->kafka, "here:9092") == 0);
    return fake_kafka(b, err);
}

static int fake_committed(struct broker *b, const char *group, const char *topic, int32_t partition,
                          int timeout_ms, int64_t *next, struct tl_error *err)
{
    (void)group;
    (void)topic;
    (void)partition;
    (void)timeout_ms;
    *next = -1;
    return fake_kafka(b, err);
}

static int fake_forget(struct broker *b, const char *group, const char *topic, int32_t partitions,
                       int timeout_ms, struct tl_error *err)
{
    bool read;

    (void)group;
    (void)partitions;
    (void)timeout_ms;
    FAKE(read = fake.still_read);
    if (read)
        return tl_fail(err, TL_E_CONFLICT, "%s is still read", topic);
    return fake_kafka(b, err);
}

static int fake_limits(struct broker *b, const char *topic, int timeout_ms, struct tl_topic_limits *out,
                       struct tl_error *err)
{
    (void)topic;
    (void)timeout_ms;
    *out = (struct tl_topic_limits){-1, -1};
    return fake_kafka(b, err);
}

static const struct broker_ops fake_broker = {
    fake_broker_open, fake_broker_close, fake_make_topics, fake_delete_topics, fake_survey, fake_write_all,
    fake_pending,     fake_committed,    fake_forget,      fake_limits,        fake_trim,
};

static bool fake_hangs(const char *tenant)
{
    const char *hangs;

    FAKE(hangs = fake.hangs);
    return hangs && strcmp(hangs, tenant) == 0;
}

static struct sink *fake_sink_open(const struct sink_conf *conf, struct tl_error *err)
{
    bool there, broken;

    if (fake_hangs(conf->tenant))
        FAKE(fake.hanging++);
    while (fake_hangs(conf->tenant) && !atomic_load(conf->stop))
        ;
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

static int fake_table(struct sink *s, const char *table, struct tl_schema **schema, struct tl_error *err)
{
    char text[160];
    int64_t id;

    (void)s;
    FAKE(id = fake.leftover);
    *schema = NULL;
    if (!id || strcmp(table, "orders") != 0)
        return 0;
    snprintf(text, sizeof text,
             "{\"table\":\"orders\",\"table_id\":%lld,\"version\":1,\"columns\":[{\"name\":\"id\",\"type\":"
             "\"int\"}],\"key\":[]}",
             (long long)id);
    return tl_schema_from_text(tl_str(text), schema, err);
}

static int fake_foreign(struct sink *s, const char *table, const struct tl_schema *wanted,
                        struct foreign_table **out, struct tl_error *err)
{
    int (*fill)(struct foreign_table *, struct tl_error *);

    (void)s;
    (void)table;
    (void)wanted;
    FAKE(fill = fake.foreign);
    *out = fill ? foreign_new(err) : NULL;
    return *out ? fill(*out, err) : 0;
}

static int fake_check_url(const char *url, struct tl_error *err)
{
    return strncmp(url, "fake:", 5) == 0 ? 0 : tl_fail(err, TL_E_USAGE, "\"%s\" is not fake", url);
}

static const struct sink_ops fake_sink = {
    .scheme = "fake",
    .check_url = fake_check_url,
    .columns_max = FAKE_COLUMNS_MAX,
    .columns_spent = true,
    .foreign = fake_foreign,
    .open = fake_sink_open,
    .close = fake_sink_close,
    .offset = fake_offset,
    .owed_tables = fake_owed_tables,
    .table = fake_table,
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
    .check_url = fake_check_url,
    .open = fake_errstore_open,
    .close = fake_errstore_close,
    .get = fake_errstore_get,
};

static const struct sink_ops *fake_sink_for(const char *url, struct tl_error *err)
{
    return fake_check_url(url, err) == 0 ? &fake_sink : NULL;
}

static const struct errstore_ops *fake_errstore_for(const char *url, struct tl_error *err)
{
    return fake_check_url(url, err) == 0 ? &fake_errstore : NULL;
}

#endif
