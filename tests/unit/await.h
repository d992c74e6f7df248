/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef TESTS_UNIT_AWAIT_H
#define TESTS_UNIT_AWAIT_H

/*
 * How long a test waits at most for what must come, in milliseconds. Long enough for a machine that is ten times
 * slower, with others at work: what works never waits so long, and what is broken may take its time to say so.
 */
enum { AWAIT_MS = 120000 };

#endif
