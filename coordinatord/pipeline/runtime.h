/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the three roles share: members of consumer groups, workers, and lanes.
 *
 *   role's thread          follows control's list of tenants, and tells each member which are its group's
 *     member (one a cluster and group), a thread: its consumer, rebalances: lanes come and go
 *       worker (width a tenant), a thread while there is something to do
 *         ┌─ idle: what is due; how long a pop may wait
 *         │  pop ◄── queue ◄── lanes: the worker's partitions
 *         └─ message: in the order of its partition
 *     attendant, a thread: starts the workers' threads when there is something to do, and joins those that ended
 *
 * A lane is a partition of a topic that is ours for now. All of a worker's state, lanes included, is under
 * its mutex: its thread holds it but for waiting (in the pop and in worker_wait), and the member takes it to
 * add and remove lanes. The group's protocol is eager: a rebalance takes all lanes away before it gives any.
 * The queue goes with them, so that a message that was popped before a rebalance and would be handled after
 * it is known by its queue, and dropped: its lane begins anew.
 *
 * A worker that has nothing to do parks: its role's state (a connection to the sink, a producer) is closed, its thread
 * ends. Its lanes stay, and stand where they stood. What comes into its queue then wakes it.
 */
#ifndef COORDINATORD_PIPELINE_RUNTIME_H
#define COORDINATORD_PIPELINE_RUNTIME_H

#include <pthread.h>
#include <stdatomic.h>

#include "coordinatord/pipeline/control_api.h"
#include "coordinatord/pipeline/roles.h"
#include "shared/kafka/consumer.h"
#include "shared/wire/topic.h"

struct attendant;
struct worker;

struct lane {
    struct lane *next;
    struct worker *worker;
    const struct tl_kqueue *queue; /* that its messages come from */
    char topic[TL_TOPIC_NAME_MAX + 1];
    char position[TL_POSITION_NAME_MAX + 1]; /* what the sink knows the topic by */
    int32_t partition;
    void *state; /* the role's */
};

struct role_ops {
    const char *name; /* "validate", as in --roles */
    enum tl_topic topic;
    bool from_stored;   /* see struct tl_consumer_options */
    size_t queue_bytes; /* for each worker */
    /* How many workers share a tenant's partitions. */
    int (*width)(const struct config *config, const struct tenant_info *tenant);

    /* Makes worker->state, before the thread does anything else. Nothing that waits. */
    int (*open)(struct worker *w, struct tl_error *err);
    /* Frees worker->state: the worker parks, or its thread has ended. NULL is fine. */
    void (*close)(struct worker *w);
    /*
     * In the member's thread, under the mutex. Makes and frees lane->state; what is not finished of a removed
     * lane is given up. worker->state is NULL while it is parked. *begin: see struct tl_consumer_events.
     */
    int (*lane_added)(struct worker *w, struct lane *lane, int64_t *begin, struct tl_error *err);
    void (*lane_removed)(struct worker *w, struct lane *lane);
    /*
     * Under the mutex. Nothing is to be done, now or later, unless a message comes. worker->state is NULL
     * while it is parked.
     */
    bool (*quiet)(const struct worker *w);
    /*
     * In the worker's thread, under the mutex. May wait with worker_wait, and then gives up when that says
     * so.
     */
    void (*message)(struct worker *w, struct lane *lane, const struct tl_message *m);
    /* The same: the lane's position is not in the topic, and nothing comes until a seek. */
    void (*lost)(struct worker *w, struct lane *lane, const struct tl_error *why);
    /* The same; before each pop. Returns for how long the pop may wait, in ms. */
    int (*idle)(struct worker *w);
    /* The same; once, before the thread ends: finish what is in hand, within about two seconds. */
    void (*drain)(struct worker *w);
};

struct worker {
    const struct role_ops *ops;
    const struct config *config;
    struct tl_log *log;
    const char *control_url;
    const char *token;            /* may be NULL */
    struct attendant *attendant;  /* borrowed, as the four above */
    struct tenant_info tenant;    /* a copy */
    struct tl_consumer *consumer; /* borrowed from the member; seek and store only */
    struct tl_kqueue *queue;      /* NULL while there are no lanes */
    struct tl_kqueue *retired;    /* the one before, until the worker's thread is out of its pop */
    struct tl_message first;      /* what woke it, out of the queue; see has_first */
    bool has_first;
    struct control_api *control; /* NULL while it is parked */
    int index;                   /* of the width */
    pthread_t thread;
    enum { THREAD_NONE, THREAD_RUNS, THREAD_ENDED } thread_is; /* ENDED: it is to be joined */
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* lanes or `stop` */
    struct lane *lanes;
    _Atomic bool leaving; /* lanes are to go, and with them all the others */
    unsigned removed;     /* lanes that went, ever */
    unsigned generations; /* of lanes, ever; for the role */
    _Atomic bool parked;  /* what comes into the queue is told to the attendant */
    _Atomic bool stop;
    int park_ms;     /* without a message, until it parks */
    int64_t busy_at; /* when there was something to do last, tl_clock_ms; 0: never since it was started */
    void *state;     /* the role's; NULL while it is parked */
    int64_t *kept;   /* of feed.c: where lanes that went stood, by partition; NULL: none */

    /* The attendant's, under its own lock. */
    struct worker *next_call;
    bool called;
    bool urgent;
};

/*
 * Waits under the mutex, which is released meanwhile. `why` (may be NULL) is told to
 * control. Returns false when the caller has to give up what it is doing: its lanes are to go, or the worker
 * is to stop.
 */
bool worker_wait(struct worker *w, int ms, const struct lane *lane, const char *why);
/* What worker_wait told is over. */
void worker_goes_on(struct worker *w);
/* Whether a message has come that is not handled yet; it may turn out to be out of date. */
bool worker_has_message(const struct worker *w);

extern const struct role_ops validator_role;
extern const struct role_ops sink_role;
extern const struct role_ops errors_role;

#endif
