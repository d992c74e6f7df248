/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/errors/errstores.h"

const struct errstore_ops *const errstores[] = {
#define X(symbol) &symbol,
#include "coordinatord/errors/errstores.def"
#undef X
};

const size_t errstores_count = TL_ARRAY_LEN(errstores);

const struct errstore_ops *errstore_for_url(const char *url, struct tl_error *err)
{
    struct tl_str rest = tl_str(url), scheme = tl_str_cut(&rest, ':');
    char known[200] = "";
    size_t at = 0;

    for (size_t i = 0; i < errstores_count; i++) {
        if (rest.ptr && tl_str_eq_z(scheme, errstores[i]->scheme))
            return errstores[i];
        if (at < sizeof known)
            at += (size_t)snprintf(known + at, sizeof known - at, "%s%s:", i ? ", " : "",
                                   errstores[i]->scheme);
    }
    tl_fail(err, TL_E_REFUSED, "\"%s\" is not an error store: it has to begin with one of %s", url, known);
    return NULL;
}
