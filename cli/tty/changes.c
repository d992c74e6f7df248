/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/tty/changes.h"

#include <string.h>

#include "cli/client/outcome.h"
#include "cli/tty/uploads.h"

enum { TEXT_MAX = 1 << 20 };

static const char *default_of(const json_t *object)
{
    return json_string_value(json_object_get(object, "default"));
}

static int append_added(struct tl_buf *b, const json_t *column)
{
    int rc = tl_buf_appendf(b, "add %s %s%s", upload_text(column, "name"), upload_text(column, "type"),
                            json_is_false(json_object_get(column, "nullable")) ? " not null" : "");

    if (!rc && default_of(column))
        rc = tl_buf_appendf(b, " default '%s'", default_of(column));
    return rc;
}

static int append_default(struct tl_buf *b, const json_t *change)
{
    if (!default_of(change))
        return tl_buf_appendf(b, "no default of %s", upload_text(change, "column"));
    return tl_buf_appendf(b, "default of %s: '%s'", upload_text(change, "column"), default_of(change));
}

static int append_order(struct tl_buf *b, const json_t *change)
{
    int rc = tl_buf_append_z(b, "order");
    json_t *name;
    size_t i;

    json_array_foreach(json_object_get(change, "columns"), i, name)
    {
        if (!rc && json_is_string(name))
            rc = tl_buf_appendf(b, "%s%s", i ? "," : " ", json_string_value(name));
    }
    return rc;
}

int change_append(struct tl_buf *b, const json_t *change)
{
    const char *op = upload_text(change, "op"), *column = upload_text(change, "column");

    if (strcmp(op, "add") == 0)
        return append_added(b, json_object_get(change, "column"));
    if (strcmp(op, "rename") == 0)
        return tl_buf_appendf(b, "rename %s to %s", column, upload_text(change, "to"));
    if (strcmp(op, "type") == 0)
        return tl_buf_appendf(b, "type of %s: %s, was %s", column, upload_text(change, "type"),
                              upload_text(change, "from"));
    if (strcmp(op, "default") == 0)
        return append_default(b, change);
    if (strcmp(op, "order") == 0)
        return append_order(b, change);
    if (strcmp(op, "not_null") == 0)
        return tl_buf_appendf(b, "%s not null", column);
    return tl_buf_appendf(b, "%s %s", op, column);
}

int changes_append(struct tl_buf *b, const json_t *changes)
{
    json_t *change;
    size_t i;
    int rc = TL_BUF_OK;

    json_array_foreach(changes, i, change)
    {
        if (!rc && i)
            rc = tl_buf_append_z(b, "; ");
        if (!rc)
            rc = change_append(b, change);
    }
    return rc;
}

bool change_effect_append(struct tl_buf *b, const json_t *change, int *rc)
{
    const char *op = upload_text(change, "op"), *column = upload_text(change, "column");
    const json_t *added = json_object_get(change, "column");
    const char *fallback = default_of(strcmp(op, "add") == 0 ? added : change);

    if (strcmp(op, "drop") == 0)
        *rc = tl_buf_appendf(b, "its values of %s fall away", column);
    else if (strcmp(op, "rename") == 0)
        *rc = tl_buf_appendf(b, "its %s goes into %s", column, upload_text(change, "to"));
    else if (strcmp(op, "type") == 0)
        *rc = tl_buf_appendf(b, "its values of %s become %s", column, upload_text(change, "type"));
    else if (strcmp(op, "add") == 0)
        *rc = tl_buf_appendf(b, "%s of its new rows is %s%s%s, existing rows keep theirs",
                             upload_text(added, "name"), fallback ? "'" : "", fallback ? fallback : "null",
                             fallback ? "'" : "");
    else if (strcmp(op, "default") == 0)
        *rc = tl_buf_appendf(b, "where it has no %s, new rows get %s%s%s", column, fallback ? "'" : "",
                             fallback ? fallback : "null", fallback ? "'" : "");
    else
        return false;
    return true;
}

int changes_print(struct output *out, const char *label, const json_t *changes, struct tl_error *err)
{
    struct tl_buf text;
    json_t *change;
    size_t i;
    int rc = 0;

    tl_buf_init(&text, TEXT_MAX);
    json_array_foreach(changes, i, change)
    {
        if (rc)
            break;
        tl_buf_reset(&text);
        rc = change_append(&text, change);
        if (!rc)
            rc = tl_buf_terminate(&text);
        rc = rc ? tl_buf_fail(rc, &text, "a change", err)
                : print_labelled(out, i ? "" : label, text.data, err);
    }
    tl_buf_release(&text);
    return rc;
}
