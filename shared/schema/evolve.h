/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From one version of a table to the next: what may change, and what has changed.
 *
 * Changes are a JSON array of objects, one of these each; they are in the API's requests and answers:
 *   {"op": "add", "column": {"name", "type", "nullable", "default"}}
 *   {"op": "drop", "column": NAME}
 *   {"op": "rename", "column": NAME, "to": NAME}
 *   {"op": "type", "column": NAME, "type": TYPE}
 *   {"op": "default", "column": NAME, "default": VALUE}     null takes it away
 *   {"op": "nullable", "column": NAME}
 *   {"op": "order", "columns": [NAME, ...]}                 these first, the others behind them as they were
 * "column" is the name that a column has before the changes, whatever their order, so two columns can swap
 * names; "columns" are the names behind them.
 *
 * All here is pure; any thread.
 */
#ifndef TL_SCHEMA_EVOLVE_H
#define TL_SCHEMA_EVOLVE_H

#include "shared/schema/schema.h"

/*
 * True when every value of `from` is one of `to`, exactly: int to bigint, double, decimal with 10 digits
 * before the point; bigint to decimal with 19; decimal to one with no fewer digits before and behind the
 * point; varchar to a longer one or text; date to timestamp. A type does not widen to itself.
 */
bool tl_type_widens(const struct tl_type *from, const struct tl_type *to);

/*
 * The version behind `from` with all of the changes, or TL_E_REFUSED with the reason: what could lose data
 * is refused, and so are changes that change nothing. *out is the caller's.
 */
int tl_schema_evolve(const struct tl_schema *from, const json_t *changes, struct tl_schema **out,
                     struct tl_error *err) TL_MUST_CHECK;

/*
 * What differs in `to`, as changes: columns are compared by their ids. "type", "default" and "order" also say
 * what was, as "from"; a column that became not null is {"op": "not_null"}, which no request may ask for
 * (only a later version compared with an earlier one has it). A new reference; NULL when memory is short.
 */
json_t *tl_schema_diff(const struct tl_schema *from, const struct tl_schema *to);

#endif
