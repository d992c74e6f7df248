/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <unistd.h>

#include "cli/client/outcome.h"
#include "cli/commands/admin.h"
#include "cli/tty/table.h"
#include "cli/tty/text.h"

static const struct table_column columns[] = {
    {"TOKEN", false},   {"ROLE", false},    {"TENANT", false},     {"LABEL", false},
    {"CREATED", false}, {"EXPIRES", false}, {"CREATED BY", false},
};

struct listing {
    struct cli *cli;
    struct table *table; /* NULL with --json */
    size_t n;
};

static int list_one(void *app, const json_t *t, struct tl_error *err)
{
    static const char *const members[] = {"token",      "role",       "tenant",    "label",
                                          "created_at", "expires_at", "created_by"};
    struct listing *l = app;

    l->n++;
    if (!l->table)
        return output_json(&l->cli->out, t, err);
    for (size_t i = 0; i < TL_ARRAY_LEN(members); i++)
        if (table_cell(l->table, upload_text(t, members[i]), err))
            return -1;
    return 0;
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    struct coordinator *c = coordinator_open(cli->settings, err);
    struct listing l = {.cli = cli};
    int rc = c ? 0 : -1;

    if (!rc && !cli->json) {
        l.table = table_new(&cli->out, columns, TL_ARRAY_LEN(columns), text_colours(STDOUT_FILENO), err);
        rc = l.table ? 0 : -1;
    }
    if (!rc)
        rc = admin_tokens(c, args_text(args, "tenant"), list_one, &l, err);
    if (!rc && l.n == 0)
        cli_note(cli, "no tokens yet");
    else if (!rc && l.table)
        rc = table_finish(l.table, err);
    table_free(l.table);
    coordinator_close(c);
    return rc;
}

const struct command command_token_list = {
    .name = "token list",
    .summary = "list the tokens: what each may, whose it is, who made it",
    .usage = "",
    .about =
        "All that you may see, or with --tenant those of one tenant. A token is gone from the list a day after its "
        "end.",
    .examples = {"tload token list",
                 "tload --json token list --tenant acme | jq -r 'select(.expired) | .token'"},
    .run = run,
};
