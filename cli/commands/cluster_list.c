/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/commands/admin.h"

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    (void)args;
    return admin_run_list(cli, ADMIN_CLUSTERS, err);
}

const struct command command_cluster_list = {
    .name = "cluster list",
    .summary = "list the clusters, and what is free on them",
    .usage = "",
    .examples = {"tload cluster list", "tload --json cluster list | jq -r .cluster"},
    .run = run,
};
