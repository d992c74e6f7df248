/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which upload this is: a new one, one to go on with, or one that has been done.
 *
 *   --once     loaded before? ──► done: nothing to do; unfinished: go on with it
 *   --id       there is one of that id ──► go on with it, when files and format are the same
 *   else       a new one
 *
 * One thread.
 */
#ifndef CLI_UPLOAD_SESSION_H
#define CLI_UPLOAD_SESSION_H

#include "cli/client/coordinator.h"
#include "cli/upload/options.h"
#include "cli/upload/sources.h"
#include "shared/wire/upload_id.h"

struct session_request {
    const struct upload_options *options;
    const struct sources *sources;
    const char *format;  /* the dialect as tl-format */
    const char *columns; /* names with commas, in the order of the fields */
    /* session_begin's own; "" before. */
    char id[TL_UPLOAD_ID_MAX + 1];
    char attempt[TL_UPLOAD_ID_MAX + 1];
};

enum session_kind {
    SESSION_NEW,
    SESSION_RESUMED, /* an unfinished one: what the ledger has of it need not be sent */
    SESSION_SENT,    /* all of it is in Kafka already */
    SESSION_ENDED    /* it is final */
};

/*
 * The table's version that the upload is for, before it is begun: an upload to go on with keeps its own,
 * whatever became of the table since. *schema is a new reference, as the coordinator has it.
 */
int session_schema(struct coordinator *c, const struct upload_options *options, const struct sources *sources,
                   json_t **schema, struct tl_error *err) TL_MUST_CHECK;

/*
 * *answer: the upload's object, with what a sender needs beside it unless it is ENDED or "queued"; a new reference. -1
 * with *err. By the same request once more when there was no answer: an upload is not made twice.
 */
int session_begin(struct coordinator *c, struct session_request *request, enum session_kind *kind,
                  json_t **answer, struct tl_error *err) TL_MUST_CHECK;
/* For one that session_begin found queued: the same once more, by the same request. *kind is what it was then. */
int session_again(struct coordinator *c, struct session_request *request, enum session_kind *kind,
                  json_t **answer, struct tl_error *err) TL_MUST_CHECK;

#endif
