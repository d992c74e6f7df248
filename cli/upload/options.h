/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What `tload upload` was asked to do, checked as far as the command line alone allows. All text is
 * borrowed.
 */
#ifndef CLI_UPLOAD_OPTIONS_H
#define CLI_UPLOAD_OPTIONS_H

#include "cli/options.h"
#include "cli/settings.h"
#include "cli/upload/splitter.h"

/* When an upload is aborted. */
struct max_errors {
    enum { MAX_ERRORS_NONE, MAX_ERRORS_ROWS, MAX_ERRORS_PERCENT } kind;
    int64_t rows;   /* of kind ROWS: aborted by one more than these */
    double percent; /* of kind PERCENT: 0 to 100 */
};

struct upload_options {
    const char *table;
    const char *const *files; /* "-": standard input; all of them are one upload, in this order */
    size_t nfiles;
    struct tl_dialect dialect;
    enum header_mode header;
    const char *columns; /* NULL: not given; only with HEADER_SKIP and HEADER_NONE */
    const char **map;    /* owned array of nmap texts CSV=COL; only with HEADER_MATCH */
    size_t nmap;
    struct max_errors max_errors;
    bool dry_run;
    bool detach;
    const char *id;     /* NULL: a new one is made; one that exists is gone on with */
    bool resume;        /* it must exist */
    bool once;          /* a file that is loaded already is not loaded again */
    int64_t timeout_ms; /* how long to wait for the outcome; -1: for ever */
    const char
        *compression; /* "none", "lz4", "zstd"; NULL: what the coordinator says, or the built-in default */
};

/* How the outcome is waited for; for a command's table of options. */
#define OUTCOME_OPTIONS                                                                        \
    {.name = "detach",                                                                         \
     .letter = 'd',                                                                            \
     .kind = OPTION_FLAG,                                                                      \
     .help = "end when all is sent; print the upload's id, and do not wait for the outcome"},  \
    {                                                                                          \
        .name = "timeout", .kind = OPTION_NUMBER, .arg = "SECONDS", .min = 0, .max = 31536000, \
        .help = "wait so long for the outcome, then end with 124; the upload goes on"          \
    }

extern const struct option upload_option_table[];

/* TL_E_USAGE for what does not go together. upload_options_release is due in either case. */
int upload_options_read(struct upload_options *o, const struct args *args, const struct settings *settings,
                        struct tl_error *err) TL_MUST_CHECK;
void upload_options_release(struct upload_options *o);

#endif
