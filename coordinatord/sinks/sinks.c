/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/sinks/sinks.h"

const struct sink_ops *const sinks[] = {
#define X(symbol) &symbol,
#include "coordinatord/sinks/sinks.def"
#undef X
};

const size_t sinks_count = TL_ARRAY_LEN(sinks);

const struct sink_ops *sink_for_url(const char *url, struct tl_error *err)
{
    struct tl_str rest = tl_str(url), scheme = tl_str_cut(&rest, ':');
    char known[200] = "";
    size_t at = 0;

    for (size_t i = 0; i < sinks_count; i++) {
        if (rest.ptr && (tl_str_eq_z(scheme, sinks[i]->scheme) ||
                         (sinks[i]->alias && tl_str_eq_z(scheme, sinks[i]->alias))))
            return sinks[i];
        if (at < sizeof known)
            at += (size_t)snprintf(known + at, sizeof known - at, "%s%s:", i ? ", " : "", sinks[i]->scheme);
    }
    /* What is behind the scheme may have a password in it. */
    tl_fail(err, TL_E_REFUSED, "\"%.*s%s\" is not a data sink: it has to begin with one of %s",
            TL_STR_ARG(scheme), rest.ptr ? ":…" : "", known);
    return NULL;
}
