/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sockets that listen. The descriptor is the caller's. */
#ifndef COORDINATORD_HTTP_LISTEN_H
#define COORDINATORD_HTTP_LISTEN_H

#include "shared/base/error.h"

enum { LISTEN_ADDRESS_TEXT = 96 };

/*
 * A Unix socket of mode 0666 from its first instant on: who may do what is told by who asks. It is made beside its
 * place, as path.new. A file left behind is replaced when nobody answers
 * there; TL_E_CONFLICT when somebody does. -1.
 */
int listen_unix(const char *path, struct tl_error *err) TL_MUST_CHECK;
/*
 * "127.0.0.1:8470", "[::1]:0". *loopback: nobody from outside gets here. TL_E_CONFLICT when the address is in
 * use. -1.
 */
int listen_tcp(const char *address, bool *loopback, char actual[LISTEN_ADDRESS_TEXT],
               struct tl_error *err) TL_MUST_CHECK;

#endif
