/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the bytes of an upload come from: a file, or standard input.
 *
 * Bytes are read, never mapped: a file that somebody cuts short while it is read must give an error, not a
 * signal. One thread.
 */
#ifndef CLI_UPLOAD_SOURCE_H
#define CLI_UPLOAD_SOURCE_H

#include <stdint.h>

#include "shared/base/error.h"

enum {
    SOURCE_REWIND_MAX = 1024 * 1024 /* bytes of a pipe that are kept for source_rewind */
};

struct source;

/*
 * path "-": standard input. NULL and *err on failure: TL_E_REFUSED when it is nothing to read from (a
 * directory, say), TL_E_IO when it can't be opened. The path is copied.
 */
struct source *source_open(const char *path, struct tl_error *err);
void source_close(struct source *s); /* NULL is fine */

const char *source_name(const struct source *s); /* as messages show it: the path as given, or "(stdin)" */
int64_t source_size(const struct source *s);     /* bytes; -1 when it can't be known */
/* Bytes come when they come, and once: a pipe, a terminal, and standard input whatever stands behind it. */
bool source_trickles(const struct source *s);
/* What tells the same content: size, mtime and a hash over samples of it. "" for input that trickles. */
const char *source_fingerprint(const struct source *s);

/*
 * Reads up to size bytes (≥ 1). Returns 0 with *n == 0 at the end. From input that trickles, returns 1 with
 * *n == 0 when nothing came for wait_ms milliseconds (-1: waits for ever) or a signal came: time to flush,
 * and to look whether to stop. At the end of a file whose size or mtime is not what it was when it was
 * opened: TL_E_CORRUPT.
 */
int source_read(struct source *s, char *dst, size_t size, int wait_ms, size_t *n,
                struct tl_error *err) TL_MUST_CHECK;

/* Back to the first byte; of input that trickles only while SOURCE_REWIND_MAX bytes or fewer were read. */
int source_rewind(struct source *s, struct tl_error *err) TL_MUST_CHECK;

#endif
