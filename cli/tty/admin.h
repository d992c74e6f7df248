/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Clusters and tenants as they are shown: a row of a list, or all that is known of one. One thread. */
#ifndef CLI_TTY_ADMIN_H
#define CLI_TTY_ADMIN_H

#include <jansson.h>

#include "cli/tty/table.h"

extern const struct table_column cluster_columns[];
extern const size_t cluster_columns_count;
extern const struct table_column tenant_columns[];
extern const size_t tenant_columns_count;

int cluster_row(struct table *t, const json_t *cluster, struct tl_error *err) TL_MUST_CHECK;
int tenant_row(struct table *t, const json_t *tenant, struct tl_error *err) TL_MUST_CHECK;
int cluster_print(struct output *out, const json_t *cluster, struct tl_error *err) TL_MUST_CHECK;
int tenant_print(struct output *out, const json_t *tenant, struct tl_error *err) TL_MUST_CHECK;

#endif
