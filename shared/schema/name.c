/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Names of tables and columns: what is legal, and what of a header could be made legal. */
#include "shared/schema/name.h"

#include <stdio.h>

#include "shared/base/utf8.h"
#include "shared/schema/canon.h"
#include "shared/schema/schema.h"

/* The tool's own, and those that SQLite keeps for itself. */
static const char *const reserved[] = {"_tload", "sqlite_"};

static bool name_start(char c)
{
    return (c >= 'a' && c <= 'z') || c == '_';
}

static bool name_char(char c)
{
    return name_start(c) || tl_is_digit(c);
}

const char *tl_show(struct tl_str text, char out[TL_SHOW_TEXT])
{
    static const char more[] = "...";
    bool cut = text.len > TL_SHOW_TEXT - sizeof more;
    size_t n = tl_utf8_cut(text.ptr, text.len, TL_SHOW_TEXT - sizeof more);
    size_t i = 0, at = 0;

    while (i < n) {
        size_t len = tl_utf8_char(text.ptr + i, n - i);

        if (len == 0 || (len == 1 && ((unsigned char)text.ptr[i] < ' ' || text.ptr[i] == 0x7F))) {
            out[at++] = '?';
            i++;
        } else {
            memcpy(out + at, text.ptr + i, len);
            at += len;
            i += len;
        }
    }
    snprintf(out + at, TL_SHOW_TEXT - at, "%s", cut ? more : "");
    return out;
}

bool tl_near(struct tl_str a, struct tl_str b, unsigned *distance)
{
    *distance = tl_str_distance(a, b);
    return *distance * 3 <= TL_MAX(a.len, b.len);
}

static bool is_reserved(const char *name)
{
    for (size_t i = 0; i < TL_ARRAY_LEN(reserved); i++)
        if (strncmp(name, reserved[i], strlen(reserved[i])) == 0)
            return true;
    return false;
}

/* Copies text in lower case when that makes it a legal name; false when it does not. */
static bool legal_name(struct tl_str text, char out[TL_NAME_MAX + 1])
{
    if (text.len == 0 || text.len > TL_NAME_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        out[i] = tl_lower(text.ptr[i]);
        if (i == 0 ? !name_start(out[i]) : !name_char(out[i]))
            return false;
    }
    out[text.len] = '\0';
    return true;
}

bool tl_name_fold(struct tl_str text, char out[TL_NAME_MAX + 1])
{
    size_t n = 0;
    bool gap = false;

    if (legal_name(text, out) && !is_reserved(out))
        return true;
    for (size_t i = 0; i < text.len && n < TL_NAME_MAX; i++) {
        char c = tl_lower(text.ptr[i]);

        if (c == '_' || !name_char(c)) {
            gap = n > 0;
            continue;
        }
        if (n == 0 && tl_is_digit(c)) {
            out[n++] = 'c';
            gap = true;
        }
        if (gap && n + 1 < TL_NAME_MAX)
            out[n++] = '_';
        gap = false;
        out[n++] = c;
    }
    out[n] = '\0';
    return n > 0;
}

int tl_name_parse(struct tl_str text, const char *what, char out[TL_NAME_MAX + 1], struct tl_error *err)
{
    static const char rule[] = "of the letters a-z, digits and _, and not to begin with a digit";
    char shown[TL_SHOW_TEXT], name[TL_NAME_MAX + 1];

    if (text.len == 0)
        return tl_fail(err, TL_E_REFUSED, "the %s has no name", what);
    if (text.len > TL_NAME_MAX)
        return tl_fail(err, TL_E_REFUSED, "%s name \"%s\" has %zu bytes; %d are the most", what,
                       tl_show(text, shown), text.len, TL_NAME_MAX);
    if (!legal_name(text, name)) {
        if (tl_name_fold(text, name))
            return tl_fail(err, TL_E_REFUSED, "%s name \"%s\" has to be %s; \"%s\" would do", what,
                           tl_show(text, shown), rule, name);
        return tl_fail(err, TL_E_REFUSED, "%s name \"%s\" has to be %s", what, tl_show(text, shown), rule);
    }
    if (is_reserved(name))
        return tl_fail(err, TL_E_REFUSED,
                       "%s name \"%s\": names that begin with %s or %s are kept for tload and its sinks",
                       what, name, reserved[0], reserved[1]);
    memcpy(out, name, text.len + 1);
    return 0;
}
