/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/help.h"

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    const struct command *about = NULL;

    if (args->noperands) {
        about = command_find(args->operand[0], err);
        if (!about)
            return -1;
    }
    return help_print(cli, about, err);
}

const struct command command_help = {
    .name = "help",
    .summary = "show the commands, or one command's options and examples",
    .usage = "[COMMAND]",
    .first = {"COMMAND", 0, 1, COMPLETE_COMMAND},
    .examples = {"tload help upload"},
    .run = run,
};
