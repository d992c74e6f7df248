/* SPDX-License-Identifier: GPL-3.0-or-later */
/* boolean: the words that PostgreSQL takes, in any case; canonical are t and f. */
#include "shared/schema/canon.h"

static const struct {
    const char *word;
    char canonical;
} words[] = {
    {"t", 't'}, {"f", 'f'}, {"true", 't'}, {"false", 'f'}, {"yes", 't'}, {"no", 'f'},
    {"1", 't'}, {"0", 'f'}, {"y", 't'},    {"n", 'f'},     {"on", 't'},  {"off", 'f'},
};

static enum tl_verdict boolean_canon(const struct tl_type *type, struct tl_str in, struct tl_buf *scratch,
                                     struct tl_str *out, struct tl_reject *why)
{
    struct tl_str s = tl_str_trim(in);

    (void)type;
    if (s.len == 1 && (s.ptr[0] == 't' || s.ptr[0] == 'f'))
        return tl_canon_borrow(s.ptr, 1, out);
    for (size_t i = 0; i < TL_ARRAY_LEN(words); i++)
        if (tl_is_word(s, words[i].word))
            return tl_canon_copy(scratch, &words[i].canonical, 1, out);
    return tl_canon_reject(why, in, TL_REJECT_NOT_BOOLEAN, "is not a boolean (true or false)");
}

const struct tl_coltype tl_coltype_boolean = {
    .name = "boolean",
    .usage = "boolean",
    .can_be_key = true,
    .canon = boolean_canon,
};
