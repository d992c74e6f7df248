/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The two row forms in message values.
 *
 * raw-input: `LINE TAB RECORD LF`, the record as it stood in the file.
 * validated-input: PostgreSQL's COPY text, which is ClickHouse's TabSeparated: fields between tabs, rows end
 * in LF, \N is null, and \b \f \n \r \t \v \\ stand for those bytes. Any thread.
 */
#ifndef TL_WIRE_ROWTEXT_H
#define TL_WIRE_ROWTEXT_H

#include "shared/base/buf.h"
#include "shared/base/str.h"

/*
 * Appends a field, escaped; ptr NULL is null. Tabs and LF between fields are the caller's. Returns a TL_BUF_
 * result, and b as it was unless that is TL_BUF_OK.
 */
int tl_rowtext_append(struct tl_buf *b, struct tl_str value) TL_MUST_CHECK;

/*
 * Most fields are short, and stand in a message with more behind them. Such a one is appended in one piece, without a branch
 * on its length, which nothing could foresee: TL_ROWTEXT_SHORT bytes are read at value.ptr (not null), and written behind
 * those of b, however many of them are the field's. False, and nothing is appended, when it is longer, or b has no room for
 * so many without growing; tl_rowtext_append takes it then.
 */
enum { TL_ROWTEXT_SHORT = 32 };

/* A field in which nothing is to be escaped. */
TL_MUST_CHECK static inline bool tl_rowtext_append_short(struct tl_buf *b, struct tl_str value)
{
    if (TL_UNLIKELY(value.len > TL_ROWTEXT_SHORT || b->cap - b->len < TL_ROWTEXT_SHORT))
        return false;
    memcpy(b->data + b->len, value.ptr, TL_ROWTEXT_SHORT);
    b->len += value.len;
    return true;
}

/* Any field. False also unless all of its bytes are ASCII, none is below a blank, and none a backslash. */
bool tl_rowtext_append_short_text(struct tl_buf *b, struct tl_str value) TL_MUST_CHECK;

/*
 * Cuts the next row off text and splits it into at most max fields. Returns the number of fields in the row
 * (may be larger than max), 0 when text is at its end, -1 when it does not end in LF. fields[] borrow from
 * text and are still escaped, a null as ptr NULL.
 */
int tl_rowtext_next(struct tl_str *text, struct tl_str *fields, size_t max);
/*
 * Undoes the escapes: *out borrows from field (not null) when there are none, else it is appended to scratch,
 * which never takes more room than the field had. Returns a TL_BUF_ result.
 */
int tl_rowtext_unescape(struct tl_str field, struct tl_buf *scratch, struct tl_str *out) TL_MUST_CHECK;

/* Cuts `LINE TAB` off text. False, and text untouched, when that is not what stands there. */
bool tl_rawtext_line(struct tl_str *text, int64_t *line) TL_MUST_CHECK;

#endif
