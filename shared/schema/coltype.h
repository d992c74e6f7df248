/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a column type is: how it is written in a definition, and how a value is checked and brought into its
 * one canonical form.
 *
 * The canonical form is what travels in validated-input, what the sinks store, and what the key's hash is
 * taken of, so two texts that mean the same value (007 and 7, 1.0 and 1.00, T and true) must give the same
 * bytes, and the canonical form of a canonical form is itself. All functions here are pure and may be called
 * from any thread.
 */
#ifndef TL_SCHEMA_COLTYPE_H
#define TL_SCHEMA_COLTYPE_H

#include <stdint.h>

#include "shared/base/buf.h"
#include "shared/base/error.h"
#include "shared/base/str.h"

enum tl_type_id {
#define X(id, symbol) TL_TYPE_##id,
#include "shared/schema/coltypes.def"
#undef X
    TL_TYPE_COUNT
};

enum tl_reject_code {
    TL_REJECT_NONE,
#define X(code, name, meaning) TL_REJECT_##code,
#include "shared/schema/rejects.def"
#undef X
    TL_REJECT_COUNT
};

/* The code as JSON has it: "not_integer". */
const char *tl_reject_name(enum tl_reject_code code);
/* TL_REJECT_NONE when there is no such code. */
enum tl_reject_code tl_reject_by_name(struct tl_str name);

/* A type with its arguments, as a column has it. */
struct tl_type {
    enum tl_type_id id;
    int32_t length; /* varchar: characters; decimal: precision; else 0 */
    int32_t scale;  /* decimal: digits behind the point; else 0 */
};

/* Why a value was not taken. Filled only then. */
struct tl_reject {
    enum tl_reject_code code;
    char reason[160]; /* a predicate about the value: "is not an integer" */
};

enum tl_verdict {
    TL_VALUE_OK,     /* *out is the canonical form */
    TL_VALUE_REJECT, /* the value is no good; *why says so. The row is data, not a failure */
    TL_VALUE_NOMEM   /* scratch could not grow, or memory is short: the one failure that there is */
};

struct tl_coltype {
    const char *name;  /* in definitions: "decimal" */
    const char *usage; /* in help and suggestions: "decimal(p,s)" */
    bool can_be_key;
    bool plain;     /* no canonical form has a byte that must be escaped in validated-input */
    bool verbatim;  /* all UTF-8 without NUL is canonical, up to `length` characters unless it is 0 */
    unsigned nargs; /* numbers that the type is written with: 0, 1 (length) or 2 (length, scale) */

    /*
     * MUST be there when nargs is not 0, and is NULL otherwise. args[0..n) are the numbers that a definition
     * has in its parentheses, n is 0 when it has none; fills type->length and type->scale or fails with
     * TL_E_REFUSED.
     */
    int (*set_args)(struct tl_type *type, const int64_t *args, size_t n, struct tl_error *err);

    /*
     * Checks the value `in` (never null: nulls are the caller's) and gives its canonical form in *out, which
     * is either a part of `in` or lies in `scratch`, to which it was appended. `scratch` may hold other
     * values before; it may move, so *out lives until the next call that is given the same scratch, and `in`
     * must not lie in it. `in` may hold any bytes: invalid UTF-8 and NUL are the type's to reject (canon.h
     * does it). A value that is rejected leaves scratch as long as it was. ASCII blanks around a value are
     * part of it for text and varchar, and passed over by all other types.
     */
    enum tl_verdict (*canon)(const struct tl_type *type, struct tl_str in, struct tl_buf *scratch,
                             struct tl_str *out, struct tl_reject *why);
};

/* Never NULL for an id below TL_TYPE_COUNT. */
const struct tl_coltype *tl_coltype(enum tl_type_id id);

/*
 * Parses "decimal(10,2)", case and blanks ignored, and SQL's other names for the same types ("numeric",
 * "integer", "double precision"); fails with TL_E_REFUSED, what is wrong and, for a near miss, a suggestion.
 */
int tl_type_parse(struct tl_str text, struct tl_type *type, struct tl_error *err) TL_MUST_CHECK;
/* The opposite, in lower case without blanks: "decimal(10,2)", "varchar(20)", "text". */
enum { TL_TYPE_FORMAT = 40 };
void tl_type_format(const struct tl_type *type, char out[TL_TYPE_FORMAT]);
bool tl_type_eq(const struct tl_type *a, const struct tl_type *b);

static inline enum tl_verdict tl_type_canon(const struct tl_type *type, struct tl_str in,
                                            struct tl_buf *scratch, struct tl_str *out, struct tl_reject *why)
{
    return tl_coltype(type->id)->canon(type, in, scratch, out, why);
}

#endif
