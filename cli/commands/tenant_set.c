/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/commands/admin.h"

static const struct option options[] = {
    ADMIN_LIMIT_OPTIONS,
    {.name = NULL},
};

static int fill(json_t *request, const struct args *args, struct tl_error *err)
{
    if (admin_set_limits(request, args, err))
        return -1;
    return json_object_size(request)
               ? 0
               : tl_fail(err, TL_E_USAGE, "what is to be set? '--max-uploads' or '--max-bytes'");
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    json_t *request = json_object(), *tenant = NULL;
    struct coordinator *c = NULL;
    int rc = request ? fill(request, args, err) : tl_fail_nomem(err);

    if (!rc)
        rc = (c = coordinator_open(cli->settings, err)) ? 0 : -1;
    if (!rc)
        rc = admin_change(c, ADMIN_TENANTS, args->operand[0], request, &tenant, err);
    if (!rc)
        rc = admin_print(cli, ADMIN_TENANTS, tenant, err);
    json_decref(tenant);
    json_decref(request);
    coordinator_close(c);
    return rc;
}

const struct command command_tenant_set = {
    .name = "tenant set",
    .summary = "change the limits of a tenant",
    .usage = "NAME [--max-uploads N] [--max-bytes RATE]",
    .about = "They hold for uploads that begin from then on.",
    .first = {"NAME", 1, 1, COMPLETE_NOTHING},
    .options = options,
    .examples = {"tload tenant set acme --max-uploads 4 --max-bytes 20M",
                 "tload tenant set acme --max-bytes 0"},
    .run = run,
};
