/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/commands/admin.h"

static const struct option options[] = {
    {.name = "undo", .kind = OPTION_FLAG, .help = "place tenants there again"},
    {.name = NULL},
};

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    bool undo = args_flag(args, "undo");
    json_t *request = json_pack("{s:b}", "draining", !undo), *cluster = NULL;
    struct coordinator *c = coordinator_open(cli->settings, err);
    int rc = !c ? -1 : !request ? tl_fail_nomem(err) : 0;
    int64_t tenants;

    if (!rc)
        rc = admin_change(c, ADMIN_CLUSTERS, args->operand[0], request, &cluster, err);
    tenants = json_integer_value(json_object_get(cluster, "tenants"));
    if (!rc)
        rc = admin_print(cli, ADMIN_CLUSTERS, cluster, err);
    if (!rc && !undo && tenants)
        cli_note(cli, "%lld tenant%s still there: move or remove them before the cluster is removed",
                 (long long)tenants, tenants == 1 ? " is" : "s are");
    json_decref(request);
    json_decref(cluster);
    coordinator_close(c);
    return rc;
}

const struct command command_cluster_drain = {
    .name = "cluster drain",
    .summary = "place no more tenants on a cluster",
    .usage = "NAME [--undo]",
    .about = "Tenants that are there stay, and are served as before.",
    .first = {"NAME", 1, 1, COMPLETE_NOTHING},
    .options = options,
    .examples = {"tload cluster drain west", "tload cluster drain west --undo"},
    .run = run,
};
