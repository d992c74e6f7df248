/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/base/error.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    const char *meaning;
    bool retriable;
    int exit_code;
    int http_status;
} codes[] = {
#define X(code, name, meaning, retriable, exit_code, http_status) \
    {name, meaning, retriable, exit_code, http_status},
#include "shared/base/error.def"
#undef X
};

static void vset(struct tl_error *err, enum tl_error_code code, const char *fmt, va_list ap)
{
    err->code = code;
    vsnprintf(err->text, sizeof err->text, fmt, ap);
}

int tl_fail(struct tl_error *err, enum tl_error_code code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    vset(err, code, fmt, ap);
    va_end(ap);
    return -1;
}

int tl_fail_errno(struct tl_error *err, int errnum, const char *fmt, ...)
{
    enum tl_error_code code = TL_E_IO;
    va_list ap;
    size_t len;

    if (errnum == ENOSPC || errnum == EDQUOT)
        code = TL_E_NO_SPACE;
    else if (errnum == ENOMEM)
        code = TL_E_NOMEM;
    else if (errnum == EINTR)
        code = TL_E_INTERRUPTED;
    va_start(ap, fmt);
    vset(err, code, fmt, ap);
    va_end(ap);
    len = strlen(err->text);
    const char *what = strerrordesc_np(errnum);
    snprintf(err->text + len, sizeof err->text - len, ": %s", what ? what : "unknown error");
    return -1;
}

int tl_error_prefix(struct tl_error *err, const char *fmt, ...)
{
    char rest[sizeof err->text];
    va_list ap;
    size_t len;

    memcpy(rest, err->text, sizeof rest);
    va_start(ap, fmt);
    vset(err, err->code, fmt, ap);
    va_end(ap);
    len = strlen(err->text);
    snprintf(err->text + len, sizeof err->text - len, ": %.*s", (int)(sizeof rest - len - 3), rest);
    return -1;
}

int tl_fail_nomem(struct tl_error *err)
{
    return tl_fail(err, TL_E_NOMEM, "out of memory");
}

bool tl_error_retriable(const struct tl_error *err)
{
    return codes[err->code].retriable;
}

const char *tl_error_name(enum tl_error_code code)
{
    return codes[code].name;
}

const char *tl_error_meaning(enum tl_error_code code)
{
    return codes[code].meaning;
}

int tl_error_exit_code(enum tl_error_code code)
{
    return codes[code].exit_code;
}

int tl_error_http_status(enum tl_error_code code)
{
    return codes[code].http_status;
}
