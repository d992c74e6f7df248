/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Reading the JSON bodies of requests: what is not known is refused, so that no typo is taken and passed
 * over.
 */
#ifndef COORDINATORD_CONTROL_REQUEST_H
#define COORDINATORD_CONTROL_REQUEST_H

#include <jansson.h>
#include <stdint.h>

#include "shared/base/error.h"

/*
 * That json is an object and has no members but these (names with blanks between). `what` is put before the
 * text.
 */
int request_members(const json_t *json, const char *what, const char *known,
                    struct tl_error *err) TL_MUST_CHECK;
/*
 * A member that is absent or null leaves *out alone. 1 when it is there, 0 when not. TL_E_REFUSED for another
 * type or range.
 */
int request_number(const json_t *json, const char *name, int64_t min, int64_t max, int64_t *out,
                   struct tl_error *err) TL_MUST_CHECK;
int request_text(const json_t *json, const char *name, size_t max_bytes, const char **out,
                 struct tl_error *err) TL_MUST_CHECK;
int request_bool(const json_t *json, const char *name, bool *out, struct tl_error *err) TL_MUST_CHECK;

#endif
