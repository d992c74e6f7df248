/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/client/outcome.h"
#include "cli/commands/admin.h"

static const struct option options[] = {
    {.name = "yes", .letter = 'y', .kind = OPTION_FLAG, .help = "do not ask"},
    {.name = NULL},
};

/* Whether the name was typed again, and nothing else. */
static bool confirmed(const json_t *tenant, const char *name)
{
    char answer[256];

    fprintf(
        stderr,
        "Tenant %s has %lld unfinished uploads. Its topics, what is known of its tables, and all of its uploads "
        "will be gone; its rows stay in the data sink.\nType its name to remove it: ",
        name, (long long)upload_number(tenant, "uploads", 0));
    fflush(stderr);
    if (!fgets(answer, sizeof answer, stdin))
        return false;
    answer[strcspn(answer, "\n")] = '\0';
    return strcmp(answer, name) == 0;
}

static int remove_it(struct cli *cli, struct coordinator *c, const char *name, struct tl_error *err)
{
    json_t *json = NULL;
    int rc = admin_remove(c, ADMIN_TENANTS, name, err);

    if (!rc && cli->json) {
        json = json_pack("{s:s, s:b}", "tenant", name, "removed", 1);
        rc = json ? output_json(&cli->out, json, err) : tl_fail_nomem(err);
    }
    if (!rc)
        cli_note(cli, "removed tenant %s; its rows stay in the data sink", name);
    json_decref(json);
    return rc;
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    const char *name = args->operand[0];
    bool sure = args_flag(args, "yes");
    struct coordinator *c;
    json_t *tenant = NULL;
    int rc;

    if (!sure && cli_check_terminal("tenant remove asks for the name again", err))
        return -1;
    c = coordinator_open(cli->settings, err);
    rc = c ? admin_get(c, ADMIN_TENANTS, name, &tenant, err) : -1;
    if (!rc && !sure && !confirmed(tenant, name))
        rc = tl_fail(err, TL_E_REFUSED, "tenant %s is left as it is", name);
    if (!rc)
        rc = remove_it(cli, c, name, err);
    json_decref(tenant);
    coordinator_close(c);
    return rc;
}

const struct command command_tenant_remove = {
    .name = "tenant remove",
    .summary = "remove a tenant with its topics; its rows stay in the data sink",
    .usage = "NAME [--yes]",
    .about =
        "Asks for the name again. Without a terminal to ask on, --yes must be given.\n"
        "Uploads that are not finished end as failed, and nobody finds the tenant from then on; its partitions "
        "are free when its topics are deleted. Its tables stay in the data sink as they are, and tload never "
        "touches them again.",
    .first = {"NAME", 1, 1, COMPLETE_NOTHING},
    .options = options,
    .examples = {"tload tenant remove acme", "tload tenant remove acme --yes"},
    .run = run,
};
