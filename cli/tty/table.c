/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/tty/table.h"

#include <stdlib.h>

#include "cli/tty/text.h"

enum { ROWS_KEPT = 256, CELL_COLUMNS = 200, BYTES_MAX = 8 << 20, BYTES_KEPT = 1 << 20 };

struct cell {
    size_t len;
    size_t columns;
};

struct table {
    struct output *out;
    const struct table_column *columns;
    size_t n;
    bool bold;
    bool headed;
    size_t owed; /* blanks before the next text of the line */
    size_t *width;
    struct cell *cells; /* of the rows that are kept, and of the headings before */
    size_t ncells;
    struct tl_buf text; /* their texts, one behind the other */
};

struct table *table_new(struct output *out, const struct table_column *columns, size_t n, bool bold,
                        struct tl_error *err)
{
    struct table *t = calloc(1, sizeof *t);

    if (t) {
        *t = (struct table){.out = out, .columns = columns, .n = n, .bold = bold};
        tl_buf_init(&t->text, BYTES_MAX);
        t->width = calloc(n, sizeof *t->width);
        t->cells = calloc(n * ROWS_KEPT, sizeof *t->cells);
    }
    if (!t || !t->width || !t->cells) {
        table_free(t);
        tl_fail_nomem(err);
        return NULL;
    }
    for (size_t i = 0; i < n; i++)
        t->width[i] = text_width(tl_str(columns[i].title));
    return t;
}

void table_free(struct table *t)
{
    if (!t)
        return;
    tl_buf_release(&t->text);
    free(t->width);
    free(t->cells);
    free(t);
}

/* Blanks are owed until something follows them, so that no line ends in some. */
static int print_cell(struct table *t, size_t column, const char *text, struct cell cell,
                      struct tl_error *err)
{
    size_t pad = t->width[column] > cell.columns ? t->width[column] - cell.columns : 0;
    bool right = t->columns[column].right;

    if (right)
        t->owed += pad;
    if (cell.len &&
        (output_print(t->out, err, "%*s", (int)t->owed, "") || output_write(t->out, text, cell.len, err)))
        return -1;
    if (cell.len)
        t->owed = 0;
    else
        t->owed += cell.columns;
    t->owed += (right ? 0 : pad) + 2;
    if (column + 1 < t->n)
        return 0;
    t->owed = 0;
    return output_write(t->out, "\n", 1, err);
}

static int print_headings(struct table *t, struct tl_error *err)
{
    if (t->bold && output_print(t->out, err, "\033[1m"))
        return -1;
    for (size_t i = 0; i < t->n; i++) {
        const char *title = t->columns[i].title;

        if (print_cell(t, i, title, (struct cell){strlen(title), text_width(tl_str(title))}, err))
            return -1;
    }
    if (t->bold && output_print(t->out, err, "\033[0m"))
        return -1;
    t->headed = true;
    return 0;
}

static int print_rows(struct table *t, struct tl_error *err)
{
    const char *at = t->text.data;

    for (size_t i = 0; i < t->ncells; i++)
        t->width[i % t->n] = TL_MAX(t->width[i % t->n], t->cells[i].columns);
    if (!t->headed && print_headings(t, err))
        return -1;
    for (size_t i = 0; i < t->ncells; i++) {
        if (print_cell(t, i % t->n, at, t->cells[i], err))
            return -1;
        at += t->cells[i].len;
    }
    t->ncells = 0;
    tl_buf_reset(&t->text);
    return 0;
}

int table_cell(struct table *t, const char *text, struct tl_error *err)
{
    struct cell *cell = &t->cells[t->ncells];
    size_t before = t->text.len;
    int rc = text_append(&t->text, tl_str(text), CELL_COLUMNS, &cell->columns);

    if (rc)
        return tl_buf_fail(rc, &t->text, "the table", err);
    cell->len = t->text.len - before;
    t->ncells++;
    if (t->ncells == t->n * ROWS_KEPT || (t->ncells % t->n == 0 && t->text.len >= BYTES_KEPT))
        return print_rows(t, err);
    return 0;
}

int table_number(struct table *t, int64_t value, struct tl_error *err)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)value);
    return table_cell(t, value < 0 ? "" : text, err);
}

int table_finish(struct table *t, struct tl_error *err)
{
    return t->ncells || !t->headed ? print_rows(t, err) : 0;
}
