/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/http/problem.h"

#include "shared/base/utf8.h"

json_t *problem_json(const struct tl_error *err, unsigned status, unsigned *status_out)
{
    const char *detail = err->text;

    *status_out = status ? status : (unsigned)tl_error_http_status(err->code);
    /* A text may quote what is no UTF-8, or be cut within a character; JSON has no room for that. */
    if (!tl_utf8_valid(detail, strlen(detail), NULL))
        detail = tl_error_meaning(err->code);
    return json_pack("{s:s, s:s, s:i, s:s, s:s}", "type", "about:blank", "title", tl_error_meaning(err->code),
                     "status", (int)*status_out, "code", tl_error_name(err->code), "detail", detail);
}
