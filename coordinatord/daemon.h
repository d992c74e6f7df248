/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The daemon's life: log, directories, lock, control with its HTTP server, the other roles, signals.
 *
 *   start ──► READY ──► signals: HUP reads the configuration again
 *                                TERM, INT ──► stop listening ──► drain ──► end
 */
#ifndef COORDINATORD_DAEMON_H
#define COORDINATORD_DAEMON_H

#include "coordinatord/config.h"

struct daemon_options {
    const char *config_path; /* NULL: none given */
    bool dev;
    const char *roles;    /* NULL: all */
    const char *clusters; /* NULL: as configured */
    /* Ends the process as it is, when something does not end by itself in time: _exit. Does not return. */
    void (*give_up)(int exit_code);
};

/*
 * Takes over the loaded and checked configuration. Returns 0 after a clean shutdown, else -1. To be called
 * once, by main's thread, before there are others: it blocks the signals that it handles.
 */
int daemon_run(const struct daemon_options *options, struct config *config,
               struct tl_error *err) TL_MUST_CHECK;

#endif
