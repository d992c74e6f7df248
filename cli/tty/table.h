/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rows under headings, in aligned columns. Rows are kept until there are enough of them to know the
 * columns' widths, then printed, so a list of any length takes bounded memory; later rows keep the widths
 * unless they need more. One thread.
 */
#ifndef CLI_TTY_TABLE_H
#define CLI_TTY_TABLE_H

#include "cli/output.h"

struct table_column {
    const char *title;
    bool right; /* numbers */
};

struct table;

/* columns are borrowed; `bold`: headings stand out (a terminal). NULL with *err. */
struct table *table_new(struct output *out, const struct table_column *columns, size_t n, bool bold,
                        struct tl_error *err);
void table_free(struct table *t); /* NULL is fine; prints nothing */

/* The next cell, from left to right, row after row. Control characters are shown escaped. */
int table_cell(struct table *t, const char *text, struct tl_error *err) TL_MUST_CHECK;
/* value < 0: an empty cell. */
int table_number(struct table *t, int64_t value, struct tl_error *err) TL_MUST_CHECK;
/* Prints what is left; the headings too when there was no row. */
int table_finish(struct table *t, struct tl_error *err) TL_MUST_CHECK;

#endif
