/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What both writers into the sink (rows and errors) do alike: open the connection, begin each lane where the
 * sink says that it stopped, and move the offsets with what they count, fenced.
 *
 *   lane added ──► unplaced ──feed_ready: offset from the sink, seek──► placed ──messages──► applied in the open transaction
 *        │            ▲                                                 ▲  │              │ feed_commit
 *        │            └──────── feed_give_up: rollback, everything since the last commit comes again ◄── any failure
 *        └──► presumed ──feed_ready: the same offset from the sink──────┘  │
 *                 └────────────────────────────◄────────────── the worker parks
 *
 * A lane that is presumed begins where the sink was when it was last asked, so that a tenant for which nothing comes needs
 * no connection. It is asked again before a message is applied; when others had the partition meanwhile, they moved the
 * offset, and what they moved it past is there to come, or is found to be lost.
 *
 * Thread: the worker's, under its mutex.
 */
#ifndef COORDINATORD_PIPELINE_FEED_H
#define COORDINATORD_PIPELINE_FEED_H

#include "coordinatord/pipeline/runtime.h"
#include "coordinatord/sinks/sink.h"

struct feed_lane {
    bool placed;
    bool presumed;     /* not placed, but `at` is where the sink was when it was asked last */
    int64_t at;        /* the consumer stands there, and nothing was taken since; -1: not known */
    bool known;        /* `committed` is what the sink has, as far as we know */
    char halted[300];  /* why nothing more is applied, until somebody looks; "" */
    int64_t committed; /* next offset, as the sink has it */
    int64_t next;      /* the same with the open transaction */
    int64_t gap;       /* the `next` at which a later message came, so that it was placed anew; -1 */
    int64_t unplaced;  /* since when it can't be placed, tl_clock_ms; 0: it can */
    int64_t told;      /* when control was told of it last, tl_clock_ms */
    bool held;         /* the next commit is only good while the sink has `committed`, also when that stays */
};

struct feed {
    struct worker *worker;
    const struct sink_ops *ops;
    struct sink *sink; /* NULL: not open */
    bool in_transaction;
    int64_t since;   /* when it began, tl_clock_ms */
    int64_t failing; /* since when nothing was committed for failures, tl_clock_ms; 0: all is well */
    int backoff_ms;
    bool told; /* that it waits */
    /* May be NULL. A lane's place was read: what more there is to be read of it. */
    int (*placed)(struct worker *w, const struct lane *lane, struct tl_error *err);
};

int feed_open(struct feed *f, struct worker *w, struct tl_error *err) TL_MUST_CHECK;
/* Its lanes stay, presumed. */
void feed_close(struct feed *f);
/* Nothing is due, but what a message brings. f NULL: it is closed. */
bool feed_quiet(const struct worker *w, const struct feed *f);

/*
 * Connection and places, as far as they are to be had now; waits a little and tells when they are not. False:
 * nothing can be applied in this turn.
 */
bool feed_ready(struct feed *f);
/*
 * False: the message was applied before, or its lane is not in order; it is passed over. When messages before
 * it did not come the lane is placed anew, once.
 */
bool feed_wants(struct feed *f, struct lane *lane, const struct tl_message *m);
/*
 * Begins a transaction unless there is one; waits while it is locked. False: given up (feed_give_up was
 * called).
 */
bool feed_begin(struct feed *f);
/* Everything up to and with this message is in the transaction. */
void feed_applied(struct lane *lane, const struct tl_message *m);
/* Moves the offsets and commits. False: given up. */
bool feed_commit(struct feed *f);
/* Rolls back a transaction that has no message of a lane: they go on where they are. */
void feed_undo(struct feed *f);
/* Rolls back; the lanes are placed anew. Waits for `what` ("the sink"), longer each time, and tells `why`. */
void feed_give_up(struct feed *f, const char *what, const struct tl_error *why);
/* The lane's position is not in the topic any more: it does not go on. */
void feed_lost(struct feed *f, struct lane *lane, const struct tl_error *why);
/* This lane does not go on. */
void feed_halt(struct feed *f, struct lane *lane, const struct tl_error *why);

/* *begin: where the lane begins, when that is known. In the member's thread, as the next one. */
int feed_lane_added(struct worker *w, struct lane *lane, int64_t *begin, struct tl_error *err) TL_MUST_CHECK;
/*
 * Rolls the open transaction back: what it has of the lane comes again, to whoever has the lane then. f NULL: it
 * is closed. keep: what is known of its place may be of use when it comes back.
 */
void feed_lane_removed(struct worker *w, struct feed *f, struct lane *lane, bool keep);

#endif
