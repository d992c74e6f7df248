/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * All options of one call are one new version, or none: they become the changes of one request.
 *
 *   --add, --drop, --rename … ──► changes (shared/schema/evolve.h) ──► coordinator ──► the table as it is then
 */
#include "cli/cli.h"
#include "cli/client/coordinator.h"
#include "cli/client/outcome.h"
#include "cli/tty/changes.h"
#include "cli/tty/uploads.h"
#include "shared/schema/schema.h"

static const struct option options[] = {
    {.name = "add",
     .kind = OPTION_LIST,
     .arg = "COLUMN",
     .help = "a new column, as define-table takes it",
     .more = "One that is not null needs a default. Rows that are there get the default."},
    {.name = "drop", .kind = OPTION_LIST, .arg = "COL", .help = "take a column away, with its values"},
    {.name = "rename",
     .kind = OPTION_LIST,
     .arg = "OLD=NEW",
     .help = "give a column another name",
     .more = "Two can swap their names in one call."},
    {.name = "type",
     .kind = OPTION_LIST,
     .arg = "COL=TYPE",
     .help = "a wider type",
     .more = "int to bigint, double or decimal; bigint to decimal; decimal to one with more digits; varchar "
             "to a longer one or text; date to timestamp. Nothing else, and no column of the key."},
    {.name = "default",
     .kind = OPTION_LIST,
     .arg = "COL=VALUE",
     .help = "the value of rows that come without one",
     .more = "Behind = it is as it stands; an empty VALUE is the empty string. Rows that are there keep "
             "theirs."},
    {.name = "no-default", .kind = OPTION_LIST, .arg = "COL", .help = "take a column's default away"},
    {.name = "nullable", .kind = OPTION_LIST, .arg = "COL", .help = "let a column be null"},
    {.name = "order",
     .kind = OPTION_TEXT,
     .arg = "COL,...",
     .help = "put these columns first, in this order",
     .more = "By the names that they have then; the others follow as they are."},
    {.name = "if-version",
     .kind = OPTION_NUMBER,
     .arg = "N",
     .min = 1,
     .max = INT32_MAX,
     .help = "only when the table is at this version"},
    {.name = "dry-run",
     .kind = OPTION_FLAG,
     .help = "say what would happen to the table and to the uploads under way, and do nothing"},
    {.name = NULL},
};

/* ------------------------------------------------------------------ the request */

/* COL=TEXT. */
static int cut(const char *name, const char *argument, struct tl_str *column, struct tl_str *text,
               struct tl_error *err)
{
    struct tl_str rest = tl_str(argument);

    *column = tl_str_trim(tl_str_cut(&rest, '='));
    *text = rest;
    if (column->len && rest.ptr)
        return 0;
    return tl_fail(err, TL_E_USAGE, "--%s %s: is not COL=%s", name, argument,
                   strcmp(name, "rename") == 0 ? "NEW"
                   : strcmp(name, "type") == 0 ? "TYPE"
                                               : "VALUE");
}

static json_t *make_add(const char *argument, struct tl_error *err)
{
    json_t *column = tl_column_def_parse(tl_str(argument), err);

    if (!column) {
        tl_error_prefix(err, "--add");
        return NULL;
    }
    return json_pack("{s:s, s:o}", "op", "add", "column", column);
}

/* {"op", "column"} and the rest of the argument as `member`. */
static json_t *make_pair(const char *op, const char *argument, const char *member, struct tl_error *err)
{
    struct tl_str column, text;

    if (cut(op, argument, &column, &text, err))
        return NULL;
    if (strcmp(op, "default") != 0)
        text = tl_str_trim(text);
    return json_pack("{s:s, s:s%, s:s%}", "op", op, "column", column.ptr, column.len, member, text.ptr,
                     text.len);
}

/* A new reference; NULL with *err, whose code is NONE when jansson does not take the text. */
static json_t *make_change(const char *option, const char *argument, struct tl_error *err)
{
    if (strcmp(option, "add") == 0)
        return make_add(argument, err);
    if (strcmp(option, "rename") == 0)
        return make_pair(option, argument, "to", err);
    if (strcmp(option, "type") == 0 || strcmp(option, "default") == 0)
        return make_pair(option, argument, option, err);
    if (strcmp(option, "no-default") == 0)
        return json_pack("{s:s, s:s, s:n}", "op", "default", "column", argument, "default");
    return json_pack("{s:s, s:s}", "op", option, "column", argument);
}

static int add_changes(json_t *changes, const struct args *args, const char *option, struct tl_error *err)
{
    const char *argument;

    for (size_t i = 0; (argument = args_list(args, option, i)) != NULL; i++) {
        json_t *change;

        err->code = TL_E_NONE;
        change = make_change(option, argument, err);
        if (!change || json_array_append_new(changes, change))
            return err->code == TL_E_NONE
                       ? tl_fail(err, TL_E_USAGE, "--%s %s: is not UTF-8", option, argument)
                       : -1;
    }
    return 0;
}

static int add_order(json_t *changes, const char *order, struct tl_error *err)
{
    struct tl_str rest = tl_str(order);
    json_t *names = json_array(), *change;

    while (names && rest.ptr) {
        struct tl_str name = tl_str_trim(tl_str_cut(&rest, ','));

        if (json_array_append_new(names, json_stringn(name.ptr, name.len))) {
            json_decref(names);
            return tl_fail(err, TL_E_USAGE, "--order %s: is not COL,...", order);
        }
    }
    change = json_pack("{s:s, s:o}", "op", "order", "columns", names);
    return change && json_array_append_new(changes, change) == 0 ? 0 : tl_fail_nomem(err);
}

