/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The table of error stores, for errstore_for_url and for the contract test. Any thread. */
#ifndef COORDINATORD_ERRORS_ERRSTORES_H
#define COORDINATORD_ERRORS_ERRSTORES_H

#include "coordinatord/errors/errstore.h"

#define X(symbol) extern const struct errstore_ops symbol;
#include "coordinatord/errors/errstores.def"
#undef X

extern const struct errstore_ops *const errstores[];
extern const size_t errstores_count;

#endif
