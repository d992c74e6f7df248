/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What an upload's object says about how it ended. Any thread. */
#ifndef CLI_CLIENT_OUTCOME_H
#define CLI_CLIENT_OUTCOME_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Exit codes that are no error's (shared/base/error.def has those). */
enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_REJECTED = 3, EXIT_ABORTED = 4, EXIT_TIMED_OUT = 124 };

/*
 * 0 done, 1 failed or cancelled, 3 some rows rejected, 4 aborted; -1: not at its end yet. A state that is
 * not known is a failure.
 */
int outcome_exit_code(const json_t *upload);
bool outcome_final(const json_t *upload);

/* A member that is missing or null: "" and `otherwise`. */
const char *upload_text(const json_t *upload, const char *member);
int64_t upload_number(const json_t *upload, const char *member, int64_t otherwise);

#endif
