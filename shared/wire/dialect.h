/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A dialect as the header tl-format: "csv" is RFC 4180 as it is, "tsv" the same with tabs; what differs from
 * that follows as parameters in hexadecimal: "csv;delimiter=3b;quote=27;null=4e554c4c" (quote= alone: no
 * quoting). Any thread.
 */
#ifndef TL_WIRE_DIALECT_H
#define TL_WIRE_DIALECT_H

#include "shared/base/error.h"
#include "shared/csv/scan.h"

enum { TL_FORMAT_MAX = 160 };

void tl_dialect_csv(struct tl_dialect *d);
void tl_dialect_tsv(struct tl_dialect *d);
void tl_dialect_format(const struct tl_dialect *d, char out[TL_FORMAT_MAX]);
/* TL_E_CORRUPT when text is not of that form, or no file could be read by it. */
int tl_dialect_parse(struct tl_str text, struct tl_dialect *d, struct tl_error *err) TL_MUST_CHECK;

#endif
