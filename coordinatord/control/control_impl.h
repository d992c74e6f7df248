/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of control share; nobody else includes it.
 *
 * One mutex, `lock`, guards everything in struct control that is not said to be fixed. It may be held while
 * the store writes (that is short), never during a call to Kafka or to the sink. Order: lock, then the
 * store's own.
 */
#ifndef COORDINATORD_CONTROL_CONTROL_IMPL_H
#define COORDINATORD_CONTROL_CONTROL_IMPL_H

#include <pthread.h>
#include <stdatomic.h>

#include "coordinatord/control/control.h"
#include "coordinatord/control/store.h"
#include "coordinatord/control/upload.h"
#include "shared/wire/topic.h"

enum {
    LIVE_BUCKETS = 256,
    LIVE_MAX = 10000, /* unfinished uploads */
    TENANTS_MAX = 1000,
    REPORTS_MAX = 256, /* roles that wait */
    REPORT_LIFE_MS = 5000,
    TROUBLE_TEXT = sizeof(((struct tl_error *)0)->text),
    PAGE_MAX = 1000
};

struct tenant {
    /* Fixed. */
    struct tenant_row row;
    char topic[TL_TOPIC_COUNT][TL_TOPIC_NAME_MAX + 1];
    /* Under the lock. */
    bool ready;                 /* its topics are there */
    bool broken;                /* its topics can't be used until somebody does something */
    char trouble[TROUBLE_TEXT]; /* why Kafka can't be used for it, "" */
    char alarm[TROUBLE_TEXT];   /* what is pending is in danger, or lost; "" */
    /* The keeper's own: the sum of the sink's offsets when all was trimmed last; -1 when something was left. */
    int64_t applied_sum;
    /* The tracker's own. */
    struct sink *sink;  /* NULL: not open */
    int64_t sink_retry; /* not before this time */
    char sink_trouble[TROUBLE_TEXT];
};

/* An upload that is not finished, in memory for its progress. */
struct live {
    struct live *next; /* of its bucket */
    struct tenant *tenant;
    struct upload u;
    int refs;    /* of threads that hold it without the lock; freed at 0 when it is unlinked */
    int waiters; /* of refs: long polls */
    bool unlinked;
    int64_t heard_ms; /* last word of its sender, monotonic */
    int64_t heard_wall_ms;
    bool cancel_written;        /* the wish is in every partition; lost at a restart, then written again */
    int64_t next_look;          /* the tracker's, monotonic */
    int interval;               /* ms */
    bool looked;                /* the ledger's counts are in it */
    char trouble[TROUBLE_TEXT]; /* of the ledger, "" */
    char waiting[TROUBLE_TEXT]; /* as shown last */
};

/* A role says that it waits. */
struct report {
    char role[16];
    char tenant[TL_TENANT_MAX + 1];
    char table[TL_NAME_MAX + 1]; /* "": any */
    int32_t partition;           /* -1: any */
    int64_t until;               /* monotonic */
    char reason[300];
};

struct control {
    /* Fixed from the start. */
    struct control_options options;
    struct tl_log *log;
    struct store *store;
    atomic_bool stop;
    pthread_t keeper, tracker;
    bool keeper_runs, tracker_runs;
    struct tenant *tenants[TENANTS_MAX]; /* sorted by name */
    size_t ntenants;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* some upload's change */
    pthread_cond_t settled; /* the keeper finished a pass */
    pthread_cond_t keeper_wake;
    pthread_cond_t tracker_wake;
    bool keeper_kicked;
    size_t trim_next;      /* the keeper's own: the tenant to be trimmed next */
    uint64_t passes_begun; /* of the keeper */
    uint64_t passes_done;
    bool tracker_kicked;
    int64_t last_change;
    struct live *live[LIVE_BUCKETS];
    size_t nlive;
    struct report reports[REPORTS_MAX];
    size_t nreports;
    char kafka_trouble[TROUBLE_TEXT]; /* of the cluster, "" */
};

void control_lock(struct control *c);
void control_unlock(struct control *c);
/*
 * Waits on cond (of the monotonic clock) until the deadline in ms; false when it has passed. Under the lock.
 */
bool control_wait(struct control *c, pthread_cond_t *cond, int64_t deadline_ms);
/* TL_E_UNAVAILABLE while shutting down. */
int control_running(struct control *c, struct tl_error *err) TL_MUST_CHECK;
/* A JSON answer that could not be made. */
int control_answer(json_t *json, json_t **answer, struct tl_error *err) TL_MUST_CHECK;

/* tenants.c */
int tenants_load(struct control *c, struct tl_error *err) TL_MUST_CHECK;
void tenants_free(struct control *c);
/* NULL with TL_E_NOT_FOUND. */
struct tenant *tenant_find(struct control *c, const char *name, struct tl_error *err);
/* TL_E_UNAVAILABLE or TL_E_FATAL, with the reason. */
int tenant_usable(struct control *c, struct tenant *t, struct tl_error *err) TL_MUST_CHECK;

/* tables.c: the table of this name; TL_E_NOT_FOUND, with a suggestion. row is the caller's to release. */
int table_lookup(struct control *c, const char *tenant, const char *table, struct table_row *row,
                 struct tl_error *err) TL_MUST_CHECK;
