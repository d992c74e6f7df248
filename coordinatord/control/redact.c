/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/control/redact.h"

#include <stdlib.h>

#include "shared/base/buf.h"

enum { URL_MAX = 64 * 1024 };

static const char hidden[] = "***";

/* A private key in the property itself; and a mechanism's own settings, which have secrets among them. */
static const char *const secret_parts[] = {"password", "passwd",  "secret",
                                           "token",    "key.pem", "oauthbearer.config"};

static bool is_secret(const char *name, size_t len)
{
    for (size_t i = 0; i < TL_ARRAY_LEN(secret_parts); i++)
        if (memmem(name, len, secret_parts[i], strlen(secret_parts[i])))
            return true;
    /* An escaped name could be any. */
    return memchr(name, '%', len) != NULL;
}

/* //USER:PASSWORD@HOST: as far as an @ that may be in the password itself. */
static int append_authority(struct tl_buf *out, struct tl_str authority)
{
    const char *at = authority.len ? memrchr(authority.ptr, '@', authority.len) : NULL;
    const char *colon = at ? memchr(authority.ptr, ':', (size_t)(at - authority.ptr)) : NULL;
    int rc;

    if (!colon)
        return tl_buf_append_str(out, authority);
    rc = tl_buf_append(out, authority.ptr, (size_t)(colon - authority.ptr) + 1);
    if (!rc)
        rc = tl_buf_append_z(out, hidden);
    return rc ? rc : tl_buf_append(out, at, authority.len - (size_t)(at - authority.ptr));
}

static int append_parameters(struct tl_buf *out, struct tl_str rest)
{
    char before = '?';
    int rc = TL_BUF_OK;

    while (!rc && rest.ptr) {
        struct tl_str value = tl_str_cut(&rest, '&'), name = tl_str_cut(&value, '=');

        rc = tl_buf_append_char(out, before);
        before = '&';
        if (!rc)
            rc = tl_buf_append_str(out, name);
        if (!rc && value.ptr)
            rc = tl_buf_append_char(out, '=');
        if (!rc && value.ptr)
            rc = is_secret(name.ptr, name.len) ? tl_buf_append_z(out, hidden) : tl_buf_append_str(out, value);
    }
    return rc;
}

char *redact_url(const char *url)
{
    struct tl_str parameters = tl_str(url), head = tl_str_cut(&parameters, '?');
    const char *slashes = strstr(url, "//");
    size_t scheme = slashes && slashes < url + head.len ? (size_t)(slashes - url) + 2 : 0;
    struct tl_buf out;
    int rc;

    tl_buf_init(&out, URL_MAX);
    rc = tl_buf_append(&out, url, scheme);
    if (!rc && scheme)
        rc = append_authority(&out, tl_str_n(url + scheme, head.len - scheme));
    else if (!rc)
        rc = tl_buf_append_str(&out, head);
    if (!rc)
        rc = append_parameters(&out, parameters);
    if (!rc)
        rc = tl_buf_terminate(&out);
    if (!rc)
        return out.data;
    tl_buf_release(&out);
    return NULL;
}

int redact_kafka(json_t *properties)
{
    const char *name;
    json_t *value;

    json_object_foreach(properties, name, value)
    {
        if (is_secret(name, strlen(name)) && json_string_set(value, hidden))
            return -1;
    }
    return 0;
}
