/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rejected rows, streamed: what comes is passed on, or turned into messages line by line.
 *
 *   GET …/errors ──bytes──► take_bytes ──► stdout              (--json, --csv)
 *                              └──line──► reject_append ──► stdout
 */
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client/coordinator.h"
#include "cli/client/outcome.h"
#include "cli/tty/reject.h"

enum { ROW_MAX = 32 << 20 }; /* bytes of a row's JSON: a record of 1 MiB, escaped, and some */

static const struct option options[] = {
    {.name = "csv",
     .kind = OPTION_FLAG,
     .help = "the rejected records as they were, behind the header: ready to be corrected"},
    {.name = "limit",
     .letter = 'n',
     .kind = OPTION_NUMBER,
     .arg = "N",
     .min = 1,
     .max = INT64_MAX,
     .help = "no more than the first N"},
    {.name = NULL},
};

struct listing {
    struct cli *cli;
    bool as_it_is;
    struct tl_buf row; /* the bytes of a line that has not come whole */
    struct tl_buf message;
    int64_t n;
};

static int print_row(struct listing *l, struct tl_str line, struct tl_error *err)
{
    json_error_t why;
    json_t *row = json_loadb(line.ptr, line.len, JSON_ALLOW_NUL, &why);
    int rc;

    if (!row)
        return tl_fail(err, TL_E_CORRUPT, "a rejected row came as something that is not JSON: %s", why.text);
    tl_buf_reset(&l->message);
    rc = reject_append(&l->message, row);
    json_decref(row);
    if (rc)
        return tl_buf_fail(rc, &l->message, "the message", err);
    l->n++;
    return output_write(&l->cli->out, l->message.data, l->message.len, err);
}

static int take_bytes(void *app, const char *bytes, size_t n, struct tl_error *err)
{
    struct listing *l = app;

    if (l->as_it_is)
        return output_write(&l->cli->out, bytes, n, err);
    while (n) {
        const char *end = memchr(bytes, '\n', n);
        size_t len = end ? (size_t)(end - bytes) : n;
        int rc = tl_buf_append(&l->row, bytes, len);

        if (rc)
            return tl_buf_fail(rc, &l->row, "a rejected row", err);
        if (!end)
            return 0;
        if (l->row.len && print_row(l, tl_buf_str(&l->row), err))
            return -1;
        tl_buf_reset(&l->row);
        bytes += len + 1;
        n -= len + 1;
    }
    return 0;
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    const char *id = args->operand[0];
    bool csv = args_flag(args, "csv");
    struct listing l = {.cli = cli, .as_it_is = csv || cli->json};
    struct coordinator *c;
    int rc;

    if (csv && cli->json)
        return tl_fail(err, TL_E_USAGE, "'--csv' and '--json' exclude each other");
    c = coordinator_open(cli->settings, err);
    if (!c)
        return -1;
    tl_buf_init(&l.row, ROW_MAX);
    tl_buf_init(&l.message, ROW_MAX);
    rc = coordinator_upload_errors(c, id, csv ? "csv" : "jsonl", args_number(args, "limit", 0), take_bytes,
                                   &l, err);
    if (!rc && l.row.len)
        rc = tl_fail(err, TL_E_CORRUPT, "the list of rejected rows ends in the middle of one");
    if (!rc)
        rc = output_flush(&cli->out, err);
    if (!rc && !l.as_it_is && l.n == 0)
        cli_note(cli, "no rejected rows");
    else if (!rc && !l.as_it_is && isatty(STDOUT_FILENO))
        cli_note(
            cli,
            "get these rows with 'tload errors %s --csv > rejected.csv', correct them and upload that file",
            id);
    tl_buf_release(&l.row);
    tl_buf_release(&l.message);
    coordinator_close(c);
    return rc;
}

const struct command command_errors = {
    .name = "errors",
    .summary = "show the rows of an upload that were rejected, and why",
    .usage = "UPLOAD [--csv] [--limit N]",
    .about = "One message a row, in the order of lines; with --json the rejected rows' objects, one a line, "
             "with code and raw "
             "record. The line is the one where the record starts in the file, the header counted.",
    .first = {"UPLOAD", 1, 1, COMPLETE_NOTHING},
    .options = options,
    .examples = {"tload errors 01JQZX --limit 20", "tload errors 01JQZX --csv > rejected.csv",
                 "tload --json errors 01JQZX | jq -r .code | sort | uniq -c"},
    .run = run,
};
