/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Standard output, where all data goes. Every write is checked: a full disk is an error of the command, and
 * a reader that has gone (`tload errors … | head`) ends it quietly. One thread.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <jansson.h>

#include "shared/base/error.h"
#include "shared/base/str.h"

struct output {
    FILE *file; /* borrowed */
    bool reader_gone;
};

int output_write(struct output *out, const char *bytes, size_t n, struct tl_error *err) TL_MUST_CHECK;
int output_print(struct output *out, struct tl_error *err, const char *fmt, ...)
    TL_PRINTF(3, 4) TL_MUST_CHECK;
/* One line of JSON. */
int output_json(struct output *out, const json_t *value, struct tl_error *err) TL_MUST_CHECK;
/* What stands in the buffer goes out now. */
int output_flush(struct output *out, struct tl_error *err) TL_MUST_CHECK;

#endif
