/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * `upload --dry-run`: everything is split and checked as the validator would, and nothing is sent or made
 * anywhere.
 */
#ifndef CLI_UPLOAD_DRYRUN_H
#define CLI_UPLOAD_DRYRUN_H

#include "cli/client/coordinator.h"
#include "cli/upload/options.h"
#include "cli/upload/sources.h"
#include "cli/upload/ui.h"

/*
 * Prints each row that would be rejected, as `tload errors` does. Returns the exit code (0, 3, 4), or -1 with
 * *err.
 */
int dryrun(const struct upload_options *options, struct upload_ui *ui, struct coordinator *coordinator,
           struct sources *sources, struct tl_error *err);

#endif
