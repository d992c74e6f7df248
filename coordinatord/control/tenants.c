/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "coordinatord/control/redact.h"
#include "shared/base/clock.h"

static int load_tenant(void *app, const struct tenant_row *row, struct tl_error *err)
{
    struct control *c = app;
    struct tenant *t;

    if (c->ntenants == TENANTS_MAX)
        return tl_fail(err, TL_E_REFUSED, "more than %d tenants", TENANTS_MAX);
    t = calloc(1, sizeof *t);
    if (!t)
        return tl_fail_nomem(err);
    t->row = *row;
    t->applied_sum = -1;
    for (int i = 0; i < TL_TOPIC_COUNT; i++)
        tl_topic_name((enum tl_topic)i, tl_str(row->tenant), t->topic[i]);
    snprintf(t->trouble, sizeof t->trouble, "its topics are being made");
    c->tenants[c->ntenants++] = t;
    return 0;
}

int tenants_load(struct control *c, struct tl_error *err)
{
    return store_tenants(c->store, load_tenant, c, err);
}

void tenants_free(struct control *c)
{
    for (size_t i = 0; i < c->ntenants; i++)
        free(c->tenants[i]);
    c->ntenants = 0;
}

struct tenant *tenant_find(struct control *c, const char *name, struct tl_error *err)
{
    for (size_t i = 0; i < c->ntenants; i++)
        if (strcmp(c->tenants[i]->row.tenant, name) == 0)
            return c->tenants[i];
    tl_fail(err, TL_E_NOT_FOUND, "no such tenant");
    return NULL;
}

int tenant_usable(struct control *c, struct tenant *t, struct tl_error *err)
{
    enum { FIRST_PASS_MS = 3000 };
    int64_t deadline = tl_clock_ms() + FIRST_PASS_MS;
    int rc = 0;

    control_lock(c);
    /* Right after the start nothing is known of the topics, which most likely are there. */
    while (!t->ready && c->passes_done == 0 && !atomic_load(&c->stop) &&
           control_wait(c, &c->settled, deadline))
        ;
    if (t->broken)
        rc = tl_fail(err, TL_E_FATAL, "tenant \"%s\" can't be used: %s", t->row.tenant, t->trouble);
    else if (!t->ready)
        rc = tl_fail(err, TL_E_UNAVAILABLE, "tenant \"%s\" is not ready: %s", t->row.tenant, t->trouble);
    control_unlock(c);
    return rc;
}

/* Under the lock. */
static json_t *to_json(struct control *c, const struct tenant *t, bool secrets)
{
    const struct config *config = c->options.config;
    const char *waiting = t->trouble[0] ? t->trouble : report_for(c, t->row.tenant, NULL, tl_clock_ms());
    json_t *kafka = tl_kafka_conf_to_json(&config->kafka), *json = NULL;
    char *sink = secrets ? strdup(config->sink_url) : redact_url(config->sink_url);
    char *errors = secrets ? strdup(config->errors_url) : redact_url(config->errors_url);

    if (kafka && sink && errors && (secrets || redact_kafka(kafka) == 0))
        json = json_pack("{s:s, s:s, s:i, s:s, s:s?, s:s?, s:{s:s, s:s, s:s}, s:O, s:s, s:s, s:s}", "tenant",
                         t->row.tenant, "cluster", t->row.cluster, "partitions", (int)t->row.partitions,
                         "state", t->ready ? "ready" : "preparing", "waiting", waiting, "alarm",
                         t->alarm[0] ? t->alarm : NULL, "topics", "raw_input", t->topic[TL_TOPIC_RAW_INPUT],
                         "validated_input", t->topic[TL_TOPIC_VALIDATED_INPUT], "import_error",
                         t->topic[TL_TOPIC_IMPORT_ERROR], "kafka", kafka, "compression", config->compression,
                         "sink", sink, "errors", errors);
    json_decref(kafka);
    free(sink);
    free(errors);
    return json;
}

int control_tenants(struct control *c, bool secrets, int limit, const char *cursor, json_t **answer,
                    struct tl_error *err)
{
    json_t *list = json_array();
    const char *next = NULL;
    int failed = 0;

    control_lock(c);
    for (size_t i = 0; i < c->ntenants && !failed && !next; i++) {
        const struct tenant *t = c->tenants[i];

        if (cursor && strcmp(t->row.tenant, cursor) <= 0)
            continue;
        if ((int)json_array_size(list) == limit)
            next = c->tenants[i - 1]->row.tenant;
        else
            failed = json_array_append_new(list, to_json(c, t, secrets));
    }
    control_unlock(c);
    if (failed) {
        json_decref(list);
        return tl_fail_nomem(err);
    }
    return control_answer(json_pack("{s:o, s:s?}", "tenants", list, "next", next), answer, err);
}

int control_tenant(struct control *c, const char *tenant, json_t **answer, struct tl_error *err)
{
    struct tenant *t = tenant_find(c, tenant, err);
    json_t *json;

    if (!t)
        return -1;
    control_lock(c);
    json = to_json(c, t, false);
    control_unlock(c);
    return control_answer(json, answer, err);
}
