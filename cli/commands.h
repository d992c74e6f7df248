/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The commands, each defined in its own file in cli/commands/. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/options.h"

#define X(symbol) extern const struct command symbol;
#include "cli/commands.def"
#undef X

#endif
