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

/* The name of the cluster of the configuration, and of the tenant that there is from the first start. */
#define CONTROL_DEFAULT "default"

enum {
    LIVE_BUCKETS = 256,
    LIVE_MAX = 10000, /* unfinished uploads */
    LIVE_TENANT_MAX = LIVE_MAX / 4,
    SENDER_SILENT_MS = 60000, /* so long after its last word nobody counts on a sender any more */
    TENANTS_MAX = 1000,       /* living ones */
    REPORTS_TENANT_MAX = 64,  /* of one */
    REPORTS_MAX = 256,        /* roles that wait */
    REPORT_LIFE_MS = 5000,
    TROUBLE_TEXT = sizeof(((struct tl_error *)0)->text),
    PAGE_MAX = 1000
};

/*
 * A cluster, with the one thread that talks to it. As a tenant, it is found without the lock, and lives until
 * control_free also when it is removed; one that is made again under its name is another.
 */
struct cluster {
    _Atomic(struct cluster *) next; /* by name; only ever put in */
    /* Fixed. */
    struct control *control;
    char name[TL_TENANT_MAX + 1];
    bool configured; /* the one of the configuration, which has its properties and its budget */
    int64_t created_ms;
    char who[STORE_WHO_MAX];
    atomic_bool stop; /* its thread is to end, and what it waits for with it */
    atomic_bool gone;
    pthread_t keeper, trimmer;
    bool keeper_runs, trimmer_runs;
    pthread_cond_t wake;
    /* Under the lock. */
    struct tl_kafka_conf kafka;
    int32_t max_partitions;
    bool draining; /* nobody is placed there any more */
    char kafka_id[STORE_KAFKA_ID_MAX + 1];
    bool changed; /* `kafka` is not what the keeper has */
    bool kicked;
    bool look_wanted;      /* by the next pass, however short ago the last one was */
    uint64_t passes_begun; /* of the keeper */
    uint64_t passes_done;
    bool left;                  /* the last pass has left versions or wishes to the next */
    uint64_t written;           /* versions, by now */
    char trouble[TROUBLE_TEXT]; /* why it can't be used; "" */
    int64_t nlive;              /* unfinished uploads of its tenants */
    struct cluster_seen {
        int64_t at_ms; /* wall clock; 0: never seen */
        int32_t brokers;
        int64_t ours; /* partitions of our tenants' topics */
        int64_t foreign;
    } seen;
    /* The keeper's own. */
    struct tl_kafka_conf used; /* with which the broker was opened */
    struct broker *broker;     /* NULL: not open */
    int64_t look_at;           /* monotonic: when all topics are due to be looked at; 0: never were */
};

struct tenant {
    _Atomic(struct tenant *) next; /* by name; only ever put in */
    /* Fixed. */
    char name[TL_TENANT_MAX + 1];
    int32_t partitions;
    int32_t group;                          /* number of its consumer groups */
    char validators[TL_GROUP_NAME_MAX + 1]; /* the one that reads raw-input */
    int64_t created_ms;
    char who[STORE_WHO_MAX];
    char *sink_url; /* owned; the configuration's when it has none of its own, as the next one */
    char *errors_url;
    const struct sink_ops *sink_ops;
    const struct errstore_ops *errstore;
    char topic[TL_TOPIC_COUNT][TL_TOPIC_NAME_MAX + 1];
    /* Set under the lock, and never unset: it is being removed, or gone. tenant_find does not find it any more. */
    atomic_bool removing;
    atomic_bool gone;
    /* Under the lock. */
    struct cluster *cluster;
    struct cluster *move_to;       /* where it is to live; NULL: it is not being moved */
    bool move_made;                /* its topics are there already */
    struct cluster *move_from;     /* where it has topics that are to be deleted; NULL: nowhere */
    char move_waits[TROUBLE_TEXT]; /* what the move waits for */
    enum tenant_state state;
    int64_t epoch;
    int64_t max_uploads;
    int64_t max_bytes_per_second;
    bool ready;                 /* its topics are there */
    bool broken;                /* its topics can't be used until somebody does something */
    char trouble[TROUBLE_TEXT]; /* why Kafka can't be used for it, "" */
    char alarm[TROUBLE_TEXT];   /* what is pending is in danger, or lost; "" */
    int64_t nlive;              /* its unfinished uploads */
    int64_t stirred;            /* differs whenever something begins that writes into its topics */
    int64_t change;             /* the number of its last change that the roles are to hear of */
    /* The trimmer's own: the sum of the sink's offsets when all was trimmed last; -1 when something was left. */
    int64_t applied_sum;
    int64_t
        still; /* `stirred` when it found that nothing had happened; -1: it has not yet. Under the lock. */
    /* The keeper's own. */
    int topics_found;    /* as they have to be, when it looked last */
    int64_t tried_table; /* up to where it tried to write what is pending in this pass, as the next ones */
    int32_t tried_version;
    int64_t tried_upload;
    /* Under the lock again: its unfinished uploads; those that are queued in the order of their turns. */
    struct live *lives, *lives_last;
    size_t nqueued;
    int64_t turns_from;      /* monotonic: after a start nobody that is queued is let in before */
    bool turns_passing;      /* turns_pass is at work on it */
    struct tracker *tracker; /* tracker.c; NULL: it has no unfinished uploads, or had none for long */
};

