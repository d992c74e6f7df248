/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Clusters are added, changed and removed. One that is added has to answer, and to be a Kafka that is not known under
 * another name: tenants that are moved from a cluster to itself would lose their topics.
 */
#include <stdio.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "coordinatord/control/request.h"
#include "shared/base/clock.h"

enum { NAME_TEXT_MAX = 4096, ANSWER_MS = 8000, PROPERTIES_MAX = 100, BUDGET_MAX = 1000000 };

static int check_name(const char *name, struct tl_error *err)
{
    if (tl_tenant_valid(tl_str(name)))
        return 0;
    return tl_fail(
        err, TL_E_REFUSED,
        "\"%.60s\" can't be the name of a cluster: small letters, digits and '-', a letter first, at most %d",
        name, TL_TENANT_MAX);
}

/* 1: they are there and can be used, 0: they are not in the request. */
static int read_kafka(const json_t *request, struct tl_kafka_conf *out, struct tl_error *err)
{
    const json_t *kafka = json_object_get(request, "kafka");

    if (!kafka || json_is_null(kafka))
        return 0;
    if (!json_is_object(kafka) || json_object_size(kafka) > PROPERTIES_MAX)
        return tl_fail(err, TL_E_REFUSED, "\"kafka\" is not an object of at most %d properties",
                       PROPERTIES_MAX);
    if (tl_kafka_conf_from_json(out, kafka, err) < 0) {
        if (err->code == TL_E_CORRUPT)
            err->code = TL_E_REFUSED;
        return -1;
    }
    if (!tl_kafka_conf_get(out, "bootstrap.servers"))
        return tl_fail(err, TL_E_REFUSED, "\"kafka\" has no \"bootstrap.servers\"");
    /* It would have the daemon run code of somebody's. */
    if (tl_kafka_conf_get(out, "plugin.library.paths"))
        return tl_fail(err, TL_E_REFUSED, "Kafka property plugin.library.paths can't be set here");
    return tl_kafka_conf_check(out, err) < 0 ? -1 : 1;
}

/* Asks the cluster itself, by a connection of its own; the keepers have enough to do. */
static int try_out(struct control *c, const char *name, const struct tl_kafka_conf *kafka,
                   struct tl_cluster_size *size, struct tl_error *err)
{
    const struct broker_ops *ops = c->options.broker;
    struct broker *b = ops->open(c->options.config, kafka, c->log, &c->stop, err);
    int rc = b ? ops->survey(b, ANSWER_MS, size, NULL, NULL, err) : -1;

    ops->close(b);
    if (rc < 0) {
        err->code = TL_E_REFUSED;
        return tl_error_prefix(err, "cluster \"%s\" does not answer at %.200s", name,
                               tl_kafka_conf_get(kafka, "bootstrap.servers"));
    }
    return 0;
}

/* Which Kafka each one is, is known as soon as it was reached once. */
static void ask_ids(struct control *c)
{
    for (struct cluster *cl = atomic_load(&c->clusters); cl; cl = atomic_load(&cl->next)) {
        bool known;

        control_lock(c);
        known = cl->kafka_id[0] != '\0';
        control_unlock(c);
        if (!known && !atomic_load(&cl->gone))
            cluster_look(cl);
    }
}

/* Under the lock. */
static int check_unknown(struct control *c, const char *name, const char *id, struct tl_error *err)
{
    for (struct cluster *cl = atomic_load(&c->clusters); *id && cl; cl = atomic_load(&cl->next))
        if (!atomic_load(&cl->gone) && strcmp(cl->kafka_id, id) == 0 && strcmp(cl->name, name) != 0)
            return tl_fail(err, TL_E_REFUSED, "that Kafka is known already, as cluster \"%s\"", cl->name);
    return 0;
}

/* One at a time: two of the same Kafka would not see each other. */
static int begin_adding(struct control *c, struct tl_error *err)
{
    int rc = 0;

    control_lock(c);
    if (c->adding_cluster)
        rc = tl_fail(err, TL_E_AGAIN, "another cluster is being added or changed");
    else
        c->adding_cluster = true;
    control_unlock(c);
    return rc;
}

static void end_adding(struct control *c)
{
    control_lock(c);
    c->adding_cluster = false;
    control_unlock(c);
}

/* --- add --- */

