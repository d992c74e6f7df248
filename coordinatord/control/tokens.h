/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who asks, and tokens: what somebody shows who is not trusted for where he comes from. Any thread.
 *
 * A token's secret is in the answer that makes it and nowhere else; the metadata has its hash. Each request looks
 * it up anew, so that one that is revoked or has expired opens nothing from then on.
 */
#ifndef COORDINATORD_CONTROL_TOKENS_H
#define COORDINATORD_CONTROL_TOKENS_H

#include <jansson.h>

#include "coordinatord/control/store.h"

struct control;

struct identity {
    enum token_role role;
    char tenant[TL_TENANT_MAX + 1]; /* "": all, for an admin */
    char token[SECRET_ID_TEXT];     /* its id; "": trusted without one */
    int64_t expires_ms;             /* wall clock; 0: never */
    char who[STORE_WHO_MAX];        /* as metadata has it: "uid:0", "token:ID LABEL" */
};

/* What is known here and has not expired: 1; else 0, after a moment, so that trying is slow. -1. */
int control_token_check(struct control *c, const char *secret, struct identity *out,
                        struct tl_error *err) TL_MUST_CHECK;
/* Whether he may still: 1, or 0 when his token was revoked or has expired meanwhile. -1. */
int control_token_holds(struct control *c, const struct identity *by, struct tl_error *err) TL_MUST_CHECK;

/*
 * An owner sees, makes and revokes those of his own tenant; of others he hears what he would hear if they were not
 * there. An admin: all.
 */
/* tenant NULL: of all that he may see. */
int control_tokens(struct control *c, const struct identity *by, const char *tenant, int limit,
                   const char *cursor, json_t **answer, struct tl_error *err) TL_MUST_CHECK;
/*
 * request: {"role", "tenant", "label", "expires_in" (seconds)}. The answer has "secret". Nobody makes a token that may
 * more, or lives longer, than his own.
 */
int control_token_create(struct control *c, const struct identity *by, const json_t *request, json_t **answer,
                         struct tl_error *err) TL_MUST_CHECK;
int control_token_revoke(struct control *c, const struct identity *by, const char *token,
                         struct tl_error *err) TL_MUST_CHECK;

#endif
