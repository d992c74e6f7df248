/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"
#include "cli/client/watch.h"

static const struct option options[] = {
    {.name = "timeout",
     .kind = OPTION_NUMBER,
     .arg = "SECONDS",
     .min = 0,
     .max = 31536000,
     .help = "wait no longer than this, then end with 124; the upload goes on"},
    {.name = NULL},
};

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    int64_t timeout = args_number(args, "timeout", -1);

    return watch_upload(cli, args->operand[0], timeout < 0 ? -1 : timeout * 1000, false, err);
}

const struct command command_wait = {
    .name = "wait",
    .summary = "wait for an upload to end, and end with its outcome",
    .usage = "UPLOAD [--timeout SECONDS]",
    .about =
        "The exit status is the upload's outcome. An interrupt ends the waiting only; the upload goes on.",
    .first = {"UPLOAD", 1, 1, COMPLETE_NOTHING},
    .options = options,
    .examples = {"id=$(tload upload orders.csv --table orders --detach)", "tload wait \"$id\" --timeout 600"},
    .run = run,
};
