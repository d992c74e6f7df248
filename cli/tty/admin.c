/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/tty/admin.h"

#include "cli/client/outcome.h"
#include "cli/tty/uploads.h"

const struct table_column cluster_columns[] = {
    {"CLUSTER", false}, {"TENANTS", true}, {"RESERVED", true}, {"FREE", true},
    {"OURS", true},     {"OTHERS", true},  {"STATE", false},   {"WAITING", false},
};
const size_t cluster_columns_count = TL_ARRAY_LEN(cluster_columns);

const struct table_column tenant_columns[] = {
    {"TENANT", false}, {"CLUSTER", false}, {"PARTITIONS", true},
    {"UPLOADS", true}, {"STATE", false},   {"WAITING", false},
};
const size_t tenant_columns_count = TL_ARRAY_LEN(tenant_columns);

static const char *cluster_state(const json_t *cluster)
{
    if (*upload_text(cluster, "waiting"))
        return "unreachable";
    return json_is_true(json_object_get(cluster, "draining")) ? "draining" : "ok";
}

int cluster_row(struct table *t, const json_t *cluster, struct tl_error *err)
{
    const json_t *used = json_object_get(cluster, "used");

    return table_cell(t, upload_text(cluster, "cluster"), err) ||
                   table_number(t, upload_number(cluster, "tenants", -1), err) ||
                   table_number(t, upload_number(cluster, "reserved", -1), err) ||
                   table_number(t, upload_number(cluster, "free", -1), err) ||
                   table_number(t, upload_number(used, "ours", -1), err) ||
                   table_number(t, upload_number(used, "foreign", -1), err) ||
                   table_cell(t, cluster_state(cluster), err) ||
                   table_cell(t, upload_text(cluster, "waiting"), err)
               ? -1
               : 0;
}

int tenant_row(struct table *t, const json_t *tenant, struct tl_error *err)
{
    return table_cell(t, upload_text(tenant, "tenant"), err) ||
                   table_cell(t, upload_text(tenant, "cluster"), err) ||
                   table_number(t, upload_number(tenant, "partitions", -1), err) ||
                   table_number(t, upload_number(tenant, "uploads", -1), err) ||
                   table_cell(t, upload_text(tenant, "state"), err) ||
                   table_cell(t, upload_text(tenant, "waiting"), err)
               ? -1
               : 0;
}

/* "12 ours, 50 of others"; "not known yet". */
static const char *used_text(const json_t *cluster, char *out, size_t size)
{
    const json_t *used = json_object_get(cluster, "used");

    if (!json_is_object(used))
        return "not known yet";
    snprintf(out, size, "%lld of tenants, %lld of others", (long long)upload_number(used, "ours", 0),
             (long long)upload_number(used, "foreign", 0));
    return out;
}

int cluster_print(struct output *out, const json_t *cluster, struct tl_error *err)
{
    char budget[120], used[120], tenants[24];

    snprintf(budget, sizeof budget, "%lld: %lld reserved, %lld free",
             (long long)upload_number(cluster, "max_partitions", 0),
             (long long)upload_number(cluster, "reserved", 0), (long long)upload_number(cluster, "free", 0));
    snprintf(tenants, sizeof tenants, "%lld", (long long)upload_number(cluster, "tenants", 0));
    return print_labelled(out, "cluster", upload_text(cluster, "cluster"), err) ||
                   print_labelled(out, "kafka",
                                  upload_text(json_object_get(cluster, "kafka"), "bootstrap.servers"), err) ||
                   print_labelled(out, "partitions", budget, err) ||
                   print_labelled(out, "there are", used_text(cluster, used, sizeof used), err) ||
                   print_labelled(out, "tenants", tenants, err) ||
                   print_labelled(out, "state", cluster_state(cluster), err) ||
                   print_labelled(out, "waiting", upload_text(cluster, "waiting"), err)
               ? -1
               : 0;
}

static const char *limit_text(const json_t *tenant, const char *member, const char *unit, char *out,
                              size_t size)
{
    int64_t limit = upload_number(tenant, member, 0);

    if (limit == 0)
        return "";
    snprintf(out, size, "%lld%s", (long long)limit, unit);
    return out;
}

int tenant_print(struct output *out, const json_t *tenant, struct tl_error *err)
{
    char text[60], uploads[60], bytes[60];

    snprintf(text, sizeof text, "%lld", (long long)upload_number(tenant, "partitions", 0));
    return print_labelled(out, "tenant", upload_text(tenant, "tenant"), err) ||
                   print_labelled(out, "cluster", upload_text(tenant, "cluster"), err) ||
                   print_labelled(out, "moving to", upload_text(tenant, "moving_to"), err) ||
                   print_labelled(out, "leaving", upload_text(tenant, "leaving"), err) ||
                   print_labelled(out, "partitions", text, err) ||
                   print_labelled(out, "state", upload_text(tenant, "state"), err) ||
                   print_labelled(out, "waiting", upload_text(tenant, "waiting"), err) ||
                   print_labelled(out, "sink", upload_text(tenant, "sink"), err) ||
                   print_labelled(out, "errors", upload_text(tenant, "errors"), err) ||
                   print_labelled(out, "max uploads",
                                  limit_text(tenant, "max_uploads", "", uploads, sizeof uploads), err) ||
                   print_labelled(
                       out, "max bytes",
                       limit_text(tenant, "max_bytes_per_second", " a second", bytes, sizeof bytes), err)
               ? -1
               : 0;
}
