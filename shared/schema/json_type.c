/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * json: any JSON value (RFC 8259), checked by jansson and kept as it is written, without the blanks around
 * it.
 *
 * Refused though it is JSON: \u0000 in a string (PostgreSQL's text has no place for it), a number beyond
 * double's range, and nesting deeper than jansson goes (2048). Large integers are read as doubles for the
 * check alone, so their digits are kept. Duplicate members are left to the sink, as PostgreSQL's json type
 * does.
 */
#include <jansson.h>

#include "shared/schema/canon.h"

static enum tl_verdict json_canon(const struct tl_type *type, struct tl_str in, struct tl_buf *scratch,
                                  struct tl_str *out, struct tl_reject *why)
{
    struct tl_str s = tl_str_trim(in);
    json_error_t error;
    json_t *value;
    size_t chars;
    char *near;

    (void)type;
    (void)scratch;
    if (!tl_check_text(in, &chars, why))
        return TL_VALUE_REJECT;
    if (s.len == 0)
        return tl_canon_reject(why, in, TL_REJECT_NOT_JSON, "is not JSON: it is empty");
    value = json_loadb(s.ptr, s.len, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    if (value) {
        json_decref(value);
        return tl_canon_borrow(s.ptr, s.len, out);
    }
    switch (json_error_code(&error)) {
    case json_error_out_of_memory:
        return TL_VALUE_NOMEM;
    case json_error_numeric_overflow:
        return tl_canon_reject(why, in, TL_REJECT_OUT_OF_RANGE,
                               "is JSON with a number outside of double's range");
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return tl_canon_reject(why, in, TL_REJECT_NUL_BYTE, "is JSON with \\u0000 in a string");
    default:
        /* What jansson quotes of the value is shown beside the reason anyway. */
        near = strstr(error.text, " near '");
        if (near)
            *near = '\0';
        return tl_canon_reject(why, in, TL_REJECT_NOT_JSON, "is not JSON: %.100s at byte %d", error.text,
                               error.position);
    }
}

const struct tl_coltype tl_coltype_json = {
    .name = "json",
    .usage = "json",
    .can_be_key = false,
    .canon = json_canon,
};
