/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/wire/topic.h"

static const char prefix[] = "tload.";

static const char *const names[TL_TOPIC_COUNT] = {
    [TL_TOPIC_RAW_INPUT] = "raw-input",
    [TL_TOPIC_VALIDATED_INPUT] = "validated-input",
    [TL_TOPIC_IMPORT_ERROR] = "import-error",
};

void tl_topic_name(enum tl_topic topic, struct tl_str tenant, char out[TL_TOPIC_NAME_MAX + 1])
{
    snprintf(out, TL_TOPIC_NAME_MAX + 1, "%s%.*s.%s", prefix, TL_STR_ARG(tenant), names[topic]);
}

void tl_topic_position(const char *topic, int64_t epoch, char out[TL_POSITION_NAME_MAX + 1])
{
    if (epoch == 1)
        snprintf(out, TL_POSITION_NAME_MAX + 1, "%s", topic);
    else
        snprintf(out, TL_POSITION_NAME_MAX + 1, "%s@%lld", topic, (long long)epoch);
}

void tl_group_name(const char *role, int number, char out[TL_GROUP_NAME_MAX + 1])
{
    if (number == 0)
        snprintf(out, TL_GROUP_NAME_MAX + 1, "tload-%.12s", role);
    else
        snprintf(out, TL_GROUP_NAME_MAX + 1, "tload-%.12s-%d", role, number);
}

bool tl_topic_parse(struct tl_str name, enum tl_topic *topic, struct tl_str *tenant)
{
    struct tl_str head;

    if (name.len < sizeof prefix - 1 || memcmp(name.ptr, prefix, sizeof prefix - 1) != 0)
        return false;
    name.ptr += sizeof prefix - 1;
    name.len -= sizeof prefix - 1;
    head = tl_str_cut(&name, '.');
    if (!name.ptr || !tl_tenant_valid(head))
        return false;
    for (int i = 0; i < TL_TOPIC_COUNT; i++) {
        if (tl_str_eq_z(name, names[i])) {
            *topic = (enum tl_topic)i;
            *tenant = head;
            return true;
        }
    }
    return false;
}
