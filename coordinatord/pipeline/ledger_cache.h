/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The ledger rows that a transaction has touched, and some that the ones before it left: so that a batch
 * costs no query.
 *
 * A row is read from the sink once, changed here, and written back by flush within the transaction that
 * applied what it counts. After a rollback everything here is forgotten: the sink is the truth. One thread.
 */
#ifndef COORDINATORD_PIPELINE_LEDGER_CACHE_H
#define COORDINATORD_PIPELINE_LEDGER_CACHE_H

#include "coordinatord/sinks/sink.h"

enum { LEDGER_CACHE_MAX = 512 };

struct ledger_cache {
    size_t n;
    struct ledger_entry {
        struct ledger_row row;
        bool dirty;
    } * entry; /* LEDGER_CACHE_MAX of them */
};

int ledger_cache_init(struct ledger_cache *c, struct tl_error *err) TL_MUST_CHECK;
void ledger_cache_release(struct ledger_cache *c);
void ledger_cache_forget(struct ledger_cache *c);
/* True when no further row can be had before a flush. */
bool ledger_cache_full(const struct ledger_cache *c);

/*
 * The row of (upload, partition), to be changed by the caller, who then sets *dirty; a new one, all zero,
 * when the sink has none. It lives until the next call that adds a row. NULL with *err.
 */
struct ledger_entry *ledger_cache_get(struct ledger_cache *c, const struct sink_ops *ops, struct sink *sink,
                                      struct tl_str upload, int32_t partition, struct tl_error *err);
/*
 * Writes the dirty rows into the sink. They count as clean only when the caller says that it committed, by
 * ledger_cache_committed.
 */
int ledger_cache_flush(struct ledger_cache *c, const struct sink_ops *ops, struct sink *sink,
                       struct tl_error *err) TL_MUST_CHECK;
void ledger_cache_committed(struct ledger_cache *c);

#endif
