/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Rows that the sink itself refuses (a constraint of the user's own), told like any other rejected row.
 *
 *   sink->write ──index, reason──► kept ──refused_report──► raw batch read again at tl-raw-offset
 *                                                            │ rowcheck: the row of that index, its line and record
 *                                                            └──► import-error, stage `sink`, acked
 *
 * The validated batch carries nothing for this: it is rare, and the raw batch has all of it. The messages are
 * in import-error before the transaction that counts them commits; when it does not commit they come again,
 * with the same number.
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
/* Tells them; m is the validated batch, schema its version. Waits for Kafka's acks. */
int refused_report(struct refused *r, const struct tl_message *m, const struct tl_schema *schema,
                   struct tl_error *err) TL_MUST_CHECK;

#endif
