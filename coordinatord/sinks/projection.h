/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which field of a batch goes into which column of the table as it is now. A batch is written by the version
 * that its upload began with, the table may have moved on; both know a column by its id. A projection is made
 * once, then only read, by any thread; it borrows nothing.
 */
#ifndef COORDINATORD_SINKS_PROJECTION_H
#define COORDINATORD_SINKS_PROJECTION_H

#include "shared/schema/schema.h"

struct projection_field {
    int column;   /* index in the table's columns; -1: the column was dropped, the value falls away */
    bool widened; /* the column has another type than the value; what is canonical may differ */
};

struct projection {
    size_t nfields;
    struct projection_field *fields;
    /* Indexes of the table's columns that the batch does not carry, ascending: their defaults in a new row.
     */
    size_t nmissing;
    size_t *missing;
};

/*
 * batch: the version that the batch was made with; ids[0..n): what its fields are; table: the version that
 * the table has. TL_E_CORRUPT when an id is not of that version or comes twice, or when a key column is not
 * carried.
 */
int projection_init(struct projection *p, const struct tl_schema *batch, const uint32_t *ids, size_t n,
                    const struct tl_schema *table, struct tl_error *err) TL_MUST_CHECK;
void projection_release(struct projection *p); /* also of one that is all zero */

#endif
