/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The fields of one record.
 *
 * Strict: a quote stands at a field's start, or doubled or at the end of one that begins with it. Spaces around fields
 * stay, empty fields stay, and no byte ends a record from within: records come cut by scan.h. A parser belongs to
 * one thread, which makes it once and keeps it.
 */
#ifndef TL_CSV_FIELDS_H
#define TL_CSV_FIELDS_H

#include "shared/csv/scan.h"

struct tl_fields;

/* max_fields: more of them in a record are counted but not kept. NULL and *err when memory is short. */
struct tl_fields *tl_fields_new(const struct tl_dialect *d, size_t max_fields, struct tl_error *err);
void tl_fields_free(struct tl_fields *f); /* NULL is fine */

/*
 * Splits the record. On TL_VALUE_OK *values points at *n values (n may be larger than max_fields; then only
 * the first max_fields are there), a null as ptr NULL. They live until the next call, as long as the record
 * does: they borrow from both. An empty record is one empty field. On TL_VALUE_REJECT why->code is
 * BAD_QUOTING or UNTERMINATED.
 */
enum tl_verdict tl_fields_split(struct tl_fields *f, struct tl_str record, const struct tl_str **values,
                                size_t *n, struct tl_reject *why);

/*
 * tl_csv_scan and tl_fields_split in one look, for the record at the start of text, which goes on behind it. True for a
 * record that ends in an LF and has no quote where none may be, as nearly all do: *len is its bytes without the LF.
 * False for all others (a CR that is not within quotes, no line end, or memory is short): ask those two; what is in *len,
 * *values and *n then means nothing.
 */
bool tl_fields_take(struct tl_fields *f, struct tl_str text, size_t *len, const struct tl_str **values,
                    size_t *n) TL_MUST_CHECK;

#endif
