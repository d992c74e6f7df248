/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdio.h>
#include <string.h>

#include "cli/client/outcome.h"
#include "cli/commands/admin.h"
#include "cli/interrupt.h"
#include "shared/base/clock.h"

enum { LOOK_EVERY_MS = 250 };

static const struct option options[] = {
    {.name = "to", .kind = OPTION_TEXT, .arg = "CLUSTER", .help = "where it is to live"},
    {.name = "cancel",
     .kind = OPTION_FLAG,
     .help = "take a move back that is not done; it stays where it lives"},
    {.name = "detach", .kind = OPTION_FLAG, .help = "do not wait for the move; it goes on"},
    {.name = "timeout",
     .kind = OPTION_NUMBER,
     .arg = "SECONDS",
     .min = 0,
     .max = 31536000,
     .help = "wait no longer than this, then end with 124; the move goes on"},
    {.name = NULL},
};

/* Its topics are where it lives, and nowhere else. */
static bool settled(const json_t *tenant)
{
    return !*upload_text(tenant, "moving_to") && !*upload_text(tenant, "leaving");
}

static void tell(struct cli *cli, const json_t *tenant, char *told, size_t size)
{
    const char *waiting = *upload_text(tenant, "moving_to") ? upload_text(tenant, "waiting")
                                                            : "its old topics are being deleted";

    if (strcmp(told, waiting) == 0)
        return;
    snprintf(told, size, "%s", waiting);
    cli_note(cli, "tenant %s: %s", upload_text(tenant, "tenant"), waiting);
}

/* Until the move is over; *tenant is what it was last. The exit code, or -1. */
static int watch(struct cli *cli, struct coordinator *c, const char *name, int64_t deadline, json_t **tenant,
                 struct tl_error *err)
{
    struct interrupt *interrupt = interrupt_start(err);
    char told[600] = "";
    int rc = 0;

    if (!interrupt)
        return -1;
    while (!rc && !settled(*tenant)) {
        int number;

        tell(cli, *tenant, told, sizeof told);
        interrupt_wait(interrupt, LOOK_EVERY_MS);
        number = interrupt_signal(interrupt);
        if (number) {
            cli_note(cli, "interrupted; the move goes on");
            rc = interrupt_exit_code(number);
        } else if (tl_clock_ms() >= deadline) {
            cli_note(cli, "timed out; the move goes on");
            rc = EXIT_TIMED_OUT;
        } else {
            json_decref(*tenant);
            *tenant = NULL;
            rc = admin_get(c, ADMIN_TENANTS, name, tenant, err);
        }
    }
    interrupt_stop(interrupt);
    return rc;
}

static int ask(struct coordinator *c, const struct args *args, json_t **tenant, struct tl_error *err)
{
    const char *name = args->operand[0], *to = args_text(args, "to");
    json_t *request;
    int rc;

    if (args_flag(args, "cancel") ? to != NULL : to == NULL)
        return tl_fail(err, TL_E_USAGE, "either '--to CLUSTER', or '--cancel'");
    if (!to)
        return admin_stay(c, name, tenant, err);
    request = json_pack("{s:s}", "cluster", to);
    rc = request ? admin_move(c, name, request, tenant, err) : tl_fail_nomem(err);
    json_decref(request);
    return rc;
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    int64_t timeout = args_number(args, "timeout", -1);
    int64_t deadline = timeout < 0 ? INT64_MAX : tl_clock_ms() + timeout * 1000;
    struct coordinator *c = coordinator_open(cli->settings, err);
    json_t *tenant = NULL;
    int rc = c ? ask(c, args, &tenant, err) : -1;

    if (!rc && !args_flag(args, "detach"))
        rc = watch(cli, c, args->operand[0], deadline, &tenant, err);
    if (!rc)
        rc = admin_print(cli, ADMIN_TENANTS, tenant, err);
    json_decref(tenant);
    coordinator_close(c);
    return rc;
}

const struct command command_tenant_move = {
    .name = "tenant move",
    .summary = "move a tenant to another cluster, while it is used",
    .usage = "NAME --to CLUSTER [--detach] [--timeout SECONDS] | NAME --cancel",
    .about =
        "Its partitions are reserved there at once, or it is refused. Uploads that are being sent go on where they "
        "began, and the move waits for them; new ones wait for the move. When all that is in the old topics is applied "
        "the tenant lives on the new cluster, and the old topics are deleted.\n"
        "Until then --cancel takes it back. An interrupt ends the waiting only. Schemas and data in the sink stay as "
        "they are.",
    .first = {"NAME", 1, 1, COMPLETE_NOTHING},
    .options = options,
    .examples = {"tload tenant move acme --to west", "tload tenant move acme --cancel"},
    .run = run,
};
