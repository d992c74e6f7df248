/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a command takes, as one table, and the reading of a command line by it.
 *
 *   argv ──args_parse──► struct args ──args_text, args_flag …──► the command's handler
 *
 * Help, the completions of the shells and the manual page's options are made from the same tables. Options
 * and operands may stand in any order; "--" ends the options; "-" alone is an operand. Long options are
 * written in full. All text is borrowed from argv. Nothing here prints. One thread.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/base/error.h"

enum option_kind {
    OPTION_FLAG,   /* takes no argument */
    OPTION_TEXT,   /* any argument but an empty one, unless `may_be_empty` */
    OPTION_NUMBER, /* a whole number in [min, max] */
    OPTION_CHOICE, /* one of `choices` */
    OPTION_LIST    /* text; may be given more than once */
};

/* What a shell offers for an argument. */
enum complete { COMPLETE_NOTHING, COMPLETE_FILE, COMPLETE_COMMAND };

struct option {
    const char *name; /* long, without the dashes; NULL ends a table */
    char letter;      /* short; 0: none */
    enum option_kind kind;
    const char *arg;     /* the argument's name in help: "FILE"; NULL for a flag */
    const char *choices; /* "match|skip|none" */
    int64_t min;
    int64_t max;
    bool required;
    bool may_be_empty;
    enum complete complete;
    const char *help; /* one line: lower case, no full stop */
    const char *more; /* further sentences for the manual page; NULL: none */
};

/* The arguments that are not options. */
struct operands {
    const char *name; /* "UPLOAD"; NULL: there are none */
    size_t min;
    size_t max; /* 0: no limit */
    enum complete complete;
};

enum { COMMAND_EXAMPLES_MAX = 6, COMMAND_OPTIONS_MAX = 32 };

struct cli;
struct args;

/* The first word that several commands have: one line in cli/groups.def. */
struct group {
    const char *name;
    const char *summary; /* one line: lower case, no full stop */
};

/* One command: one file in cli/commands/, one line in cli/commands.def. */
struct command {
    const char *name;      /* one word, or a group's and one more: "cluster add" */
    const char *summary;   /* one line: lower case, no full stop */
    const char *usage;     /* what follows the name, lines parted by '\n': "NAME [--version N]" */
    const char *about;     /* a paragraph or two for help and manual page; NULL: the summary says it all */
    struct operands first; /* the operand before `rest`: exactly one, or optional (min 0); name NULL: none */
    struct operands rest;
    const struct option *options;                   /* ended by name NULL; NULL: none of its own */
    const char *examples[COMMAND_EXAMPLES_MAX + 1]; /* command lines; at least one */
    /* Returns the exit code, or -1 with *err filled. */
    int (*run)(struct cli *cli, const struct args *args, struct tl_error *err);
};

struct arg {
    const struct option *option;
    const char *text; /* NULL for a flag */
    int64_t number;
};

struct args {
    const struct group *group;     /* of the command; without one, its second word is missing. NULL: none */
    const struct command *command; /* NULL: none was named */
    size_t noperands;
    const char **operand;
    size_t n;
    struct arg *given; /* in the order of the command line */
    /*
     * --help, --version were among them: what is missing was then not checked. (A command may have a
     * --version of its own.)
     */
    bool help;
    bool version;
};

extern const struct option global_options[];

/* The command of that name; NULL with *err, and a suggestion for a near miss. */
const struct command *command_find(const char *name, struct tl_error *err);
/* In the order of commands.def; NULL behind the last. */
const struct command *command_at(size_t i);
/* NULL when it is none. */
const struct group *group_find(const char *name);
/* The group that the command is in; NULL: none. */
const struct group *group_of(const struct command *command);
/* The command's second word within its group, all of its name when it is in none. */
const char *command_word(const struct command *command);
/* The command of the group with this second word; NULL with *err, and a suggestion for a near miss. */
const struct command *group_command(const struct group *group, const char *word, struct tl_error *err);

/* Reads argv[1..argc). TL_E_USAGE for what is not understood. args_release is due in either case. */
int args_parse(struct args *args, int argc, char **argv, struct tl_error *err) TL_MUST_CHECK;
void args_release(struct args *args);

/*
 * By the option's long name, which must be in the command's table or the global one (anything else is a bug
 * and aborts). args_text: NULL when it is not given. args_number: `otherwise` when it is not given.
 */
bool args_flag(const struct args *args, const char *name);
const char *args_text(const struct args *args, const char *name);
int64_t args_number(const struct args *args, const char *name, int64_t otherwise);
/* The i-th argument of a list option; NULL behind the last. */
const char *args_list(const struct args *args, const char *name, size_t i);

/* Sets *at to the start and returns the length of the i-th word of "a|b|c"; 0 behind the last. */
size_t choice_at(const char *choices, size_t i, const char **at);

#endif
