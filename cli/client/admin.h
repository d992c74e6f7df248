/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Clusters, tenants and tokens in the coordinator's HTTP API. As coordinator.h says; `*out` is a new reference. */
#ifndef CLI_CLIENT_ADMIN_H
#define CLI_CLIENT_ADMIN_H

#include "cli/client/coordinator.h"

enum admin { ADMIN_CLUSTERS, ADMIN_TENANTS, ADMIN_TOKENS };

/* By name, page by page. */
int admin_list(struct coordinator *c, enum admin what, coordinator_each *each, void *app,
               struct tl_error *err) TL_MUST_CHECK;
/* tenant NULL: of all that the asker may see. */
int admin_tokens(struct coordinator *c, const char *tenant, coordinator_each *each, void *app,
                 struct tl_error *err) TL_MUST_CHECK;
int admin_get(struct coordinator *c, enum admin what, const char *name, json_t **out,
              struct tl_error *err) TL_MUST_CHECK;
int admin_create(struct coordinator *c, enum admin what, const json_t *request, json_t **out,
                 struct tl_error *err) TL_MUST_CHECK;
int admin_change(struct coordinator *c, enum admin what, const char *name, const json_t *request,
                 json_t **out, struct tl_error *err) TL_MUST_CHECK;
int admin_remove(struct coordinator *c, enum admin what, const char *name,
                 struct tl_error *err) TL_MUST_CHECK;
/* The tenant moves, as the request says, or a move is taken back; *out is what it is when that is stored. */
int admin_move(struct coordinator *c, const char *tenant, const json_t *request, json_t **out,
               struct tl_error *err) TL_MUST_CHECK;
int admin_stay(struct coordinator *c, const char *tenant, json_t **out, struct tl_error *err) TL_MUST_CHECK;

#endif
