/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An upload from its files to its outcome.
 *
 *   look     the table and its partitions, from the coordinator; headers are matched; nothing has been made yet
 *   begin    the coordinator makes the upload: its id, schema version, topic
 *   send     source → splitter → sender → raw-input; progress to the coordinator each second
 *   end      end markers behind the last batch of each partition, all acked; the upload is `processing`
 *   watch    until the coordinator says how it ended
 */
#ifndef CLI_UPLOAD_UPLOAD_H
#define CLI_UPLOAD_UPLOAD_H

#include "cli/upload/options.h"
#include "cli/upload/ui.h"

/* Returns the exit code, or -1 with *err. */
int upload_run(const struct upload_options *options, struct upload_ui *ui, struct tl_error *err);

/* The same for a command: with signals taken and progress shown. No other thread has been made before. */
int upload_command(struct cli *cli, const struct upload_options *options, struct tl_error *err);

#endif
