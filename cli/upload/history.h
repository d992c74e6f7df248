/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Other versions of the table, asked of the coordinator when a file's header has a name that is not in the
 * one that it is for. One thread.
 */
#ifndef CLI_UPLOAD_HISTORY_H
#define CLI_UPLOAD_HISTORY_H

#include "cli/client/coordinator.h"
#include "cli/upload/header.h"

struct history {
    struct coordinator *coordinator;
    const char *table;
    struct header_history names; /* for the splitter */
};

/* Both are borrowed; h must not move. Nothing is asked yet. */
void history_init(struct history *h, struct coordinator *coordinator, const char *table);

#endif
