/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parsers of this folder share about names and other words of the user's. For this folder alone. */
#ifndef TL_SCHEMA_NAME_H
#define TL_SCHEMA_NAME_H

#include "shared/base/str.h"

enum { TL_SHOW_TEXT = 80 };

/* The user's text as an error message can have it: cut, with ? for control characters and what is not UTF-8.
 */
const char *tl_show(struct tl_str text, char out[TL_SHOW_TEXT]);

/* True when a is near enough to b to be a slip of it: at most a third of the longer one differs. */
bool tl_near(struct tl_str a, struct tl_str b, unsigned *distance);

#endif
