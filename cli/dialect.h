/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The options that say how a file is written: --format, --delimiter, --quote, --null. */
#ifndef CLI_DIALECT_H
#define CLI_DIALECT_H

#include "cli/options.h"
#include "shared/csv/scan.h"

/* For a command's table of options. */
#define DIALECT_OPTIONS                                                                 \
    {.name = "format",                                                                  \
     .kind = OPTION_CHOICE,                                                             \
     .arg = "FORMAT",                                                                   \
     .choices = "csv|tsv",                                                              \
     .help = "how the file is written: csv (default), or tsv, which is csv with tabs"}, \
        {.name = "delimiter",                                                           \
         .kind = OPTION_TEXT,                                                           \
         .arg = "CHAR",                                                                 \
         .help = "what stands between fields: one character, or \"tab\""},              \
        {.name = "quote",                                                               \
         .kind = OPTION_TEXT,                                                           \
         .arg = "CHAR",                                                                 \
         .help = "what stands around quoted fields: one character, or \"none\"",        \
         .more = "With none every quote is data."},                                     \
    {                                                                                   \
        .name = "null", .kind = OPTION_TEXT, .arg = "TEXT", .may_be_empty = true,       \
        .help = "an unquoted field of just this text is null (default: an empty one)"   \
    }

/* TL_E_USAGE for what can't be a dialect. The command's table must have DIALECT_OPTIONS. */
int dialect_from_args(struct tl_dialect *d, const struct args *args, struct tl_error *err) TL_MUST_CHECK;

#endif
