/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/base/json.h"

#include <stdio.h>

#include "shared/base/utf8.h"

/* What stands for a byte that JSON does not take as it is; returns its length, 0 when the byte may stand. */
static size_t escape(unsigned char c, char out[8])
{
    char letter;

    switch (c) {
    case '"':
    case '\\':
        letter = (char)c;
        break;
    case '\n':
        letter = 'n';
        break;
    case '\r':
        letter = 'r';
        break;
    case '\t':
        letter = 't';
        break;
    default:
        if (c >= ' ' && c != 0x7F)
            return 0;
        return (size_t)snprintf(out, 8, "\\u%04x", c);
    }
    out[0] = '\\';
    out[1] = letter;
    return 2;
}

int tl_json_append_string(struct tl_buf *b, struct tl_str s, bool *lossy)
{
    size_t plain = 0; /* bytes before i that can be copied as they are start here */
    int rc = tl_buf_append_char(b, '"');

    for (size_t i = 0; !rc && i < s.len;) {
        unsigned char c = (unsigned char)s.ptr[i];
        char text[8];
        size_t len = c < 0x80 ? 1 : tl_utf8_char(s.ptr + i, s.len - i);
        size_t n = c < 0x80 ? escape(c, text) : 0;

        if (len == 0) {
            n = 3;
            memcpy(text, "\xEF\xBF\xBD", 3);
            if (lossy)
                *lossy = true;
            len = 1;
        }
        if (n) {
            rc = tl_buf_append(b, s.ptr + plain, i - plain);
            if (!rc)
                rc = tl_buf_append(b, text, n);
            plain = i + len;
        }
        i += len;
    }
    if (!rc && plain < s.len)
        rc = tl_buf_append(b, s.ptr + plain, s.len - plain);
    return rc ? rc : tl_buf_append_char(b, '"');
}

int tl_json_append_base64(struct tl_buf *b, struct tl_str s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    int rc = tl_buf_append_char(b, '"');

    for (size_t i = 0; !rc && i < s.len; i += 3) {
        size_t n = TL_MIN(s.len - i, (size_t)3);
        unsigned group = 0;
        char out[4];

        for (size_t k = 0; k < 3; k++)
            group = group << 8 | (k < n ? (unsigned char)s.ptr[i + k] : 0);
        for (size_t k = 0; k < 4; k++)
            out[k] = k <= n ? digits[group >> (18 - 6 * k) & 63] : '=';
        rc = tl_buf_append(b, out, sizeof out);
    }
    return rc ? rc : tl_buf_append_char(b, '"');
}
