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

void docs_zsh(FILE *out)
{
    const struct command *c;

    fputs(top, out);
    for (size_t i = 0; (c = command_at(i)); i++) {
        fprintf(out, "        '%s:", c->name);
        quoted(out, c->summary, ":\\");
        fputs("'\n", out);
    }
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
        fprintf(out, "        %s)\n            _arguments \\\n", c->name);
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
    fputs("        esac\n"
          "        ;;\n"
          "    esac\n"
          "    return ret\n"
          "}\n"
          "\n"
          "_tload \"$@\"\n",
          out);
}
