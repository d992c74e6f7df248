/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is made from the commands' tables beside the help: completions of the shells and the options of
 * tload(1). Used by a program of its own (tests/docs/tload-docs.c), which is not installed. The caller
 * looks at ferror in the end.
 */
#ifndef CLI_DOCS_DOCS_H
#define CLI_DOCS_DOCS_H

#include <stdio.h>

#include "cli/options.h"

void docs_bash(FILE *out);
void docs_zsh(FILE *out);
void docs_fish(FILE *out);
/* The sections OPTIONS and COMMANDS of the manual page, in mdoc. */
void docs_man(FILE *out);

/* True when the command has an option of this name itself, so that the global one does not apply to it. */
bool docs_shadowed(const struct command *command, const struct option *global);
/* Writes text with every character of `special` behind `before`. */
void docs_escaped(FILE *out, const char *text, const char *special, const char *before);
/* Writes the words of "a|b|c" with blanks between. */
void docs_choices(FILE *out, const char *choices);
/* Writes the first words of all commands with blanks between. */
void docs_commands(FILE *out);
/* Whether the i-th command's first word is not the one before's: it is in no group, or the first of its group. */
bool docs_top(size_t i);
/* Writes the second words of the group's commands with blanks between. */
void docs_words(FILE *out, const struct group *group);

#endif
