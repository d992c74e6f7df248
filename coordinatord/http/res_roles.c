/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/http/router.h"

int roles_waiting(struct request *r, struct tl_error *err)
{
    return control_waiting(r->control, r->body, err) < 0 ? -1 : reply_json(r, 204, NULL);
}
