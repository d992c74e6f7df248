/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ctype.h>
#include <string.h>

#include "cli/docs/docs.h"

/* Running text: the first letter large, a sentence a line, what mdoc would take for its own escaped. */
static void text(FILE *out, const char *s, const char *end)
{
    bool line_start = true, large = true;

    for (; *s; s++) {
        char c = large && islower((unsigned char)*s) ? (char)toupper((unsigned char)*s) : *s;
        bool sentence_ends = strchr(".:", *s) && s[1] == ' ' && isupper((unsigned char)s[2]);

        if (line_start && strchr(".'", c))
            fputs("\\&", out);
        if (c == '\n')
            fputs("\n.Pp", out);
        if (c == '\\')
            fputs("\\e", out);
        else
            fputc(c, out);
        large = false;
        line_start = c == '\n' || sentence_ends;
        if (sentence_ends) {
            fputc('\n', out);
            s++;
        }
    }
    fputs(end, out);
}

static void literal(FILE *out, const char *s)
{
    for (bool line_start = true; *s; s++) {
        if (line_start && strchr(".'", *s))
            fputs("\\&", out);
        fputs(*s == '\\' ? "\\e" : *s == '-' ? "\\-" : "", out);
        if (*s != '\\' && *s != '-')
            fputc(*s, out);
        line_start = *s == '\n';
    }
    fputc('\n', out);
}

static void options(FILE *out, const struct option *table)
{
    fputs(".Bl -tag -width Ds\n", out);
    for (; table->name; table++) {
        fputs(".It", out);
        if (table->letter)
            fprintf(out, " Fl %c ,", table->letter);
        fprintf(out, " Fl -%s", table->name);
        if (table->arg)
            fprintf(out, " Ar %s", table->arg);
        fputc('\n', out);
        text(out, table->help, ".\n");
        if (table->more)
            text(out, table->more, "\n");
    }
    fputs(".El\n", out);
}

static void command(FILE *out, const struct command *c)
{
    fprintf(out, ".Ss %s\n", c->name);
    text(out, c->summary, ".\n");
    fputs(".Bd -literal -offset indent\n", out);
    for (const char *line = c->usage;; line++) {
        int len = (int)strcspn(line, "\n");
        char usage[200];

        snprintf(usage, sizeof usage, "tload %s%s%.*s", c->name, len ? " " : "", len, line);
        literal(out, usage);
        line += len;
        if (!*line)
            break;
    }
    fputs(".Ed\n", out);
    if (c->about) {
        fputs(".Pp\n", out);
        text(out, c->about, "\n");
    }
    if (c->options)
        options(out, c->options);
    fputs(c->examples[1] ? ".Pp\nExamples:\n" : ".Pp\nExample:\n", out);
    fputs(".Bd -literal -offset indent\n", out);
    for (size_t i = 0; c->examples[i]; i++)
        literal(out, c->examples[i]);
    fputs(".Ed\n", out);
}

void docs_man(FILE *out)
{
    const struct command *c;

    fputs(".Sh OPTIONS\n"
          "These are taken by every command, before or behind its name:\n",
          out);
    options(out, global_options);
    fputs(".Sh COMMANDS\n", out);
    for (size_t i = 0; (c = command_at(i)); i++)
        command(out, c);
}
