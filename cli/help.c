/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/help.h"

#include <jansson.h>

enum { LINE = 80, HELP_COLUMN = 26 };

/* Text wrapped at LINE, every line behind `indent` blanks; the first starts at column `at`. */
static int print_wrapped(struct output *out, const char *text, int indent, int at, struct tl_error *err)
{
    while (*text) {
        int word = (int)strcspn(text, " \n");

        if (at > indent && at + 1 + word > LINE) {
            if (output_print(out, err, "\n%*s", indent, ""))
                return -1;
            at = indent;
        } else if (at > indent) {
            if (output_print(out, err, " "))
                return -1;
            at++;
        }
        if (output_print(out, err, "%.*s", word, text))
            return -1;
        at += word;
        text += word;
        if (*text == '\n') {
            if (output_print(out, err, "\n%*s", indent, ""))
                return -1;
            at = indent;
        }
        text += *text != '\0';
    }
    return output_print(out, err, "\n");
}

static int print_option(struct output *out, const struct option *o, struct tl_error *err)
{
    char left[80];
    int n = snprintf(left, sizeof left, "  %c%c%c --%s%s%s", o->letter ? '-' : ' ',
                     o->letter ? o->letter : ' ', o->letter ? ',' : ' ', o->name, o->arg ? " " : "",
                     o->arg ? o->arg : "");

    if (output_print(out, err, "%s", left))
        return -1;
    if (n + 2 > HELP_COLUMN && output_print(out, err, "\n%*s", HELP_COLUMN, ""))
        return -1;
    if (n + 2 <= HELP_COLUMN && output_print(out, err, "%*s", HELP_COLUMN - n, ""))
        return -1;
    return print_wrapped(out, o->help, HELP_COLUMN, HELP_COLUMN, err);
}

static int print_options(struct output *out, const char *title, const struct option *table,
                         struct tl_error *err)
{
    if (!table || !table->name)
        return 0;
    if (output_print(out, err, "\n%s:\n", title))
        return -1;
    for (; table->name; table++)
        if (print_option(out, table, err))
            return -1;
    return 0;
}

static int print_usage(struct output *out, const struct command *c, struct tl_error *err)
{
    const char *line = c->usage, *before = "Usage: ";

    do {
        int len = (int)strcspn(line, "\n");

        if (output_print(out, err, "%stload %s%s%.*s\n", before, c->name, len ? " " : "", len, line))
            return -1;
        line += len;
        before = "       ";
    } while (*line++ == '\n');
    return 0;
}

static int print_command(struct output *out, const struct command *c, struct tl_error *err)
{
    char about[2] = {(char)(c->summary[0] - 'a' + 'A'), '\0'};

    if (print_usage(out, c, err) || output_print(out, err, "\n%s%s.\n", about, c->summary + 1))
        return -1;
    if (c->about && (output_print(out, err, "\n") || print_wrapped(out, c->about, 0, 0, err)))
        return -1;
    if (print_options(out, "Options", c->options, err) ||
        print_options(out, "Options of every command", global_options, err) ||
        output_print(out, err, "\nExamples:\n"))
        return -1;
    for (size_t i = 0; c->examples[i]; i++)
        if (output_print(out, err, "  %s\n", c->examples[i]))
            return -1;
    return 0;
}

/* The commands of a group. */
static int print_group(struct output *out, const struct group *group, struct tl_error *err)
{
    const struct command *c;

    if (output_print(out, err, "Usage: tload %s COMMAND [ARGUMENT...]\n\n%c%s.\n\nCommands:\n", group->name,
                     group->summary[0] - 'a' + 'A', group->summary + 1))
        return -1;
    for (size_t i = 0; (c = command_at(i)); i++)
        if (group_of(c) == group && output_print(out, err, "  %-14s %s\n", command_word(c), c->summary))
            return -1;
    return output_print(out, err, "\n'tload help %s COMMAND' shows a command's options and examples.\n",
                        group->name);
}

static int print_overview(struct output *out, struct tl_error *err)
{
    const struct command *c;

    if (output_print(out, err,
                     "Usage: tload [OPTION...] COMMAND [ARGUMENT...]\n\n"
                     "Loads CSV files into validated tables, through Kafka.\n\nCommands:\n"))
        return -1;
    for (size_t i = 0; (c = command_at(i)); i++)
        if (output_print(out, err, "  %-14s %s\n", c->name, c->summary))
            return -1;
    if (print_options(out, "Options", global_options, err))
        return -1;
    return output_print(
        out, err,
        "\nWhat is not given as an option is taken from TLOAD_COORDINATOR, TLOAD_TENANT and\n"
        "TLOAD_TOKEN_FILE, then ~/.config/tload/config, then /etc/tload/config.\n"
        "\n'tload help COMMAND' shows a command's options and examples; tload(1) says the rest.\n");
}

static json_t *options_json(const struct option *table)
{
    json_t *list = json_array();

    for (; table && table->name; table++) {
        char letter[2] = {table->letter, '\0'};
        json_t *o = json_pack("{s:s, s:s?, s:s?, s:b, s:b, s:s}", "option", table->name, "letter",
                              table->letter ? letter : NULL, "argument", table->arg, "required",
                              (int)table->required, "repeated", (int)(table->kind == OPTION_LIST), "help",
                              table->help);

        if (json_array_append_new(list, o)) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *command_json(const struct command *c)
{
    json_t *examples = json_array();

    for (size_t i = 0; c->examples[i]; i++) {
        if (json_array_append_new(examples, json_string(c->examples[i]))) {
            json_decref(examples);
            return NULL;
        }
    }
    return json_pack("{s:s, s:s, s:s, s:o, s:o}", "command", c->name, "summary", c->summary, "usage",
                     c->usage, "options", options_json(c->options), "examples", examples);
}

static json_t *overview_json(const struct group *group)
{
    json_t *list = json_array();
    const struct command *c;

    for (size_t i = 0; (c = command_at(i)); i++) {
        if (group && group_of(c) != group)
            continue;
        if (json_array_append_new(list, command_json(c))) {
            json_decref(list);
            return NULL;
        }
    }
    return json_pack("{s:o, s:o}", "commands", list, "options", options_json(global_options));
}

int help_print(struct cli *cli, const struct group *group, const struct command *command,
               struct tl_error *err)
{
    json_t *json;
    int rc;

    if (!cli->json && !command)
        return group ? print_group(&cli->out, group, err) : print_overview(&cli->out, err);
    if (!cli->json)
        return print_command(&cli->out, command, err);
    json = command ? command_json(command) : overview_json(group);
    if (!json)
        return tl_fail_nomem(err);
    rc = output_json(&cli->out, json, err);
    json_decref(json);
    return rc;
}
