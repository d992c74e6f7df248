/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What `wait` and `status --follow` do. */
#ifndef CLI_CLIENT_WATCH_H
#define CLI_CLIENT_WATCH_H

#include "cli/cli.h"

/*
 * Waits for the upload, showing how it goes; see upload_ui_watch. every_change: with --json, its object at
 * each change instead of the last one alone. Returns the exit code, or -1 with *err.
 */
int watch_upload(struct cli *cli, const char *upload, int64_t timeout_ms, bool every_change,
                 struct tl_error *err);

#endif
