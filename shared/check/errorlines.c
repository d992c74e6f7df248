/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/check/errorlines.h"

#include "shared/base/json.h"
#include "shared/base/utf8.h"

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* A file's name, decoded into out (as long as text at most). */
static struct tl_str percent_decode(struct tl_str text, char *out)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == '%' && i + 2 < text.len && hex(text.ptr[i + 1]) >= 0 &&
            hex(text.ptr[i + 2]) >= 0) {
            out[n++] = (char)(hex(text.ptr[i + 1]) << 4 | hex(text.ptr[i + 2]));
            i += 2;
        } else {
            out[n++] = text.ptr[i];
        }
    }
    return tl_str_n(out, n);
}

static int append_member(struct tl_buf *b, const char *name, struct tl_str value)
{
    int rc = tl_buf_append_z(b, name);

    if (rc)
        return rc;
    return value.ptr ? tl_json_append_string(b, value, NULL) : tl_buf_append_z(b, "null");
}

int errorlines_append(struct tl_buf *b, struct tl_str upload, struct tl_str file,
                      const struct rejected_row *row)
{
    char name[1024];
    struct tl_str shown = row->value;
    bool lossy = false;
    int rc;

    file.len = TL_MIN(file.len, sizeof name);
    shown.len = tl_utf8_cut(shown.ptr, shown.len, ERRORLINES_VALUE_MAX);
    if ((rc = append_member(b, "{\"upload\":", upload)) ||
        (rc = append_member(b, ",\"file\":", percent_decode(file, name))) ||
        (rc = tl_buf_append_z(b, ",\"line\":")) || (rc = tl_buf_append_i64(b, row->line)) ||
        (rc = append_member(b, ",\"column\":", tl_str(row->column))) ||
        (rc = append_member(b, ",\"code\":", tl_str(tl_reject_name(row->code)))) ||
        (rc = append_member(b, ",\"reason\":", tl_str(row->reason))) ||
        (rc = append_member(b, ",\"value\":", shown)) || (rc = tl_buf_append_z(b, ",\"raw\":")) ||
        (rc = tl_json_append_string(b, row->raw, &lossy)))
        return rc;
    /*
     * What JSON can't hold is kept byte for byte beside it, so that the record can be given back as it was.
     */
    if (lossy && ((rc = tl_buf_append_z(b, ",\"raw_base64\":")) || (rc = tl_json_append_base64(b, row->raw))))
        return rc;
    return tl_buf_append_z(b, "}\n");
}
