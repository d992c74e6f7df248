/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The rules of trim.c that need neither Kafka nor a sink. Any thread. */
#ifndef COORDINATORD_CONTROL_TRIM_H
#define COORDINATORD_CONTROL_TRIM_H

#include "coordinatord/control/broker.h"

/*
 * The first offset of a partition of raw-input that somebody still needs. checked: what the validators committed,
 * asked for before `applying`, which is what the sink has still to apply of validated-input. -1: not known.
 */
int64_t trim_raw_needed(int64_t checked, const struct broker_pending *applying);

/*
 * Whether what is pending of a partition was deleted already, or could be by the topic's limits before long; then
 * true, and why. next: where its reader stands; now: ms since 1970.
 */
bool trim_alarm(const char *topic, int32_t partition, int64_t next, const struct broker_pending *pending,
                const struct tl_topic_limits *limits, int64_t now, char *why, size_t size);

#endif