/* Stored, then seen. Under the lock. */
static int add(struct control *c, struct cluster *cl, struct tl_error *err)
{
    struct cluster_row row;
    int rc;

    if (check_unknown(c, cl->name, cl->kafka_id, err) < 0)
        return -1;
    rc = cluster_to_row(cl, &row, err);
    if (rc == 0)
        rc = store_cluster_add(c->store, &row, err);
    cluster_row_release(&row);
    if (rc < 0)
        return -1;
    cluster_insert(c, cl);
    /* What is stored is there: without a thread now it has one after the next start. */
    if (cluster_start(cl, err) < 0)
        snprintf(cl->trouble, sizeof cl->trouble, "%s", err->text);
    tl_info(c->log, "control", "cluster %s: added, %d partitions", cl->name, (int)cl->max_partitions);
    return 0;
}

static int read_cluster(const json_t *request, struct cluster_row *row, struct tl_kafka_conf *kafka,
                        struct tl_error *err)
{
    const char *name = NULL;
    int64_t budget = 0;
    int rc;

    if (request_members(request, "the cluster", "cluster kafka max_partitions", err) < 0 ||
        request_text(request, "cluster", NAME_TEXT_MAX, &name, err) < 0 ||
        request_number(request, "max_partitions", 1, BUDGET_MAX, &budget, err) < 0)
        return -1;
    if (!name || budget == 0)
        return tl_fail(err, TL_E_REFUSED, "\"cluster\" or \"max_partitions\" is missing");
    if (check_name(name, err) < 0)
        return -1;
    snprintf(row->cluster, sizeof row->cluster, "%s", name);
    row->max_partitions = (int32_t)budget;
    row->created_ms = tl_clock_wall_ms();
    rc = read_kafka(request, kafka, err);
    if (rc == 0)
        return tl_fail(err, TL_E_REFUSED, "\"kafka\" is missing");
    if (rc < 0)
        return -1;
    row->properties = json_dumps(json_object_get(request, "kafka"), JSON_COMPACT);
    return row->properties ? 0 : tl_fail_nomem(err);
}

static int try_and_add(struct control *c, struct cluster_row *row, const struct tl_kafka_conf *kafka,
                       struct tl_error *err)
{
    struct tl_cluster_size size;
    struct tl_error ignored;
    struct cluster *cl;
    int rc;

    if (cluster_find(c, row->cluster, &ignored))
        return tl_fail(err, TL_E_CONFLICT, "cluster \"%s\" exists already", row->cluster);
    if (try_out(c, row->cluster, kafka, &size, err) < 0)
        return -1;
    snprintf(row->kafka_id, sizeof row->kafka_id, "%s", size.id);
    ask_ids(c);
    cl = cluster_new(c, row, err);
    if (!cl)
        return -1;
    control_lock(c);
    rc = add(c, cl, err);
    control_unlock(c);
    if (rc < 0)
        cluster_free(cl);
    return rc;
}

int control_cluster_add(struct control *c, const json_t *request, const char *who, json_t **answer,
                        struct tl_error *err)
{
    struct cluster_row row = {0};
    struct tl_kafka_conf kafka;
    int rc;

    if (control_running(c, err) < 0 || begin_adding(c, err) < 0)
        return -1;
    snprintf(row.who, sizeof row.who, "%s", who);
    tl_kafka_conf_init(&kafka);
    rc = read_cluster(request, &row, &kafka, err);
    if (rc == 0)
        rc = try_and_add(c, &row, &kafka, err);
    end_adding(c);
    if (rc == 0)
        rc = control_cluster(c, row.cluster, answer, err);
    tl_kafka_conf_release(&kafka);
    cluster_row_release(&row);
    return rc;
}

/* --- patch --- */

struct patch {
    bool draining;
    int64_t max_partitions; /* 0: stays */
    bool has_kafka;
    struct tl_kafka_conf kafka;
    char kafka_id[TL_CLUSTER_ID_MAX + 1];
};

static int read_patch(const struct cluster *cl, const json_t *request, struct patch *p, struct tl_error *err)
{
    int rc;

    if (request_members(request, "the change", "draining max_partitions kafka", err) < 0 ||
        request_bool(request, "draining", &p->draining, err) < 0 ||
        request_number(request, "max_partitions", 1, BUDGET_MAX, &p->max_partitions, err) < 0)
        return -1;
    rc = read_kafka(request, &p->kafka, err);
    if (rc < 0)
        return -1;
    p->has_kafka = rc == 1;
    if (cl->configured && (p->has_kafka || p->max_partitions))
        return tl_fail(
            err, TL_E_REFUSED,
            "cluster \"%s\" is the one of the configuration: its properties and max_partitions are set there",
            cl->name);
    return 0;
}

static int check_patch(struct control *c, struct cluster *cl, struct patch *p, struct tl_error *err)
{
    struct tl_cluster_size size;

    if (!p->has_kafka)
        return 0;
    if (try_out(c, cl->name, &p->kafka, &size, err) < 0)
        return -1;
    memcpy(p->kafka_id, size.id, sizeof p->kafka_id);
    return 0;
}

