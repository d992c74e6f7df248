/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Named points at which a process can be made to crash, to see that it goes on rightly afterwards:
 *
 *   TLOAD_FAILPOINT=sink.after_commit:5   abort() when that point is passed for the fifth time
 *
 * The names are in failpoints.def. A point that is not armed costs one load. What is armed is of the process,
 * so it's the one thing here that is global; it is set before there are threads.
 */
#ifndef TL_BASE_FAILPOINT_H
#define TL_BASE_FAILPOINT_H

#include <stdatomic.h>

#include "shared/base/error.h"

enum tl_failpoint {
    TL_FAILPOINT_NONE,
#define X(id, name, when) TL_FAILPOINT_##id,
#include "shared/base/failpoints.def"
#undef X
};

extern _Atomic int tl_failpoint_armed; /* for the macro alone */

#define TL_FAILPOINT(id)                                                                   \
    do {                                                                                   \
        if (TL_UNLIKELY(atomic_load_explicit(&tl_failpoint_armed, memory_order_relaxed) == \
                        TL_FAILPOINT_##id))                                                \
            tl_failpoint_pass();                                                           \
    } while (0)

/* Counts; does not return the last time. Any thread. */
void tl_failpoint_pass(void) TL_COLD;

/* spec: "name" or "name:count"; NULL or "" arms nothing. TL_E_USAGE when it is neither. */
int tl_failpoint_arm(const char *spec, struct tl_error *err) TL_MUST_CHECK;

#endif
