/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What differs between two versions of a table (shared/schema/evolve.h), in words. Changes are the API's
 * objects; one of a kind that is not known is shown by its name. Any thread.
 */
#ifndef CLI_TTY_CHANGES_H
#define CLI_TTY_CHANGES_H

#include <jansson.h>

#include "cli/output.h"
#include "shared/base/buf.h"

/* Appends `add note text default 'x'`, `rename a to b`. A TL_BUF_ result. */
int change_append(struct tl_buf *b, const json_t *change) TL_MUST_CHECK;
/* All of them with "; " between. */
int changes_append(struct tl_buf *b, const json_t *changes) TL_MUST_CHECK;
/*
 * What the change means for an upload that goes on by the version before it: `its values of "note" fall
 * away`. False: nothing.
 */
bool change_effect_append(struct tl_buf *b, const json_t *change, int *rc);

/* One a line, each with the label before it; the label "" indents as much. */
int changes_print(struct output *out, const char *label, const json_t *changes,
                  struct tl_error *err) TL_MUST_CHECK;

#endif
