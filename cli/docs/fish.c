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

/* Behind -n: that the command was named. */
static void seen(FILE *out, const struct command *c)
{
    if (group_of(c))
        fprintf(out, "__fish_seen_subcommand_from %s; and ", group_of(c)->name);
    fprintf(out, "__fish_seen_subcommand_from %s", command_word(c));
}

/* The word that names it is offered, where it is due. */
static void offer(FILE *out, size_t i)
{
    const struct command *c = command_at(i);
    const struct group *group = group_of(c);

    if (docs_top(i)) {
        fprintf(out, "\ncomplete -c tload -n __fish_use_subcommand -a %s", group ? group->name : c->name);
        description(out, group ? group->summary : c->summary);
    }
    if (!group)
        return;
    fprintf(out,
            "%scomplete -c tload -n '__fish_seen_subcommand_from %s; and not __fish_seen_subcommand_from ",
            docs_top(i) ? "" : "\n", group->name);
    docs_words(out, group);
    fprintf(out, "' -a %s", command_word(c));
    description(out, c->summary);
}

/* The condition under which a global option is the one that is meant. */
static void unless_shadowed(FILE *out, const struct option *global)
{
    const struct command *c;
    bool any = false;

    for (size_t i = 0; (c = command_at(i)); i++) {
        if (!docs_shadowed(c, global))
            continue;
        fputs(any ? "; and not begin; " : " -n 'not begin; ", out);
        seen(out, c);
        fputs("; end", out);
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
        offer(out, i);
        for (const struct option *o = c->options; o && o->name; o++) {
            fputs("complete -c tload -n '", out);
            seen(out, c);
            fputc('\'', out);
            option(out, o);
        }
        if (c->rest.complete == COMPLETE_FILE || c->first.complete == COMPLETE_FILE) {
            fputs("complete -c tload -n '", out);
            seen(out, c);
            fputs("' -F\n", out);
        }
        if (c->rest.complete == COMPLETE_COMMAND || c->first.complete == COMPLETE_COMMAND) {
            fputs("complete -c tload -n '", out);
            seen(out, c);
            fputs("' -a '", out);
            docs_commands(out);
            fputs("'\n", out);
        }
    }
}
