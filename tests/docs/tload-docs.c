/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Prints what is made from the commands' tables: `tload-docs bash | zsh | fish`, and `tload-docs man` with
 * tload.1 on standard input, which copies the page with the part between its two marks made anew. Not installed.
 */
#include <string.h>

#include "cli/docs/docs.h"

static const char begin[] = ".\\\" From the commands' tables, by make docs: begin\n";
static const char end[] = ".\\\" From the commands' tables, by make docs: end\n";

/* False when the page on standard input has not both marks. */
static bool renew_page(FILE *out)
{
    char line[4096];
    bool within = false, done = false;

    while (fgets(line, sizeof line, stdin)) {
        if (strcmp(line, end) == 0)
            within = false;
        if (!within)
            fputs(line, out);
        if (strcmp(line, begin) == 0) {
            within = done = true;
            docs_man(out);
        }
    }
    return done && !within && !ferror(stdin);
}

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";
    bool ok = true;

    if (strcmp(what, "bash") == 0)
        docs_bash(stdout);
    else if (strcmp(what, "zsh") == 0)
        docs_zsh(stdout);
    else if (strcmp(what, "fish") == 0)
        docs_fish(stdout);
    else if (strcmp(what, "man") == 0)
        ok = renew_page(stdout);
    else
        ok = false;
    if (!ok)
        fputs("usage: tload-docs bash | zsh | fish | man < man/tload.1\n", stderr);
    return ok && fflush(stdout) == 0 ? 0 : 1;
}
