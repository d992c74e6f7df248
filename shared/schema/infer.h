/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Guesses a table's definition from a CSV file's header and rows: `define-table --infer`. The rows stream
 * through; what is kept is a few words a column and, for at most four columns that could be the key, the
 * hashes of their first 100,000 values (2 MiB each), whatever the size of the file.
 *
 * A column gets the narrowest type that takes all of its values:
 *   boolean  true, false, t, f, yes, no; 0 and 1 are numbers
 *   int, bigint
 *   decimal  with as many digits behind the point as were seen, and room for at least four more before it
 * than were seen, 18 in all at least: later files have larger numbers more often than finer ones. Where more
 * than 8 digits behind the point were seen and no number has more than 17 in all, it is a measurement: double
 *   double   numbers with an exponent, or beyond 38 digits
 *   date, timestamp (also a mix of both), timestamptz, uuid (with dashes only: 32 digits may be any hash)
 *   text     else, and for a column without any value. Never a number are 00123 and +49: a number would lose
 * the zeros and the sign, which a postcode and a telephone number need
 *
 * Every column may be null, because a file can't prove that the next one has no gaps. The key is the first
 * column named id or *_id (of any type that can be a key) that has a value in every row and never the same
 * twice, as far as the hashes go; that column is not null.
 *
 * One thread at a time.
 */
#ifndef TL_SCHEMA_INFER_H
#define TL_SCHEMA_INFER_H

#include <jansson.h>
#include <stdint.h>

#include "shared/base/error.h"
#include "shared/base/str.h"

struct tl_infer;

/*
 * header: the file's column names, made legal by tl_name_fold, doubles numbered; NULL: the file has none, and
 * the columns are column_1, column_2 ... NULL and *err when that can't be a table or memory is short.
 */
struct tl_infer *tl_infer_new(const struct tl_str *header, size_t ncolumns,
                              struct tl_error *err) TL_MUST_CHECK;
void tl_infer_free(struct tl_infer *infer); /* NULL is fine */

/*
 * Takes a row's values into account; ptr NULL is a null. A row with another number of values than the header
 * is counted and otherwise passed over. Fails only when memory is short.
 */
int tl_infer_row(struct tl_infer *infer, const struct tl_str *values, size_t n,
                 struct tl_error *err) TL_MUST_CHECK;

struct tl_infer_counts {
    uint64_t rows;
    uint64_t ragged; /* of them with another number of values than the header */
};
struct tl_infer_counts tl_infer_counts(const struct tl_infer *infer);

/*
 * The definition as tl_schema_from_json reads it: {"table", "columns": [{"name", "type", "nullable"}],
 * "key"}, a new reference. NULL and *err when the table's name is refused or memory is short. Rows may still
 * follow.
 */
json_t *tl_infer_finish(const struct tl_infer *infer, struct tl_str table,
                        struct tl_error *err) TL_MUST_CHECK;

#endif
