/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Settings as they may be shown: secrets in them are replaced by "***". Pure; any thread. */
#ifndef COORDINATORD_CONTROL_REDACT_H
#define COORDINATORD_CONTROL_REDACT_H

#include <jansson.h>

/*
 * The URL without its password: what stands between the user's name and the host, and every parameter that has a
 * secret by its name. Malloc'ed; NULL when memory is short.
 */
char *redact_url(const char *url);
/* In place: librdkafka properties by name. -1 when memory is short. */
int redact_kafka(json_t *properties);

#endif
