/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/wire/dialect.h"

static const char delimiter_key[] = "delimiter", quote_key[] = "quote", null_key[] = "null";

void tl_dialect_csv(struct tl_dialect *d)
{
    *d = (struct tl_dialect){.delimiter = ',', .quote = '"'};
}

void tl_dialect_tsv(struct tl_dialect *d)
{
    *d = (struct tl_dialect){.delimiter = '\t', .quote = '"'};
}

/* Behind at: ";key=" and the bytes in hexadecimal. TL_FORMAT_MAX has room for all of them at their longest.
 */
static size_t put_hex(char *out, size_t at, const char *key, const char *bytes, size_t n)
{
    at += (size_t)snprintf(out + at, TL_FORMAT_MAX - at, ";%s=", key);
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, TL_FORMAT_MAX - at, "%02x", (unsigned char)bytes[i]);
    return at;
}

void tl_dialect_format(const struct tl_dialect *d, char out[TL_FORMAT_MAX])
{
    bool tsv = d->delimiter == '\t';
    size_t at = (size_t)snprintf(out, TL_FORMAT_MAX, "%s", tsv ? "tsv" : "csv");

    if (!tsv && d->delimiter != ',')
        at = put_hex(out, at, delimiter_key, &d->delimiter, 1);
    if (d->quote != '"')
        at = put_hex(out, at, quote_key, &d->quote, d->quote ? 1 : 0);
    if (d->null_len)
        put_hex(out, at, null_key, d->null_text, d->null_len);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool get_hex(struct tl_str text, char *out, size_t max, size_t *n)
{
    if (text.len % 2 || text.len / 2 > max)
        return false;
    for (size_t i = 0; i < text.len; i += 2) {
        int high = hex_digit(text.ptr[i]), low = hex_digit(text.ptr[i + 1]);

        if (high < 0 || low < 0)
            return false;
        out[i / 2] = (char)(high << 4 | low);
    }
    *n = text.len / 2;
    return true;
}

/* "key=hex" */
static bool parse_parameter(struct tl_str text, struct tl_dialect *d)
{
    struct tl_str key = tl_str_cut(&text, '=');
    size_t n;

    if (!text.ptr)
        return false;
    if (tl_str_eq_z(key, delimiter_key))
        return get_hex(text, &d->delimiter, 1, &n) && n == 1;
    if (tl_str_eq_z(key, quote_key)) {
        d->quote = '\0';
        return get_hex(text, &d->quote, 1, &n);
    }
    return tl_str_eq_z(key, null_key) && get_hex(text, d->null_text, sizeof d->null_text, &d->null_len);
}

static bool ends_records(char c)
{
    return c == '\n' || c == '\r';
}

int tl_dialect_parse(struct tl_str text, struct tl_dialect *d, struct tl_error *err)
{
    struct tl_str all = text, base = tl_str_cut(&text, ';');
    bool good = true;

    if (tl_str_eq_z(base, "csv"))
        tl_dialect_csv(d);
    else if (tl_str_eq_z(base, "tsv"))
        tl_dialect_tsv(d);
    else
        good = false;
    while (good && text.ptr)
        good = parse_parameter(tl_str_cut(&text, ';'), d);
    if (!good || d->delimiter == '\0' || d->delimiter == d->quote || ends_records(d->delimiter) ||
        ends_records(d->quote))
        return tl_fail(err, TL_E_CORRUPT, "tl-format: \"%.*s\" is not a format", TL_STR_ARG(all));
    return 0;
}
