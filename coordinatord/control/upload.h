/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One upload as control knows it, and the rules by which its state moves. Pure: no thread, no store, no
 * Kafka.
 *
 *   queued <-> sending                                       as many send at a time as the tenant may (turns.c)
 *   sending --> processing --> done | done_with_errors       everything applied, every rejected row stored
 *      \------------\--------> failed | cancelled | aborted  every partition stopped; which one is the wish
 *
 * A wish is what somebody asked for (the sender gave up) or the error budget ended. It is durable before the
 * cancel messages are written, and becomes the state when the ledger says that the messages arrived.
 */
#ifndef COORDINATORD_CONTROL_UPLOAD_H
#define COORDINATORD_CONTROL_UPLOAD_H

#include <stdint.h>

#include "coordinatord/sinks/sink.h"
#include "shared/base/error.h"

enum upload_state {
    UPLOAD_QUEUED,
    UPLOAD_SENDING,
    UPLOAD_PROCESSING,
    UPLOAD_DONE,
    UPLOAD_DONE_WITH_ERRORS,
    UPLOAD_FAILED,
    UPLOAD_CANCELLED,
    UPLOAD_ABORTED,
    UPLOAD_STATES
};

enum { UPLOAD_REASON_MAX = 400, UPLOAD_WHO_MAX = 64 };

struct upload {
    int64_t rowid; /* order of creation */
    char tenant[TL_TENANT_MAX + 1];
    char id[TL_UPLOAD_ID_MAX + 1];
    char table[TL_NAME_MAX + 1];
    int64_t table_id;
    int32_t version;
    int32_t partitions;
    enum upload_state state;
    enum upload_state wish; /* UPLOAD_SENDING: none */
    char reason[UPLOAD_REASON_MAX];
    int64_t rows_read;
    int64_t rows_applied;
    int64_t rows_rejected;
    int64_t errors_stored;
    int64_t bytes_sent;
    int64_t bytes_total;       /* -1: not known */
    int64_t started_ms;        /* wall clock */
    int64_t finished_ms;       /* 0: not finished */
    int64_t change;            /* differs whenever anything else here does; never falls */
    int64_t max_errors_rows;   /* -1: no such limit */
    double max_errors_percent; /* below 0: no such limit */
    bool resumable;
    bool begun;     /* its sender may have sent something: its turn came at least once */
    int64_t ticket; /* those that are queued have their turns in this order */
    int64_t batch_bytes;
    char *dialect; /* tl-format; owned, as the next ones */
    char *header;  /* NULL: the file has none */
    char *files;   /* JSON: [{"name","path","bytes","fingerprint"}] */
    char *
        content; /* the files' fingerprints together; "" when it can't be told whether another has the same */
    char *options;            /* JSON, as the client gave it, for the client that resumes; may be NULL */
    char who[UPLOAD_WHO_MAX]; /* who began it; "": from a time when that was not kept */
};

void upload_init(struct upload *u);
void upload_release(struct upload *u);

/*
 * Takes back what changes in an upload's life; what names it is not touched (other threads read that without
 * a lock).
 */
void upload_restore(struct upload *u, const struct upload *before);

const char *upload_state_name(enum upload_state state);
bool upload_state_parse(const char *name, enum upload_state *state) TL_MUST_CHECK;
static inline bool upload_final(enum upload_state state)
{
    return state >= UPLOAD_DONE;
}

/* The sender's numbers. True when something changed. */
bool upload_sent(struct upload *u, int64_t rows_read, int64_t bytes_sent);
/* Everything is sent. TL_E_CONFLICT in a final state, when it is being stopped, and before its turn. */
int upload_processing(struct upload *u, struct tl_error *err) TL_MUST_CHECK;
/* Nothing can have been sent of it, so that what is wished holds at once. True when it was so. */
bool upload_end_unbegun(struct upload *u, int64_t now_wall_ms);
/* The first wish stays. True when it is the first. */
bool upload_wish(struct upload *u, enum upload_state wish, const char *reason);

struct upload_seen {
    struct upload_progress progress;
    bool settled; /* each partition ended or stopped */
};

enum upload_step {
    UPLOAD_SAME,    /* nothing new */
    UPLOAD_MOVED,   /* counts changed */
    UPLOAD_WISHED,  /* the error budget is used up: to be stored, and cancel messages to be written */
    UPLOAD_FINISHED /* a final state: to be stored */
};

/* Takes over what the ledger says. Counts never fall, and applied + rejected never pass rows_read. */
enum upload_step upload_observe(struct upload *u, const struct upload_seen *seen, int64_t now_wall_ms);

#endif
