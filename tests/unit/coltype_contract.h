/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What coltype.h promises of any value that is given to a type, checked. */
#ifndef TESTS_UNIT_COLTYPE_CONTRACT_H
#define TESTS_UNIT_COLTYPE_CONTRACT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "shared/base/utf8.h"
#include "shared/schema/coltype.h"

enum { MEGABYTE = 1024 * 1024 };

static inline bool lies_in(const char *ptr, size_t len, const char *area, size_t area_len)
{
    return area && ptr >= area && ptr + len <= area + area_len;
}

/* A reason follows a value in a message: one line, readable, in lower case, no full stop. */
static inline void check_reason(const struct tl_reject *why)
{
    size_t len = strnlen(why->reason, sizeof why->reason);

    assert_in_range(why->code, 1, TL_REJECT_COUNT - 1);
    assert_in_range(len, 5, sizeof why->reason - 1);
    assert_true(why->reason[0] >= 'a' && why->reason[0] <= 'z');
    assert_true(why->reason[len - 1] != '.');
    for (size_t i = 0; i < len; i++)
        assert_in_range((unsigned char)why->reason[i], ' ', '~');
}

/* What a verbatim type took, and how. */
static inline void check_verbatim(const struct tl_type *type, struct tl_str in, enum tl_verdict verdict,
                                  struct tl_str out)
{
    size_t chars;
    bool text = tl_utf8_valid(in.ptr, in.len, &chars) && !memchr(in.ptr, '\0', in.len);

    assert_int_equal(verdict == TL_VALUE_OK, text && (!type->length || chars <= (size_t)type->length));
    if (verdict == TL_VALUE_OK) {
        assert_ptr_equal(out.ptr, in.ptr);
        assert_int_equal(out.len, in.len);
    }
}

/*
 * Gives a value to a type and checks all that coltype.h promises. The input is copied into memory of just its size, so
 * that a sanitizer sees a read beyond it. Returns the verdict; *canonical (may be NULL) is for the caller to free.
 */
static inline enum tl_verdict check_value(const struct tl_type *type, struct tl_str in,
                                          struct tl_buf *canonical, enum tl_reject_code *code)
{
    static const char before[] = "earlier";
    struct tl_reject why = {0}, why_again = {0};
    struct tl_buf scratch, scratch_again;
    struct tl_str out = {0}, again = {0};
    char *copy = malloc(in.len ? in.len : 1);
    enum tl_verdict verdict;

    assert_non_null(copy);
    if (in.len)
        memcpy(copy, in.ptr, in.len);
    tl_buf_init(&scratch, 4 * MEGABYTE);
    tl_buf_init(&scratch_again, 4 * MEGABYTE);
    assert_int_equal(tl_buf_append_z(&scratch, before), 0);

    verdict = tl_type_canon(type, tl_str_n(copy, in.len), &scratch, &out, &why);
    assert_true(verdict == TL_VALUE_OK || verdict == TL_VALUE_REJECT);
    assert_memory_equal(scratch.data, before, sizeof before - 1);
    *code = why.code;
    if (verdict == TL_VALUE_REJECT) {
        check_reason(&why);
        assert_int_equal(scratch.len, sizeof before - 1);
    } else {
        assert_int_equal(why.code, TL_REJECT_NONE);
        assert_true(
            lies_in(out.ptr, out.len, copy, in.len) ||
            lies_in(out.ptr, out.len, scratch.data + sizeof before - 1, scratch.len - (sizeof before - 1)));
        assert_true(tl_utf8_valid(out.ptr, out.len, NULL));
        assert_true(out.len == 0 || !memchr(out.ptr, '\0', out.len));
        assert_int_equal(tl_type_canon(type, out, &scratch_again, &again, &why_again), TL_VALUE_OK);
        assert_int_equal(again.len, out.len);
        assert_memory_equal(again.ptr, out.ptr, out.len);
        assert_int_equal(scratch_again.len, 0); /* a canonical value takes no memory */
        for (size_t i = 0; i < out.len && tl_coltype(type->id)->plain; i++)
            assert_null(strchr("\b\t\n\v\f\r\\", out.ptr[i]));
        if (canonical)
            assert_int_equal(tl_buf_append_str(canonical, out), 0);
    }
    if (tl_coltype(type->id)->verbatim)
        check_verbatim(type, tl_str_n(copy, in.len), verdict, out);
    tl_buf_release(&scratch_again);
    tl_buf_release(&scratch);
    free(copy);
    return verdict;
}

#endif
