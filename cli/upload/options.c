/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/upload/options.h"

#include <stdlib.h>

#include "cli/dialect.h"

static const char compressions[] = "none|lz4|zstd";

const struct option upload_option_table[] = {
    {.name = "table",
     .letter = 't',
     .kind = OPTION_TEXT,
     .arg = "NAME",
     .required = true,
     .help = "the table that the rows go into"},
    DIALECT_OPTIONS,
    {.name = "header",
     .kind = OPTION_CHOICE,
     .arg = "HOW",
     .choices = "match|skip|none",
     .help = "first record: match (default) its names to columns, skip it, or none",
     .more =
         "With match the columns may come in any order, and one that is nullable or has a default may be "
         "missing. "
         "With skip and none the fields are the table's columns in order, unless --columns says otherwise."},
    {.name = "columns",
     .kind = OPTION_TEXT,
     .arg = "A,B,...",
     .help = "which columns the fields are, with --header=skip or none"},
    {.name = "map",
     .kind = OPTION_LIST,
     .arg = "CSV=COL",
     .help = "the field named CSV in the header is the column COL; may be repeated"},
    {.name = "max-errors",
     .kind = OPTION_TEXT,
     .arg = "N|N%",
     .help = "abort when more than N rows, or N % of the rows, are rejected",
     .more = "The default is no limit. Rows that were applied before the upload is aborted stay."},
    {.name = "compression",
     .kind = OPTION_CHOICE,
     .arg = "CODEC",
     .choices = compressions,
     .help = "of what is sent to Kafka: none, lz4 or zstd"},
    {.name = "dry-run",
     .letter = 'n',
     .kind = OPTION_FLAG,
     .help = "read and check everything, send nothing, change nothing"},
    {.name = "id",
     .kind = OPTION_TEXT,
     .arg = "ID",
     .help = "the upload's id, instead of a new one",
     .more =
         "The same command with the id of an upload that was interrupted goes on with it; when the file has "
         "changed since, or it is another one, that is refused. An upload that has ended is not done again."},
    {.name = "once",
     .kind = OPTION_FLAG,
     .help = "do nothing when this file, unchanged, is loaded already",
     .more =
         "For commands that are run again and again, as by cron. An unfinished upload of the same file is "
         "gone on with."},
    OUTCOME_OPTIONS,
    {.name = NULL},
};

static int read_percent(const char *text, struct max_errors *m, struct tl_error *err)
{
    size_t len = strlen(text) - 1; /* without the % */
    char number[16], *end;

    /* Digits and a point only: strtod would take "inf" and "0x10" too. */
    if (len > 0 && len < sizeof number && strspn(text, "0123456789.") == len) {
        memcpy(number, text, len);
        number[len] = '\0';
        m->percent = strtod(number, &end);
        m->kind = MAX_ERRORS_PERCENT;
        if (end == number + len && m->percent <= 100)
            return 0;
    }
    return tl_fail(err, TL_E_USAGE, "'--max-errors' takes a number of rows, or 0%% to 100%%, not '%s'", text);
}

static int read_max_errors(const char *text, struct max_errors *m, struct tl_error *err)
{
    *m = (struct max_errors){.kind = MAX_ERRORS_NONE};
    if (!text)
        return 0;
    if (text[strlen(text) - 1] == '%')
        return read_percent(text, m, err);
    if (!tl_str_to_i64(tl_str(text), 0, INT64_MAX, &m->rows))
        return tl_fail(err, TL_E_USAGE, "'--max-errors' takes a number of rows, or 0%% to 100%%, not '%s'",
                       text);
    m->kind = MAX_ERRORS_ROWS;
    return 0;
}

