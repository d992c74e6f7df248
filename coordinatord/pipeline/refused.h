/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rows that the sink itself refuses (a constraint of the user's own), told like any other rejected row.
 *
 *   sink->write ──index, reason──► kept ──refused_report──► raw batch read again at tl-raw-offset
 *                                                            │ rowcheck: the row of that index, its line and record
 *                                                            └──► import-error, stage `sink`, acked
 *
 * The validated batch carries nothing for this: it is rare, and the raw batch has all of it. The messages are
 * in import-error before the transaction that counts them commits. When it does not commit the batch is tried
 * again, and other rows may be refused then: so each attempt has a number, drawn by chance, since a process that
 * was taken for dead knows nothing of the others. The transaction says which attempt it was (refused_put), and
 * the errors role drops those of all others.
 *
 * Memory: REFUSED_MAX bytes of reasons, and the raw batch. Thread: the worker's.
 */
#ifndef COORDINATORD_PIPELINE_REFUSED_H
#define COORDINATORD_PIPELINE_REFUSED_H

#include "coordinatord/pipeline/runtime.h"

struct refused;

struct refused *refused_new(struct worker *w, struct tl_error *err);
void refused_free(struct refused *r); /* NULL is fine */

/* Before a batch is written. */
void refused_begin(struct refused *r);
/* For struct sink_batch; app is the struct refused. */
int refused_row(void *app, int64_t index, const char *reason, struct tl_error *err);
/* Rows that were refused since refused_begin. */
int64_t refused_count(const struct refused *r);
/*
 * Tells them; m is the validated batch, schema its version. Waits for Kafka's acks. *attempt: the number that they are
 * told under, for the ledger.
 */
int refused_report(struct refused *r, const struct tl_message *m, const struct tl_schema *schema,
                   int64_t *attempt, struct tl_error *err) TL_MUST_CHECK;

#endif
