/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One column as `define-table` takes it: 'price decimal(10,2) not null default 0'.
 *
 * The text is cut into words: the first is the name; the type goes on to the first word that can't be a part
 * of one (not, null, default); what follows are the constraints.
 */
#include <stdlib.h>

#include "shared/schema/canon.h"
#include "shared/schema/name.h"
#include "shared/schema/schema.h"

struct column_def {
    struct tl_str name, type;
    bool nullable, nullable_said;
    bool has_default;
    struct tl_buf fallback; /* the default's text */
};

/* SQL that belongs elsewhere, and where. */
static const struct {
    const char *word;
    const char *advice;
} foreign[] = {
    {"primary", "name the key with --key instead of primary key"},
    {"unique", "only the key is unique; name it with --key"},
    {"references", "references to other tables are not kept"},
    {"check", "checks are not kept"},
    {"constraint", "a column has only not null and default"},
    {"collate", "text is compared byte by byte"},
    {"generated", "values come from the file alone"},
};

/* The next word of text, up to a blank; len 0 at the end. */
static struct tl_str peek_word(struct tl_str text)
{
    struct tl_str word = tl_str_trim(text);
    size_t n = 0;

    while (n < word.len && word.ptr[n] != ' ' && word.ptr[n] != '\t' && word.ptr[n] != '\r' &&
           word.ptr[n] != '\n')
        n++;
    word.len = n;
    return word;
}

static void skip_word(struct tl_str *text, struct tl_str word)
{
    const char *end = text->ptr + text->len;

    *text = tl_str_n(word.ptr + word.len, (size_t)(end - (word.ptr + word.len)));
}

static bool is_constraint(struct tl_str word)
{
    if (tl_is_word(word, "not") || tl_is_word(word, "null") || tl_is_word(word, "default"))
        return true;
    for (size_t i = 0; i < TL_ARRAY_LEN(foreign); i++)
        if (tl_is_word(word, foreign[i].word))
            return true;
    return false;
}

static int set_nullable(struct column_def *def, bool nullable, struct tl_error *err)
{
    if (def->nullable_said)
        return tl_fail(err, TL_E_REFUSED, "null or not null is said twice");
    def->nullable = nullable;
    def->nullable_said = true;
    return 0;
}

/* True when a bare value ends in what was surely meant as a constraint. */
static bool ends_in_constraint(struct tl_str value)
{
    static const char not_null[] = " not null";
    size_t n = sizeof not_null - 1;

    return value.len > n && tl_is_word(tl_str_n(value.ptr + value.len - n, n), not_null);
}

static int read_quoted(struct column_def *def, struct tl_str *text, struct tl_error *err)
{
    for (size_t i = 1; i < text->len; i++) {
        if (text->ptr[i] == '\'') {
            if (i + 1 == text->len || text->ptr[i + 1] != '\'') {
                *text = tl_str_n(text->ptr + i + 1, text->len - i - 1);
                return 0;
            }
            i++;
        }
        int rc = tl_buf_append_char(&def->fallback, text->ptr[i]);

        if (rc)
            return tl_buf_fail(rc, &def->fallback, "the default", err);
    }
    return tl_fail(err, TL_E_REFUSED, "the default's closing quote is missing");
}

static int read_default(struct column_def *def, struct tl_str *text, struct tl_error *err)
{
    struct tl_str value = tl_str_trim(*text);
    int rc;

    if (def->has_default)
        return tl_fail(err, TL_E_REFUSED, "default is said twice");
    if (value.len == 0)
        return tl_fail(err, TL_E_REFUSED, "default needs a value; the empty string is ''");
    if (value.ptr[0] == '\'') {
        def->has_default = true;
        *text = value;
        return read_quoted(def, text, err);
    }
    if (ends_in_constraint(value))
        return tl_fail(err, TL_E_REFUSED, "write not null before default, or the default in single quotes");
    *text = (struct tl_str){"", 0};
    if (tl_is_word(value, "null"))
        return 0;
    def->has_default = true;
    rc = tl_buf_append_str(&def->fallback, value);
    return rc ? tl_buf_fail(rc, &def->fallback, "the default", err) : 0;
}

static int read_constraint(struct column_def *def, struct tl_str *text, struct tl_error *err)
{
    struct tl_str word = peek_word(*text);
    char shown[TL_SHOW_TEXT];

    skip_word(text, word);
    if (tl_is_word(word, "default"))
        return read_default(def, text, err);
    if (tl_is_word(word, "null"))
        return set_nullable(def, true, err);
    if (tl_is_word(word, "not")) {
        word = peek_word(*text);
        if (!tl_is_word(word, "null"))
            return tl_fail(err, TL_E_REFUSED, "\"not\" has to be followed by null");
        skip_word(text, word);
        return set_nullable(def, false, err);
    }
    for (size_t i = 0; i < TL_ARRAY_LEN(foreign); i++)
        if (tl_is_word(word, foreign[i].word))
            return tl_fail(err, TL_E_REFUSED, "%s", foreign[i].advice);
    return tl_fail(err, TL_E_REFUSED,
                   "\"%s\" is not understood; a column is NAME TYPE [not null] [default VALUE]",
                   tl_show(word, shown));
}

static int read_def(struct tl_str text, struct column_def *def, struct tl_error *err)
{
    struct tl_str word;

    def->type = tl_str_trim(text);
    def->type.len = 0;
    while (word = peek_word(text), word.len && !is_constraint(word)) {
        if (def->type.len == 0)
            def->type.ptr = word.ptr;
        def->type.len = (size_t)(word.ptr + word.len - def->type.ptr);
        skip_word(&text, word);
    }
    while (tl_str_trim(text).len)
        if (read_constraint(def, &text, err))
            return -1;
    return 0;
}

json_t *tl_column_def_parse(struct tl_str text, struct tl_error *err)
{
    struct column_def def = {.nullable = true};
    char name[TL_NAME_MAX + 1], type_text[TL_TYPE_FORMAT];
    struct tl_reject why;
    struct tl_type type;
    size_t chars;
    json_t *json = NULL, *fallback;

    tl_buf_init(&def.fallback, 64 * 1024);
    text = tl_str_trim(text);
    def.name = peek_word(text);
    if (tl_name_parse(def.name, "column", name, err))
        goto out;
    skip_word(&text, def.name);
    if (read_def(text, &def, err) || tl_type_parse(def.type, &type, err)) {
        tl_error_prefix(err, "column \"%s\"", name);
        goto out;
    }
    tl_type_format(&type, type_text);
    if (def.has_default && !tl_check_text(tl_buf_str(&def.fallback), &chars, &why)) {
        tl_fail(err, TL_E_REFUSED, "column \"%s\": the default %s", name, why.reason);
        goto out;
    }
    fallback = def.has_default ? json_stringn(tl_buf_str(&def.fallback).ptr, def.fallback.len) : json_null();
    if (!fallback) {
        tl_fail_nomem(err);
        goto out;
    }
    json = json_pack("{s:s, s:s, s:b, s:o}", "name", name, "type", type_text, "nullable", def.nullable,
                     "default", fallback);
    if (!json)
        tl_fail_nomem(err);
out:
    tl_buf_release(&def.fallback);
    return json;
}
