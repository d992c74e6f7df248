/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Functions that can't be used right, or only by luck. Calling one does not compile; use what stands beside it.
 */
#ifndef TL_BASE_BANNED_H
#define TL_BASE_BANNED_H

/* The headers that declare them come first: a poisoned name must not be met in a declaration later. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy strcat strncpy strncat stpcpy /* struct tl_buf, memcpy */
#pragma GCC poison sprintf vsprintf                     /* snprintf, tl_buf_appendf */
#pragma GCC poison gets strtok                          /* getline, memchr */
#pragma GCC poison atoi atol atoll atof                 /* shared/base/number.h */
#pragma GCC poison gmtime localtime ctime asctime       /* the _r forms */
#pragma GCC poison strerror                             /* strerrordesc_np */

#endif
