/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Constants among the defaults of a database: a literal of SQL, into the canonical form of a type. */
#include <stdlib.h>

#include "coordinatord/sinks/foreign.h"

enum { CONSTANT_MAX = 64 * 1024 }; /* bytes: no column's default may have more */

/* ::text, ::numeric(10,2), ::character varying: a cast and nothing behind it. */
static bool is_cast(struct tl_str rest)
{
    rest = tl_str_trim(rest);
    if (rest.len == 0)
        return true;
    if (rest.len < 3 || rest.ptr[0] != ':' || rest.ptr[1] != ':')
        return false;
    for (size_t i = 2; i < rest.len; i++) {
        char c = rest.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!word && !strchr("_ (),\"", c))
            return false;
    }
    return true;
}

/* Reads 'it''s' from its quote on: the value, and in *rest what follows. 1, 0: it does not end, TL_BUF_ failure. */
static int read_quoted(struct tl_str text, struct tl_buf *value, struct tl_str *rest)
{
    for (size_t i = 1; i < text.len; i++) {
        int rc;

        if (text.ptr[i] == '\'' && (i + 1 == text.len || text.ptr[i + 1] != '\'')) {
            *rest = tl_str_n(text.ptr + i + 1, text.len - i - 1);
            return 1;
        }
        i += text.ptr[i] == '\'';
        rc = tl_buf_append_char(value, text.ptr[i]);
        if (rc)
            return rc;
    }
    return 0;
}

/* Digits with a sign, a point and an exponent; the type's own check knows the rest. */
static size_t number_len(struct tl_str text)
{
    size_t n = 0;

    while (n < text.len && strchr("+-.0123456789eE", text.ptr[n]) && text.ptr[n])
        n++;
    return n;
}

static bool is_word(struct tl_str text, const char *word)
{
    size_t n = strlen(word);

    return text.len >= n && strncasecmp(text.ptr, word, n) == 0 &&
           is_cast(tl_str_n(text.ptr + n, text.len - n));
}

static struct tl_str without_parentheses(struct tl_str text)
{
    text = tl_str_trim(text);
    while (text.len >= 2 && text.ptr[0] == '(' && text.ptr[text.len - 1] == ')')
        text = tl_str_trim(tl_str_n(text.ptr + 1, text.len - 2));
    return text;
}

/* 1: `value` has the literal's value; 0: it is no literal; a TL_BUF_ failure. */
static int read_literal(struct tl_str text, struct tl_buf *value)
{
    static const char *const words[] = {"true", "false"};
    struct tl_str rest = {NULL, 0};
    int rc = 0;

    if (text.len && (text.ptr[0] == '\'')) {
        rc = read_quoted(text, value, &rest);
    } else if (text.len > 1 && (text.ptr[0] == 'X' || text.ptr[0] == 'x') && text.ptr[1] == '\'') {
        rc = tl_buf_append_z(value, "\\x");
        if (!rc)
            rc = read_quoted(tl_str_n(text.ptr + 1, text.len - 1), value, &rest);
    } else if (number_len(text)) {
        rc = tl_buf_append(value, text.ptr, number_len(text));
        rest = tl_str_n(text.ptr + number_len(text), text.len - number_len(text));
        rc = rc ? rc : 1;
    }
    for (size_t i = 0; rc == 0 && i < TL_ARRAY_LEN(words); i++)
        if (is_word(text, words[i])) {
            rc = tl_buf_append_z(value, words[i]);
            return rc ? rc : 1;
        }
    return rc == 1 ? is_cast(rest) : rc;
}

static int canonical(const struct tl_type *type, struct tl_str value, char **out, struct tl_error *err)
{
    struct tl_buf scratch;
    struct tl_reject why;
    struct tl_str text;
    enum tl_verdict verdict;
    int rc = 0;

    tl_buf_init(&scratch, 2 * CONSTANT_MAX);
    verdict = tl_type_canon(type, value, &scratch, &text, &why);
    if (verdict == TL_VALUE_OK) {
        *out = malloc(text.len + 1);
        if (*out) {
            memcpy(*out, text.ptr, text.len);
            (*out)[text.len] = '\0';
        }
        rc = *out ? 1 : tl_fail_nomem(err);
    } else if (verdict == TL_VALUE_NOMEM) {
        rc = tl_fail_nomem(err);
    }
    tl_buf_release(&scratch);
    return rc;
}

int foreign_constant(const char *expr, const struct tl_type *type, char **out, struct tl_error *err)
{
    struct tl_str text = without_parentheses(tl_str(expr));
    struct tl_buf value;
    int rc;

    *out = NULL;
    if (is_word(text, "null"))
        return 1;
    tl_buf_init(&value, CONSTANT_MAX);
    rc = read_literal(text, &value);
    if (rc == 1)
        rc = canonical(type, tl_buf_str(&value), out, err);
    else if (rc == TL_BUF_NOMEM)
        rc = tl_fail_nomem(err);
    else
        rc = 0; /* one that is too long is none for us */
    tl_buf_release(&value);
    return rc;
}
