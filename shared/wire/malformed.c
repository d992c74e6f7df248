/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/wire/malformed.h"

int tl_malformed_append(struct tl_buf *b, const struct tl_malformed *m)
{
    size_t before = b->len;
    int rc = before ? tl_buf_append_char(b, ',') : TL_BUF_OK;

    if (!rc)
        rc = tl_buf_append_i64(b, (int64_t)m->offset);
    if (!rc)
        rc = tl_buf_append_char(b, '+');
    if (!rc)
        rc = tl_buf_append_i64(b, (int64_t)m->len);
    if (!rc)
        rc = tl_buf_append_char(b, ':');
    if (!rc)
        rc = tl_buf_append_z(b, tl_reject_name(m->why));
    if (rc)
        b->len = before;
    return rc;
}

int tl_malformed_next(struct tl_str *text, struct tl_malformed *m)
{
    struct tl_str item, offset, length;
    int64_t at, len;

    if (text->len == 0)
        return 0;
    item = tl_str_cut(text, ',');
    offset = tl_str_cut(&item, '+');
    if (!item.ptr)
        return -1;
    length = tl_str_cut(&item, ':');
    if (!item.ptr || !tl_str_to_i64(offset, 0, INT32_MAX, &at) || !tl_str_to_i64(length, 0, INT32_MAX, &len))
        return -1;
    m->why = tl_reject_by_name(item);
    if (m->why == TL_REJECT_NONE || (text->ptr && text->len == 0))
        return -1;
    m->offset = (size_t)at;
    m->len = (size_t)len;
    return 1;
}
