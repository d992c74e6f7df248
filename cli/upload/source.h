/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the bytes of an upload come from: a file, or standard input. One thread.
 */
#ifndef CLI_UPLOAD_SOURCE_H
#define CLI_UPLOAD_SOURCE_H

#include <stdint.h>

#include "shared/base/error.h"

struct source;

/* path "-": standard input. TL_E_REFUSED: not a file one can read from (a directory, say); TL_E_IO: no such file, no permission. */
struct source *source_open(const char *path, struct tl_error *err);
void source_close(struct source *s);

const char *source_name(const struct source *s); /* as messages show it: the path as given, or "(stdin)" */
int64_t source_size(const struct source *s);     /* bytes; -1 when it can't be known */
bool source_trickles(const struct source *s);    /* a pipe or terminal: bytes come when they come, once */
/* What tells whether this is still the same content: size, mtime and a hash over samples of it. Empty for input that trickles. */
const char *source_fingerprint(const struct source *s);

/*
 * Reads up to size bytes. *n == 0 is the end. When `wait_ms` ≥ 0 and nothing came for so long, returns 1 with *n == 0: time to flush.
 * At the end of a file whose size or mtime changed since it was opened: TL_E_CORRUPT "… changed while it was read".
 */
int source_read(struct source *s, char *dst, size_t size, int wait_ms, size_t *n, struct tl_error *err) TL_MUST_CHECK;
/* Back to the first byte (kept bytes of a pipe's beginning included, up to 1 MiB). */
int source_rewind(struct source *s, struct tl_error *err) TL_MUST_CHECK;

#endif
