/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Configuration files: `[section]`, `key = value`, comments from `;` or `#` at the start of a line or from
 * ` ;` behind a value. Over libinih. Blanks before a line mean nothing (there are no continuation lines).
 * Any thread.
 */
#ifndef TL_BASE_INI_H
#define TL_BASE_INI_H

#include "shared/base/error.h"

/*
 * Called for every key; the texts live until it returns. section is "" before the first [section]. Returns
 * 0, or -1 with *err filled to stop; "file:line: " is then put before the error's text.
 */
typedef int tl_ini_key(void *app, const char *section, const char *key, const char *value,
                       struct tl_error *err);

/*
 * TL_E_NOT_FOUND when there is no such file; TL_E_REFUSED, with file and line, for what is not INI or is
 * longer than the longest line.
 */
int tl_ini_read(const char *path, tl_ini_key *on_key, void *app, struct tl_error *err) TL_MUST_CHECK;

#endif
