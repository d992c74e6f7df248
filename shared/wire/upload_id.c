/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/wire/upload_id.h"

#include <stdio.h>
#include <unistd.h>

#include "shared/base/clock.h"

int tl_upload_id_make(int64_t now, char out[TL_UPLOAD_ID_MAX + 1], struct tl_error *err)
{
    unsigned char random[4];
    char when[TL_CLOCK_TEXT];

    if (getentropy(random, sizeof random) < 0)
        return tl_fail(err, TL_E_IO, "the system gives no random numbers");
    tl_clock_text(now, when); /* 2026-01-31T12:00:00.123Z */
    snprintf(out, TL_UPLOAD_ID_MAX + 1, "%.4s%.2s%.2s-%.2s%.2s%.2s-%02x%02x%02x%02x", when, when + 5,
             when + 8, when + 11, when + 14, when + 17, random[0], random[1], random[2], random[3]);
    return 0;
}
