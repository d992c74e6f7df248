/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/client/follow.h"

#include "cli/client/outcome.h"
#include "shared/base/clock.h"

enum {
    TICK_MS = 1000, /* longest wait in one request: the display goes on meanwhile */
    APART_MS = 50,  /* least time between two requests: an upload may change a thousand times a second */
    AGAIN_MS = 500, /* before a coordinator that does not answer is tried again */
    GIVE_UP_MS = 30000
};

struct following {
    struct coordinator *c;
    const char *id;
    follow_change *change;
    void *app;
    json_t *last;
    int64_t seen;    /* "change" of the last object */
    int64_t lost_at; /* when the coordinator stopped answering; 0: it answers */
};

/* One request. 0, or -1 with *err. */
static int look(struct following *f, int wait_ms, struct tl_error *err)
{
    json_t *upload;
    bool changed;

    if (coordinator_upload_get(f->c, f->id, wait_ms, f->seen, &upload, err))
        return -1;
    changed = !f->last || upload_number(upload, "change", -1) != f->seen || f->lost_at;
    f->lost_at = 0;
    f->seen = upload_number(upload, "change", -1);
    json_decref(f->last);
    f->last = upload;
    return f->change(f->app, upload, changed, err);
}

/* The request failed: 0 when it is to be tried again. */
static int lost(struct following *f, struct tl_error *err)
{
    int64_t now = tl_clock_ms();
    bool first = !f->lost_at;
    json_t *text;

    if (!f->last || (err->code != TL_E_UNAVAILABLE && err->code != TL_E_AGAIN && err->code != TL_E_TIMEOUT))
        return -1;
    if (first)
        f->lost_at = now;
    if (now - f->lost_at >= GIVE_UP_MS)
        return -1;
    text = json_string("the coordinator does not answer");
    if (!text || json_object_set_new(f->last, "waiting", text))
        return tl_fail_nomem(err);
    return f->change(f->app, f->last, first, err);
}

int follow_upload(struct coordinator *c, const char *id, struct interrupt *interrupt, int64_t timeout_ms,
                  const json_t *known, follow_change *change, void *app, json_t **last, struct tl_error *err)
{
    struct following f = {.c = c, .id = id, .change = change, .app = app, .seen = -1};
    int64_t start = tl_clock_ms();
    int end = -1;

    if (known && !(f.last = json_deep_copy(known))) {
        *last = NULL;
        return tl_fail_nomem(err);
    }
    if (known)
        f.seen = upload_number(known, "change", 0);
    interrupt_on(interrupt, coordinator_interrupt, c);
    for (;;) {
        int64_t asked = tl_clock_ms(), left = timeout_ms < 0 ? TICK_MS : timeout_ms - (asked - start);
        int pause = 0;

        if (interrupt_signal(interrupt)) {
            end = FOLLOW_SIGNAL;
            break;
        }
        /* A timeout of 0 still looks once. */
        if (look(&f, f.last && left > 0 ? (int)TL_MIN(left, (int64_t)TICK_MS) : 0, err)) {
            if (interrupt_signal(interrupt))
                continue;
            if (lost(&f, err))
                break;
            pause = AGAIN_MS;
        } else if (outcome_final(f.last)) {
            end = FOLLOW_FINAL;
            break;
        } else {
            pause = (int)TL_MAX((int64_t)0, APART_MS - (tl_clock_ms() - asked));
        }
        left = timeout_ms - (tl_clock_ms() - start);
        if (timeout_ms >= 0 && left <= 0) {
            end = FOLLOW_TIMED_OUT;
            break;
        }
        if (pause > 0)
            interrupt_wait(interrupt, timeout_ms < 0 ? pause : (int)TL_MIN((int64_t)pause, left));
    }
    interrupt_on(interrupt, NULL, NULL);
    *last = f.last;
    return end;
}
