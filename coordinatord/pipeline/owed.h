/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Messages of a table that somebody has locked, applied later, so that all others go on.
 *
 *   message ──apply──► TL_E_LOCKED, again and again ──owed_failed──► the table is blocked
 *      │ owed_due_for: the table is blocked, or something of it is owed in this partition
 *      ▼
 *   owed_put: written down, in the transaction that moves the offset past it
 *      │ owed_next, about once a second
 *      ▼
 *   owed_take: the first one of a table in a partition, read again from Kafka, to be applied as if it came now;
 *              its row is gone with the commit, and the partition is still ours by then
 *
 * The messages of a table keep their order within a partition: nothing of it is applied there while something is
 * owed. What is owed is in the sink, so a crash forgets nothing, and it goes with the partition to whoever has it;
 * what is kept here may be more than there is (another process has settled it), never less: nothing is ever owed
 * without moving the offset, which is compared.
 *
 * Of several that believe the partition is theirs one alone gets the row of a message away, and has it away before
 * it looks at the ledger.
 *
 * Memory: a name for each table and partition. Thread: the worker's, under its mutex.
 */
#ifndef COORDINATORD_PIPELINE_OWED_H
#define COORDINATORD_PIPELINE_OWED_H

#include "coordinatord/pipeline/feed.h"

struct owed;

/* What became of a message. */
enum outcome {
    DONE,    /* it is in the transaction, or there is nothing to do */
    NONE,    /* there is no message */
    HALT,    /* it can't be applied, ever; *err says why */
    LOCKED,  /* not now, but its table alone is concerned; *err says why */
    FAILED,  /* the sink failed; *err says how */
    GIVEN_UP /* the worker stops, or the lane is gone and must not be touched */
};

struct owed *owed_new(struct feed *feed, struct tl_error *err);
void owed_free(struct owed *o); /* NULL is fine */

/* Reads what is owed in a lane's partition; for struct feed's placed. */
int owed_placed(struct owed *o, const struct lane *lane, struct tl_error *err) TL_MUST_CHECK;
void owed_lane_removed(struct owed *o, const struct lane *lane);

/* Whether the message is not to be applied now. */
bool owed_due_for(const struct owed *o, const struct tl_message *m);
/* Writes it down, in the open transaction. */
int owed_put(struct owed *o, const struct lane *lane, const struct tl_message *m,
             struct tl_error *err) TL_MUST_CHECK;
/* It could not be applied because of a lock. */
void owed_failed(struct owed *o, const struct tl_message *m, const struct tl_error *why);
/* It is applied. */
void owed_passed(struct owed *o, const struct tl_message *m);

/* Nothing is owed, nor a table blocked. */
bool owed_none(const struct owed *o);
/* Nothing is owed in the lane's partition. */
bool owed_none_in(const struct owed *o, const struct lane *lane);

/* The lane, and *table, of which it is time to try again; NULL: none now. The name lives until the next call. */
struct lane *owed_next(struct owed *o, const char **table);
/* How long until then, in ms; not more than `most`. */
int owed_wait(const struct owed *o, int most);
/* The first message that is owed, taken off, in the open transaction. DONE: it is the caller's to release. */
enum outcome owed_take(struct owed *o, const struct lane *lane, const char *table, struct tl_message *m,
                       struct tl_error *err);
/* The try was in vain: later again, after the others. */
void owed_blocked(struct owed *o, const struct lane *lane, const char *table, const struct tl_error *why);
/* Some of it is committed; all: nothing more is owed. */
void owed_settled(struct owed *o, const struct lane *lane, const char *table, bool all);

#endif
