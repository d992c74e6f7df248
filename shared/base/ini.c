/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libinih is fed line by line from here, for three things that it can't do as it is packaged: say the
 * number of the line to the handler, refuse a line that is longer than its own (it would read the rest as
 * another line), and take indented keys as keys rather than as continuations of the value before.
 */
#include "shared/base/ini.h"

#include <errno.h>
#include <ini.h>

struct reading {
    FILE *file;
    tl_ini_key *on_key;
    void *app;
    struct tl_error *err;
    int line;
    bool too_long;
    bool failed;
};

static char *next_line(char *dst, int size, void *stream)
{
    struct reading *r = stream;
    size_t len, blanks;

    if (r->failed || r->too_long || !fgets(dst, size, r->file))
        return NULL;
    r->line++;
    len = strlen(dst);
    if (len + 1 == (size_t)size && dst[len - 1] != '\n') {
        int c = getc(r->file);

        if (c != EOF && c != '\n')
            r->too_long = true;
        if (r->too_long)
            return NULL;
    }
    blanks = strspn(dst, " \t");
    memmove(dst, dst + blanks, len - blanks + 1);
    return dst;
}

static int take_key(void *user, const char *section, const char *name, const char *value)
{
    struct reading *r = user;

    if (r->failed)
        return 0;
    if (r->on_key(r->app, section, name, value, r->err)) {
        r->failed = true;
        return 0;
    }
    return 1;
}

/* libinih gives one pointer to the reader and another to the handler: both are the same struct here. */
static int parse(struct reading *r)
{
    return ini_parse_stream(next_line, r, take_key, r);
}

int tl_ini_read(const char *path, tl_ini_key *on_key, void *app, struct tl_error *err)
{
    struct reading r = {.on_key = on_key, .app = app, .err = err};
    int bad_line, rc = 0;

    r.file = fopen(path, "re");
    if (!r.file) {
        if (errno == ENOENT)
            return tl_fail(err, TL_E_NOT_FOUND, "%s: there is no such file", path);
        return tl_fail_errno(err, errno, "%s", path);
    }
    errno = 0;
    bad_line = parse(&r);
    if (r.failed)
        rc = tl_error_prefix(err, "%s:%d", path, r.line);
    else if (ferror(r.file))
        rc = tl_fail_errno(err, errno, "%s", path);
    else if (r.too_long)
        rc = tl_fail(err, TL_E_REFUSED, "%s:%d: the line is too long", path, r.line);
    else if (bad_line > 0)
        rc = tl_fail(err, TL_E_REFUSED, "%s:%d: neither a [section] nor a key = value", path, bad_line);
    else if (bad_line < 0)
        rc = tl_fail_nomem(err);
    fclose(r.file);
    return rc;
}
