/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/tty/uploads.h"

#include <stdlib.h>
#include <unistd.h>

#include "cli/client/outcome.h"
#include "cli/tty/progress.h"
#include "cli/tty/table.h"
#include "cli/tty/text.h"

static const struct table_column columns[] = {
    {"UPLOAD", false}, {"TABLE", false},   {"STATE", false},   {"READ", true},
    {"APPLIED", true}, {"REJECTED", true}, {"STARTED", false}, {"REMARK", false},
};

struct uploads_list {
    struct table *table;
    size_t n;
};

struct uploads_list *uploads_list_new(struct output *out, struct tl_error *err)
{
    struct uploads_list *list = calloc(1, sizeof *list);

    if (!list) {
        tl_fail_nomem(err);
        return NULL;
    }
    list->table = table_new(out, columns, TL_ARRAY_LEN(columns), text_colours(STDOUT_FILENO), err);
    if (!list->table) {
        free(list);
        return NULL;
    }
    return list;
}

void uploads_list_free(struct uploads_list *list)
{
    if (!list)
        return;
    table_free(list->table);
    free(list);
}

size_t uploads_list_count(const struct uploads_list *list)
{
    return list->n;
}

int uploads_list_finish(struct uploads_list *list, struct tl_error *err)
{
    return table_finish(list->table, err);
}

int uploads_list_add(void *app, const json_t *u, struct tl_error *err)
{
    struct uploads_list *list = app;
    struct table *t = list->table;
    const char *waiting = upload_text(u, "waiting");

    list->n++;
    if (table_cell(t, upload_text(u, "upload"), err) || table_cell(t, upload_text(u, "table"), err) ||
        table_cell(t, upload_text(u, "state"), err) ||
        table_number(t, upload_number(u, "rows_read", -1), err) ||
        table_number(t, upload_number(u, "rows_applied", -1), err) ||
        table_number(t, upload_number(u, "rows_rejected", -1), err) ||
        table_cell(t, upload_text(u, "started_at"), err) ||
        table_cell(t, *waiting ? waiting : upload_text(u, "reason"), err))
        return -1;
    return 0;
}

int print_labelled(struct output *out, const char *label, const char *text, struct tl_error *err)
{
    struct tl_buf shown;
    int rc;

    if (!*text)
        return 0;
    tl_buf_init(&shown, 64 << 10);
    rc = text_append(&shown, tl_str(text), 4096, NULL);
    if (rc)
        rc = tl_buf_fail(rc, &shown, label, err);
    else
        rc = output_print(out, err, "%-12s %.*s\n", label, TL_STR_ARG(tl_buf_str(&shown)));
    tl_buf_release(&shown);
    return rc;
}

static int print_count(struct output *out, const char *label, const json_t *u, const char *member,
                       struct tl_error *err)
{
    int64_t n = upload_number(u, member, -1);
    char text[GROUPED_TEXT];

    return n < 0 ? 0 : print_labelled(out, label, progress_grouped(n, text), err);
}

static int print_bytes(struct output *out, const json_t *u, struct tl_error *err)
{
    int64_t sent = upload_number(u, "bytes_sent", -1), total = upload_number(u, "bytes_total", -1);
    char a[GROUPED_TEXT], b[GROUPED_TEXT], text[2 * GROUPED_TEXT + 8];

    if (sent < 0)
        return 0;
    if (total < 0)
        return print_labelled(out, "bytes sent", progress_grouped(sent, a), err);
    snprintf(text, sizeof text, "%s of %s", progress_grouped(sent, a), progress_grouped(total, b));
    return print_labelled(out, "bytes sent", text, err);
}

static int print_rate(struct output *out, const json_t *u, struct tl_error *err)
{
    int64_t rate = upload_number(u, "bytes_per_second", 0);
    char text[RATE_TEXT];

    return rate ? print_labelled(out, "limited to", progress_rate(rate, text), err) : 0;
}

int upload_print(struct output *out, const json_t *u, struct tl_error *err)
{
    json_t *file;
    size_t i;

    if (print_labelled(out, "upload", upload_text(u, "upload"), err) ||
        print_labelled(out, "table", upload_text(u, "table"), err) ||
        print_labelled(out, "state", upload_text(u, "state"), err) ||
        print_labelled(out, "waiting", upload_text(u, "waiting"), err) ||
        print_labelled(out, "reason", upload_text(u, "reason"), err) ||
        print_count(out, "rows read", u, "rows_read", err) ||
        print_count(out, "applied", u, "rows_applied", err) ||
        print_count(out, "rejected", u, "rows_rejected", err) || print_bytes(out, u, err) ||
        print_rate(out, u, err) || print_labelled(out, "started", upload_text(u, "started_at"), err) ||
        print_labelled(out, "by", upload_text(u, "started_by"), err) ||
        print_labelled(out, "finished", upload_text(u, "finished_at"), err))
        return -1;
    json_array_foreach(json_object_get(u, "files"), i, file)
    {
        if (json_is_string(file) && print_labelled(out, i ? "" : "files", json_string_value(file), err))
            return -1;
    }
    return 0;
}
