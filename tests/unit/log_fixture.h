/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A log that a test reads: into a file of memory. */
#ifndef TESTS_UNIT_LOG_FIXTURE_H
#define TESTS_UNIT_LOG_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/base/log.h"

/* Its descriptor, to be closed. */
static int log_open(struct tl_log *log)
{
    int fd = memfd_create("log", MFD_CLOEXEC);

    assert_true(fd >= 0);
    tl_log_init(log, fd, TL_LOG_DEBUG);
    return fd;
}

static inline bool log_says(int fd, const char *what)
{
    char text[65536];
    ssize_t n = pread(fd, text, sizeof text - 1, 0);

    assert_true(n >= 0);
    text[n] = '\0';
    return strstr(text, what) != NULL;
}

#endif
