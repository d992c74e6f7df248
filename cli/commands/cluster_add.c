/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/commands/admin.h"

static const struct option options[] = {
    {.name = "bootstrap",
     .kind = OPTION_TEXT,
     .arg = "HOST:PORT[,...]",
     .required = true,
     .help = "where brokers of it answer"},
    {.name = "max-partitions",
     .kind = OPTION_NUMBER,
     .arg = "N",
     .min = 1,
     .max = 1000000,
     .required = true,
     .help = "its budget: what all tenants on it together may have"},
    {.name = "property",
     .letter = 'X',
     .kind = OPTION_LIST,
     .arg = "KEY=VALUE",
     .help = "a property of librdkafka, as security.protocol=sasl_ssl",
     .more =
         "A secret on the command line is seen by every user of the machine; name a file where librdkafka takes "
         "one."},
    {.name = NULL},
};

static int add_property(json_t *kafka, const char *text, struct tl_error *err)
{
    struct tl_str value = tl_str(text), key = tl_str_cut(&value, '=');
    int rc;

    if (!value.ptr || key.len == 0)
        return tl_fail(err, TL_E_USAGE, "'%s' is not KEY=VALUE", text);
    rc = json_object_setn_new(kafka, key.ptr, key.len, json_stringn(value.ptr, value.len));
    return rc ? tl_fail(err, TL_E_USAGE, "'%s' is not UTF-8", text) : 0;
}

static json_t *make_request(const struct args *args, struct tl_error *err)
{
    json_t *request = json_pack("{s:s, s:{s:s}, s:I}", "cluster", args->operand[0], "kafka",
                                "bootstrap.servers", args_text(args, "bootstrap"), "max_partitions",
                                (json_int_t)args_number(args, "max-partitions", 0));
    const char *property;

    if (!request)
        tl_fail(err, TL_E_USAGE, "the cluster's name, or where it answers, is not UTF-8");
    for (size_t i = 0; request && (property = args_list(args, "property", i)); i++) {
        if (add_property(json_object_get(request, "kafka"), property, err)) {
            json_decref(request);
            return NULL;
        }
    }
    return request;
}

static int run(struct cli *cli, const struct args *args, struct tl_error *err)
{
    json_t *request = make_request(args, err), *cluster = NULL;
    struct coordinator *c = request ? coordinator_open(cli->settings, err) : NULL;
    int rc = c ? admin_create(c, ADMIN_CLUSTERS, request, &cluster, err) : -1;

    if (!rc)
        rc = admin_print(cli, ADMIN_CLUSTERS, cluster, err);
    json_decref(cluster);
    json_decref(request);
    coordinator_close(c);
    return rc;
}

const struct command command_cluster_add = {
    .name = "cluster add",
    .summary = "add a Kafka cluster, so that tenants are placed on it",
    .usage = "NAME --bootstrap HOST:PORT[,...] --max-partitions N [-X KEY=VALUE]...",
    .about =
        "It has to answer, and must not be known already under another name. Tenants that are made from then on "
        "go to the cluster with most partitions free.\n"
        "The cluster of the coordinator's configuration is named default; its properties and its budget are set "
        "there.",
    .first = {"NAME", 1, 1, COMPLETE_NOTHING},
    .options = options,
    .examples = {"tload cluster add west --bootstrap west1:9092,west2:9092 --max-partitions 2000",
                 "tload cluster add east --bootstrap east:9093 --max-partitions 500 -X security.protocol=ssl "
                 "-X ssl.ca.location=/etc/ssl/east.pem"},
    .run = run,
};
