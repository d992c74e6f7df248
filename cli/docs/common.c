/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <string.h>

#include "cli/docs/docs.h"

bool docs_shadowed(const struct command *command, const struct option *global)
{
    for (const struct option *o = command->options; o && o->name; o++)
        if (strcmp(o->name, global->name) == 0)
            return true;
    return false;
}

void docs_escaped(FILE *out, const char *text, const char *special, const char *before)
{
    for (; *text; text++) {
        if (strchr(special, *text))
            fputs(before, out);
        fputc(*text, out);
    }
}

void docs_choices(FILE *out, const char *choices)
{
    const char *word;
    size_t len;

    for (size_t i = 0; (len = choice_at(choices, i, &word)) > 0; i++)
        fprintf(out, "%s%.*s", i ? " " : "", (int)len, word);
}

void docs_commands(FILE *out)
{
    const struct command *c;

    for (size_t i = 0; (c = command_at(i)); i++)
        if (docs_top(i))
            fprintf(out, "%s%s", i ? " " : "", group_of(c) ? group_of(c)->name : c->name);
}

bool docs_top(size_t i)
{
    const struct group *group = group_of(command_at(i));

    return !group || i == 0 || group_of(command_at(i - 1)) != group;
}

void docs_words(FILE *out, const struct group *group)
{
    const struct command *c;
    bool any = false;

    for (size_t i = 0; (c = command_at(i)); i++) {
        if (group_of(c) != group)
            continue;
        fprintf(out, "%s%s", any ? " " : "", command_word(c));
        any = true;
    }
}