static json_t *make_request(const struct args *args, struct tl_error *err)
{
    static const char *const lists[] = {"add", "drop", "rename", "type", "default", "no-default", "nullable"};
    json_t *changes = json_array(), *request;
    int64_t version = args_number(args, "if-version", 0);
    int rc = changes ? 0 : tl_fail_nomem(err);

    for (size_t i = 0; !rc && i < TL_ARRAY_LEN(lists); i++)
        rc = add_changes(changes, args, lists[i], err);
    if (!rc && args_text(args, "order"))
        rc = add_order(changes, args_text(args, "order"), err);
    if (!rc && json_array_size(changes) == 0)
        rc = tl_fail(err, TL_E_USAGE, "alter needs something to change, such as --add 'note text'");
    if (rc) {
        json_decref(changes);
        return NULL;
    }
    request = json_pack("{s:o, s:b}", "changes", changes, "dry_run", args_flag(args, "dry-run"));
    if (!request || (version && json_object_set_new(request, "if_version", json_integer(version)))) {
        json_decref(request);
        tl_fail_nomem(err);
        return NULL;
    }
    return request;
}

/* ------------------------------------------------------------------ the answer */

static int print_upload(struct output *out, const json_t *upload, struct tl_error *err)
{
    struct tl_buf text;
    json_t *change;
    size_t i, told = 0;
    int rc;

    tl_buf_init(&text, 1 << 20);
    rc = tl_buf_appendf(&text, "%s, %s, by version %lld", upload_text(upload, "upload"),
                        upload_text(upload, "state"), (long long)upload_number(upload, "version", 0));
    json_array_foreach(json_object_get(upload, "changes"), i, change)
    {
        size_t before = text.len;

        if (!rc)
            rc = tl_buf_append_z(&text, told ? "; " : ": ");
        if (!rc && !change_effect_append(&text, change, &rc))
            text.len = before;
        else
            told++;
    }
    if (!rc && !told)
        rc = tl_buf_append_z(&text, ": goes on as it is");
    if (!rc)
        rc = tl_buf_terminate(&text);
    rc = rc ? tl_buf_fail(rc, &text, "an upload", err) : print_labelled(out, "upload", text.data, err);
    tl_buf_release(&text);
    return rc;
}

static int print_dry_run(struct cli *cli, const json_t *answer, struct tl_error *err)
{
    const json_t *uploads = json_object_get(answer, "uploads");
    int64_t more = upload_number(answer, "uploads_under_way", 0) - (int64_t)json_array_size(uploads);
    char version[24];
    json_t *upload;
    size_t i;

    snprintf(version, sizeof version, "%lld", (long long)upload_number(answer, "version", 0));
    if (print_labelled(&cli->out, "table", upload_text(answer, "table"), err) ||
        print_labelled(&cli->out, "version", version, err) ||
        changes_print(&cli->out, "changes", json_object_get(answer, "changes"), err))
        return -1;
    json_array_foreach(uploads, i, upload)
    {
        if (print_upload(&cli->out, upload, err))
            return -1;
    }
    if (more > 0)
        cli_note(cli, "%lld more uploads are under way", (long long)more);
    cli_note(cli, "dry run: nothing was changed");
    return 0;
}

static void note_done(struct cli *cli, const json_t *answer)
{
    struct tl_buf text;

    tl_buf_init(&text, 1 << 20);
    if (changes_append(&text, json_object_get(answer, "changes")) == 0 && tl_buf_terminate(&text) == 0)
        cli_note(cli, "table %s is at version %lld: %s", upload_text(answer, "table"),
                 (long long)upload_number(answer, "version", 0), text.data);
    tl_buf_release(&text);
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    json_t *request = make_request(args, err), *answer = NULL;
    struct coordinator *c = request ? coordinator_open(cli->settings, err) : NULL;
    int rc = c ? coordinator_table_alter(c, args->operand[0], request, &answer, err) : -1;

    if (!rc && cli->json)
        rc = output_json(&cli->out, answer, err);
    else if (!rc && args_flag(args, "dry-run"))
        rc = print_dry_run(cli, answer, err);
    if (!rc && !args_flag(args, "dry-run"))
        note_done(cli, answer);
    json_decref(answer);
    json_decref(request);
    coordinator_close(c);
    return rc;
}

const struct command command_alter = {
    .name = "alter",
    .summary = "change a table's columns",
    .usage = "NAME [--add COLUMN] [--drop COL] [--rename OLD=NEW] [--type COL=TYPE]\n"
             "     [--default COL=VALUE] [--no-default COL] [--nullable COL] [--order COL,...]\n"
             "     [--if-version N] [--dry-run]",
    .about =
        "All options of one call make one new version, or, when one of them is refused, none. COL and OLD "
        "are names as they are before it. What could lose data is refused, but for --drop, which says so.\n"
        "Uploads under way keep the version that they began with, and their rows land in the table as it is "
        "then: values of dropped columns fall away, renamed and wider ones follow, a column that they do "
        "not have gets its default in new rows and keeps its value in existing ones.",
    .first = {"NAME", 1, 1, COMPLETE_NOTHING},
    .options = options,
    .examples = {"tload alter orders --add 'note text' --rename qty=quantity",
                 "tload alter orders --type id_of_customer=bigint --if-version 3",
                 "tload alter orders --drop note --dry-run"},
    .run = run,
};
