/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A rejected row as one JSON line: what import-error carries, the error store keeps and `tload errors`
 * prints. Any thread.
 */
#ifndef TL_CHECK_ERRORLINES_H
#define TL_CHECK_ERRORLINES_H

#include "shared/check/rowcheck.h"

enum {
    ERRORLINES_VALUE_MAX = 100,       /* bytes of a value that are shown */
    ERRORLINES_PART_MAX = 1024 * 1024 /* one message of import-error is closed when it has reached this */
};

/*
 * upload and file (percent-encoded) as in the batch's envelope. Appends one line with its LF. Returns a
 * TL_BUF_ result.
 */
int errorlines_append(struct tl_buf *b, struct tl_str upload, struct tl_str file,
                      const struct rejected_row *row) TL_MUST_CHECK;

#endif