/* The folded name; TL_E_NOT_FOUND for what is no name. */
int table_name(const char *text, char out[TL_NAME_MAX + 1], struct tl_error *err) TL_MUST_CHECK;
/* Whether the sink has room for so many columns; TL_E_REFUSED. */
int table_check_columns(const struct control *c, const struct tl_schema *schema,
                        struct tl_error *err) TL_MUST_CHECK;
/* A stored schema as JSON, a new reference; NULL with TL_E_CORRUPT. */
json_t *table_schema_json(const char *schema, const char *table, struct tl_error *err);
/* Until the keeper had its turn; TL_E_UNAVAILABLE when the version is pending after it. */
int table_await_version(struct control *c, uint64_t pass, int64_t table_id, int32_t version, const char *name,
                        struct tl_error *err) TL_MUST_CHECK;
/* TL_E_CONFLICT when the row is not of the table and version that the client means. */
int table_check_match(struct table_match *match, const struct table_row *row,
                      struct tl_error *err) TL_MUST_CHECK;

/*
 * adopt.c: whether the sink's database is fit for the table's first version: one that is to be adopted is there and
 * agrees (TL_E_NOT_FOUND, TL_E_CONFLICT, TL_E_UNAVAILABLE), another has its name for itself (TL_E_CONFLICT; fine
 * when the sink can't be asked).
 */
int adopt_check(struct control *c, const char *tenant, const struct tl_schema *schema,
                struct tl_error *err) TL_MUST_CHECK;
/* Whether the next version of an adopted table can be made of the one that there is; 0 for any other table. */
int adopt_check_alter(struct control *c, const char *tenant, const struct tl_schema *now,
                      const struct tl_schema *next, struct tl_error *err) TL_MUST_CHECK;

/* versions.c: puts "pending" into the table's object when there is a version that is not active yet. */
int versions_add_pending(struct control *c, const struct table_row *row, json_t *json,
                         struct tl_error *err) TL_MUST_CHECK;

/* waiting.c; under the lock */
const char *report_for(struct control *c, const char *tenant, const char *table, int64_t now);
/* Works out what the upload waits for; true when that changed. */
bool live_waiting_update(struct control *c, struct live *l, int64_t now);

/* live.c; under the lock */
struct live *live_find(struct control *c, const char *tenant, const char *id);
/* Takes over u's texts. */
struct live *live_add(struct control *c, struct tenant *t, struct upload *u, struct tl_error *err);
void live_ref(struct live *l);
void live_unref(struct live *l);
void live_unlink(struct control *c, struct live *l);
void live_free_all(struct control *c);
/* The next number of change. */
int64_t control_next_change(struct control *c);
/* A change to be shown: numbered and told to all who wait. */
void live_changed(struct control *c, struct live *l);
/* Stores it; when it is final it also leaves the list. On failure it stays as it was before (`before`). */
int live_store(struct control *c, struct live *l, const struct upload *before,
               struct tl_error *err) TL_MUST_CHECK;
void live_look_now(struct control *c, struct live *l);
/* Uploads into the table are to end as failed, for this reason. Without the lock. */
int live_stop_table(struct control *c, int64_t table_id, const char *reason,
                    struct tl_error *err) TL_MUST_CHECK;
/*
 * After a start: waits, not for long, until the counts of all are those of the ledger, so that none is seen
 * to fall.
 */
void live_await_looks(struct control *c);

/* uploads.c */
json_t *upload_to_json(const struct upload *u, const char *waiting);
/* The object as it is now, live or stored. */
int upload_answer(struct control *c, const char *tenant, const char *id, json_t **answer,
                  struct tl_error *err) TL_MUST_CHECK;

/* As the store has it, the caller's to release. TL_E_NOT_FOUND also for an id that can't be one. */
int upload_stored(struct control *c, const char *tenant, const char *id, struct upload *u,
                  struct tl_error *err) TL_MUST_CHECK;

/* session.c: what a sender needs, put into its answer. id NULL: the ledger has nothing of it. */
int upload_session(struct control *c, const struct tenant *t, const char *id, json_t *schema, json_t *answer,
                   struct tl_error *err) TL_MUST_CHECK;
/* The same of an upload that is there, by its own version; *answer begins with its object. */
int upload_session_again(struct control *c, struct tenant *t, const struct upload *u, json_t **answer,
                         struct tl_error *err) TL_MUST_CHECK;
/* The fingerprints of files together, malloc'ed; "" when one has none. NULL when memory is short. */
char *upload_content(const json_t *files);

/* trim.c; by the keeper. False: the keeper is asked for before all tenants were looked at; the others come next. */
bool trim_pass(struct control *c, struct broker *broker);

/* keeper.c and tracker.c */
void *keeper_run(void *control);
void keeper_kick(struct control *c); /* under the lock */
/* Tells the keeper that something is to be done and returns the number of the pass that will see it. */
uint64_t keeper_ask(struct control *c);
/* Waits for that pass to be over; TL_E_UNAVAILABLE when it takes too long. */
int keeper_await(struct control *c, uint64_t pass, struct tl_error *err) TL_MUST_CHECK;
void *tracker_run(void *control);
void tracker_kick(struct control *c); /* under the lock */

/*
 * A sink's connection for reading, of the calling thread. NULL with TL_E_NOT_FOUND when nothing is there yet.
 */
struct sink *control_open_sink(struct control *c, const char *tenant, struct tl_error *err);

#endif
