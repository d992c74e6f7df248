/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * source → splitter → batch ──► rowcheck (the validator's own) ──► valid rows are counted and dropped, rejected ones printed
 */
#include "cli/upload/dryrun.h"

#include <stdlib.h>

#include "cli/client/outcome.h"
#include "cli/tty/reject.h"
#include "cli/upload/history.h"
#include "shared/check/errorlines.h"
#include "shared/wire/dialect.h"

struct dryrun {
    struct upload_ui *ui;
    const struct upload_options *o;
    struct tl_schema *schema;
    struct splitter *splitter;
    struct rowcheck *check;
    struct sources *sources;
    struct history history;
    size_t at;
    char format[TL_FORMAT_MAX];
    struct tl_buf valid;
    struct tl_buf line;
    struct tl_buf message;
    struct rowcheck_result total;
};

static int on_rejected(void *app, const struct rejected_row *row, struct tl_error *err)
{
    struct dryrun *d = app;
    struct output *out = &d->ui->cli->out;
    json_t *json;
    int rc;

    tl_buf_reset(&d->line);
    rc = errorlines_append(&d->line, tl_str(""), tl_str(d->sources->item[d->at].encoded), row);
    if (rc)
        return tl_buf_fail(rc, &d->line, "a rejected row", err);
    if (d->ui->cli->json)
        return output_write(out, d->line.data, d->line.len, err);
    json = json_loadb(d->line.data, d->line.len, JSON_ALLOW_NUL, NULL);
    tl_buf_reset(&d->message);
    rc = json ? reject_append(&d->message, json) : TL_BUF_NOMEM;
    json_decref(json);
    return rc ? tl_buf_fail(rc, &d->message, "the message", err)
              : output_write(out, d->message.data, d->message.len, err);
}

static int check_batch(struct dryrun *d, const struct batch *batch, struct tl_error *err)
{
    struct rowcheck_sink sink = {.rejected = on_rejected, .app = d};
    struct tl_str format = tl_str(d->format), columns = tl_str(splitter_columns(d->splitter));
    struct rowcheck_result result;

    if (!d->check || !rowcheck_fits(d->check, d->schema, format, columns)) {
        rowcheck_free(d->check);
        d->check = rowcheck_new(d->schema, format, columns, err);
        if (!d->check)
            return -1;
    }
    tl_buf_reset(&d->valid);
    if (rowcheck_run(d->check, tl_str_n(batch->value, batch->len), tl_str(batch->malformed), &d->valid, &sink,
                     &result, err))
        return -1;
    d->total.valid += result.valid;
    d->total.rejected += result.rejected;
    return 0;
}

static int on_batch(void *app, struct batch *batch, struct tl_error *err)
{
    struct dryrun *d = app;
    int rc = check_batch(d, batch, err);

    free(batch->malformed);
    splitter_recycle(d->splitter, batch->value, batch->cap);
    if (!rc && interrupt_signal(d->ui->interrupt))
        rc = tl_fail(err, TL_E_INTERRUPTED, "interrupted");
    return rc;
}

static int prepare(struct dryrun *d, struct coordinator *coordinator, struct tl_error *err)
{
    struct split_options options = {
        .dialect = d->o->dialect,
        .header = d->o->header,
        .columns = d->o->columns,
        .map = d->o->map,
        .nmap = d->o->nmap,
        .history = &d->history.names,
        .partitions = 1, /* so that rows come in the order of lines */
        .batch_bytes = UPLOAD_BATCH_BYTES,
        .record_max = UPLOAD_RECORD_MAX,
        .malformed_in_a_row = SPLITTER_MALFORMED_IN_A_ROW,
    };
    json_t *table;
    int rc;

    if (coordinator_table_get(coordinator, d->o->table, 0, &table, err))
        return -1;
    rc = tl_schema_from_json(table, &d->schema, err);
    json_decref(table);
    if (rc)
        return -1;
    d->splitter = splitter_new(d->schema, &options, on_batch, d, err);
    return d->splitter ? sources_check_headers(d->sources, d->splitter, err) : -1;
}

static bool too_many(const struct dryrun *d)
{
    const struct max_errors *m = &d->o->max_errors;
    int64_t rows = d->total.valid + d->total.rejected;

    switch (m->kind) {
    case MAX_ERRORS_ROWS:
        return d->total.rejected > m->rows;
    case MAX_ERRORS_PERCENT:
        return (double)d->total.rejected * 100 > m->percent * (double)rows;
    case MAX_ERRORS_NONE:
        break;
    }
    return false;
}

static int run(struct dryrun *d, struct coordinator *coordinator, struct tl_error *err)
{
    if (prepare(d, coordinator, err))
        return -1;
    for (d->at = 0; d->at < d->sources->n; d->at++)
        if (splitter_run(d->splitter, d->sources->item[d->at].source, err))
            return -1;
    if (output_flush(&d->ui->cli->out, err))
        return -1;
    upload_ui_note(d->ui, "dry run: %lld rows would be applied to %s, %lld rejected; nothing was sent",
                   (long long)d->total.valid, d->o->table, (long long)d->total.rejected);
    return too_many(d) ? EXIT_ABORTED : d->total.rejected ? EXIT_REJECTED : EXIT_DONE;
}

int dryrun(const struct upload_options *options, struct upload_ui *ui, struct coordinator *coordinator,
           struct sources *sources, struct tl_error *err)
{
    struct dryrun d = {.ui = ui, .o = options, .sources = sources};
    int rc;

    history_init(&d.history, coordinator, options->table);
    tl_dialect_format(&options->dialect, d.format);
    tl_buf_init(&d.valid, ROWCHECK_OUT_MAX);
    tl_buf_init(&d.line, TL_MESSAGE_MAX);
    tl_buf_init(&d.message, TL_MESSAGE_MAX);
    rc = run(&d, coordinator, err);
    rowcheck_free(d.check);
    splitter_free(d.splitter);
    tl_schema_free(d.schema);
    tl_buf_release(&d.valid);
    tl_buf_release(&d.line);
    tl_buf_release(&d.message);
    return rc;
}
