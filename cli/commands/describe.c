/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client/coordinator.h"
#include "cli/client/outcome.h"
#include "cli/tty/changes.h"
#include "cli/tty/table.h"
#include "cli/tty/text.h"
#include "cli/tty/uploads.h"
#include "shared/schema/evolve.h"

static const struct option options[] = {
    {.name = "version",
     .kind = OPTION_NUMBER,
     .arg = "N",
     .min = 1,
     .max = INT32_MAX,
     .help = "this version instead of the current one"},
    {.name = "history", .kind = OPTION_FLAG, .help = "all versions: when, by whom, and what they changed"},
    {.name = "diff",
     .kind = OPTION_TEXT,
     .arg = "N[..M]",
     .help = "what differs between two versions",
     .more = "Without M, between N and the current one. Columns are compared by what they are, not by name."},
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

/* "2026-01-31T12:00:00.000Z by uid:0" */
static int print_changed(struct output *out, const char *label, const json_t *version, struct tl_error *err)
{
    char text[200];

    if (!*upload_text(version, "changed_at"))
        return 0;
    snprintf(text, sizeof text, "%.64s by %.64s", upload_text(version, "changed_at"),
             upload_text(version, "changed_by"));
    return print_labelled(out, label, text, err);
}

/* A version that is not active yet. */
static int print_pending(struct output *out, const json_t *pending, struct tl_error *err)
{
    char text[80];

    if (!pending)
        return 0;
    snprintf(text, sizeof text, "version %lld%s", (long long)upload_number(pending, "version", 0),
             json_is_true(json_object_get(pending, "dropped")) ? ": the table is dropped" : "");
    if (print_labelled(out, "pending", text, err) || print_changed(out, "", pending, err))
        return -1;
    return changes_print(out, "", json_object_get(pending, "changes"), err);
}

static int print_table(struct output *out, const json_t *table, struct tl_error *err)
{
    char version[24];

    snprintf(version, sizeof version, "%lld", (long long)upload_number(table, "version", 0));
    if (print_labelled(out, "table", upload_text(table, "table"), err) ||
        print_labelled(out, "version", version, err) ||
        print_labelled(out, "state", upload_text(table, "state"), err) ||
        print_labelled(out, "created", upload_text(table, "created_at"), err) ||
        print_changed(out, "changed", table, err) ||
        print_pending(out, json_object_get(table, "pending"), err) || output_write(out, "\n", 1, err))
        return -1;
    return print_columns(out, table, err);
}

/* ------------------------------------------------------------------ history */

static const struct table_column history_columns[] = {
    {"VERSION", true}, {"STATE", false}, {"CHANGED", false}, {"BY", false}, {"CHANGES", false},
};

struct history {
    struct cli *cli;
    struct table *table; /* NULL with --json */
};

static int changes_cell(struct table *table, const json_t *version, struct tl_error *err)
{
    struct tl_buf text;
    int rc;

    tl_buf_init(&text, 1 << 20);
    if (json_is_true(json_object_get(version, "dropped")))
        rc = tl_buf_append_z(&text, "dropped");
    else if (upload_number(version, "version", 0) == 1)
        rc = tl_buf_appendf(&text, "defined with %zu columns",
                            json_array_size(json_object_get(version, "columns")));
    else
        rc = changes_append(&text, json_object_get(version, "changes"));
    if (!rc)
        rc = tl_buf_terminate(&text);
    rc = rc ? tl_buf_fail(rc, &text, "the changes", err) : table_cell(table, text.data, err);
    tl_buf_release(&text);
    return rc;
}

static int history_one(void *app, const json_t *version, struct tl_error *err)
{
    struct history *h = app;

    if (!h->table)
        return output_json(&h->cli->out, version, err);
    if (table_number(h->table, upload_number(version, "version", -1), err) ||
        table_cell(h->table, upload_text(version, "state"), err) ||
        table_cell(h->table, upload_text(version, "changed_at"), err) ||
        table_cell(h->table, upload_text(version, "changed_by"), err))
        return -1;
    return changes_cell(h->table, version, err);
}

static int print_history(struct cli *cli, struct coordinator *c, const char *name, struct tl_error *err)
{
    struct history h = {.cli = cli};
    int rc = 0;

    if (!cli->json) {
        h.table = table_new(&cli->out, history_columns, TL_ARRAY_LEN(history_columns),
                            text_colours(STDOUT_FILENO), err);
        rc = h.table ? 0 : -1;
    }
    if (!rc)
        rc = coordinator_versions(c, name, history_one, &h, err);
    if (!rc && h.table)
        rc = table_finish(h.table, err);
    table_free(h.table);
    return rc;
}

/* ------------------------------------------------------------------ differences */

/* N or N..M; m 0: not said. */
static int parse_range(const char *text, int64_t *n, int64_t *m, struct tl_error *err)
{
    const char *dots = strstr(text, "..");
    struct tl_str first = dots ? tl_str_n(text, (size_t)(dots - text)) : tl_str(text);

    *m = 0;
    if (tl_str_to_i64(first, 1, INT32_MAX, n) && (!dots || tl_str_to_i64(tl_str(dots + 2), 1, INT32_MAX, m)))
        return 0;
    return tl_fail(err, TL_E_USAGE, "--diff %s: is not N or N..M, such as 2..3", text);
}

static int get_schema(struct coordinator *c, const char *name, int64_t version, struct tl_schema **schema,
                      struct tl_error *err)
{
    json_t *json;
    int rc = coordinator_table_get(c, name, version, &json, err);

    if (rc)
        return -1;
    rc = tl_schema_from_json(json, schema, err);
    json_decref(json);
    return rc;
}

static int print_difference(struct cli *cli, const struct tl_schema *from, const struct tl_schema *to,
                            struct tl_error *err)
{
    json_t *changes = tl_schema_diff(from, to), *json = NULL;
    int rc = changes ? 0 : tl_fail_nomem(err);

    if (!rc && cli->json) {
        json = json_pack("{s:s, s:i, s:i, s:O}", "table", to->table, "from", (int)from->version, "to",
                         (int)to->version, "changes", changes);
        rc = json ? output_json(&cli->out, json, err) : tl_fail_nomem(err);
    } else if (!rc) {
        rc = changes_print(&cli->out, "changes", changes, err);
    }
    if (!rc && json_array_size(changes) == 0)
        cli_note(cli, "version %d and version %d are alike", (int)from->version, (int)to->version);
    json_decref(json);
    json_decref(changes);
    return rc;
}

static int print_diff(struct cli *cli, struct coordinator *c, const char *name, const char *range,
                      struct tl_error *err)
{
    struct tl_schema *from = NULL, *to = NULL;
    int64_t n, m;
    int rc = parse_range(range, &n, &m, err);

    if (!rc)
        rc = get_schema(c, name, n, &from, err);
    if (!rc)
        rc = get_schema(c, name, m, &to, err);
    if (!rc)
        rc = print_difference(cli, from, to, err);
    tl_schema_free(from);
    tl_schema_free(to);
    return rc;
}

static int describe(struct cli *cli, struct coordinator *c, const struct args *args, struct tl_error *err)
{
    json_t *table = NULL;
    int rc = coordinator_table_get(c, args->operand[0], args_number(args, "version", 0), &table, err);

    if (!rc)
        rc = cli->json ? output_json(&cli->out, table, err) : print_table(&cli->out, table, err);
    json_decref(table);
    return rc;
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    const char *range = args_text(args, "diff");
    bool history = args_flag(args, "history");
    struct coordinator *c;
    int rc = -1;

    if (history + (range != NULL) + (args_number(args, "version", 0) > 0) > 1)
        return tl_fail(err, TL_E_USAGE, "describe takes one of --version, --history and --diff");
    c = coordinator_open(cli->settings, err);
    if (c && history)
        rc = print_history(cli, c, args->operand[0], err);
    else if (c && range)
        rc = print_diff(cli, c, args->operand[0], range, err);
    else if (c)
        rc = describe(cli, c, args, err);
    coordinator_close(c);
    return rc;
}

const struct command command_describe = {
    .name = "describe",
    .summary = "show a table's columns and key, or its history",
    .usage = "NAME [--version N | --history | --diff N[..M]]",
    .about = "With --json the table's object is printed, in the form that define-table --schema reads. A "
             "version that is not active yet is shown as pending.",
    .first = {"NAME", 1, 1, COMPLETE_NOTHING},
    .options = options,
    .examples = {"tload describe orders", "tload describe orders --json > orders.json",
                 "tload describe orders --history", "tload describe orders --diff 2..3"},
    .run = run,
};
