/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Goes on with an upload that was interrupted, with the files and options that it began with, which control
 * keeps:
 *
 *   GET …/source ──► struct upload_options ──► upload_run, as the command with --id would
 */
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/client/coordinator.h"
#include "cli/upload/upload.h"
#include "shared/wire/dialect.h"

static const struct option options[] = {
    OUTCOME_OPTIONS,
    {.name = NULL},
};

static int read_header(const json_t *how, struct upload_options *o, struct tl_error *err)
{
    const json_t *map = json_object_get(how, "map");
    const char *header = json_string_value(json_object_get(how, "header"));
    json_t *one;
    size_t i;

    o->header = !header || strcmp(header, "match") == 0 ? HEADER_MATCH
                : strcmp(header, "skip") == 0           ? HEADER_SKIP
                                                        : HEADER_NONE;
    o->columns = json_string_value(json_object_get(how, "columns"));
    o->map = calloc(json_array_size(map) + 1, sizeof *o->map);
    if (!o->map)
        return tl_fail_nomem(err);
    json_array_foreach(map, i, one) o->map[o->nmap++] = json_string_value(one);
    return 0;
}

static int read_files(const json_t *files, const char ***paths, struct upload_options *o,
                      struct tl_error *err)
{
    json_t *file;
    size_t i;

    *paths = calloc(json_array_size(files) + 1, sizeof **paths);
    if (!*paths)
        return tl_fail_nomem(err);
    json_array_foreach(files, i, file)
    {
        (*paths)[i] = json_string_value(json_object_get(file, "path"));
        if (!(*paths)[i])
            return tl_fail(err, TL_E_REFUSED, "upload %s was read from standard input and can't be resumed",
                           o->id);
    }
    o->files = *paths;
    o->nfiles = json_array_size(files);
    return 0;
}

static int read_source(const json_t *source, const char ***paths, struct upload_options *o,
                       struct tl_error *err)
{
    o->table = json_string_value(json_object_get(source, "table"));
    if (!o->table)
        return tl_fail(err, TL_E_CORRUPT, "the coordinator does not say where upload %s came from", o->id);
    if (tl_dialect_parse(tl_str(json_string_value(json_object_get(source, "dialect"))), &o->dialect, err))
        return -1;
    return read_header(json_object_get(source, "options"), o, err) ||
                   read_files(json_object_get(source, "files"), paths, o, err)
               ? -1
               : 0;
}

static int get_source(struct cli *cli, const char *id, json_t **source, struct tl_error *err)
{
    struct coordinator *c = coordinator_open(cli->settings, err);
    int rc = c ? coordinator_upload_source(c, id, source, err) : -1;

    coordinator_close(c);
    return rc;
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    int64_t timeout = args_number(args, "timeout", -1);
    struct upload_options o = {
        .id = args->operand[0],
        .resume = true,
        .detach = args_flag(args, "detach"),
        .timeout_ms = timeout < 0 ? -1 : timeout * 1000,
        .compression = *cli->settings->compression ? cli->settings->compression : NULL,
    };
    const char **paths = NULL;
    json_t *source = NULL;
    int rc = -1;

    if (get_source(cli, o.id, &source, err) == 0 && read_source(source, &paths, &o, err) == 0)
        rc = upload_command(cli, &o, err);
    upload_options_release(&o);
    free(paths);
    json_decref(source);
    return rc;
}

const struct command command_resume = {
    .name = "resume",
    .summary = "go on with an upload that was interrupted",
    .usage = "UPLOAD [--detach | --timeout SECONDS]",
    .about =
        "Reads the same files again, with the options of then, and sends what is not applied yet. It is refused "
        "when a file has changed since, and for standard input. An upload that is all sent is waited for.",
    .first = {"UPLOAD", 1, 1, COMPLETE_NOTHING},
    .options = options,
    .examples = {"tload resume 20260131-120000-7f3a9c21"},
    .run = run,
};
