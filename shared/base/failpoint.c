/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/base/failpoint.h"

#include <stdlib.h>

#include "shared/base/str.h"

_Atomic int tl_failpoint_armed;
static _Atomic int left;

static const char *const names[] = {
    [TL_FAILPOINT_NONE] = "",
#define X(id, name, when) [TL_FAILPOINT_##id] = name,
#include "shared/base/failpoints.def"
#undef X
};

void tl_failpoint_pass(void)
{
    if (atomic_fetch_sub(&left, 1) == 1)
        abort();
}

int tl_failpoint_arm(const char *spec, struct tl_error *err)
{
    struct tl_str count = tl_str(spec), name;
    int64_t times = 1;

    if (!spec || !spec[0])
        return 0;
    name = tl_str_cut(&count, ':');
    if (count.ptr && !tl_str_to_i64(count, 1, INT32_MAX, &times))
        return tl_fail(err, TL_E_USAGE, "TLOAD_FAILPOINT=%s: expected a number behind the colon", spec);
    for (size_t i = 1; i < TL_ARRAY_LEN(names); i++) {
        if (!tl_str_eq_z(name, names[i]))
            continue;
        atomic_store(&left, (int)times);
        atomic_store(&tl_failpoint_armed, (int)i);
        return 0;
    }
    return tl_fail(err, TL_E_USAGE, "TLOAD_FAILPOINT=%s: there is no such point", spec);
}
