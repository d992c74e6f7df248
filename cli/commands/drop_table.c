/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client/coordinator.h"

static const struct option options[] = {
    {.name = "yes", .letter = 'y', .kind = OPTION_FLAG, .help = "do not ask"},
    {.name = NULL},
};

/* 1: yes, 0: no, -1 with *err: nobody can be asked. */
static int ask(const char *table, struct tl_error *err)
{
    char answer[16];

    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return tl_fail(err, TL_E_USAGE,
                       "drop-table asks before it does, and there is no terminal to ask on: add '--yes'");
    fprintf(stderr, "Drop table %s and all of its rows? [y/N] ", table);
    fflush(stderr);
    if (!fgets(answer, sizeof answer, stdin))
        return 0;
    return strcmp(answer, "y\n") == 0 || strcmp(answer, "Y\n") == 0 || strcmp(answer, "yes\n") == 0;
}

static int drop(struct cli *cli, const char *table, struct tl_error *err)
{
    struct coordinator *c = coordinator_open(cli->settings, err);
    json_t *json = NULL;
    int rc = c ? coordinator_table_drop(c, table, err) : -1;

    if (!rc && cli->json) {
        json = json_pack("{s:s, s:b}", "table", table, "dropped", 1);
        rc = json ? output_json(&cli->out, json, err) : tl_fail_nomem(err);
    }
    if (!rc)
        cli_note(cli, "dropped table %s", table);
    json_decref(json);
    coordinator_close(c);
    return rc;
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    const char *table = args->operand[0];
    int yes = args_flag(args, "yes") ? 1 : ask(table, err);

    if (yes < 0)
        return -1;
    if (!yes)
        return tl_fail(err, TL_E_REFUSED, "table %s is left as it is", table);
    return drop(cli, table, err);
}

const struct command command_drop_table = {
    .name = "drop-table",
    .summary = "remove a table and its rows",
    .usage = "NAME [--yes]",
    .about = "Asks first. Without a terminal to ask on, --yes must be given.",
    .first = {"NAME", 1, 1, COMPLETE_NOTHING},
    .options = options,
    .examples = {"tload drop-table orders", "tload drop-table orders --yes"},
    .run = run,
};
