/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Directories that data lies in. Any thread. */
#ifndef TL_BASE_DIRS_H
#define TL_BASE_DIRS_H

#include "shared/base/error.h"

/*
 * Makes the directory, and those that it lies in, as far as they are missing (mode 0750), and makes each of them
 * durable: what is synced into a directory whose own name is lost would be lost with it.
 */
int tl_dirs_make(const char *path, struct tl_error *err) TL_MUST_CHECK;

#endif
