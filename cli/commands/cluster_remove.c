/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/commands/admin.h"

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    const char *name = args->operand[0];
    struct coordinator *c = coordinator_open(cli->settings, err);
    json_t *json = NULL;
    int rc = c ? admin_remove(c, ADMIN_CLUSTERS, name, err) : -1;

    if (!rc && cli->json) {
        json = json_pack("{s:s, s:b}", "cluster", name, "removed", 1);
        rc = json ? output_json(&cli->out, json, err) : tl_fail_nomem(err);
    }
    if (!rc)
        cli_note(cli, "removed cluster %s", name);
    json_decref(json);
    coordinator_close(c);
    return rc;
}

const struct command command_cluster_remove = {
    .name = "cluster remove",
    .summary = "forget a cluster that no tenant lives on",
    .usage = "NAME",
    .about = "Nothing is changed in the cluster itself.",
    .first = {"NAME", 1, 1, COMPLETE_NOTHING},
    .examples = {"tload cluster remove west"},
    .run = run,
};
