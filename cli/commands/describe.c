/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client/coordinator.h"
#include "cli/client/outcome.h"
#include "cli/tty/table.h"
#include "cli/tty/text.h"
#include "cli/tty/uploads.h"

static const struct option options[] = {
    {.name = "version",
     .kind = OPTION_NUMBER,
     .arg = "N",
     .min = 1,
     .max = INT32_MAX,
     .help = "this version instead of the current one"},
    {.name = NULL},
};

static const struct table_column columns[] = {
    {"COLUMN", false}, {"TYPE", false}, {"NULL", false}, {"KEY", false}, {"DEFAULT", false},
};

/* The column's place in the key, from 1; "" when it is not in it. */
static const char *key_place(const json_t *key, const char *column, char out[24])
{
    json_t *name;
    size_t i;

    out[0] = '\0';
    json_array_foreach(key, i, name)
    {
        if (json_is_string(name) && strcmp(json_string_value(name), column) == 0)
            snprintf(out, 24, "%zu", i + 1);
    }
    return out;
}

static int print_columns(struct output *out, const json_t *table, struct tl_error *err)
{
    struct table *t = table_new(out, columns, TL_ARRAY_LEN(columns), text_colours(STDOUT_FILENO), err);
    json_t *column;
    char place[24];
    size_t i;
    int rc = t ? 0 : -1;

    json_array_foreach(json_object_get(table, "columns"), i, column)
    {
        const char *name = upload_text(column, "name");

        if (!rc &&
            (table_cell(t, name, err) || table_cell(t, upload_text(column, "type"), err) ||
             table_cell(t, json_is_false(json_object_get(column, "nullable")) ? "not null" : "", err) ||
             table_cell(t, key_place(json_object_get(table, "key"), name, place), err) ||
             table_cell(t, upload_text(column, "default"), err)))
            rc = -1;
    }
    if (!rc)
        rc = table_finish(t, err);
    table_free(t);
    return rc;
}

static int print_table(struct output *out, const json_t *table, struct tl_error *err)
{
    char version[24];

    snprintf(version, sizeof version, "%lld", (long long)upload_number(table, "version", 0));
    if (print_labelled(out, "table", upload_text(table, "table"), err) ||
        print_labelled(out, "version", version, err) ||
        print_labelled(out, "state", upload_text(table, "state"), err) ||
        print_labelled(out, "created", upload_text(table, "created_at"), err) ||
        output_write(out, "\n", 1, err))
        return -1;
    return print_columns(out, table, err);
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    struct coordinator *c = coordinator_open(cli->settings, err);
    json_t *table = NULL;
    int rc = c ? 0 : -1;

    if (!rc)
        rc = coordinator_table_get(c, args->operand[0], args_number(args, "version", 0), &table, err);
    if (!rc)
        rc = cli->json ? output_json(&cli->out, table, err) : print_table(&cli->out, table, err);
    json_decref(table);
    coordinator_close(c);
    return rc;
}

const struct command command_describe = {
    .name = "describe",
    .summary = "show a table's columns and key",
    .usage = "NAME [--version N]",
    .about = "With --json the table's object is printed, in the form that define-table --schema reads.",
    .first = {"NAME", 1, 1, COMPLETE_NOTHING},
    .options = options,
    .examples = {"tload describe orders", "tload describe orders --json > orders.json"},
    .run = run,
};
