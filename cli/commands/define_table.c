/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A definition comes from the command line, from a JSON file, is guessed from a CSV file, or taken from a table
 * that the data sink has. Whichever it is, it is read by the coordinator's own rules here already
 * (tl_schema_from_json), so that most mistakes are told without it.
 *
 *   COLUMN… | --schema | --infer | --from-sink ──► definition (JSON) ──tl_schema_from_json──► request ──► coordinator
 */
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/client/coordinator.h"
#include "cli/client/outcome.h"
#include "cli/define/definition.h"
#include "cli/dialect.h"

static const struct option options[] = {
    {.name = "key",
     .letter = 'k',
     .kind = OPTION_TEXT,
     .arg = "COL,...",
     .help = "columns that tell one row from another",
     .more =
         "A row whose key exists replaces the old one. In a table without a key rows are only ever added."},
    {.name = "schema",
     .kind = OPTION_TEXT,
     .arg = "FILE.json",
     .complete = COMPLETE_FILE,
     .help = "take columns and key from a file, as describe --json writes it"},
    {.name = "infer",
     .kind = OPTION_TEXT,
     .arg = "FILE.csv",
     .complete = COMPLETE_FILE,
     .help = "guess columns and key from the start of a CSV file, and print the command",
     .more = "Looks at the first 10,000 records, or 8 MiB; - is standard input. "
             "Nothing is defined without --yes."},
    {.name = "from-sink",
     .kind = OPTION_FLAG,
     .help = "take columns and key from the table of this name in the data sink, and print the command",
     .more =
         "For a table that something else has made there. Nothing is defined without --yes; then it is adopted."},
    {.name = "adopt",
     .kind = OPTION_FLAG,
     .help = "take over a table that is in the data sink already, when it agrees with the definition",
     .more =
         "Columns of the definition must be there with the same type, nullability and default, and the key must be "
         "the primary key or have a unique index; other columns must be nullable or have a default. "
         "All differences are told otherwise. "
         "drop-table leaves such a table where it is, with its rows."},
    {.name = "yes",
     .letter = 'y',
     .kind = OPTION_FLAG,
     .help = "with --infer or --from-sink: define it, too"},
    {.name = "header",
     .kind = OPTION_CHOICE,
     .arg = "HOW",
     .choices = "match|none",
     .help = "with --infer: none when the file has no header"},
    DIALECT_OPTIONS,
    {.name = NULL},
};

static bool only_shows(const struct args *args)
{
    return (args_text(args, "infer") || args_flag(args, "from-sink")) && !args_flag(args, "yes");
}

static int check_options(const struct args *args, struct tl_error *err)
{
    static const char *const of_infer[] = {"header", "format", "delimiter", "quote", "null"};
    size_t columns = args->noperands - 1;
    bool schema = args_text(args, "schema") != NULL, infer = args_text(args, "infer") != NULL;
    bool from_sink = args_flag(args, "from-sink");

    if ((columns > 0) + schema + infer + from_sink != 1)
        return tl_fail(
            err, TL_E_USAGE,
            "define-table takes one of: COLUMNs such as 'id bigint not null', '--schema', '--infer', "
            "'--from-sink'");
    for (size_t i = 0; !infer && i < TL_ARRAY_LEN(of_infer); i++)
        if (args_flag(args, of_infer[i]))
            return tl_fail(err, TL_E_USAGE, "'--%s' goes with '--infer' only", of_infer[i]);
    if (args_flag(args, "yes") && !infer && !from_sink)
        return tl_fail(err, TL_E_USAGE, "'--yes' goes with '--infer' or '--from-sink' only");
    return 0;
}

static json_t *definition_from_sink(struct cli *cli, const char *table, struct tl_error *err)
{
    struct coordinator *c = coordinator_open(cli->settings, err);
    json_t *json = NULL, *note;
    size_t i;

    if (c && coordinator_table_foreign(c, table, &json, err))
        json = NULL;
    coordinator_close(c);
    json_array_foreach(json_object_get(json, "notes"), i, note) cli_note(cli, "%s", json_string_value(note));
    return json;
}

