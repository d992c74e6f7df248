/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/cli.h"
#include "cli/client/coordinator.h"
#include "cli/client/outcome.h"
#include "cli/client/watch.h"
#include "cli/tty/uploads.h"

static const struct option options[] = {
    {.name = "follow",
     .letter = 'f',
     .kind = OPTION_FLAG,
     .help = "show how the upload goes until it ends, and end with its outcome"},
    {.name = NULL},
};

static int one_upload(struct cli *cli, struct coordinator *c, const char *id, struct tl_error *err)
{
    json_t *upload;
    int rc;

    if (coordinator_upload_get(c, id, 0, 0, &upload, err))
        return -1;
    rc = cli->json ? output_json(&cli->out, upload, err) : upload_print(&cli->out, upload, err);
    json_decref(upload);
    return rc;
}

static int collect(void *app, const json_t *upload, struct tl_error *err)
{
    return json_array_append(app, (json_t *)upload) ? tl_fail_nomem(err) : 0;
}

/* Uploads that are not at their end, sending ones first. Few, so they are held in memory. */
static json_t *unfinished(struct coordinator *c, struct tl_error *err)
{
    static const char *const states[] = {"sending", "processing", "queued"};
    json_t *list = json_array();

    if (!list) {
        tl_fail_nomem(err);
        return NULL;
    }
    for (size_t i = 0; i < TL_ARRAY_LEN(states); i++) {
        if (coordinator_uploads(c, NULL, states[i], collect, list, err)) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static int print_overview(struct cli *cli, struct coordinator *c, const json_t *ready, const json_t *tenant,
                          const json_t *uploads, struct tl_error *err)
{
    struct output *out = &cli->out;
    struct uploads_list *list;
    json_t *upload;
    size_t i;
    char text[120];
    int rc = 0;

    snprintf(text, sizeof text, "%.60s, %lld partitions, %.30s", coordinator_tenant(c),
             (long long)upload_number(tenant, "partitions", 0), upload_text(tenant, "state"));
    if (print_labelled(out, "coordinator", coordinator_url(c), err) ||
        print_labelled(out, "tenant", text, err) ||
        print_labelled(out, "kafka", upload_text(ready, "kafka"), err) ||
        print_labelled(out, "sink", upload_text(tenant, "sink"), err) ||
        print_labelled(out, "waiting", upload_text(tenant, "waiting"), err))
        return -1;
    if (json_array_size(uploads) == 0)
        return output_print(out, err, "%-12s none\n", "unfinished");
    list = uploads_list_new(out, err);
    if (!list || output_write(out, "\n", 1, err))
        rc = -1;
    json_array_foreach(uploads, i, upload)
    {
        if (!rc)
            rc = uploads_list_add(list, upload, err);
    }
    if (!rc)
        rc = uploads_list_finish(list, err);
    uploads_list_free(list);
    return rc;
}

static int overview(struct cli *cli, struct coordinator *c, struct tl_error *err)
{
    json_t *ready = NULL, *tenant = NULL, *uploads = NULL, *all = NULL;
    int rc = -1;

    if (coordinator_ready(c, &ready, err) || coordinator_tenant_get(c, &tenant, err) ||
        !(uploads = unfinished(c, err)))
        goto out;
    if (!cli->json) {
        rc = print_overview(cli, c, ready, tenant, uploads, err);
        goto out;
    }
    all = json_pack("{s:s, s:O?, s:O, s:O}", "coordinator", coordinator_url(c), "kafka",
                    json_object_get(ready, "kafka"), "tenant", tenant, "uploads", uploads);
    rc = all ? output_json(&cli->out, all, err) : tl_fail_nomem(err);
out:
    json_decref(all);
    json_decref(uploads);
    json_decref(tenant);
    json_decref(ready);
    return rc;
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    const char *id = args->noperands ? args->operand[0] : NULL;
    struct coordinator *c;
    int rc;

    if (args_flag(args, "follow") && !id)
        return tl_fail(err, TL_E_USAGE, "'--follow' needs the UPLOAD to follow; 'tload uploads' lists them");
    if (args_flag(args, "follow"))
        return watch_upload(cli, id, -1, true, err);
    c = coordinator_open(cli->settings, err);
    if (!c)
        return -1;
    rc = id ? one_upload(cli, c, id, err) : overview(cli, c, err);
    coordinator_close(c);
    return rc;
}

const struct command command_status = {
    .name = "status",
    .summary = "show how an upload is, or how everything is",
    .usage = "[UPLOAD [--follow]]",
    .about = "Without an UPLOAD: the coordinator, the tenant, Kafka, and the uploads that are not at their "
             "end, with what they "
             "wait for.",
    .first = {"UPLOAD", 0, 1, COMPLETE_NOTHING},
    .options = options,
    .examples = {"tload status", "tload status 01JQZX --follow",
                 "tload --json status 01JQZX | jq .rows_applied"},
    .run = run,
};
