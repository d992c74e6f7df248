/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an upload tells the person (or script) that runs it. The sender calls these as things happen, as
 * often as it likes; how much is shown, and how often, is decided behind them (cli/upload/ui.c). All of
 * them from one thread at a time.
 */
#ifndef CLI_UPLOAD_UI_H
#define CLI_UPLOAD_UI_H

#include <jansson.h>

#include "cli/cli.h"
#include "cli/interrupt.h"

/* How far an upload is. Counts never fall. */
struct upload_progress {
    const char *table;
    const char *upload;  /* its id; "" while it has none */
    const char *state;   /* "queued", "sending" … */
    const char *waiting; /* what it waits for; "" for nothing */
    int64_t bytes_sent;
    int64_t bytes_total; /* -1: not known (standard input) */
    int64_t rows_read;   /* so far; final once the state is past "sending" */
    int64_t rows_applied;
    int64_t rows_rejected;
    int64_t bytes_per_second; /* that its sender may send; 0: as many as it can */
};

struct coordinator;
struct progress;

struct upload_ui {
    struct cli *cli;
    struct interrupt *interrupt; /* SIGINT, SIGTERM */
    struct progress *progress;
    bool every_change; /* with --json: the object at every change, not only at the end */
};

/* Shows the bar, or a line; cheap when nothing is due. */
void upload_ui_progress(struct upload_ui *ui, const struct upload_progress *p);
/* A note on standard error: what happens, not an error. Nothing when quiet. */
void upload_ui_note(struct upload_ui *ui, const char *fmt, ...) TL_PRINTF(2, 3);
/* Something is wrong that does not end the upload: shown also when quiet. */
void upload_ui_warn(struct upload_ui *ui, const char *fmt, ...) TL_PRINTF(2, 3);
/* --detach: prints the id alone on standard output (with --json: the upload's object). */
int upload_ui_detached(struct upload_ui *ui, const json_t *upload, struct tl_error *err) TL_MUST_CHECK;
/*
 * The upload's object is final: takes the bar away, prints the outcome (one line on standard error; with
 * --json the object on standard output) and what to do about rejected rows. Returns the exit code, or -1
 * with *err.
 */
int upload_ui_finished(struct upload_ui *ui, const json_t *upload, struct tl_error *err);
/*
 * For an upload that is all sent, or another process sends: waits until it is final, showing how it goes, and
 * ends like upload_ui_finished. known: its object, as the caller saw it; may be NULL. timeout_ms < 0: for
 * ever. When the time is over (exit code 124) or a signal comes (130, 143), the upload goes on and that is
 * said. A coordinator that stops answering is waited for, for half a minute. Returns the exit code, or -1
 * with *err.
 */
int upload_ui_watch(struct upload_ui *ui, struct coordinator *c, const char *upload, const json_t *known,
                    int64_t timeout_ms, struct tl_error *err);

/* Takes what a person needs from the upload's object; the texts are borrowed from it. */
void upload_progress_from(struct upload_progress *p, const json_t *upload);

/* interrupt may be NULL. -1 with *err when memory is short. */
int upload_ui_init(struct upload_ui *ui, struct cli *cli, struct interrupt *interrupt,
                   struct tl_error *err) TL_MUST_CHECK;
/* Takes the bar away. */
void upload_ui_release(struct upload_ui *ui);

#endif
