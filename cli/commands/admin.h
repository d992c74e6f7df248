/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the commands of clusters and tenants share. */
#ifndef CLI_COMMANDS_ADMIN_H
#define CLI_COMMANDS_ADMIN_H

#include "cli/cli.h"
#include "cli/client/admin.h"

/* Lists all of a kind; the exit code, or -1. */
int admin_run_list(struct cli *cli, enum admin what, struct tl_error *err) TL_MUST_CHECK;
/* Prints one of a kind. */
int admin_print(struct cli *cli, enum admin what, const json_t *object, struct tl_error *err) TL_MUST_CHECK;
/* Asks for it and prints it. */
int admin_run_show(struct cli *cli, enum admin what, const char *name, struct tl_error *err) TL_MUST_CHECK;
/* Bytes a second: "500000", "64K", "10M", "1G" (1024 each). TL_E_USAGE. */
int admin_rate(const char *text, int64_t *bytes, struct tl_error *err) TL_MUST_CHECK;
/* Sets a member that is not NULL; value may be NULL. */
int admin_set_text(json_t *request, const char *member, const char *value,
                   struct tl_error *err) TL_MUST_CHECK;
/* value < 0: not set. */
int admin_set_number(json_t *request, const char *member, int64_t value, struct tl_error *err) TL_MUST_CHECK;

#endif
