/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/docs/docs.h"

static void description(FILE *out, const char *text)
{
    fputs(" -d '", out);
    docs_escaped(out, text, "'\\", "\\");
    fputs("'\n", out);
}

static void option(FILE *out, const struct option *o)
{
    if (o->letter)
        fprintf(out, " -s %c", o->letter);
    fprintf(out, " -l %s", o->name);
    if (o->kind == OPTION_CHOICE) {
        fputs(" -x -a '", out);
        docs_choices(out, o->choices);
        fputc('\'', out);
    } else if (o->kind != OPTION_FLAG) {
        fputs(o->complete == COMPLETE_FILE ? " -r -F" : " -x", out);
    }
    description(out, o->help);
}

/* The condition under which a global option is the one that is meant. */
static void unless_shadowed(FILE *out, const struct option *global)
{
    const struct command *c;
    bool any = false;

    for (size_t i = 0; (c = command_at(i)); i++) {
        if (!docs_shadowed(c, global))
            continue;
        fprintf(out, "%s %s", any ? "" : " -n 'not __fish_seen_subcommand_from", c->name);
        any = true;
    }
    if (any)
        fputc('\'', out);
}

void docs_fish(FILE *out)
{
    const struct command *c;

    fputs("# SPDX-License-Identifier: GPL-3.0-or-later\n"
          "# fish completion for tload, made from the commands' tables by \"make docs\".\n\n"
          "complete -c tload -f\n",
          out);
    for (const struct option *o = global_options; o->name; o++) {
        fputs("complete -c tload", out);
        unless_shadowed(out, o);
        option(out, o);
    }
    for (size_t i = 0; (c = command_at(i)); i++) {
        fprintf(out, "\ncomplete -c tload -n __fish_use_subcommand -a %s", c->name);
        description(out, c->summary);
        for (const struct option *o = c->options; o && o->name; o++) {
            fprintf(out, "complete -c tload -n '__fish_seen_subcommand_from %s'", c->name);
            option(out, o);
        }
        if (c->rest.complete == COMPLETE_FILE || c->first.complete == COMPLETE_FILE)
            fprintf(out, "complete -c tload -n '__fish_seen_subcommand_from %s' -F\n", c->name);
        if (c->rest.complete == COMPLETE_COMMAND || c->first.complete == COMPLETE_COMMAND) {
            fprintf(out, "complete -c tload -n '__fish_seen_subcommand_from %s' -a '", c->name);
            docs_commands(out);
            fputs("'\n", out);
        }
    }
}
