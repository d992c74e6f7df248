/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a failure is told to the caller.
 *
 * A function that can fail returns 0 or -1 (or what its comment says) and takes a struct tl_error as its last
 * parameter, which it fills when it fails and leaves alone when it does not. The text says what happened, in words
 * that a user can act on; the code says what a program can do about it. Nothing in shared/ prints or exits.
 */
#ifndef TL_BASE_ERROR_H
#define TL_BASE_ERROR_H

#include <stdarg.h>
#include <stdbool.h>

#include "shared/base/compiler.h"

enum tl_error_code {
#define X(code, name, meaning, retriable, exit_code, http_status) TL_E_##code,
#include "shared/base/error.def"
#undef X
};

struct tl_error {
    enum tl_error_code code;
    char text[600];
};

/* Fills err and returns -1, so that `return tl_fail(err, TL_E_IO, "…")` is how a function fails. */
int tl_fail(struct tl_error *err, enum tl_error_code code, const char *fmt, ...) TL_PRINTF(3, 4) TL_COLD;

/* The same, with ": <what errno means>" behind the text; ENOSPC, ENOMEM and EINTR get the codes made for them. */
int tl_fail_errno(struct tl_error *err, int errnum, const char *fmt, ...) TL_PRINTF(3, 4) TL_COLD;

/* Puts "text: " before the error's text: where the failure is passed on by someone who knows more. Returns -1. */
int tl_error_prefix(struct tl_error *err, const char *fmt, ...) TL_PRINTF(2, 3) TL_COLD;

int tl_fail_nomem(struct tl_error *err) TL_COLD;

/* True when the same call may succeed later without anybody changing anything. */
bool tl_error_retriable(const struct tl_error *err);
/* The code's name in lower case, for JSON and logs: "not_found". */
const char *tl_error_name(enum tl_error_code code);
const char *tl_error_meaning(enum tl_error_code code);
int tl_error_exit_code(enum tl_error_code code);
int tl_error_http_status(enum tl_error_code code);

#endif
