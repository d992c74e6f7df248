/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of data sinks, for sink_for_url and for the contract test. Any thread. */
#ifndef COORDINATORD_SINKS_SINKS_H
#define COORDINATORD_SINKS_SINKS_H

#include "coordinatord/sinks/sink.h"

#define X(symbol) extern const struct sink_ops symbol;
#include "coordinatord/sinks/sinks.def"
#undef X

extern const struct sink_ops *const sinks[];
extern const size_t sinks_count;

#endif
