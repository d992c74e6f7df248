/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How a type is written: tl_type_parse, with the names that other databases have for the same thing, and
 * back. */
#include <stdio.h>

#include "shared/schema/canon.h"
#include "shared/schema/coltype.h"
#include "shared/schema/name.h"

enum {
    WORDS_MAX = 48, /* of a type's name; longer text is no type */
    ARGS_MAX = 4    /* that are read; no type takes so many */
};

/* SQL's other names for the very same type. */
static const struct {
    const char *words;
    enum tl_type_id id;
} synonyms[] = {
    {"bool", TL_TYPE_BOOLEAN},
    {"integer", TL_TYPE_INT},
    {"int4", TL_TYPE_INT},
    {"int8", TL_TYPE_BIGINT},
    {"float8", TL_TYPE_DOUBLE},
    {"double precision", TL_TYPE_DOUBLE},
    {"numeric", TL_TYPE_DECIMAL},
    {"dec", TL_TYPE_DECIMAL},
    {"character varying", TL_TYPE_VARCHAR},
    {"timestamp without time zone", TL_TYPE_TIMESTAMP},
    {"timestamp with time zone", TL_TYPE_TIMESTAMPTZ},
};

/* Names that mean something a little else, or that only some databases have: refused, but the user is told.
 */
static const struct {
    const char *words;
    const char *suggestion;
} others[] = {
    {"string", "text"},
    {"str", "text"},
    {"clob", "text"},
    {"mediumtext", "text"},
    {"longtext", "text"},
    {"char", "varchar(n)"},
    {"character", "varchar(n)"},
    {"nchar", "varchar(n)"},
    {"nvarchar", "varchar(n)"},
    {"varchar2", "varchar(n)"},
    {"number", "decimal(p,s)"},
    {"money", "decimal(p,s)"},
    {"float", "double"},
    {"float4", "double"},
    {"real", "double"},
    {"tinyint", "int"},
    {"smallint", "int"},
    {"mediumint", "int"},
    {"int2", "int"},
    {"serial", "int"},
    {"long", "bigint"},
    {"bigserial", "bigint"},
    {"datetime", "timestamp"},
    {"datetime2", "timestamp"},
    {"datetimeoffset", "timestamptz"},
    {"time", "timestamp or text"},
    {"guid", "uuid"},
    {"uniqueidentifier", "uuid"},
    {"jsonb", "json"},
    {"blob", "bytea"},
    {"binary", "bytea"},
    {"varbinary", "bytea"},
    {"bit", "boolean"},
};

/* Appends text to words in lower case, one blank between words; false when it is too long. */
static bool add_words(struct tl_str text, char words[WORDS_MAX + 1])
{
    size_t n = strlen(words);
    bool gap = n > 0;

    text = tl_str_trim(text);
    for (size_t i = 0; i < text.len; i++) {
        if (tl_is_blank(text.ptr[i])) {
            gap = n > 0;
            continue;
        }
        if (n + gap >= WORDS_MAX || text.ptr[i] == '\0')
            return false;
        if (gap)
            words[n++] = ' ';
        gap = false;
        words[n++] = tl_lower(text.ptr[i]);
    }
    words[n] = '\0';
    return true;
}

static bool find_type(const char *words, enum tl_type_id *id)
{
    for (int i = 0; i < TL_TYPE_COUNT; i++)
        if (strcmp(words, tl_coltype((enum tl_type_id)i)->name) == 0) {
            *id = (enum tl_type_id)i;
            return true;
        }
    for (size_t i = 0; i < TL_ARRAY_LEN(synonyms); i++)
        if (strcmp(words, synonyms[i].words) == 0) {
            *id = synonyms[i].id;
            return true;
        }
    return false;
}

