/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/commands/admin.h"

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    (void)args;
    return admin_run_list(cli, ADMIN_TENANTS, err);
}

const struct command command_tenant_list = {
    .name = "tenant list",
    .summary = "list the tenants, where they live, and what they wait for",
    .usage = "",
    .examples = {"tload tenant list", "tload --json tenant list | jq -r .tenant"},
    .run = run,
};
