/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A rejected row as a message: orders.csv:1042: column "qty": "12x" is not an integer. Any thread. */
#ifndef CLI_TTY_REJECT_H
#define CLI_TTY_REJECT_H

#include <jansson.h>

#include "shared/base/buf.h"

/*
 * Appends the message of a rejected row's object, control characters escaped, with a line end. Returns a
 * TL_BUF_ result.
 */
int reject_append(struct tl_buf *b, const json_t *row) TL_MUST_CHECK;

#endif
