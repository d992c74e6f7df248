/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/base/failpoint.h"

#include <signal.h>
#include <stdlib.h>

#include "shared/base/str.h"

enum action { ACTION_ABORT, ACTION_STOP, ACTION_FAIL };

_Atomic int tl_failpoint_armed;
static _Atomic int left;
static _Atomic int action;

static const char *const actions[] = {
    [ACTION_ABORT] = "abort", [ACTION_STOP] = "stop", [ACTION_FAIL] = "fail"};

enum { ONLY_ENDS, CAN_FAIL };

static const struct point {
    const char *name;
    int can_fail;
} points[] = {
    [TL_FAILPOINT_NONE] = {"", ONLY_ENDS},
#define X(id, name, can_fail, when) [TL_FAILPOINT_##id] = {name, can_fail},
#include "shared/base/failpoints.def"
#undef X
};

bool tl_failpoint_pass(void)
{
    if (atomic_fetch_sub(&left, 1) != 1)
        return false;
    switch ((enum action)atomic_load(&action)) {
    case ACTION_ABORT:
        abort();
    case ACTION_STOP:
        raise(SIGSTOP);
        return false;
    case ACTION_FAIL:
        return true;
    }
    return false;
}

bool tl_failpoint_fail(struct tl_error *err)
{
    tl_fail(err, TL_E_UNAVAILABLE, "%s, as TLOAD_FAILPOINT wants it",
            points[atomic_load(&tl_failpoint_armed)].name);
    return true;
}

static int find_action(struct tl_str name)
{
    for (size_t i = 0; i < TL_ARRAY_LEN(actions); i++)
        if (tl_str_eq_z(name, actions[i]))
            return (int)i;
    return -1;
}

static int find_point(struct tl_str name)
{
    for (size_t i = 1; i < TL_ARRAY_LEN(points); i++)
        if (tl_str_eq_z(name, points[i].name))
            return (int)i;
    return -1;
}

int tl_failpoint_arm(const char *spec, struct tl_error *err)
{
    struct tl_str what = tl_str(spec), count, name;
    int64_t times = 1;
    int point, act;

    if (!spec || !spec[0])
        return 0;
    count = tl_str_cut(&what, '=');
    name = tl_str_cut(&count, ':');
    point = find_point(name);
    act = what.ptr ? find_action(what) : ACTION_ABORT;
    if (point < 0)
        return tl_fail(err, TL_E_USAGE, "TLOAD_FAILPOINT=%s: there is no such point", spec);
    if (count.ptr && !tl_str_to_i64(count, 1, INT32_MAX, &times))
        return tl_fail(err, TL_E_USAGE, "TLOAD_FAILPOINT=%s: expected a number behind the colon", spec);
    if (act < 0 || (act == ACTION_FAIL && points[point].can_fail != CAN_FAIL))
        return tl_fail(err, TL_E_USAGE, "TLOAD_FAILPOINT=%s: it can't do that there", spec);
    atomic_store(&left, (int)times);
    atomic_store(&action, act);
    atomic_store(&tl_failpoint_armed, point);
    return 0;
}