/* An upload that is not finished, in memory for its progress. */
struct live {
    struct live *next;           /* of its bucket */
    struct live *before, *after; /* of its tenant */
    struct tenant *tenant;
    struct upload u;
    int refs;    /* of threads that hold it without the lock; freed at 0 when it is unlinked */
    int waiters; /* of refs: long polls */
    bool unlinked;
    int64_t heard_ms; /* last word of its sender, monotonic */
    int64_t heard_wall_ms;
    int64_t let_in_ms;          /* when its turn came, while its sender has not been heard from since; 0 */
    size_t queued_before;       /* so many have their turns before it */
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

    _Atomic(struct tenant *) tenants;
    _Atomic(struct cluster *) clusters;

    pthread_mutex_t lock;
    pthread_cond_t changed; /* some upload's change */
    pthread_cond_t settled; /* a keeper finished a pass */
    pthread_cond_t tenants_changed;
    pthread_cond_t trackers_ended;
    struct tracker *trackers;
    size_t ntenants;        /* that are not gone */
    int64_t tenants_change; /* rises whenever something changes that the roles know of tenants */
    int64_t tenants_life;   /* of its numbers: a start's own */
    bool adding_cluster;    /* one at a time: it takes a while to find out whether it can be used */
    int64_t last_change;
    struct live *live[LIVE_BUCKETS];
    size_t nlive;
    struct report reports[REPORTS_MAX];
    size_t nreports;
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
/* A moment of the wall clock, null for 0; NULL when memory is short. */
json_t *control_time(int64_t wall_ms);

/*
 * tenants.c. The lists have those that are gone, too; with or without the lock:
 *
 *   for (struct tenant *t = atomic_load(&c->tenants); t; t = atomic_load(&t->next))
 */
int tenants_load(struct control *c, struct tl_error *err) TL_MUST_CHECK;
void tenants_free(struct control *c);
/* Into the list; under the lock, or before there are threads. Takes over the row's texts. NULL with *err. */
struct tenant *tenant_insert(struct control *c, struct tenant_row *row, struct tl_error *err);
/* NULL with TL_E_NOT_FOUND. */
struct tenant *tenant_find(struct control *c, const char *name, struct tl_error *err);
/* One that is being removed, too. */
struct tenant *tenant_find_any(struct control *c, const char *name, struct tl_error *err);
/* TL_E_UNAVAILABLE or TL_E_FATAL, with the reason; TL_E_NOT_FOUND when it is being removed by now. */
int tenant_usable(struct control *c, struct tenant *t, struct tl_error *err) TL_MUST_CHECK;
struct cluster *tenant_cluster(struct control *c, const struct tenant *t);
/* Whether it is on this cluster, and neither being removed nor gone. */
bool tenant_is_on(struct control *c, const struct tenant *t, const struct cluster *cl);
/* The roles are to hear of a change of it. Under the lock. */
void tenant_touch(struct control *c, struct tenant *t);
/* Something begins that writes into its topics. Under the lock, before it does. */
void tenant_stir(struct control *c, struct tenant *t);
/* Whether it has topics there, or will have, or has not lost them yet. Under the lock. */
bool tenant_has_topics(const struct tenant *t, const struct cluster *cl);
/* Under the lock. With `secrets` as the roles see it. NULL: memory is short. */
json_t *tenant_to_json(struct control *c, const struct tenant *t, bool secrets);

/* tenant_admin.c: its uploads end as failed, since it is being removed. Without the lock. */
int tenant_stop_uploads(struct control *c, const struct tenant *t, struct tl_error *err) TL_MUST_CHECK;

/* placement.c: where a new tenant of so many partitions goes. cluster NULL: wherever there is room. */
struct placement {
    struct control *c;
    const char *cluster;
    int32_t partitions; /* of each topic */
};
/* A store_place for a struct placement; under the lock. TL_E_REFUSED says what there is, and what to do. */
const char *placement_choose(void *placement, const struct cluster_room *rooms, size_t n,
                             struct tl_error *err);
int32_t room_budget(const struct control *c, const struct cluster_room *room);

/* clusters.c */
int clusters_load(struct control *c, struct tl_error *err) TL_MUST_CHECK;
/* Ends the threads. */
void clusters_free(struct control *c);
/* NULL with TL_E_NOT_FOUND. */
struct cluster *cluster_find(struct control *c, const char *name, struct tl_error *err);
/* A new one of that row, in no list yet, with no thread; NULL with *err. */
struct cluster *cluster_new(struct control *c, const struct cluster_row *row, struct tl_error *err);
void cluster_free(struct cluster *cl);
/* Into the list. Under the lock, or before there are threads. */
void cluster_insert(struct control *c, struct cluster *cl);
/* Its thread begins. */
int cluster_start(struct cluster *cl, struct tl_error *err) TL_MUST_CHECK;
/* Its thread has ended when this returns. Without the lock. */
void cluster_stop(struct cluster *cl);
/* Has the keeper look at what is there now; waits a moment. One that can't be asked is known by its trouble. */
void cluster_look(struct cluster *cl);
/* What is stored of it. Under the lock; the row is the caller's to release. */
int cluster_to_row(const struct cluster *cl, struct cluster_row *row, struct tl_error *err) TL_MUST_CHECK;

/* tables.c: the table of this name; TL_E_NOT_FOUND, with a suggestion. row is the caller's to release. */
int table_lookup(struct control *c, const char *tenant, const char *table, struct table_row *row,
                 struct tl_error *err) TL_MUST_CHECK;
/* The folded name; TL_E_NOT_FOUND for what is no name. */
int table_name(const char *text, char out[TL_NAME_MAX + 1], struct tl_error *err) TL_MUST_CHECK;
/* Whether the tenant's sink has room for so many columns; TL_E_REFUSED. */
int table_check_columns(const struct tenant *t, const struct tl_schema *schema,
                        struct tl_error *err) TL_MUST_CHECK;
/* A stored schema as JSON, a new reference; NULL with TL_E_CORRUPT. */
json_t *table_schema_json(const char *schema, const char *table, struct tl_error *err);
/* Asks the keeper, and waits until it had its turn; TL_E_UNAVAILABLE when the version is pending after it. */
int table_await_version(struct control *c, const struct tenant *t, int64_t table_id, int32_t version,
                        const char *name, struct tl_error *err) TL_MUST_CHECK;
/* TL_E_CONFLICT when the row is not of the table and version that the client means. */
int table_check_match(struct table_match *match, const struct table_row *row,
                      struct tl_error *err) TL_MUST_CHECK;

/*
 * adopt.c: whether the sink's database is fit for the table's first version: one that is to be adopted is there and
 * agrees (TL_E_NOT_FOUND, TL_E_CONFLICT, TL_E_UNAVAILABLE), another has its name for itself (TL_E_CONFLICT; fine
 * when the sink can't be asked).
 */
int adopt_check(struct control *c, const struct tenant *t, const struct tl_schema *schema,
                struct tl_error *err) TL_MUST_CHECK;
/* Whether the next version of an adopted table can be made of the one that there is; 0 for any other table. */
int adopt_check_alter(struct control *c, const struct tenant *t, const struct tl_schema *now,
                      const struct tl_schema *next, struct tl_error *err) TL_MUST_CHECK;

/*
 * leftover.c: whether the sink has a table, or an upload, of that name from an earlier tenant; TL_E_CONFLICT, or
 * TL_E_UNAVAILABLE when that can't be found out.
 */
int leftover_check_table(struct control *c, const struct tenant *t, const char *table,
                         struct tl_error *err) TL_MUST_CHECK;
int leftover_check_upload(struct control *c, const struct tenant *t, const char *id,
                          struct tl_error *err) TL_MUST_CHECK;

/* versions.c: puts "pending" into the table's object when there is a version that is not active yet. */
int versions_add_pending(struct control *c, const struct table_row *row, json_t *json,
                         struct tl_error *err) TL_MUST_CHECK;

/* waiting.c; under the lock */
const char *report_for(struct control *c, const char *tenant, const char *table, int64_t now);
/* Works out what the upload waits for; true when that changed. */
bool live_waiting_update(struct control *c, struct live *l, int64_t now);

/*
 * turns.c: who of a tenant may send; under the lock. All queued ones whose turn it is are let in, and the others learn
 * what they wait for. Called whenever that may have changed; those that wait call it themselves as time passes.
 */
void turns_pass(struct control *c, struct tenant *t);
/* A new upload: whether it may send at once. If not it becomes a queued one. */
void turns_enter(struct control *c, struct tenant *t, struct upload *u);
/*
 * Its sender is heard from, so that it keeps its turn, or has it when it comes; when it was given up for silent and all
 * turns are taken by now it becomes a queued one again.
 */
int turns_heard(struct control *c, struct live *l, struct tl_error *err) TL_MUST_CHECK;
/* It was found queued at the start: its client has to say that it is there. */
void turns_found(struct live *l);
/* Why it does not send. */
void turns_text(const struct live *l, int64_t now, char *out, size_t size);
/* Its share of what its tenant may send, in bytes a second; 0: as much as it likes, or it does not send. */
int64_t turns_share(const struct live *l, int64_t now);

/* live.c; under the lock */
struct live *live_find(struct control *c, const char *tenant, const char *id);
/* Takes over u's texts. */
struct live *live_add(struct control *c, struct tenant *t, struct upload *u, struct tl_error *err);
void live_ref(struct live *l);
void live_unref(struct live *l);
void live_unlink(struct control *c, struct live *l);
/* To the end of its tenant's. */
void live_to_end(struct live *l);
void live_free_all(struct control *c);
/* The next number of change. */
int64_t control_next_change(struct control *c);
/* A change to be shown: numbered and told to all who wait. */
void live_changed(struct control *c, struct live *l);
/*
 * Stores it; when it is final it also leaves the list, and is freed unless somebody holds a reference. On failure it
 * stays as it was before (`before`). Others of the tenant may be let in by it.
 */
int live_store(struct control *c, struct live *l, const struct upload *before,
               struct tl_error *err) TL_MUST_CHECK;
void live_look_now(struct live *l);
/* Uploads into the table are to end as failed, for this reason. Without the lock. */
int live_stop_table(struct control *c, int64_t table_id, const char *reason,
                    struct tl_error *err) TL_MUST_CHECK;
/*
 * After a start: waits, not for long, until the counts of all the tenant's are those of the ledger, so that none is
 * seen to fall.
 */
void live_await_looks(struct control *c, const struct tenant *t);

/* uploads.c */
json_t *upload_to_json(const struct upload *u);
/* Of one that is live, under the lock: also what it waits for, and its share. */
json_t *live_to_json(const struct live *l);
/* The object as it is now, live or stored. */
int upload_answer(struct control *c, const char *tenant, const char *id, json_t **answer,
                  struct tl_error *err) TL_MUST_CHECK;

/* As the store has it, the caller's to release. TL_E_NOT_FOUND also for an id that can't be one. */
int upload_stored(struct control *c, const char *tenant, const char *id, struct upload *u,
                  struct tl_error *err) TL_MUST_CHECK;

/*
 * session.c: what a sender needs, put into its answer; nothing as long as it is queued. id NULL: the ledger has nothing
 * of it.
 */
int upload_session(struct control *c, const struct tenant *t, const char *id, json_t *schema, json_t *answer,
                   struct tl_error *err) TL_MUST_CHECK;
/* The same of an upload that is there, by its own version; *answer begins with its object. */
int upload_session_again(struct control *c, struct tenant *t, const struct upload *u, json_t **answer,
                         struct tl_error *err) TL_MUST_CHECK;
/* The fingerprints of files together, malloc'ed; "" when one has none. NULL when memory is short. */
char *upload_content(const json_t *files);

/*
 * trim.c: the thread that trims the topics on a cluster, beside the keeper, since it also waits for its tenants' sinks.
 */
void *trim_run(void *cluster);

/* keeper.c and tracker.c */
void *keeper_run(void *cluster);
void keeper_kick(struct cluster *cl); /* under the lock */
/* Tells the keeper that something is to be done and returns the number of the pass that will see it. */
uint64_t keeper_ask(struct cluster *cl);
/* Waits for that pass to be over, at most so long (0: as usual); TL_E_UNAVAILABLE when it takes longer. */
int keeper_await(struct cluster *cl, uint64_t pass, int timeout_ms, struct tl_error *err) TL_MUST_CHECK;

/* A pass of the keeper, as its parts in keeper.c, removal.c and look.c know it. */
struct pass {
    struct control *c;
    struct cluster *cl;
    struct broker *broker;
    bool failed;
    struct tl_error err; /* the first failure */
    bool spoke;          /* Kafka answered */
    bool left;           /* there may be more to write */
};
/* Returns whether the pass may go on: after a failure that has to do with one thing alone it does. */
bool pass_note(struct pass *p, const struct tl_error *err);
void pass_set_tenant(struct pass *p, struct tenant *t, bool ready, bool broken, const char *trouble);
/*
 * Topics of a tenant's names may have been there before, and been deleted a moment ago. Where a group stood in them goes
 * with them only in time: not when that broker ends, nor when a member that leaves commits once more. A validator
 * that began there would pass messages over; so that is forgotten before anybody reads the new ones. TL_E_CONFLICT:
 * somebody still reads the old ones.
 */
int pass_forget_earlier(struct pass *p, const struct tenant *t, struct tl_error *err) TL_MUST_CHECK;
/* move.c: tenants that are being moved, from or to the cluster, or were. False: the pass may not go on. *busy: the next
 * one is to come soon. */
bool pass_moves(struct pass *p, bool *busy);
/* rounds.c: what is pending goes into raw-input. False: the pass may not go on. */
bool pass_rounds(struct pass *p);
/*
 * Asks the keeper, and waits until the version is written, or was tried in vain, or for as long as keeper_await does.
 * 0: it is active; 1: it is pending still. Any thread.
 */
int keeper_await_version(struct cluster *cl, int64_t table_id, int32_t version,
                         struct tl_error *err) TL_MUST_CHECK;
/* removal.c: tenants that are being removed. False: the pass may not go on. */
bool pass_removals(struct pass *p);
/* look.c: what is in the cluster, and whether our topics are still as they were made. */
void pass_look(struct pass *p);

/* All under the lock. The tenant has a thread that follows its uploads; when this fails it has none. */
int tracker_start(struct control *c, struct tenant *t, struct tl_error *err) TL_MUST_CHECK;
void tracker_kick(const struct tenant *t);
void trackers_kick(struct control *c);
/* Waits for all of them to have ended, after control_stop. */
void trackers_join(struct control *c);

/*
 * A sink's connection for reading, of the calling thread; patience_ms as in struct sink_conf. NULL with TL_E_NOT_FOUND
 * when nothing is there yet.
 */
struct sink *control_open_sink(struct control *c, const struct tenant *t, int patience_ms,
                               struct tl_error *err);

#endif
