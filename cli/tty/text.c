/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/tty/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "shared/base/utf8.h"

/* The code point of a valid UTF-8 character of len bytes. */
static wchar_t decode(const char *s, size_t len)
{
    static const unsigned char lead[] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    unsigned point = (unsigned char)s[0] & lead[len];

    for (size_t i = 1; i < len; i++)
        point = point << 6 | ((unsigned char)s[i] & 0x3F);
    return (wchar_t)point;
}

/*
 * How the character at s is shown. Returns its bytes in the text; *shown and *shown_len are what stands for
 * it.
 */
static size_t show(const char *s, size_t n, char escape[8], const char **shown, size_t *shown_len,
                   size_t *columns)
{
    size_t len = tl_utf8_char(s, n);
    int width = len && *s ? wcwidth(decode(s, len)) : -1; /* NUL has no width, but is not shown either */

    if (width >= 0) {
        *shown = s;
        *shown_len = len;
        *columns = (size_t)width;
        return len;
    }
    if (*s == '\n' || *s == '\t' || *s == '\r')
        snprintf(escape, 8, "\\%c", *s == '\n' ? 'n' : *s == '\t' ? 't' : 'r');
    else
        snprintf(escape, 8, "\\x%02x", (unsigned char)*s);
    *shown = escape;
    *shown_len = strlen(escape);
    *columns = *shown_len;
    return 1; /* of a longer unprintable character the other bytes follow, each escaped */
}

size_t text_width(struct tl_str text)
{
    size_t total = 0;

    for (size_t i = 0; i < text.len;) {
        const char *shown;
        char escape[8];
        size_t shown_len, columns;

        i += show(text.ptr + i, text.len - i, escape, &shown, &shown_len, &columns);
        total += columns;
    }
    return total;
}

int text_append(struct tl_buf *b, struct tl_str text, size_t max_columns, size_t *columns)
{
    size_t taken = 0, before_last = b->len, taken_before_last = 0;
    int rc = 0;

    for (size_t i = 0; !rc && i < text.len;) {
        const char *shown;
        char escape[8];
        size_t shown_len, wide;

        i += show(text.ptr + i, text.len - i, escape, &shown, &shown_len, &wide);
        if (taken + wide > max_columns) {
            /* The mark needs a column: the last one that would leave none for it goes. */
            b->len = before_last;
            taken = taken_before_last;
            if (max_columns > taken) {
                rc = tl_buf_append_z(b, "…");
                taken++;
            }
            break;
        }
        rc = tl_buf_append(b, shown, shown_len);
        taken += wide;
        if (taken + 1 <= max_columns) {
            before_last = b->len;
            taken_before_last = taken;
        }
    }
    if (columns)
        *columns = taken;
    return rc;
}

bool text_colours(int fd)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fd) && !(no_color && *no_color) && term && strcmp(term, "dumb") != 0;
}

size_t text_terminal_width(int fd)
{
    struct winsize size;

    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}
