/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/commands/admin.h"

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    return admin_run_show(cli, ADMIN_TENANTS, args->operand[0], err);
}

const struct command command_tenant_show = {
    .name = "tenant show",
    .summary = "show a tenant: its cluster, sink, limits and state",
    .usage = "NAME",
    .first = {"NAME", 1, 1, COMPLETE_NOTHING},
    .examples = {"tload tenant show acme"},
    .run = run,
};
