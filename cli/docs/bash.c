/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/docs/docs.h"

static const char top[] =
    "# SPDX-License-Identifier: GPL-3.0-or-later\n"
    "# bash completion for tload, made from the commands' tables by \"make docs\".\n"
    "\n"
    "_tload()\n"
    "{\n"
    "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} command='' words='' files='' i\n"
    "\n"
    "    COMPREPLY=()\n"
    "    # bash cuts --option=argument into three words.\n"
    "    [[ $cur == = ]] && cur=\n"
    "    [[ $prev == = ]] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
    "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
    "        case ${COMP_WORDS[i]} in\n";

static const char bottom[] = "    if [[ $files ]]; then\n"
                             "        compopt -o filenames 2>/dev/null\n"
                             "        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
                             "    else\n"
                             "        mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$cur\")\n"
                             "    fi\n"
                             "}\n"
                             "complete -F _tload tload\n";

/* Pattern of a case: the option, and its letter when it has one. */
static void pattern(FILE *out, const char *command, const struct option *o)
{
    fprintf(out, "    '%s --%s'", command, o->name);
    if (o->letter)
        fprintf(out, " | '%s -%c'", command, o->letter);
}

/* What is offered as the option's argument. */
static void argument(FILE *out, const char *command, const struct option *o)
{
    if (o->kind == OPTION_FLAG)
        return;
    pattern(out, command, o);
    if (o->kind == OPTION_CHOICE) {
        fputs(") words='", out);
        docs_choices(out, o->choices);
        fputs("' ;;\n", out);
    } else {
        fprintf(out, ") %s ;;\n", o->complete == COMPLETE_FILE ? "files=1" : "return");
    }
}

static void names(FILE *out, const struct command *c)
{
    for (const struct option *o = c ? c->options : NULL; o && o->name; o++)
        fprintf(out, "--%s ", o->name);
    for (const struct option *o = global_options; o->name; o++)
        if (!c || !docs_shadowed(c, o))
            fprintf(out, "--%s%s", o->name, o[1].name ? " " : "");
}

static void operands(FILE *out, const struct command *c)
{
    enum complete offered = c->rest.name ? c->rest.complete : c->first.complete;

    if (offered == COMPLETE_FILE) {
        fprintf(out, "    '%s '*) files=1 ;;\n", c->name);
    } else if (offered == COMPLETE_COMMAND) {
        fprintf(out, "    '%s '*) words='", c->name);
        docs_commands(out);
        fputs("' ;;\n", out);
    } else if (group_of(c)) {
        /* So that the group's words are not offered behind it. */
        fprintf(out, "    '%s '*) return ;;\n", c->name);
    }
}

/* The words that are followed by another one. */
static void groups(FILE *out)
{
    const struct command *c;
    bool any = false;

    for (size_t i = 0; (c = command_at(i)); i++) {
        if (!group_of(c) || !docs_top(i))
            continue;
        fprintf(out, "%s%s", any ? " | " : "", group_of(c)->name);
        any = true;
    }
}

void docs_bash(FILE *out)
{
    const struct command *c;

    fputs(top, out);
    for (const struct option *o = global_options; o->name; o++)
        if (o->kind != OPTION_FLAG)
            fprintf(out, "        --%s) [[ ${COMP_WORDS[i+1]} == = ]] && ((i++)); ((i++)) ;;\n", o->name);
    fputs("        -*) ;;\n"
          "        *) command+=${command:+ }${COMP_WORDS[i]}\n"
          "            case $command in\n"
          "            ",
          out);
    groups(out);
    fputs(") ;;\n"
          "            *) break ;;\n"
          "            esac ;;\n"
          "        esac\n"
          "    done\n"
          "    case \"$command $prev\" in\n",
          out);
    for (size_t i = 0; (c = command_at(i)); i++)
        for (const struct option *o = c->options; o && o->name; o++)
            argument(out, c->name, o);
    for (const struct option *o = global_options; o->name; o++) {
        if (o->kind != OPTION_FLAG)
            fprintf(out, "    *' --%s') %s ;;\n", o->name,
                    o->complete == COMPLETE_FILE ? "files=1" : "return");
    }
    fputs("    *) case \"$command $cur\" in\n    ' -'*) words='", out);
    names(out, NULL);
    fputs("' ;;\n    ' '*) words='", out);
    docs_commands(out);
    fputs("' ;;\n", out);
    for (size_t i = 0; (c = command_at(i)); i++) {
        fprintf(out, "    '%s -'*) words='", c->name);
        names(out, c);
        fputs("' ;;\n", out);
        operands(out, c);
    }
    for (size_t i = 0; (c = command_at(i)); i++) {
        if (!group_of(c) || !docs_top(i))
            continue;
        fprintf(out, "    '%s -'*) words='", group_of(c)->name);
        names(out, NULL);
        fprintf(out, "' ;;\n    '%s '*) words='", group_of(c)->name);
        docs_words(out, group_of(c));
        fputs("' ;;\n", out);
    }
    fputs("    esac ;;\n    esac\n", out);
    fputs(bottom, out);
}
