/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "cli/cli.h"
#include "cli/client/coordinator.h"
#include "cli/client/outcome.h"

enum { WAIT_MS = 10000 };

static const struct option options[] = {
    {.name = "detach", .letter = 'd', .kind = OPTION_FLAG, .help = "do not wait until it has stopped"},
    {.name = NULL},
};

/* Waits for the upload's end; *upload is replaced by what it is then. */
static int await_end(struct coordinator *c, const char *id, json_t **upload, struct tl_error *err)
{
    while (!outcome_final(*upload)) {
        json_t *now;

        if (coordinator_upload_get(c, id, WAIT_MS, upload_number(*upload, "change", 0), &now, err))
            return -1;
        json_decref(*upload);
        *upload = now;
    }
    return 0;
}

static int show(struct cli *cli, const char *id, const json_t *upload, struct tl_error *err)
{
    const char *state = upload_text(upload, "state");
    bool stopped = strcmp(state, "cancelled") == 0;

    if (cli->json && output_json(&cli->out, upload, err))
        return -1;
    if (!outcome_final(upload))
        cli_note(cli, "upload %s is being stopped", id);
    else
        cli_note(cli, "upload %s: %s, %lld rows were applied%s", id, state,
                 (long long)upload_number(upload, "rows_applied", 0), stopped ? " before" : "");
    return stopped || !outcome_final(upload) ? EXIT_DONE : outcome_exit_code(upload);
}

static int cancel(struct cli *cli, struct coordinator *c, const char *id, bool detach, struct tl_error *err)
{
    json_t *change = json_pack("{s:s}", "state", "cancelled");
    json_t *upload = NULL;
    int rc = change ? coordinator_upload_patch(c, id, change, &upload, err) : tl_fail_nomem(err);

    if (!rc && !detach)
        rc = await_end(c, id, &upload, err);
    if (!rc)
        rc = show(cli, id, upload, err);
    json_decref(change);
    json_decref(upload);
    return rc;
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    struct coordinator *c = coordinator_open(cli->settings, err);
    int rc = c ? cancel(cli, c, args->operand[0], args_flag(args, "detach"), err) : -1;

    coordinator_close(c);
    return rc;
}

const struct command command_cancel = {
    .name = "cancel",
    .summary = "stop an upload; what was applied of it stays",
    .usage = "UPLOAD [--detach]",
    .about =
        "Rows that were applied before stay in the table, and it is said how many they are. Rows that are still "
        "on their way are dropped. An upload whose sender is gone for good is ended this way, too.",
    .first = {"UPLOAD", 1, 1, COMPLETE_NOTHING},
    .options = options,
    .examples = {"tload cancel 20261123T080000-7f3k9q2m"},
    .run = run,
};
