/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/commands/admin.h"

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    return admin_run_show(cli, ADMIN_CLUSTERS, args->operand[0], err);
}

const struct command command_cluster_show = {
    .name = "cluster show",
    .summary = "show a cluster: its budget, what is reserved, and what is really there",
    .usage = "NAME",
    .about =
        "Reserved is what its tenants have, three topics each, and will have that move there. What is really "
        "there is counted in the cluster itself: partitions of tenants, and of others.",
    .first = {"NAME", 1, 1, COMPLETE_NOTHING},
    .examples = {"tload cluster show west"},
    .run = run,
};
