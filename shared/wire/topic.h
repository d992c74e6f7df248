/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of the three topics of a tenant: tload.<tenant>.raw-input and so on. Any thread. */
#ifndef TL_WIRE_TOPIC_H
#define TL_WIRE_TOPIC_H

#include "shared/base/str.h"
#include "shared/wire/envelope.h"

enum tl_topic { TL_TOPIC_RAW_INPUT, TL_TOPIC_VALIDATED_INPUT, TL_TOPIC_IMPORT_ERROR, TL_TOPIC_COUNT };
enum { TL_TOPIC_NAME_MAX = 6 + TL_TENANT_MAX + 1 + 15 };

/* tenant must be valid. */
void tl_topic_name(enum tl_topic topic, struct tl_str tenant, char out[TL_TOPIC_NAME_MAX + 1]);
/*
 * Under which name the sink keeps how far it is in a topic. A tenant that is made again, or moved, has topics of the
 * same names that begin anew: its epoch tells them apart. epoch from 1.
 */
enum { TL_POSITION_NAME_MAX = TL_TOPIC_NAME_MAX + 21 };
void tl_topic_position(const char *topic, int64_t epoch, char out[TL_POSITION_NAME_MAX + 1]);
/*
 * Consumer groups are named after the role, and from the second on numbered: "tload-validate", "tload-validate-1".
 * number from 0; of the role's name at most 12 bytes count.
 */
enum { TL_GROUP_NAME_MAX = 31 };
void tl_group_name(const char *role, int number, char out[TL_GROUP_NAME_MAX + 1]);
/* The opposite of tl_topic_name; false when the name is none of ours. tenant borrows from name. */
bool tl_topic_parse(struct tl_str name, enum tl_topic *topic, struct tl_str *tenant) TL_MUST_CHECK;

#endif
