/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * When a tenant is removed, what it has in the sink stays. One that is made again under its name finds tables there, and
 * batches of uploads, that are not its own: without the checks here a table that it defines would take the other's place,
 * and an upload of the same id would be taken for one that is applied already. Positions in topics are told apart by the
 * epoch.
 */
#include "coordinatord/control/control_impl.h"

enum { PATIENCE_MS = 5000 };

/* Whether the name had an earlier life, or its topics did. */
static bool had_earlier(struct control *c, const struct tenant *t)
{
    bool had;

    control_lock(c);
    had = t->epoch > 1;
    control_unlock(c);
    return had;
}

/* *out NULL: there was no earlier life, or nothing of it is in the sink. */
static int open_earlier(struct control *c, const struct tenant *t, struct sink **out, struct tl_error *err)
{
    struct sink_conf conf = {
        .url = t->sink_url,
        .tenant = t->name,
        .read_only = true,
        .patience_ms = PATIENCE_MS,
        .log = c->log,
        .stop = &c->stop,
    };

    *out = NULL;
    if (!had_earlier(c, t))
        return 0;
    *out = t->sink_ops->open(&conf, err);
    if (*out || err->code == TL_E_NOT_FOUND)
        return 0;
    if (tl_error_retriable(err))
        err->code = TL_E_UNAVAILABLE;
    return tl_error_prefix(err, "the data sink can't be asked");
}

static int check_table(struct control *c, const struct tenant *t, const struct tl_schema *there,
                       struct tl_error *err)
{
    int ours = store_table_of(c->store, t->name, there->table_id, err);

    if (ours)
        return TL_MIN(ours, 0);
    return tl_fail(
        err, TL_E_CONFLICT,
        "the data sink has a table \"%s\" of an earlier tenant \"%s\", which stays: take another name, or"
        " take it out of tload's own list of tables there, and adopt it",
        there->table, t->name);
}

int leftover_check_table(struct control *c, const struct tenant *t, const char *table, struct tl_error *err)
{
    struct tl_schema *there = NULL;
    struct sink *sink;
    int rc;

    if (open_earlier(c, t, &sink, err) < 0)
        return -1;
    if (!sink)
        return 0;
    rc = t->sink_ops->table(sink, table, &there, err);
    t->sink_ops->close(sink);
    /* What was adopted belonged to somebody else anyway, and is looked at as such. */
    if (rc == 0 && there && !there->dropped && !there->adopted)
        rc = check_table(c, t, there, err);
    tl_schema_free(there);
    return rc;
}

int leftover_check_upload(struct control *c, const struct tenant *t, const char *id, struct tl_error *err)
{
    struct upload_progress p = {0};
    struct sink *sink;
    int rc;

    if (open_earlier(c, t, &sink, err) < 0)
        return -1;
    if (!sink)
        return 0;
    rc = t->sink_ops->progress(sink, id, &p, err);
    t->sink_ops->close(sink);
    /* No batch is empty: whatever was applied is counted. */
    if (rc == 0 && (p.rows_applied || p.rows_rejected || p.partitions_ended || p.partitions_stopped))
        rc = tl_fail(err, TL_E_CONFLICT,
                     "the data sink knows upload %s of an earlier tenant \"%s\": take another id", id,
                     t->name);
    return rc;
}
