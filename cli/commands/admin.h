/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the commands of clusters and tenants share. */
#ifndef CLI_COMMANDS_ADMIN_H
#define CLI_COMMANDS_ADMIN_H

#include "cli/cli.h"
#include "cli/client/admin.h"

/* The options of a tenant's limits, for admin_set_limits. */
#define ADMIN_LIMIT_OPTIONS                                                                         \
    {.name = "max-uploads",                                                                         \
     .kind = OPTION_NUMBER,                                                                         \
     .arg = "N",                                                                                    \
     .min = 0,                                                                                      \
     .max = 10000,                                                                                  \
     .help = "uploads that send at a time, the others wait for their turn; 0: no limit"},           \
    {                                                                                               \
        .name = "max-bytes", .kind = OPTION_TEXT, .arg = "RATE",                                    \
        .help = "bytes a second that its uploads send together, with K, M or G behind; 0: no limit" \
    }

/* Lists all of a kind; the exit code, or -1. */
int admin_run_list(struct cli *cli, enum admin what, struct tl_error *err) TL_MUST_CHECK;
/* Prints one of a kind. */
int admin_print(struct cli *cli, enum admin what, const json_t *object, struct tl_error *err) TL_MUST_CHECK;
/* Asks for it and prints it. */
int admin_run_show(struct cli *cli, enum admin what, const char *name, struct tl_error *err) TL_MUST_CHECK;
/* Sets a member that is not NULL; value may be NULL. */
int admin_set_text(json_t *request, const char *member, const char *value,
                   struct tl_error *err) TL_MUST_CHECK;
/* The limits that are given. TL_E_USAGE. */
int admin_set_limits(json_t *request, const struct args *args, struct tl_error *err) TL_MUST_CHECK;
/* value < 0: not set. */
int admin_set_number(json_t *request, const char *member, int64_t value, struct tl_error *err) TL_MUST_CHECK;

#endif
