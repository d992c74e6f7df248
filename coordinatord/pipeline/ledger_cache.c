/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/pipeline/ledger_cache.h"

#include <stdlib.h>

int ledger_cache_init(struct ledger_cache *c, struct tl_error *err)
{
    c->n = 0;
    c->entry = calloc(LEDGER_CACHE_MAX, sizeof *c->entry);
    return c->entry ? 0 : tl_fail_nomem(err);
}

void ledger_cache_release(struct ledger_cache *c)
{
    free(c->entry);
    *c = (struct ledger_cache){0};
}

void ledger_cache_forget(struct ledger_cache *c)
{
    c->n = 0;
}

bool ledger_cache_full(const struct ledger_cache *c)
{
    if (c->n < LEDGER_CACHE_MAX)
        return false;
    for (size_t i = 0; i < c->n; i++)
        if (!c->entry[i].dirty)
            return false;
    return true;
}

/* A place for one more row: at the end, or that of the first one that is clean. NULL: full. */
static struct ledger_entry *place(struct ledger_cache *c)
{
    if (c->n < LEDGER_CACHE_MAX)
        return &c->entry[c->n++];
    for (size_t i = 0; i < c->n; i++)
        if (!c->entry[i].dirty)
            return &c->entry[i];
    return NULL;
}

struct ledger_entry *ledger_cache_get(struct ledger_cache *c, const struct sink_ops *ops, struct sink *sink,
                                      struct tl_str upload, int32_t partition, struct tl_error *err)
{
    struct ledger_row row = {.partition = partition};
    char id[sizeof row.upload];
    struct ledger_entry *e;
    int found;

    for (size_t i = 0; i < c->n; i++)
        if (c->entry[i].row.partition == partition && tl_str_eq_z(upload, c->entry[i].row.upload))
            return &c->entry[i];
    if (!tl_str_copy(upload, id, sizeof id)) {
        tl_fail(err, TL_E_CORRUPT, "an upload's id is longer than %d bytes", TL_UPLOAD_ID_MAX);
        return NULL;
    }
    found = ops->ledger_get(sink, id, partition, &row, err);
    if (found < 0)
        return NULL;
    if (!found)
        memcpy(row.upload, id, sizeof id);
    e = place(c);
    if (!e) {
        tl_fail(err, TL_E_AGAIN, "the transaction touches too many uploads");
        return NULL;
    }
    *e = (struct ledger_entry){.row = row};
    return e;
}

int ledger_cache_flush(struct ledger_cache *c, const struct sink_ops *ops, struct sink *sink,
                       struct tl_error *err)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->entry[i].dirty && ops->ledger_put(sink, &c->entry[i].row, err))
            return -1;
    return 0;
}

void ledger_cache_committed(struct ledger_cache *c)
{
    for (size_t i = 0; i < c->n; i++)
        c->entry[i].dirty = false;
}
