/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/dialect.h"

#include "shared/wire/dialect.h"

/*
 * One printable ASCII character (or a tab): anything else could not be told from a part of a UTF-8
 * character.
 */
static int one_char(const char *option, const char *text, char *out, struct tl_error *err)
{
    if (text[0] == '\0' || text[1] != '\0' || (text[0] != '\t' && (text[0] < ' ' || text[0] > '~')))
        return tl_fail(err, TL_E_USAGE, "'--%s' takes one ASCII character, not '%s'", option, text);
    *out = text[0];
    return 0;
}

int dialect_from_args(struct tl_dialect *d, const struct args *args, struct tl_error *err)
{
    const char *format = args_text(args, "format"), *delimiter = args_text(args, "delimiter");
    const char *quote = args_text(args, "quote"), *null_text = args_text(args, "null");

    if (format && strcmp(format, "tsv") == 0)
        tl_dialect_tsv(d);
    else
        tl_dialect_csv(d);
    if (delimiter && (strcmp(delimiter, "tab") == 0 || strcmp(delimiter, "\\t") == 0))
        d->delimiter = '\t';
    else if (delimiter && one_char("delimiter", delimiter, &d->delimiter, err))
        return -1;
    if (quote && strcmp(quote, "none") == 0)
        d->quote = '\0';
    else if (quote && one_char("quote", quote, &d->quote, err))
        return -1;
    if (d->delimiter == d->quote)
        return tl_fail(err, TL_E_USAGE, "delimiter and quote are the same character, '%c'", d->quote);
    if (null_text) {
        if (strlen(null_text) >= sizeof d->null_text)
            return tl_fail(err, TL_E_USAGE, "'--null' takes at most %zu bytes", sizeof d->null_text - 1);
        memcpy(d->null_text, null_text, strlen(null_text) + 1);
        d->null_len = strlen(null_text);
    }
    return 0;
}
