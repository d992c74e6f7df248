/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Text as a terminal shows it: how many columns it takes, and without what would steer the terminal. Values
 * of rows and names of files come from anywhere; an escape sequence in them must not reach the terminal.
 * Any thread; LC_CTYPE must be a UTF-8 locale (main sees to it).
 */
#ifndef CLI_TTY_TEXT_H
#define CLI_TTY_TEXT_H

#include "shared/base/buf.h"

/* Columns of the text as text_append shows it. */
size_t text_width(struct tl_str text);

/*
 * Appends the text: control characters and bytes that are not UTF-8 as \n, \t or \x1b. What would pass
 * max_columns is cut off and ends in "…" instead. *columns (may be NULL) is what was taken. Returns a
 * TL_BUF_ result.
 */
int text_append(struct tl_buf *b, struct tl_str text, size_t max_columns, size_t *columns) TL_MUST_CHECK;

/* True when fd is a terminal that colours are wanted on: NO_COLOR is not set, TERM is not "dumb". */
bool text_colours(int fd);
/* Columns of the terminal at fd; 80 when it does not say. */
size_t text_terminal_width(int fd);

#endif
