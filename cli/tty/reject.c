/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/tty/reject.h"

#include "cli/client/outcome.h"
#include "cli/tty/text.h"

static int append(struct tl_buf *b, const char *text)
{
    return text_append(b, tl_str(text), SIZE_MAX, NULL);
}

int reject_append(struct tl_buf *b, const json_t *row)
{
    const char *column = json_string_value(json_object_get(row, "column"));
    const json_t *value = json_object_get(row, "value");
    bool shown = json_is_string(value);
    int rc = append(b, upload_text(row, "file"));

    if (!rc)
        rc = tl_buf_appendf(b, ":%lld: ", (long long)upload_number(row, "line", 0));
    if (!rc && column)
        rc = tl_buf_append_z(b, "column \"");
    if (!rc && column)
        rc = append(b, column);
    if (!rc && column)
        rc = tl_buf_append_z(b, "\": ");
    if (!rc && shown)
        rc = tl_buf_append_char(b, '"');
    if (!rc && shown) /* with its length: it may have a NUL */
        rc = text_append(b, tl_str_n(json_string_value(value), json_string_length(value)), SIZE_MAX, NULL);
    if (!rc && shown)
        rc = tl_buf_append_z(b, "\" ");
    if (!rc)
        rc = append(b, upload_text(row, "reason"));
    return rc ? rc : tl_buf_append_char(b, '\n');
}
