/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/commands/admin.h"

#include <unistd.h>

#include "cli/tty/admin.h"
#include "cli/tty/text.h"

struct listing {
    struct cli *cli;
    enum admin what;
    struct table *table; /* NULL with --json */
};

static int list_one(void *app, const json_t *object, struct tl_error *err)
{
    struct listing *l = app;

    if (!l->table)
        return output_json(&l->cli->out, object, err);
    return l->what == ADMIN_CLUSTERS ? cluster_row(l->table, object, err) : tenant_row(l->table, object, err);
}

int admin_run_list(struct cli *cli, enum admin what, struct tl_error *err)
{
    struct coordinator *c = coordinator_open(cli->settings, err);
    struct listing l = {.cli = cli, .what = what};
    int rc = c ? 0 : -1;

    if (!rc && !cli->json) {
        l.table = table_new(&cli->out, what == ADMIN_CLUSTERS ? cluster_columns : tenant_columns,
                            what == ADMIN_CLUSTERS ? cluster_columns_count : tenant_columns_count,
                            text_colours(STDOUT_FILENO), err);
        rc = l.table ? 0 : -1;
    }
    if (!rc)
        rc = admin_list(c, what, list_one, &l, err);
    if (!rc && l.table)
        rc = table_finish(l.table, err);
    table_free(l.table);
    coordinator_close(c);
    return rc;
}

int admin_print(struct cli *cli, enum admin what, const json_t *object, struct tl_error *err)
{
    if (cli->json)
        return output_json(&cli->out, object, err);
    return what == ADMIN_CLUSTERS ? cluster_print(&cli->out, object, err)
                                  : tenant_print(&cli->out, object, err);
}

int admin_run_show(struct cli *cli, enum admin what, const char *name, struct tl_error *err)
{
    struct coordinator *c = coordinator_open(cli->settings, err);
    json_t *object = NULL;
    int rc = c ? admin_get(c, what, name, &object, err) : -1;

    if (!rc)
        rc = admin_print(cli, what, object, err);
    json_decref(object);
    coordinator_close(c);
    return rc;
}

/* Bytes a second: "500000", "64K", "10M", "1G" (1024 each). TL_E_USAGE. */
static int read_rate(const char *text, int64_t *bytes, struct tl_error *err)
{
    static const char units[] = "KMG";
    struct tl_str number = tl_str(text);
    const char *unit = number.len ? strchr(units, number.ptr[number.len - 1]) : NULL;
    int shift = unit ? 10 * (int)(unit - units + 1) : 0;

    number.len -= unit != NULL;
    if (!tl_str_to_i64(number, 0, INT64_MAX >> shift, bytes))
        return tl_fail(err, TL_E_USAGE, "'%s' is no number of bytes a second: 500000, 64K, 10M or 1G", text);
    *bytes <<= shift;
    return 0;
}

int admin_set_text(json_t *request, const char *member, const char *value, struct tl_error *err)
{
    return value && json_object_set_new(request, member, json_string(value)) ? tl_fail_nomem(err) : 0;
}

int admin_set_number(json_t *request, const char *member, int64_t value, struct tl_error *err)
{
    return value >= 0 && json_object_set_new(request, member, json_integer(value)) ? tl_fail_nomem(err) : 0;
}

int admin_set_limits(json_t *request, const struct args *args, struct tl_error *err)
{
    const char *rate = args_text(args, "max-bytes");
    int64_t bytes = -1;

    if (rate && read_rate(rate, &bytes, err))
        return -1;
    return admin_set_number(request, "max_uploads", args_number(args, "max-uploads", -1), err) ||
                   admin_set_number(request, "max_bytes_per_second", bytes, err)
               ? -1
               : 0;
}
