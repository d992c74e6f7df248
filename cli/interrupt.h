/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * SIGINT and SIGTERM for commands that wait: the first one is noted and wakes what waits, so that the
 * command can say what becomes of the upload; a second one ends the process at once. A thread of its own
 * takes the signals (sigwait), so there is no signal handler. Commands that do not start this are ended by
 * the signals as usual.
 */
#ifndef CLI_INTERRUPT_H
#define CLI_INTERRUPT_H

#include "shared/base/error.h"

struct interrupt;

/*
 * To be called before any other thread is made: they inherit that the signals are blocked. NULL with *err.
 */
struct interrupt *interrupt_start(struct tl_error *err);
/* Ends the thread and lets the signals through again. NULL is fine. */
void interrupt_stop(struct interrupt *in);

/* The signal that came; 0: none did. Any thread. NULL is fine: none will. */
int interrupt_signal(const struct interrupt *in);
/* Waits ms, or until a signal comes; true: one came. Any thread. NULL is fine. */
bool interrupt_wait(struct interrupt *in, int ms);
/*
 * `call` is called once from the signal's thread when one comes, or at once if one came already. One call
 * at a time: NULL takes it away.
 */
void interrupt_on(struct interrupt *in, void (*call)(void *app), void *app);

/* 130 and 143. */
int interrupt_exit_code(int signal_number);

#endif
