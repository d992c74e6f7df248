/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a new tenant goes: to the cluster that has most partitions free, is not being drained, and has room for three
 * topics of it. One that can't be reached now comes last, since the tenant would have to wait for it.
 */
#include <stdio.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"

int32_t room_budget(const struct control *c, const struct cluster_room *room)
{
    return strcmp(room->cluster, CONTROL_DEFAULT) == 0 ? c->options.config->max_partitions
                                                       : room->max_partitions;
}

static int64_t room_free(const struct control *c, const struct cluster_room *room)
{
    return TL_MAX(room_budget(c, room) - room->reserved, 0);
}

static bool reachable(struct control *c, const char *name)
{
    struct tl_error err;
    struct cluster *cl = cluster_find(c, name, &err);

    return cl && !cl->trouble[0];
}

/* Whether a is the better place. */
static bool better(struct control *c, const struct cluster_room *a, const struct cluster_room *b)
{
    bool a_there = reachable(c, a->cluster), b_there = reachable(c, b->cluster);

    if (a_there != b_there)
        return a_there;
    return room_free(c, a) > room_free(c, b);
}

/* "default has 2 free of 24; west is being drained" */
static void describe(const struct control *c, const struct cluster_room *rooms, size_t n, const char *only,
                     char *out, size_t size)
{
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n && at < size; i++) {
        if (only && strcmp(rooms[i].cluster, only) != 0)
            continue;
        at += (size_t)snprintf(out + at, size - at, "%s%s ", at ? "; " : "", rooms[i].cluster);
        if (at < size && rooms[i].draining)
            at += (size_t)snprintf(out + at, size - at, "is being drained");
        else if (at < size)
            at += (size_t)snprintf(out + at, size - at, "has %lld free of %d",
                                   (long long)room_free(c, &rooms[i]), (int)room_budget(c, &rooms[i]));
    }
}

const char *placement_choose(void *placement, const struct cluster_room *rooms, size_t n,
                             struct tl_error *err)
{
    const struct placement *p = placement;
    int64_t wanted = (int64_t)TL_TOPIC_COUNT * p->partitions;
    const struct cluster_room *best = NULL;
    bool known = false;
    char what[300];

    for (size_t i = 0; i < n; i++) {
        const struct cluster_room *room = &rooms[i];

        if (p->cluster && strcmp(room->cluster, p->cluster) != 0)
            continue;
        known = true;
        if (!room->draining && room_free(p->c, room) >= wanted && (!best || better(p->c, room, best)))
            best = room;
    }
    if (best)
        return best->cluster;
    if (p->cluster && !known) {
        tl_fail(err, TL_E_REFUSED, "there is no cluster \"%.40s\"", p->cluster);
        return NULL;
    }
    describe(p->c, rooms, n, p->cluster, what, sizeof what);
    tl_fail(
        err, TL_E_REFUSED,
        "no room for %lld partitions (three topics of %d): %s; add a cluster (tload cluster add), or ask for"
        " fewer partitions",
        (long long)wanted, (int)p->partitions, what);
    return NULL;
}
