/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client/coordinator.h"
#include "cli/client/outcome.h"
#include "cli/tty/table.h"
#include "cli/tty/text.h"

static const struct table_column columns[] = {
    {"TABLE", false}, {"VERSION", true}, {"COLUMNS", true},
    {"KEY", false},   {"STATE", false},  {"CREATED", false},
};

struct listing {
    struct cli *cli;
    struct table *table; /* NULL with --json */
    size_t n;
};

/* The key's columns with commas. */
static int key_cell(struct table *table, const json_t *key, struct tl_error *err)
{
    struct tl_buf text;
    json_t *name;
    size_t i;
    int rc = 0;

    tl_buf_init(&text, 1 << 20);
    json_array_foreach(key, i, name)
    {
        if (!rc && json_is_string(name))
            rc = tl_buf_appendf(&text, "%s%s", i ? "," : "", json_string_value(name));
    }
    if (!rc)
        rc = tl_buf_terminate(&text);
    rc = rc ? tl_buf_fail(rc, &text, "the key", err) : table_cell(table, text.data, err);
    tl_buf_release(&text);
    return rc;
}

static int list_one(void *app, const json_t *t, struct tl_error *err)
{
    struct listing *l = app;

    l->n++;
    if (!l->table)
        return output_json(&l->cli->out, t, err);
    if (table_cell(l->table, upload_text(t, "table"), err) ||
        table_number(l->table, upload_number(t, "version", -1), err) ||
        table_number(l->table, upload_number(t, "columns", -1), err) ||
        key_cell(l->table, json_object_get(t, "key"), err) ||
        table_cell(l->table, upload_text(t, "state"), err) ||
        table_cell(l->table, upload_text(t, "created_at"), err))
        return -1;
    return 0;
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    struct coordinator *c = coordinator_open(cli->settings, err);
    struct listing l = {.cli = cli};
    int rc = c ? 0 : -1;

    (void)args;
    if (!rc && !cli->json) {
        l.table = table_new(&cli->out, columns, TL_ARRAY_LEN(columns), text_colours(STDOUT_FILENO), err);
        rc = l.table ? 0 : -1;
    }
    if (!rc)
        rc = coordinator_tables(c, list_one, &l, err);
    if (!rc && l.n == 0)
        cli_note(cli, "tenant %s has no tables yet; 'tload help define-table' says how to define one",
                 coordinator_tenant(c));
    if (!rc && l.table && l.n)
        rc = table_finish(l.table, err);
    table_free(l.table);
    coordinator_close(c);
    return rc;
}

const struct command command_tables = {
    .name = "tables",
    .summary = "list the tables",
    .usage = "",
    .examples = {"tload tables", "tload --json tables | jq -r .table"},
    .run = run,
};
