/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A table's definition as JSON, {"table", "columns", "key"}: from the command line, a file, or guessed. All
 * of these give a new reference, or NULL with *err.
 */
#ifndef CLI_DEFINE_DEFINITION_H
#define CLI_DEFINE_DEFINITION_H

#include <jansson.h>
#include <stdint.h>

#include "cli/output.h"
#include "shared/csv/scan.h"

/* Each text is one COLUMN: 'price decimal(10,2) not null default 0'. */
json_t *definition_from_columns(const char *const *columns, size_t n, struct tl_error *err);
/* "-": standard input. */
json_t *definition_from_file(const char *path, struct tl_error *err);

struct infer_counts {
    int64_t rows; /* looked at, the header not counted */
    int64_t bad;  /* of them malformed, or with another number of fields */
    bool whole;   /* they are all that there are */
};

/* Guesses from the start of the file, 10,000 records or 8 MiB; path "-": standard input. */
json_t *definition_infer(const char *path, const char *table, const struct tl_dialect *dialect, bool header,
                         struct infer_counts *counts, struct tl_error *err);

/*
 * The request that defines `table` by it: checked, with defaults and key in canonical form, without what
 * the coordinator gives (ids, version). key: names with commas instead of the definition's own; NULL: that.
 */
json_t *definition_request(const json_t *definition, const char *table, const char *key,
                           struct tl_error *err);

/* The define-table command that a person would type for the request. */
int definition_print_command(struct output *out, const json_t *request, struct tl_error *err) TL_MUST_CHECK;

#endif