static const char *suggest(const char *words)
{
    unsigned distance, best = ~0U;
    const char *found = NULL;

    for (size_t i = 0; i < TL_ARRAY_LEN(others); i++)
        if (strcmp(words, others[i].words) == 0)
            return others[i].suggestion;
    for (int i = 0; i < TL_TYPE_COUNT; i++) {
        const struct tl_coltype *coltype = tl_coltype((enum tl_type_id)i);

        if (tl_near(tl_str(words), tl_str(coltype->name), &distance) && distance < best) {
            best = distance;
            found = coltype->usage;
        }
    }
    for (size_t i = 0; i < TL_ARRAY_LEN(synonyms); i++)
        if (tl_near(tl_str(words), tl_str(synonyms[i].words), &distance) && distance < best) {
            best = distance;
            found = tl_coltype(synonyms[i].id)->usage;
        }
    return found;
}

static int fail_unknown(struct tl_str text, const char *words, struct tl_error *err)
{
    char shown[TL_SHOW_TEXT], all[256];
    const char *suggestion = suggest(words);
    size_t n = 0;

    if (suggestion)
        return tl_fail(err, TL_E_REFUSED, "there is no type \"%s\"; did you mean %s?", tl_show(text, shown),
                       suggestion);
    all[0] = '\0';
    for (int i = 0; i < TL_TYPE_COUNT && n < sizeof all; i++)
        n += (size_t)snprintf(all + n, sizeof all - n, "%s%s", i ? " " : "",
                              tl_coltype((enum tl_type_id)i)->usage);
    return tl_fail(err, TL_E_REFUSED, "there is no type \"%s\"; the types are: %s", tl_show(text, shown),
                   all);
}

/* Reads "10, 2". */
static int read_args(struct tl_str text, struct tl_str inside, int64_t args[ARGS_MAX], size_t *n,
                     struct tl_error *err)
{
    char shown[TL_SHOW_TEXT];

    *n = 0;
    while (inside.ptr) {
        struct tl_str arg = tl_str_trim(tl_str_cut(&inside, ','));

        if (*n == ARGS_MAX || !tl_str_to_i64(arg, INT32_MIN, INT32_MAX, &args[*n]))
            return tl_fail(err, TL_E_REFUSED,
                           "in type \"%s\" the parentheses take numbers, as in decimal(10,2)",
                           tl_show(text, shown));
        (*n)++;
    }
    return 0;
}

int tl_type_parse(struct tl_str text, struct tl_type *type, struct tl_error *err)
{
    char words[WORDS_MAX + 1] = "", shown[TL_SHOW_TEXT];
    struct tl_str head, inside = {NULL, 0}, tail;
    const struct tl_coltype *coltype;
    struct tl_type parsed = {0};
    int64_t args[ARGS_MAX];
    size_t n = 0;

    text = tl_str_trim(text);
    tail = text;
    if (text.len == 0)
        return tl_fail(err, TL_E_REFUSED, "the type is missing");
    head = tl_str_cut(&tail, '(');
    if (tail.ptr) {
        inside = tl_str_cut(&tail, ')');
        if (!tail.ptr)
            return tl_fail(err, TL_E_REFUSED, "type \"%s\" lacks its closing parenthesis",
                           tl_show(text, shown));
    }
    if (!add_words(head, words) || (tail.ptr && !add_words(tail, words)))
        return fail_unknown(text, "", err);
    if (!find_type(words, &parsed.id))
        return fail_unknown(text, words, err);
    coltype = tl_coltype(parsed.id);
    if (inside.ptr && !coltype->set_args)
        return tl_fail(err, TL_E_REFUSED, "type %s takes nothing in parentheses; write just %s",
                       coltype->name, coltype->name);
    if (read_args(text, inside, args, &n, err))
        return -1;
    if (coltype->set_args && coltype->set_args(&parsed, args, n, err))
        return -1;
    *type = parsed;
    return 0;
}

void tl_type_format(const struct tl_type *type, char out[TL_TYPE_FORMAT])
{
    const struct tl_coltype *coltype = tl_coltype(type->id);

    switch (coltype->nargs) {
    case 0:
        snprintf(out, TL_TYPE_FORMAT, "%s", coltype->name);
        break;
    case 1:
        snprintf(out, TL_TYPE_FORMAT, "%s(%d)", coltype->name, type->length);
        break;
    default:
        snprintf(out, TL_TYPE_FORMAT, "%s(%d,%d)", coltype->name, type->length, type->scale);
        break;
    }
}
