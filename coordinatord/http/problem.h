/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Failures as RFC 9457 has them. */
#ifndef COORDINATORD_HTTP_PROBLEM_H
#define COORDINATORD_HTTP_PROBLEM_H

#include <jansson.h>

#include "shared/base/error.h"

/*
 * status 0: the code's own. A new reference; NULL when memory is short. *status_out is the one that it says.
 */
json_t *problem_json(const struct tl_error *err, unsigned status, unsigned *status_out);

#endif
