/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/control/request.h"

#include <string.h>

#include "shared/base/str.h"

static bool listed(const char *known, const char *name)
{
    struct tl_str rest = tl_str(known);

    while (rest.ptr)
        if (tl_str_eq_z(tl_str_cut(&rest, ' '), name))
            return true;
    return false;
}

int request_members(const json_t *json, const char *what, const char *known, struct tl_error *err)
{
    const char *name;
    json_t *value;

    if (!json_is_object(json))
        return tl_fail(err, TL_E_REFUSED, "%s is not a JSON object", what);
    json_object_foreach((json_t *)json, name, value)
    {
        if (!listed(known, name))
            return tl_fail(err, TL_E_REFUSED, "%s: unknown member \"%.80s\"; known are: %s", what, name,
                           known);
    }
    return 0;
}

static const json_t *member(const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);

    return json_is_null(value) ? NULL : value;
}

int request_number(const json_t *json, const char *name, int64_t min, int64_t max, int64_t *out,
                   struct tl_error *err)
{
    const json_t *value = member(json, name);

    if (!value)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < min || json_integer_value(value) > max)
        return tl_fail(err, TL_E_REFUSED, "\"%s\" is not a whole number from %lld to %lld", name,
                       (long long)min, (long long)max);
    *out = json_integer_value(value);
    return 1;
}

int request_text(const json_t *json, const char *name, size_t max_bytes, const char **out,
                 struct tl_error *err)
{
    const json_t *value = member(json, name);

    if (!value)
        return 0;
    if (!json_is_string(value))
        return tl_fail(err, TL_E_REFUSED, "\"%s\" is not a text", name);
    if (json_string_length(value) > max_bytes)
        return tl_fail(err, TL_E_REFUSED, "\"%s\" is longer than %zu bytes", name, max_bytes);
    if (strlen(json_string_value(value)) != json_string_length(value))
        return tl_fail(err, TL_E_REFUSED, "\"%s\" has a NUL character in it", name);
    *out = json_string_value(value);
    return 1;
}

int request_bool(const json_t *json, const char *name, bool *out, struct tl_error *err)
{
    const json_t *value = member(json, name);

    if (!value)
        return 0;
    if (!json_is_boolean(value))
        return tl_fail(err, TL_E_REFUSED, "\"%s\" is neither true nor false", name);
    *out = json_is_true(value);
    return 1;
}
