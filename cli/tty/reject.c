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
    const char *value = json_string_value(json_object_get(row, "value"));
    int rc = append(b, upload_text(row, "file"));

    if (!rc)
        rc = tl_buf_appendf(b, ":%lld: ", (long long)upload_number(row, "line", 0));
    if (!rc && column)
        rc = tl_buf_append_z(b, "column \"");
    if (!rc && column)
        rc = append(b, column);
    if (!rc && column)
        rc = tl_buf_append_z(b, "\": ");
    if (!rc && value)
        rc = tl_buf_append_char(b, '"');
    if (!rc && value)
        rc = append(b, value);
    if (!rc && value)
        rc = tl_buf_append_z(b, "\" ");
    if (!rc)
        rc = append(b, upload_text(row, "reason"));
    return rc ? rc : tl_buf_append_char(b, '\n');
}
