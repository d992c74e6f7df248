/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The header tl-malformed: which records of a raw batch quoting can't delimit, as `OFFSET+LENGTH:CODE` with
 * commas between, ascending. OFFSET is that of the record's first byte (behind LINE TAB) in the value, LENGTH
 * its bytes (the LF behind is not counted), CODE a name of rejects.def. A reader takes those bytes as one
 * record that is rejected with that code; every other record is delimited by its quoting. Most batches have
 * none. Any thread.
 */
#ifndef TL_WIRE_MALFORMED_H
#define TL_WIRE_MALFORMED_H

#include "shared/base/buf.h"
#include "shared/schema/coltype.h"

struct tl_malformed {
    size_t offset;
    size_t len;
    enum tl_reject_code why;
};

/* b holds this header's value and nothing else. Returns a TL_BUF_ result. */
int tl_malformed_append(struct tl_buf *b, const struct tl_malformed *m) TL_MUST_CHECK;
/* Cuts the next one off text: 1, 0 at the end, -1 when it is not of this form. */
int tl_malformed_next(struct tl_str *text, struct tl_malformed *m);

#endif
