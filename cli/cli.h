/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What main hands to a command. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdarg.h>

#include "cli/output.h"
#include "cli/settings.h"

#ifndef TLOAD_VERSION
#define TLOAD_VERSION "0.1.0"
#endif

struct cli {
    const struct settings *settings;
    struct output out;
    bool json;
    bool quiet;
};

/*
 * The whole of tload but for what only a process can do: reads argv, runs the command, prints its error.
 * The exit code.
 */
int cli_main(int argc, char **argv);

/* One line on standard error, "tload: …", control characters escaped; also when quiet. */
void cli_vsay(const char *fmt, va_list ap) TL_PRINTF(1, 0);
/* A note on standard error, "tload: …"; nothing when quiet. */
void cli_note(const struct cli *cli, const char *fmt, ...) TL_PRINTF(2, 3);
/* That there is a terminal to ask on; TL_E_USAGE otherwise. asks: "drop-table asks before it does". */
int cli_check_terminal(const char *asks, struct tl_error *err) TL_MUST_CHECK;

#endif
