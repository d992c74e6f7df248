/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/commands/admin.h"

static const struct option options[] = {
    {.name = "partitions",
     .kind = OPTION_NUMBER,
     .arg = "N",
     .min = 1,
     .max = 10000,
     .help = "of each of its three topics; it can't be changed later",
     .more = "By default what the coordinator's configuration says."},
    {.name = "cluster",
     .kind = OPTION_TEXT,
     .arg = "NAME",
     .help = "where it is to live; by default on the cluster with most partitions free"},
    {.name = "sink",
     .kind = OPTION_TEXT,
     .arg = "URL",
     .help = "where its rows go, instead of the coordinator's sink"},
    {.name = "errors",
     .kind = OPTION_TEXT,
     .arg = "URL",
     .help = "where its rejected rows go, instead of the coordinator's error store"},
    ADMIN_LIMIT_OPTIONS,
    {.name = NULL},
};

static int fill(json_t *request, const struct args *args, struct tl_error *err)
{
    return admin_set_text(request, "tenant", args->operand[0], err) ||
                   admin_set_number(request, "partitions", args_number(args, "partitions", -1), err) ||
                   admin_set_text(request, "cluster", args_text(args, "cluster"), err) ||
                   admin_set_text(request, "sink", args_text(args, "sink"), err) ||
                   admin_set_text(request, "errors", args_text(args, "errors"), err) ||
                   admin_set_limits(request, args, err)
               ? -1
               : 0;
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    json_t *request = json_object(), *tenant = NULL;
    struct coordinator *c = NULL;
    int rc = request ? fill(request, args, err) : tl_fail_nomem(err);

    if (!rc)
        rc = (c = coordinator_open(cli->settings, err)) ? 0 : -1;
    if (!rc)
        rc = admin_create(c, ADMIN_TENANTS, request, &tenant, err);
    if (!rc)
        rc = admin_print(cli, ADMIN_TENANTS, tenant, err);
    json_decref(tenant);
    json_decref(request);
    coordinator_close(c);
    return rc;
}

const struct command command_tenant_create = {
    .name = "tenant create",
    .summary = "make a tenant, with topics of its own on one of the clusters",
    .usage =
        "NAME [--partitions N] [--cluster NAME] [--sink URL] [--errors URL] [--max-uploads N] [--max-bytes RATE]",
    .about =
        "Its partitions are reserved within the cluster's budget at once, or it is refused, and then it is said "
        "what is free where. A name has small letters, digits and '-', a letter first, and 31 of them at most.\n"
        "Sink and error store can't be changed later.",
    .first = {"NAME", 1, 1, COMPLETE_NOTHING},
    .options = options,
    .examples = {"tload tenant create acme", "tload tenant create acme --partitions 8 --cluster west",
                 "tload tenant create acme --sink postgresql://db.acme.example/load --max-uploads 4"},
    .run = run,
};
