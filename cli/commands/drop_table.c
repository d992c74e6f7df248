/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"
#include "cli/client/coordinator.h"

static const struct option options[] = {
    {.name = "yes", .letter = 'y', .kind = OPTION_FLAG, .help = "do not ask"},
    {.name = NULL},
};

static bool ask(const char *table, bool adopted)
{
    char answer[16];

    fprintf(stderr,
            adopted ? "Forget table %s? It stays in the data sink. [y/N] "
                    : "Drop table %s and all of its rows? [y/N] ",
            table);
    fflush(stderr);
    if (!fgets(answer, sizeof answer, stdin))
        return false;
    return strcmp(answer, "y\n") == 0 || strcmp(answer, "Y\n") == 0 || strcmp(answer, "yes\n") == 0;
}

static int drop(struct cli *cli, struct coordinator *c, const char *table, bool adopted, struct tl_error *err)
{
    json_t *json = NULL;
    int rc = coordinator_table_drop(c, table, err);

    if (!rc && cli->json) {
        json = json_pack("{s:s, s:b, s:b}", "table", table, "dropped", 1, "adopted", adopted);
        rc = json ? output_json(&cli->out, json, err) : tl_fail_nomem(err);
    }
    if (!rc)
        cli_note(cli,
                 adopted ? "forgot table %s; it stays in the data sink, with its rows" : "dropped table %s",
                 table);
    json_decref(json);
    return rc;
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    const char *table = args->operand[0];
    bool sure = args_flag(args, "yes"), adopted;
    struct coordinator *c;
    json_t *was = NULL;
    int rc;

    if (!sure && cli_check_terminal("drop-table asks before it does", err))
        return -1;
    c = coordinator_open(cli->settings, err);
    rc = c ? coordinator_table_get(c, table, 0, &was, err) : -1;
    adopted = json_is_true(json_object_get(was, "adopted"));
    if (!rc && !sure && !ask(table, adopted))
        rc = tl_fail(err, TL_E_REFUSED, "table %s is left as it is", table);
    if (!rc)
        rc = drop(cli, c, table, adopted, err);
    json_decref(was);
    coordinator_close(c);
    return rc;
}

const struct command command_drop_table = {
    .name = "drop-table",
    .summary = "remove a table and its rows",
    .usage = "NAME [--yes]",
    .about =
        "Asks first. Without a terminal to ask on, --yes must be given.\n"
        "A table that was adopted (define-table --adopt) is only forgotten: it stays in the data sink, with its "
        "rows.",
    .first = {"NAME", 1, 1, COMPLETE_NOTHING},
    .options = options,
    .examples = {"tload drop-table orders", "tload drop-table orders --yes"},
    .run = run,
};
