/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Help on standard output, made from the commands' tables. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include "cli/cli.h"

/*
 * Of one command; NULL: the list of commands and the global options. With --json as one object. Returns the
 * exit code, or -1.
 */
int help_print(struct cli *cli, const struct group *group, const struct command *command,
               struct tl_error *err);

#endif
