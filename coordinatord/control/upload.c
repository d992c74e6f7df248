/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/control/upload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* An error budget in percent means little for the first rows of a file. */
enum { PERCENT_AFTER_ROWS = 1000 };

static const char *const state_names[UPLOAD_STATES] = {
    [UPLOAD_QUEUED] = "queued",         [UPLOAD_SENDING] = "sending",
    [UPLOAD_PROCESSING] = "processing", [UPLOAD_DONE] = "done",
    [UPLOAD_FAILED] = "failed",         [UPLOAD_DONE_WITH_ERRORS] = "done_with_errors",
    [UPLOAD_CANCELLED] = "cancelled",   [UPLOAD_ABORTED] = "aborted",
};

void upload_init(struct upload *u)
{
    memset(u, 0, sizeof *u);
    u->state = UPLOAD_SENDING;
    u->wish = UPLOAD_SENDING;
    u->begun = true;
    u->bytes_total = -1;
    u->max_errors_rows = -1;
    u->max_errors_percent = -1;
}

void upload_release(struct upload *u)
{
    free(u->dialect);
    free(u->header);
    free(u->files);
    free(u->content);
    free(u->options);
    u->dialect = u->header = u->files = u->content = u->options = NULL;
}

void upload_restore(struct upload *u, const struct upload *before)
{
    u->state = before->state;
    u->wish = before->wish;
    memcpy(u->reason, before->reason, sizeof u->reason);
    u->rows_read = before->rows_read;
    u->rows_applied = before->rows_applied;
    u->rows_rejected = before->rows_rejected;
    u->errors_stored = before->errors_stored;
    u->bytes_sent = before->bytes_sent;
    u->finished_ms = before->finished_ms;
    u->begun = before->begun;
    u->ticket = before->ticket;
    u->change = before->change;
}

const char *upload_state_name(enum upload_state state)
{
    return state_names[state];
}

bool upload_state_parse(const char *name, enum upload_state *state)
{
    for (int i = 0; i < UPLOAD_STATES; i++) {
        if (strcmp(name, state_names[i]) == 0) {
            *state = (enum upload_state)i;
            return true;
        }
    }
    return false;
}

static bool raise_to(int64_t *count, int64_t value)
{
    if (value <= *count)
        return false;
    *count = value;
    return true;
}

bool upload_sent(struct upload *u, int64_t rows_read, int64_t bytes_sent)
{
    bool rows = raise_to(&u->rows_read, rows_read);
    bool bytes = raise_to(&u->bytes_sent, bytes_sent);

    return rows || bytes;
}

int upload_processing(struct upload *u, struct tl_error *err)
{
    if (upload_final(u->state))
        return tl_fail(err, TL_E_CONFLICT, "upload %s is %s already", u->id, upload_state_name(u->state));
    if (u->wish != UPLOAD_SENDING)
        return tl_fail(err, TL_E_CONFLICT, "upload %s is being stopped: %s", u->id, u->reason);
    if (u->state == UPLOAD_QUEUED)
        return tl_fail(err, TL_E_CONFLICT, "upload %s is queued: its turn to send has not come", u->id);
    u->state = UPLOAD_PROCESSING;
    return 0;
}

bool upload_end_unbegun(struct upload *u, int64_t now)
{
    if (u->begun || u->wish == UPLOAD_SENDING || upload_final(u->state))
        return false;
    u->state = u->wish;
    u->finished_ms = now;
    return true;
}

bool upload_wish(struct upload *u, enum upload_state wish, const char *reason)
{
    if (u->wish != UPLOAD_SENDING)
        return false;
    u->wish = wish;
    snprintf(u->reason, sizeof u->reason, "%s", reason);
    return true;
}

static bool over_budget(const struct upload *u, bool rows_read_known, char *why, size_t size)
{
    int64_t settled = u->rows_applied + u->rows_rejected;
    int64_t of = rows_read_known ? u->rows_read : settled;

    if (u->max_errors_rows >= 0 && u->rows_rejected > u->max_errors_rows) {
        snprintf(why, size, "%lld rows rejected; at most %lld are allowed", (long long)u->rows_rejected,
                 (long long)u->max_errors_rows);
        return true;
    }
    if (u->max_errors_percent >= 0 && (rows_read_known || settled > PERCENT_AFTER_ROWS) &&
        (double)u->rows_rejected * 100.0 > u->max_errors_percent * (double)of) {
        snprintf(why, size, "%lld of %lld rows rejected; at most %g %% are allowed",
                 (long long)u->rows_rejected, (long long)of, u->max_errors_percent);
        return true;
    }
    return false;
}

static enum upload_step finish(struct upload *u, enum upload_state state, int64_t now)
{
    u->state = state;
    u->finished_ms = now;
    return UPLOAD_FINISHED;
}

enum upload_step upload_observe(struct upload *u, const struct upload_seen *seen, int64_t now)
{
    const struct upload_progress *p = &seen->progress;
    bool all_ended = p->partitions_ended >= u->partitions;
    bool moved = false, wished = false;
    char why[UPLOAD_REASON_MAX];

    if (upload_final(u->state))
        return UPLOAD_SAME;
    moved |= raise_to(&u->rows_applied, p->rows_applied);
    moved |= raise_to(&u->rows_rejected, p->rows_rejected);
    moved |= raise_to(&u->errors_stored, p->errors_stored);
    moved |= raise_to(&u->rows_read, all_ended ? p->rows_read : 0);
    moved |= raise_to(&u->rows_read, u->rows_applied + u->rows_rejected);

    if (over_budget(u, all_ended || u->state == UPLOAD_PROCESSING, why, sizeof why))
        wished = upload_wish(u, UPLOAD_ABORTED, why);

    if (p->errors_stored >= p->rows_rejected) {
        bool complete = all_ended && p->rows_read == p->rows_applied + p->rows_rejected;

        if (complete && u->wish == UPLOAD_ABORTED)
            return finish(u, UPLOAD_ABORTED, now);
        if (complete) {
            /* A wish to stop that came too late: everything is applied, so that is what is said. */
            u->reason[0] = '\0';
            return finish(u, p->rows_rejected ? UPLOAD_DONE_WITH_ERRORS : UPLOAD_DONE, now);
        }
        if (seen->settled && p->partitions_stopped > 0) {
            if (u->wish == UPLOAD_SENDING)
                upload_wish(u, UPLOAD_FAILED, *p->reason ? p->reason : "stopped");
            return finish(u, u->wish, now);
        }
        if (all_ended) {
            snprintf(u->reason, sizeof u->reason,
                     "rows are missing: %lld were read, but %lld applied and %lld rejected",
                     (long long)p->rows_read, (long long)p->rows_applied, (long long)p->rows_rejected);
            return finish(u, UPLOAD_FAILED, now);
        }
    }
    if (wished)
        return UPLOAD_WISHED;
    return moved ? UPLOAD_MOVED : UPLOAD_SAME;
}
