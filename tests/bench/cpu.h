/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The clock of what one core does: others on the machine do not count. */
#ifndef TESTS_BENCH_CPU_H
#define TESTS_BENCH_CPU_H

#include <stdint.h>
#include <time.h>

/* Microseconds that this thread has had a processor, in user mode and in the kernel. */
static inline int64_t cpu_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

#endif
