/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A URL may have a password in it, so neither the URL nor what libpq says of it is shown when it might. */
#include "coordinatord/sinks/postgresql/connection.h"

static bool may_have_secret(const char *url)
{
    const char *at = strrchr(url, '@'), *authority = strstr(url, "//");
    const char *colon = authority ? strchr(authority, ':') : NULL;

    return (at && colon && colon < at) || strstr(url, "password");
}

static int refuse(const char *url, const char *why, struct tl_error *err)
{
    static const char form[] = "postgresql://USER@HOST:PORT/DATABASE, the password in a passfile";

    if (may_have_secret(url))
        return tl_fail(err, TL_E_REFUSED, "the URL is not one of PostgreSQL: expected %s", form);
    return tl_fail(err, TL_E_REFUSED, "\"%s\": %.*s; expected %s", url, (int)strcspn(why, "\n"), why, form);
}

int pg_check_url(const char *url, struct tl_error *err)
{
    PQconninfoOption *options;
    char *why = NULL;
    int rc = 0;

    /* Without it libpq would take the text for a list of name=value. */
    if (!strstr(url, "://"))
        return refuse(url, "there is no // behind the scheme", err);
    options = PQconninfoParse(url, &why);
    if (!options)
        rc = why ? refuse(url, why, err) : tl_fail_nomem(err);
    PQfreemem(why);
    PQconninfoFree(options);
    return rc;
}
