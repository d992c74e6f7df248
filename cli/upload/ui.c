/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/upload/ui.h"

#include <signal.h>
#include <stdarg.h>
#include <unistd.h>

#include "cli/client/follow.h"
#include "cli/client/outcome.h"
#include "cli/tty/progress.h"
#include "cli/tty/text.h"
#include "shared/base/clock.h"

int upload_ui_init(struct upload_ui *ui, struct cli *cli, struct interrupt *interrupt, struct tl_error *err)
{
    const char *term = getenv("TERM");
    bool bar = isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
    enum progress_mode mode = cli->quiet ? PROGRESS_NONE : bar ? PROGRESS_BAR : PROGRESS_LINES;

    *ui = (struct upload_ui){.cli = cli, .interrupt = interrupt};
    ui->progress = progress_new(stderr, mode);
    return ui->progress ? 0 : tl_fail_nomem(err);
}

void upload_ui_release(struct upload_ui *ui)
{
    progress_free(ui->progress);
    ui->progress = NULL;
}

void upload_ui_progress(struct upload_ui *ui, const struct upload_progress *p)
{
    progress_show(ui->progress, p, tl_clock_ms());
}

static void say(struct upload_ui *ui, const char *fmt, va_list ap) TL_PRINTF(2, 0);
static void say(struct upload_ui *ui, const char *fmt, va_list ap)
{
    progress_clear(ui->progress);
    cli_vsay(fmt, ap);
}

void upload_ui_note(struct upload_ui *ui, const char *fmt, ...)
{
    va_list ap;

    if (ui->cli->quiet)
        return;
    va_start(ap, fmt);
    say(ui, fmt, ap);
    va_end(ap);
}

void upload_ui_warn(struct upload_ui *ui, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    say(ui, fmt, ap);
    va_end(ap);
}

int upload_ui_detached(struct upload_ui *ui, const json_t *upload, struct tl_error *err)
{
    progress_clear(ui->progress);
    if (ui->cli->json)
        return output_json(&ui->cli->out, upload, err);
    return output_print(&ui->cli->out, err, "%s\n", upload_text(upload, "upload"));
}

void upload_progress_from(struct upload_progress *p, const json_t *upload)
{
    *p = (struct upload_progress){
        .table = upload_text(upload, "table"),
        .upload = upload_text(upload, "upload"),
        .state = upload_text(upload, "state"),
        .waiting = upload_text(upload, "waiting"),
        .bytes_sent = upload_number(upload, "bytes_sent", 0),
        .bytes_total = upload_number(upload, "bytes_total", -1),
        .rows_read = upload_number(upload, "rows_read", 0),
        .rows_applied = upload_number(upload, "rows_applied", 0),
        .rows_rejected = upload_number(upload, "rows_rejected", 0),
        .bytes_per_second = upload_number(upload, "bytes_per_second", 0),
    };
}

static void say_outcome(struct upload_ui *ui, const json_t *upload)
{
    struct upload_progress p;
    char applied[GROUPED_TEXT], rejected[GROUPED_TEXT];
    const char *reason = upload_text(upload, "reason");

    upload_progress_from(&p, upload);
    progress_grouped(p.rows_applied, applied);
    progress_grouped(p.rows_rejected, rejected);
    switch (outcome_exit_code(upload)) {
    case EXIT_DONE:
        if (p.rows_read == 0 && p.rows_applied == 0)
            upload_ui_note(ui, "%s: done, 0 rows: the input had none", p.table);
        else
            upload_ui_note(ui, "%s: done, %s rows applied", p.table, applied);
        return;
    case EXIT_REJECTED:
        upload_ui_note(ui, "%s: done, %s rows applied, %s rejected", p.table, applied, rejected);
        break;
    case EXIT_ABORTED:
        upload_ui_warn(ui, "%s: aborted: %s; %s rows had been applied, %s rejected", p.table,
                       *reason ? reason : "more rows were rejected than --max-errors allows", applied,
                       rejected);
        break;
    default:
        upload_ui_warn(ui, "%s: %s%s%s; %s rows had been applied, %s rejected", p.table, p.state,
                       *reason ? ": " : "", reason, applied, rejected);
        break;
    }
    if (p.rows_rejected > 0)
        upload_ui_note(
            ui,
            "see 'tload errors %s'; get the rejected rows with 'tload errors %s --csv > rejected.csv', "
            "correct them and upload that file",
            p.upload, p.upload);
}

int upload_ui_finished(struct upload_ui *ui, const json_t *upload, struct tl_error *err)
{
    progress_clear(ui->progress);
    if (ui->cli->json && !ui->every_change && output_json(&ui->cli->out, upload, err))
        return -1;
    say_outcome(ui, upload);
    return outcome_exit_code(upload);
}

static int show_change(void *app, const json_t *upload, bool changed, struct tl_error *err)
{
    struct upload_ui *ui = app;
    struct upload_progress p;

    if (changed && ui->every_change) {
        progress_clear(ui->progress);
        if (output_json(&ui->cli->out, upload, err) || output_flush(&ui->cli->out, err))
            return -1;
    }
    upload_progress_from(&p, upload);
    if (!outcome_final(upload))
        upload_ui_progress(ui, &p);
    return 0;
}

int upload_ui_watch(struct upload_ui *ui, struct coordinator *c, const char *upload, const json_t *known,
                    int64_t timeout_ms, struct tl_error *err)
{
    json_t *last;
    int end = follow_upload(c, upload, ui->interrupt, timeout_ms, known, show_change, ui, &last, err);
    int signal_number = interrupt_signal(ui->interrupt), rc = -1;

    progress_clear(ui->progress);
    if ((end == FOLLOW_TIMED_OUT || end == FOLLOW_SIGNAL) && ui->cli->json && !ui->every_change && last &&
        output_json(&ui->cli->out, last, err)) {
        json_decref(last);
        return -1;
    }
    switch (end) {
    case FOLLOW_FINAL:
        rc = upload_ui_finished(ui, last, err);
        break;
    case FOLLOW_TIMED_OUT:
        upload_ui_warn(ui, "not done yet: %s is %s%s%s; it goes on, and 'tload wait %s' waits for it again",
                       upload, upload_text(last, "state"), *upload_text(last, "waiting") ? ", waiting: " : "",
                       upload_text(last, "waiting"), upload);
        rc = EXIT_TIMED_OUT;
        break;
    case FOLLOW_SIGNAL:
        upload_ui_warn(ui, "%s: the upload goes on, and 'tload wait %s' waits for it again",
                       signal_number == SIGINT ? "interrupted" : "told to end", upload);
        rc = interrupt_exit_code(signal_number);
        break;
    default:
        break;
    }
    json_decref(last);
    return rc;
}
