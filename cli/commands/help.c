/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/help.h"

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    const struct group *group = args->noperands ? group_find(args->operand[0]) : NULL;
    const struct command *about = NULL;

    if (args->noperands > 1 && !group)
        return tl_fail(err, TL_E_USAGE, "help does not know what to do with '%s'", args->operand[1]);
    if (args->noperands > 1)
        about = group_command(group, args->operand[1], err);
    else if (args->noperands && !group)
        about = command_find(args->operand[0], err);
    if (!about && args->noperands > (group ? 1 : 0))
        return -1;
    return help_print(cli, group, about, err);
}

const struct command command_help = {
    .name = "help",
    .summary = "show the commands, or one command's options and examples",
    .usage = "[COMMAND]",
    .rest = {"COMMAND", 0, 2, COMPLETE_COMMAND},
    .examples = {"tload help upload", "tload help cluster add"},
    .run = run,
};
