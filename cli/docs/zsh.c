/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/docs/docs.h"

static const char top[] = "#compdef tload\n"
                          "# SPDX-License-Identifier: GPL-3.0-or-later\n"
                          "# zsh completion for tload, made from the commands' tables by \"make docs\".\n"
                          "\n"
                          "_tload() {\n"
                          "    local curcontext=$curcontext state line ret=1\n"
                          "    local -a commands\n"
                          "    typeset -A opt_args\n"
                          "\n"
                          "    commands=(\n";

/* Within single quotes of the shell. */
static void quoted(FILE *out, const char *text, const char *special)
{
    for (; *text; text++) {
        char one[2] = {*text, '\0'};

        if (*text == '\'')
            fputs("'\\''", out);
        else
            docs_escaped(out, one, special, "\\");
    }
}

static void spec(FILE *out, const struct option *o)
{
    bool flag = o->kind == OPTION_FLAG;

    fputs("            ", out);
    if (o->kind == OPTION_LIST)
        fprintf(out, "'*--%s=", o->name);
    else if (o->letter)
        fprintf(out, "'(-%c --%s)'{-%c%s,--%s%s}'", o->letter, o->name, o->letter, flag ? "" : "+", o->name,
                flag ? "" : "=");
    else
        fprintf(out, "'--%s%s", o->name, flag ? "" : "=");
    fputc('[', out);
    quoted(out, o->help, "[]:\\");
    fputc(']', out);
    if (!flag) {
        fputc(':', out);
        quoted(out, o->arg, ":\\");
        fputc(':', out);
    }
    if (o->kind == OPTION_CHOICE) {
        fputc('(', out);
        docs_choices(out, o->choices);
        fputc(')', out);
    } else if (!flag) {
        fputs(o->complete == COMPLETE_FILE ? "_files" : " ", out);
    }
    fputs("' \\\n", out);
}

static void operand(FILE *out, const char *before, const struct operands *o)
{
    fprintf(out, "            '%s:%s:", before, o->name);
    if (o->complete == COMPLETE_FILE)
        fputs("_files", out);
    else if (o->complete == COMPLETE_COMMAND) {
        fputc('(', out);
        docs_commands(out);
        fputc(')', out);
    } else {
        fputc(' ', out);
    }
    fputs("' \\\n", out);
}

/* "'word:summary'" */
static void described(FILE *out, const char *indent, const char *word, const char *summary)
{
    fprintf(out, "%s'%s:", indent, word);
    quoted(out, summary, ":\\");
    fputs("'\n", out);
}

static void command(FILE *out, const struct command *c)
{
    fprintf(out, "        %s)\n            _arguments \\\n", command_word(c));
    for (const struct option *o = c->options; o && o->name; o++)
        spec(out, o);
    for (const struct option *o = global_options; o->name; o++)
        if (!docs_shadowed(c, o))
            spec(out, o);
    if (c->first.name)
        operand(out, "1", &c->first);
    if (c->rest.name)
        operand(out, "*", &c->rest);
    fputs("            && ret=0\n            ;;\n", out);
}

/* The words of a group, and then what the command takes that the second one names. */
static void group(FILE *out, const struct group *group)
{
    const struct command *c;

    fprintf(out,
            "        %s)\n"
            "            if (( CURRENT == 2 )); then\n"
            "                commands=(\n",
            group->name);
    for (size_t i = 0; (c = command_at(i)); i++)
        if (group_of(c) == group)
            described(out, "                    ", command_word(c), c->summary);
    fputs("                )\n"
          "                _describe -t commands command commands && ret=0\n"
          "                return ret\n"
          "            fi\n"
          "            shift words\n"
          "            (( CURRENT-- ))\n"
          "            case $words[1] in\n",
          out);
    for (size_t i = 0; (c = command_at(i)); i++)
        if (group_of(c) == group)
            command(out, c);
    fputs("            esac\n            ;;\n", out);
}

void docs_zsh(FILE *out)
{
    const struct command *c;

    fputs(top, out);
    for (size_t i = 0; (c = command_at(i)); i++)
        if (docs_top(i))
            described(out, "        ", group_of(c) ? group_of(c)->name : c->name,
                      group_of(c) ? group_of(c)->summary : c->summary);
    fputs("    )\n    _arguments -C \\\n", out);
    for (const struct option *o = global_options; o->name; o++)
        spec(out, o);
    fputs("            '1: :->command' \\\n"
          "            '*:: :->argument' && ret=0\n"
          "    case $state in\n"
          "    command)\n"
          "        _describe -t commands command commands && ret=0\n"
          "        ;;\n"
          "    argument)\n"
          "        case $line[1] in\n",
          out);
    for (size_t i = 0; (c = command_at(i)); i++) {
        if (!group_of(c))
            command(out, c);
        else if (docs_top(i))
            group(out, group_of(c));
    }
    fputs("        esac\n"
          "        ;;\n"
          "    esac\n"
          "    return ret\n"
          "}\n"
          "\n"
          "_tload \"$@\"\n",
          out);
}
