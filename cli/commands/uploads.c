/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/tty/uploads.h"
#include "cli/cli.h"
#include "cli/client/coordinator.h"

static const struct option options[] = {
    {.name = "table",
     .letter = 't',
     .kind = OPTION_TEXT,
     .arg = "NAME",
     .help = "only those into this table"},
    {.name = "state",
     .letter = 's',
     .kind = OPTION_CHOICE,
     .arg = "STATE",
     .choices = "queued|sending|processing|done|done_with_errors|failed|cancelled|aborted",
     .help = "only those in this state"},
    {.name = NULL},
};

static int print_one(void *app, const json_t *upload, struct tl_error *err)
{
    return output_json(app, upload, err);
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    const char *table = args_text(args, "table"), *state = args_text(args, "state");
    struct coordinator *c = coordinator_open(cli->settings, err);
    struct uploads_list *list;
    int rc;

    if (!c)
        return -1;
    if (cli->json) {
        rc = coordinator_uploads(c, table, state, print_one, &cli->out, err);
    } else {
        list = uploads_list_new(&cli->out, err);
        rc = list ? coordinator_uploads(c, table, state, uploads_list_add, list, err) : -1;
        if (!rc && uploads_list_count(list) == 0)
            cli_note(cli, "no uploads%s", table || state ? " of that kind" : " yet");
        else if (!rc)
            rc = uploads_list_finish(list, err);
        uploads_list_free(list);
    }
    coordinator_close(c);
    return rc;
}

const struct command command_uploads = {
    .name = "uploads",
    .summary = "list the uploads, newest first",
    .usage = "[--table NAME] [--state STATE]",
    .options = options,
    .examples = {"tload uploads --table orders", "tload --json uploads --state failed | jq -r .upload"},
    .run = run,
};
