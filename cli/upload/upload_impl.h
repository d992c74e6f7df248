/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What upload.c and tell.c share; nobody else includes it. */
#ifndef CLI_UPLOAD_UPLOAD_IMPL_H
#define CLI_UPLOAD_UPLOAD_IMPL_H

#include "cli/client/coordinator.h"
#include "cli/upload/history.h"
#include "cli/upload/sender.h"
#include "cli/upload/sources.h"
#include "cli/upload/upload.h"
#include "shared/wire/dialect.h"
#include "shared/wire/upload_id.h"

enum { UPLOAD_TELL_EVERY_MS = 1000 };

struct upload {
    const struct upload_options *o;
    struct upload_ui *ui;
    struct coordinator *coordinator;
    struct tl_log log;
    struct sources sources;
    struct history history;

    /* from the coordinator */
    struct tl_schema *schema;
    int32_t partitions;
    char id[TL_UPLOAD_ID_MAX + 1]; /* "" until it is begun */
    int64_t epoch;                 /* of the topic */
    bool moved;                    /* the tenant has topics of another epoch by now */
    char *topic;
    char *compression;
    struct tl_kafka_conf kafka;
    int64_t *skip; /* of each partition */
    json_t *last;  /* the upload's object as it was told last; NULL */

    struct splitter *splitter;
    struct sender *sender;
    size_t at;       /* index of the source that is read */
    bool file_begun; /* the sender knows it */
    char format[TL_FORMAT_MAX];
    int64_t told;      /* when progress was told last, tl_clock_ms */
    int64_t queued_ms; /* so long it was queued */
    bool timed_out;    /* --timeout was over meanwhile */
};

/* tell.c: all of them may wait for the upload's turn to send, and fail with TL_E_AGAIN when it has `moved`. */

/* Shows how far it is. */
void tell_show(struct upload *u);
/* How far it is; obeys what the coordinator lets it do. */
int tell_progress(struct upload *u, struct tl_error *err) TL_MUST_CHECK;
/* That all is sent. A coordinator that can't be told is no failure. */
int tell_sent(struct upload *u, struct tl_error *err) TL_MUST_CHECK;
/* That it can't go on, so that it ends instead of being waited for. */
void tell_failed(struct upload *u, const struct tl_error *why);
/* Until it is its turn to send, if it is queued. */
int tell_await_turn(struct upload *u, struct tl_error *err) TL_MUST_CHECK;
/* A request failed: 0 when it is to be made again. since: when the coordinator was last heard from. */
int tell_again_later(struct upload *u, int64_t since, struct tl_error *err) TL_MUST_CHECK;
/* TL_E_CONFLICT when the upload ended in another way than by our doing. */
int tell_check_state(struct upload *u, struct tl_error *err) TL_MUST_CHECK;
bool tell_is_queued(const struct upload *u);

#endif
