/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/output.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int failed(struct output *out, struct tl_error *err)
{
    if (errno == EPIPE)
        out->reader_gone = true;
    return tl_fail_errno(err, errno, "standard output");
}

int output_write(struct output *out, const char *bytes, size_t n, struct tl_error *err)
{
    return n == 0 || fwrite(bytes, 1, n, out->file) == n ? 0 : failed(out, err);
}

int output_print(struct output *out, struct tl_error *err, const char *fmt, ...)
{
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vfprintf(out->file, fmt, ap);
    va_end(ap);
    return n < 0 ? failed(out, err) : 0;
}

static int write_piece(const char *bytes, size_t n, void *app)
{
    struct output *out = app;

    return fwrite(bytes, 1, n, out->file) == n ? 0 : -1;
}

int output_json(struct output *out, const json_t *value, struct tl_error *err)
{
    errno = ENOMEM;
    if (json_dump_callback(value, write_piece, out, JSON_ENCODE_ANY) || fputc('\n', out->file) == EOF)
        return failed(out, err);
    return 0;
}

int output_flush(struct output *out, struct tl_error *err)
{
    return fflush(out->file) ? failed(out, err) : 0;
}
