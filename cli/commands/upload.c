/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The command line of an upload; what it does is in cli/upload/upload.c. */
#include "cli/upload/upload.h"
#include "cli/cli.h"
#include "cli/upload/options.h"

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    struct upload_options options;
    int rc = upload_options_read(&options, args, cli->settings, err);

    if (!rc)
        rc = upload_command(cli, &options, err);
    upload_options_release(&options);
    return rc;
}

const struct command command_upload = {
    .name = "upload",
    .summary = "load CSV files into a table",
    .usage = "FILE... --table NAME [OPTION...]",
    .about = "All FILEs are one upload, in the order in which they are given; - is standard input. A row "
             "whose key exists already "
             "replaces the old one. Rows that can't be used are rejected, each with the reason, and the "
             "others are applied; "
             "the exit status tells which it was.\n"
             "Nothing is sent when a file can't be opened or its header does not fit the table.",
    .rest = {"FILE", 1, 0, COMPLETE_FILE},
    .options = upload_option_table,
    .examples = {"tload upload orders.csv --table orders",
                 "tload upload jan.csv feb.csv --table orders --max-errors 1%",
                 "tload upload export.txt -t orders --delimiter ';' --map 'Order No=id'",
                 "generate | tload upload - -t orders --header none --columns id,qty,price",
                 "tload upload orders.csv --table orders --dry-run"},
    .run = run,
};
