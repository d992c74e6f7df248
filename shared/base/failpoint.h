/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Named points at which a process can be made to crash, to stand still or to fail, to see that it goes on rightly
 * afterwards:
 *
 *   TLOAD_FAILPOINT=sink.after_commit:5        abort() when that point is passed for the fifth time
 *   TLOAD_FAILPOINT=sink.before_begin:2=stop   SIGSTOP to itself: a process that everybody takes for dead, until SIGCONT
 *   TLOAD_FAILPOINT=sink.after_commit=fail     what was done there is said to have failed; not at every point
 *
 * It happens once. The names are in failpoints.def. A point that is not armed costs one load. What is armed is
 * of the process, so it's the one thing here that is global; it is set before there are threads.
 */
#ifndef TL_BASE_FAILPOINT_H
#define TL_BASE_FAILPOINT_H

#include <stdatomic.h>

#include "shared/base/error.h"

enum tl_failpoint {
    TL_FAILPOINT_NONE,
#define X(id, name, can_fail, when) TL_FAILPOINT_##id,
#include "shared/base/failpoints.def"
#undef X
};

extern _Atomic int tl_failpoint_armed; /* for the macros alone */

#define TL_FAILPOINT_PASSED(id)                                                                           \
    (TL_UNLIKELY(atomic_load_explicit(&tl_failpoint_armed, memory_order_relaxed) == TL_FAILPOINT_##id) && \
     tl_failpoint_pass())

#define TL_FAILPOINT(id) ((void)TL_FAILPOINT_PASSED(id))

/* At a point that CAN_FAIL: true, with *err, when it is to. */
#define TL_FAILPOINT_FAILS(id, err) (TL_FAILPOINT_PASSED(id) && tl_failpoint_fail(err))

/* Counts; the last time it does what is armed. True: that is to fail. Any thread. */
bool tl_failpoint_pass(void) TL_COLD;
/* Fills *err in with TL_E_UNAVAILABLE; true. */
bool tl_failpoint_fail(struct tl_error *err) TL_COLD;

/* spec: "name[:count][=abort|stop|fail]"; NULL or "" arms nothing. TL_E_USAGE when it is neither. */
int tl_failpoint_arm(const char *spec, struct tl_error *err) TL_MUST_CHECK;

#endif
