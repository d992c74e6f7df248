/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a file's first bytes tell: whether it is text that can be split at all. Any thread. */
#ifndef CLI_UPLOAD_SNIFF_H
#define CLI_UPLOAD_SNIFF_H

#include "shared/base/error.h"
#include "shared/base/str.h"

enum { SNIFF_BYTES = 64 }; /* as many are looked at */

/*
 * head: the first SNIFF_BYTES of the file, or all of it. *skip: bytes of a UTF-8 byte order mark, 0 or 3.
 * TL_E_REFUSED for UTF-16 and compressed files, with the command that makes them readable.
 */
int sniff(const char *file, bool is_stdin, const char *table, struct tl_str head, size_t *skip,
          struct tl_error *err) TL_MUST_CHECK;

#endif
