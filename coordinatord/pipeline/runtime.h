/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the three roles share: members of consumer groups, workers, and lanes.
 *
 *   owner thread (one a role)            worker thread (width a tenant)
 *   tenants from control, each second    ┌─ idle: what is due; how long a pop may wait
 *   one group member a cluster           │  pop ◄── queue ◄── lanes: the worker's partitions
 *   rebalances: lanes come and go        └─ message: in the order of its partition
 *
 * A lane is a partition of a topic that is ours for now. All of a worker's state, lanes included, is under
 * its mutex: its thread holds it but for waiting (in the pop and in worker_wait), and the owner takes it to
 * add and remove lanes. The group's protocol is eager: a rebalance takes all lanes away before it gives any.
 * The queue goes with them, so that a message that was popped before a rebalance and would be handled after
 * it is known by its queue, and dropped: its lane begins anew.
 */
#ifndef COORDINATORD_PIPELINE_RUNTIME_H
#define COORDINATORD_PIPELINE_RUNTIME_H

#include <pthread.h>
#include <stdatomic.h>

#include "coordinatord/pipeline/control_api.h"
#include "coordinatord/pipeline/roles.h"
#include "shared/kafka/consumer.h"
#include "shared/wire/topic.h"

struct worker;

struct lane {
    struct lane *next;
    struct worker *worker;
    const struct tl_kqueue *queue; /* that its messages come from */
    char topic[TL_TOPIC_NAME_MAX + 1];
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

    /* Makes worker->state. Nothing that waits. */
    int (*open)(struct worker *w, struct tl_error *err);
    /* The thread has ended; frees worker->state. */
    void (*close)(struct worker *w);
    /*
     * In the owner's thread, under the mutex. Makes and frees lane->state; what is not finished of a removed
     * lane is given up.
     */
    int (*lane_added)(struct worker *w, struct lane *lane, struct tl_error *err);
    void (*lane_removed)(struct worker *w, struct lane *lane);
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
    struct worker *next;
    const struct role_ops *ops;
    const struct config *config;
    struct tl_log *log;
    struct tenant_info tenant;    /* a copy */
    struct tl_consumer *consumer; /* borrowed from the member; seek and store only */
    struct tl_kqueue *queue;      /* NULL while there are no lanes */
    struct tl_kqueue *retired;    /* the one before, until the worker's thread is out of its pop */
    struct control_api *control;
    int index; /* of the width */
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed; /* lanes or `stop` */
    struct lane *lanes;
    _Atomic bool leaving; /* lanes are to go, and with them all the others */
    unsigned removed;     /* lanes that went, ever */
    _Atomic bool stop;
    void *state; /* the role's */
};

/*
 * Waits under the mutex, which is released meanwhile. `why` (may be NULL) is told to
 * control. Returns false when the caller has to give up what it is doing: its lanes are to go, or the worker
 * is to stop.
 */
bool worker_wait(struct worker *w, int ms, const struct lane *lane, const char *why);
/* What worker_wait told is over. */
void worker_goes_on(struct worker *w);

extern const struct role_ops validator_role;
extern const struct role_ops sink_role;
extern const struct role_ops errors_role;

#endif