static int read_header(struct upload_options *o, const struct args *args, struct tl_error *err)
{
    const char *header = args_text(args, "header"), *map;

    o->columns = args_text(args, "columns");
    if (header && strcmp(header, "skip") == 0)
        o->header = HEADER_SKIP;
    else if (header && strcmp(header, "none") == 0)
        o->header = HEADER_NONE;
    else
        o->header = HEADER_MATCH;
    if (o->columns && o->header == HEADER_MATCH)
        return tl_fail(err, TL_E_USAGE,
                       "'--columns' needs '--header=none' (the file has no header) or '--header=skip' (it is "
                       "to be passed over); to rename single fields there is '--map'");
    while (args_list(args, "map", o->nmap))
        o->nmap++;
    if (o->nmap && o->header != HEADER_MATCH)
        return tl_fail(err, TL_E_USAGE,
                       "'--map' is about the names in the header, which '--header=%s' does not read", header);
    o->map = calloc(o->nmap + 1, sizeof *o->map);
    if (!o->map)
        return tl_fail_nomem(err);
    for (size_t i = 0; i < o->nmap; i++) {
        map = args_list(args, "map", i);
        /* The last "=": a column's name has none, a field's may. */
        if (!strrchr(map, '=') || strrchr(map, '=') == map || !strrchr(map, '=')[1])
            return tl_fail(err, TL_E_USAGE, "'--map' takes CSV=COL, a field's name and a column's, not '%s'",
                           map);
        o->map[i] = map;
    }
    return 0;
}

static int read_files(struct upload_options *o, const struct args *args, struct tl_error *err)
{
    size_t stdins = 0;

    o->files = args->operand;
    o->nfiles = args->noperands;
    for (size_t i = 0; i < o->nfiles; i++) {
        if (!*o->files[i])
            return tl_fail(err, TL_E_USAGE, "the name of a file is empty");
        stdins += strcmp(o->files[i], "-") == 0;
    }
    return stdins < 2 ? 0 : tl_fail(err, TL_E_USAGE, "'-', standard input, can be read only once");
}

/* The option was checked by its table; the setting may be anything. */
static int read_compression(struct upload_options *o, const struct settings *settings, struct tl_error *err)
{
    const char *word;
    size_t len;

    if (!*settings->compression)
        return 0;
    o->compression = settings->compression;
    for (size_t i = 0; (len = choice_at(compressions, i, &word)) > 0; i++)
        if (strlen(o->compression) == len && memcmp(word, o->compression, len) == 0)
            return 0;
    return tl_fail(err, TL_E_USAGE, "the compression is none, lz4 or zstd, not '%s'", o->compression);
}

int upload_options_read(struct upload_options *o, const struct args *args, const struct settings *settings,
                        struct tl_error *err)
{
    int64_t timeout = args_number(args, "timeout", -1);

    *o = (struct upload_options){
        .table = args_text(args, "table"),
        .dry_run = args_flag(args, "dry-run"),
        .detach = args_flag(args, "detach"),
        .once = args_flag(args, "once"),
        .id = args_text(args, "id"),
        .timeout_ms = timeout < 0 ? -1 : timeout * 1000,
    };
    if (dialect_from_args(&o->dialect, args, err) || read_header(o, args, err) || read_files(o, args, err) ||
        read_max_errors(args_text(args, "max-errors"), &o->max_errors, err) ||
        read_compression(o, settings, err))
        return -1;
    if (o->detach && timeout >= 0)
        return tl_fail(err, TL_E_USAGE,
                       "'--detach' does not wait, so there is nothing for '--timeout' to bound");
    if (o->dry_run && (o->detach || o->id || o->once || timeout >= 0))
        return tl_fail(
            err, TL_E_USAGE,
            "'--dry-run' makes no upload: '--detach', '--id', '--once' and '--timeout' mean nothing to it");
    if (o->once && o->id)
        return tl_fail(err, TL_E_USAGE,
                       "'--once' finds the upload by its file, '--id' names it: one of them is enough");
    return 0;
}

void upload_options_release(struct upload_options *o)
{
    free(o->map);
    *o = (struct upload_options){0};
}