static int check_budget(struct control *c, const struct cluster *cl, int64_t budget, struct tl_error *err)
{
    struct cluster_room rooms[STORE_CLUSTERS_MAX];
    size_t n;

    if (budget == 0)
        return 0;
    if (store_rooms(c->store, rooms, &n, err) < 0)
        return -1;
    for (size_t i = 0; i < n; i++)
        if (strcmp(rooms[i].cluster, cl->name) == 0 && rooms[i].reserved > budget)
            return tl_fail(err, TL_E_REFUSED, "tenants have %lld partitions on cluster \"%s\" already",
                           (long long)rooms[i].reserved, cl->name);
    return 0;
}

/* Under the lock: what is stored, then what is seen. */
static int apply(struct control *c, struct cluster *cl, struct patch *p, struct tl_error *err)
{
    /* What of a cluster may change, as it is now, and as it is to be. */
    struct cluster next = {.configured = cl->configured, .created_ms = cl->created_ms};
    struct cluster_row row;
    int rc;

    if (atomic_load(&cl->gone))
        return tl_fail(err, TL_E_NOT_FOUND, "no such cluster");
    if (check_budget(c, cl, p->max_partitions, err) < 0)
        return -1;
    if (p->kafka_id[0] && cl->kafka_id[0] && strcmp(p->kafka_id, cl->kafka_id) != 0)
        return tl_fail(err, TL_E_REFUSED, "that is another Kafka than the one that cluster \"%s\" is",
                       cl->name);
    memcpy(next.name, cl->name, sizeof next.name);
    memcpy(next.who, cl->who, sizeof next.who);
    memcpy(next.kafka_id, cl->kafka_id, sizeof next.kafka_id);
    next.draining = p->draining;
    next.max_partitions = p->max_partitions ? (int32_t)p->max_partitions : cl->max_partitions;
    next.kafka = p->has_kafka ? p->kafka : cl->kafka; /* borrowed */
    rc = cluster_to_row(&next, &row, err);
    if (rc == 0)
        rc = store_cluster_set(c->store, &row, err);
    cluster_row_release(&row);
    if (rc < 0)
        return -1;
    cl->draining = next.draining;
    cl->max_partitions = next.max_partitions;
    if (p->has_kafka) {
        struct tl_kafka_conf old = cl->kafka;

        cl->kafka = p->kafka;
        p->kafka = old;
        cl->changed = true;
        keeper_kick(cl);
    }
    for (struct tenant *t = atomic_load(&c->tenants); t; t = atomic_load(&t->next))
        if (t->cluster == cl && !atomic_load(&t->gone))
            tenant_touch(c, t);
    return 0;
}

int control_cluster_patch(struct control *c, const char *cluster, const json_t *request, json_t **answer,
                          struct tl_error *err)
{
    struct cluster *cl = cluster_find(c, cluster, err);
    struct patch p = {0};
    int rc;

    if (!cl || control_running(c, err) < 0 || begin_adding(c, err) < 0)
        return -1;
    tl_kafka_conf_init(&p.kafka);
    control_lock(c);
    p.draining = cl->draining;
    control_unlock(c);
    rc = read_patch(cl, request, &p, err);
    if (rc == 0)
        rc = check_patch(c, cl, &p, err);
    if (rc == 0) {
        control_lock(c);
        rc = apply(c, cl, &p, err);
        control_unlock(c);
    }
    tl_kafka_conf_release(&p.kafka);
    end_adding(c);
    return rc < 0 ? -1 : control_cluster(c, cluster, answer, err);
}

/* --- remove --- */

static int remove_it(struct control *c, const char *cluster, struct cluster **out, struct tl_error *err)
{
    struct cluster *cl = cluster_find(c, cluster, err);

    if (!cl)
        return -1;
    if (cl->configured)
        return tl_fail(err, TL_E_REFUSED, "cluster \"%s\" is the one of the configuration, and stays",
                       cl->name);
    if (store_cluster_remove(c->store, cl->name, err) < 0)
        return -1;
    atomic_store(&cl->gone, true);
    *out = cl;
    return 0;
}

int control_cluster_remove(struct control *c, const char *cluster, struct tl_error *err)
{
    struct cluster *cl = NULL;
    int rc;

    if (control_running(c, err) < 0)
        return -1;
    control_lock(c);
    rc = remove_it(c, cluster, &cl, err);
    control_unlock(c);
    if (rc < 0)
        return -1;
    cluster_stop(cl);
    tl_info(c->log, "control", "cluster %s: removed", cl->name);
    return 0;
}
