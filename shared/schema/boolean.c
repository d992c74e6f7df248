/* SPDX-License-Identifier: GPL-3.0-or-later */
/* boolean: the words that PostgreSQL takes, in any case; canonical are t and f. */
#include "shared/schema/canon.h"

#define WORD(text, value)                 \
    {                                     \
        (text), sizeof(text) - 1, (value) \
    }

static const struct {
    const char *text;
    size_t len;
    char canonical;
} words[] = {
    WORD("t", 't'), WORD("f", 'f'), WORD("true", 't'), WORD("false", 'f'), WORD("yes", 't'), WORD("no", 'f'),
    WORD("1", 't'), WORD("0", 'f'), WORD("y", 't'),    WORD("n", 'f'),     WORD("on", 't'),  WORD("off", 'f'),
};

/* As nearly all values are. The first letter is the canonical form. */
static inline bool is_usual(struct tl_str s)
{
    return s.len == 4   ? memcmp(s.ptr, "true", 4) == 0
           : s.len == 5 ? memcmp(s.ptr, "false", 5) == 0
                        : s.len == 1 && (s.ptr[0] == 't' || s.ptr[0] == 'f');
}

TL_HOT static enum tl_verdict boolean_canon(const struct tl_type *type, struct tl_str in,
                                            struct tl_buf *scratch, struct tl_str *out, struct tl_reject *why)
{
    struct tl_str s = tl_str_trim(in);

    (void)type;
    if (TL_LIKELY(is_usual(s)))
        return tl_canon_borrow(s.ptr, 1, out);
    for (size_t i = 0; i < TL_ARRAY_LEN(words); i++)
        if (words[i].len == s.len && tl_is_word(s, words[i].text))
            return s.ptr[0] == words[i].canonical ? tl_canon_borrow(s.ptr, 1, out)
                                                  : tl_canon_copy(scratch, &words[i].canonical, 1, out);
    return tl_canon_reject(why, in, TL_REJECT_NOT_BOOLEAN, "is not a boolean (true or false)");
}

const struct tl_coltype tl_coltype_boolean = {
    .name = "boolean",
    .usage = "boolean",
    .can_be_key = true,
    .plain = true,
    .canon = boolean_canon,
};