static json_t *infer(struct cli *cli, const struct args *args, struct tl_error *err)
{
    struct infer_counts counts;
    struct tl_dialect dialect;
    const char *header = args_text(args, "header");
    json_t *json;

    if (dialect_from_args(&dialect, args, err))
        return NULL;
    json = definition_infer(args_text(args, "infer"), args->operand[0], &dialect,
                            !header || strcmp(header, "none") != 0, &counts, err);
    if (json)
        cli_note(cli, "guessed from %lld rows%s", (long long)counts.rows,
                 counts.whole ? "" : ", the start of the file");
    if (json && counts.bad > 0)
        cli_note(cli, "%lld of them do not have the header's fields and were passed over",
                 (long long)counts.bad);
    return json;
}

/* The definition in whatever way it was given; a new reference, NULL with *err. */
static json_t *read_definition(struct cli *cli, const struct args *args, struct tl_error *err)
{
    if (args_text(args, "schema"))
        return definition_from_file(args_text(args, "schema"), err);
    if (args_flag(args, "from-sink"))
        return definition_from_sink(cli, args->operand[0], err);
    if (args_text(args, "infer"))
        return infer(cli, args, err);
    return definition_from_columns(args->operand + 1, args->noperands - 1, err);
}

/* The request to the coordinator; a new reference, NULL with *err. */
static json_t *make_request(struct cli *cli, const struct args *args, struct tl_error *err)
{
    json_t *definition = read_definition(cli, args, err), *request;

    if (!definition)
        return NULL;
    request = definition_request(definition, args->operand[0], args_text(args, "key"), err);
    json_decref(definition);
    if (request && (args_flag(args, "adopt") || args_flag(args, "from-sink")) &&
        json_object_set_new(request, "adopt", json_true())) {
        json_decref(request);
        tl_fail_nomem(err);
        return NULL;
    }
    return request;
}

static int define(struct cli *cli, const json_t *definition, struct tl_error *err)
{
    struct coordinator *c = coordinator_open(cli->settings, err);
    json_t *table = NULL;
    size_t key;
    int rc = c ? coordinator_table_define(c, definition, &table, err) : -1;

    if (!rc && cli->json)
        rc = output_json(&cli->out, table, err);
    if (!rc) {
        key = json_array_size(json_object_get(table, "key"));
        cli_note(cli, "table %s is defined: version %lld, %zu columns, %s", upload_text(table, "table"),
                 (long long)upload_number(table, "version", 0),
                 json_array_size(json_object_get(table, "columns")),
                 key ? "rows with the same key replace each other" : "no key, rows are only ever added");
    }
    json_decref(table);
    coordinator_close(c);
    return rc;
}

static int show(struct cli *cli, const struct args *args, const json_t *request, struct tl_error *err)
{
    if (cli->json ? output_json(&cli->out, request, err) : definition_print_command(&cli->out, request, err))
        return -1;
    cli_note(cli, args_text(args, "infer")
                      ? "nothing is defined yet: run that command, changed where it guessed "
                        "wrong, or this one with --yes"
                      : "nothing is defined yet: run that command, or this one with --yes");
    return 0;
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    json_t *request;
    int rc;

    if (check_options(args, err))
        return -1;
    request = make_request(cli, args, err);
    if (!request)
        return -1;
    rc = only_shows(args) ? show(cli, args, request, err) : define(cli, request, err);
    json_decref(request);
    return rc;
}

const struct command command_define_table = {
    .name = "define-table",
    .summary = "define a table",
    .usage = "NAME COLUMN... [--key COL,...] [--adopt]\n"
             "NAME --schema FILE.json [--key COL,...] [--adopt]\n"
             "NAME --infer FILE.csv [--yes] [--key COL,...] [--adopt]\n"
             "NAME --from-sink [--yes] [--key COL,...]",
    .about = "A COLUMN is a name, a type, and perhaps 'not null' and 'default VALUE', in one argument. "
             "Types: boolean int bigint "
             "double decimal(p,s) varchar(n) text date timestamp timestamptz uuid json bytea.\n"
             "To define a table again as it is already is fine and changes nothing.",
    .first = {"NAME", 1, 1, COMPLETE_NOTHING},
    .rest = {"COLUMN", 0, 0, COMPLETE_NOTHING},
    .options = options,
    .examples = {"tload define-table orders 'id bigint' 'qty int not null' 'price decimal(10,2)' --key id",
                 "tload define-table orders --infer orders.csv",
                 "tload define-table orders_copy --schema orders.json",
                 "tload define-table customers --from-sink"},
    .run = run,
};
