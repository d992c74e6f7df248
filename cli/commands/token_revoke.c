/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/commands/admin.h"

static int revoke_token(struct cli *cli, struct coordinator *c, const char *id, struct tl_error *err)
{
    json_t *json = NULL;
    int rc = admin_remove(c, ADMIN_TOKENS, id, err);

    if (!rc && cli->json) {
        json = json_pack("{s:s, s:b}", "token", id, "revoked", 1);
        rc = json ? output_json(&cli->out, json, err) : tl_fail_nomem(err);
    }
    if (!rc)
        cli_note(cli, "token %s is worth nothing any more", id);
    json_decref(json);
    return rc;
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    const char *id = args->operand[0];
    struct coordinator *c;
    int rc;

    if (strncmp(id, "tload_", 6) == 0)
        return tl_fail(err, TL_E_USAGE,
                       "that is a secret, and others may have seen it now: revoke the token by its id");
    c = coordinator_open(cli->settings, err);
    rc = c ? revoke_token(cli, c, id, err) : -1;
    coordinator_close(c);
    return rc;
}

const struct command command_token_revoke = {
    .name = "token revoke",
    .summary = "end a token, at once",
    .usage = "ID",
    .about = "The list has its id. Tokens that it made stay, and the list says which ones these are.",
    .first = {"ID", 1, 1, COMPLETE_NOTHING},
    .examples = {"tload token revoke 3f9c52a07be1"},
    .run = run,
};
