/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an upload tells the coordinator while it sends, and what it is told:
 *
 *   how far it is, once a second ──► go on, so fast ──► the sender's rate
 *                                ├─► queued ──► waits for its turn, saying every second that it is there
 *                                ├─► another epoch ──► `moved`: upload.c begins anew
 *                                └─► ended ──► TL_E_CONFLICT
 */
#include <stdio.h>

#include "cli/client/outcome.h"
#include "cli/upload/upload_impl.h"
#include "shared/base/clock.h"

enum { AGAIN_MS = 500, GIVE_UP_MS = 30000 };

void tell_show(struct upload *u)
{
    struct upload_progress p = {.state = "sending", .waiting = ""};
    struct split_totals totals = splitter_totals(u->splitter);

    if (u->last)
        upload_progress_from(&p, u->last);
    p.table = u->o->table;
    p.upload = u->id;
    p.bytes_sent = totals.bytes;
    p.bytes_total = u->sources.bytes;
    p.rows_read = totals.rows;
    if (u->sender && sender_trouble(u->sender)[0])
        p.waiting = sender_trouble(u->sender);
    upload_ui_progress(u->ui, &p);
}

int tell_check_state(struct upload *u, struct tl_error *err)
{
    if (!u->last || !outcome_final(u->last))
        return 0;
    return tl_fail(err, TL_E_CONFLICT, "the upload has ended: %s", upload_text(u->last, "state"));
}

bool tell_is_queued(const struct upload *u)
{
    return strcmp(upload_text(u->last, "state"), "queued") == 0;
}

/* Says that somebody is here, or waits for news. */
static int look_for_turn(struct upload *u, struct tl_error *err)
{
    int64_t since = tl_clock_ms() - u->told;
    json_t *answer = NULL, *nothing;
    int rc;

    if (since >= UPLOAD_TELL_EVERY_MS) {
        nothing = json_object();
        rc = nothing ? coordinator_upload_patch(u->coordinator, u->id, nothing, &answer, err)
                     : tl_fail_nomem(err);
        json_decref(nothing);
        if (rc == 0)
            u->told = tl_clock_ms();
    } else {
        rc = coordinator_upload_get(u->coordinator, u->id, (int)(UPLOAD_TELL_EVERY_MS - since),
                                    upload_number(u->last, "change", 0), &answer, err);
    }
    /* It has ended: what it is tells how. */
    if (rc && err->code == TL_E_CONFLICT)
        rc = coordinator_upload_get(u->coordinator, u->id, 0, 0, &answer, err);
    if (rc)
        return -1;
    json_decref(u->last);
    u->last = answer;
    return tell_check_state(u, err);
}

int tell_again_later(struct upload *u, int64_t since, struct tl_error *err)
{
    if (interrupt_signal(u->ui->interrupt))
        return tl_fail(err, TL_E_INTERRUPTED, "interrupted");
    if (!tl_error_retriable(err) || tl_clock_ms() - since >= GIVE_UP_MS)
        return -1;
    interrupt_wait(u->ui->interrupt, AGAIN_MS);
    return 0;
}

int tell_await_turn(struct upload *u, struct tl_error *err)
{
    int64_t began = tl_clock_ms(), before = u->queued_ms, heard = began;

    while (tell_is_queued(u)) {
        tell_show(u);
        u->queued_ms = before + tl_clock_ms() - began;
        if (u->o->timeout_ms >= 0 && u->queued_ms >= u->o->timeout_ms) {
            u->timed_out = true;
            return tl_fail(err, TL_E_TIMEOUT, "not all sent yet: %s", upload_text(u->last, "waiting"));
        }
        if (look_for_turn(u, err) == 0) {
            heard = tl_clock_ms();
            continue;
        }
        if (tell_again_later(u, heard, err))
            return -1;
    }
    return 0;
}

/* Whether the tenant still lives where it lived when this began. */
static int check_epoch(struct upload *u, struct tl_error *err)
{
    if (upload_number(u->last, "epoch", u->epoch) == u->epoch)
        return 0;
    u->moved = true;
    return tl_fail(err, TL_E_AGAIN, "the tenant was moved to another cluster");
}

/* What the coordinator lets it do by now. */
static int obey(struct upload *u, struct tl_error *err)
{
    /* Not heard from for long, it was given up, and others have its turn; or the tenant is being moved. */
    if (tell_check_state(u, err) || tell_await_turn(u, err) || check_epoch(u, err))
        return -1;
    sender_set_rate(u->sender, upload_number(u->last, "bytes_per_second", 0));
    return 0;
}

int tell_progress(struct upload *u, struct tl_error *err)
{
    struct split_totals totals = splitter_totals(u->splitter);
    json_t *change = json_pack("{s:I, s:I, s:I}", "rows_read", (json_int_t)totals.rows, "bytes_sent",
                               (json_int_t)totals.bytes, "epoch", (json_int_t)u->epoch);
    json_t *answer = NULL;
    struct tl_error lost = {0};

    if (!change)
        return tl_fail_nomem(err);
    /* A coordinator that is away for a while is no reason to stop: the rows go to Kafka. */
    if (coordinator_upload_patch(u->coordinator, u->id, change, &answer, &lost) == 0) {
        json_decref(u->last);
        u->last = answer;
    }
    json_decref(change);
    u->told = tl_clock_ms();
    if (lost.code == TL_E_CONFLICT && !answer) {
        if (coordinator_upload_get(u->coordinator, u->id, 0, 0, &answer, err))
            return -1;
        json_decref(u->last);
        u->last = answer;
    }
    return obey(u, err);
}

/* That all is sent: 1 when the coordinator has taken it in, 0 when it could not be told. */
static int say_sent(struct upload *u, struct tl_error *err)
{
    struct split_totals totals = splitter_totals(u->splitter);
    json_t *change = json_pack("{s:s, s:I, s:I, s:I}", "state", "processing", "rows_read",
                               (json_int_t)totals.rows, "bytes_sent", (json_int_t)totals.bytes, "epoch",
                               (json_int_t)u->epoch);
    struct tl_error why;
    json_t *answer;
    int rc;

    if (!change)
        return tl_fail_nomem(err);
    rc = coordinator_upload_patch(u->coordinator, u->id, change, &answer, &why);
    json_decref(change);
    /* It has lost its turn, or has ended. */
    if (rc && why.code == TL_E_CONFLICT)
        rc = coordinator_upload_get(u->coordinator, u->id, 0, 0, &answer, &why);
    if (rc)
        return 0;
    json_decref(u->last);
    u->last = answer;
    return 1;
}

/* All that matters is in Kafka: a coordinator that can't be told learns of the end from there. */
int tell_sent(struct upload *u, struct tl_error *err)
{
    int rc;

    while ((rc = say_sent(u, err)) == 1 && tell_is_queued(u))
        if (tell_await_turn(u, err) || check_epoch(u, err))
            return -1;
    return rc < 0 || (rc == 1 && check_epoch(u, err)) ? -1 : 0;
}

void tell_failed(struct upload *u, const struct tl_error *why)
{
    json_t *change = json_pack("{s:s, s:s}", "state", "failed", "reason", why->text);
    struct tl_error err;

    if (change && coordinator_upload_patch(u->coordinator, u->id, change, NULL, &err))
        upload_ui_warn(u->ui, "the coordinator could not be told that upload %s failed: %s", u->id, err.text);
    json_decref(change);
}
