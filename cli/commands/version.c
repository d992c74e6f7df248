/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    json_t *json;
    int rc;

    (void)args;
    if (!cli->json)
        return output_print(&cli->out, err, "tload " TLOAD_VERSION "\n");
    json = json_pack("{s:s}", "version", TLOAD_VERSION);
    if (!json)
        return tl_fail_nomem(err);
    rc = output_json(&cli->out, json, err);
    json_decref(json);
    return rc;
}

const struct command command_version = {
    .name = "version",
    .summary = "show the version",
    .usage = "",
    .examples = {"tload version"},
    .run = run,
};
