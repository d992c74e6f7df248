/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where to reach the coordinator and as whom: option, environment, $XDG_CONFIG_HOME/tload/config,
 * /etc/tload/config, built-in value, in this order. Made by main, then only read.
 */
#ifndef CLI_SETTINGS_H
#define CLI_SETTINGS_H

#include "cli/options.h"

/* Every text is owned and never NULL; "" is "not set". */
struct settings {
#define X(key, env, option, built_in) char *key;
#include "cli/settings.def"
#undef X
};

/*
 * system_file is /etc/tload/config but in tests. A file that is not there is fine; an unknown section or
 * key in one that is, is refused. An environment variable that is empty counts as not set. settings_release
 * is due in either case.
 */
int settings_load(struct settings *s, const struct args *args, const char *system_file,
                  struct tl_error *err) TL_MUST_CHECK;
void settings_release(struct settings *s);

/*
 * Reads the first line of the token file into *token (malloc'ed; NULL when no file is set). TL_E_REFUSED for a file
 * that everybody can read or write.
 */
int settings_token(const struct settings *s, char **token, struct tl_error *err) TL_MUST_CHECK;

#endif
