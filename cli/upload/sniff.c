/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/upload/sniff.h"

static const struct {
    const char *magic;
    size_t len;
    const char *is;      /* what it is */
    const char *do_this; /* "unpack" */
    const char *command; /* that reads the file and writes CSV; NULL: there is none */
} kinds[] = {
    {"\xff\xfe", 2, "UTF-16", "convert", "iconv -f UTF-16 -t UTF-8"},
    {"\xfe\xff", 2, "UTF-16", "convert", "iconv -f UTF-16 -t UTF-8"},
    {"\x1f\x8b", 2, "compressed with gzip", "unpack", "zcat"},
    {"\x28\xb5\x2f\xfd", 4, "compressed with zstd", "unpack", "zstdcat"},
    {"\xfd"
     "7zXZ",
     5, "compressed with xz", "unpack", "xzcat"},
    {"BZh", 3, "compressed with bzip2", "unpack", "bzcat"},
    {"PK\x03\x04", 4, "a ZIP archive or a workbook", NULL, NULL},
};

static int refuse(const char *file, bool is_stdin, const char *table, const char *is, const char *do_this,
                  const char *command, struct tl_error *err)
{
    if (!command)
        return tl_fail(err, TL_E_REFUSED, "%s: is %s; save its table as CSV first", file, is);
    return tl_fail(err, TL_E_REFUSED, "%s: is %s; %s it first: %s%s%s | tload upload - --table %s", file, is,
                   do_this, command, is_stdin ? "" : " ", is_stdin ? "" : file, table);
}

/* True when each second byte, from `first` on, is NUL and the others are not: UTF-16 of plain English. */
static bool every_second_nul(struct tl_str head, size_t first)
{
    size_t n = head.len & ~(size_t)1;

    for (size_t i = 0; i < n; i++)
        if ((head.ptr[i] == '\0') != (i % 2 == first))
            return false;
    return n >= 4;
}

int sniff(const char *file, bool is_stdin, const char *table, struct tl_str head, size_t *skip,
          struct tl_error *err)
{
    for (size_t i = 0; i < TL_ARRAY_LEN(kinds); i++)
        if (head.len >= kinds[i].len && memcmp(head.ptr, kinds[i].magic, kinds[i].len) == 0)
            return refuse(file, is_stdin, table, kinds[i].is, kinds[i].do_this, kinds[i].command, err);
    if (every_second_nul(head, 1))
        return refuse(file, is_stdin, table, "UTF-16", "convert", "iconv -f UTF-16LE -t UTF-8", err);
    if (every_second_nul(head, 0))
        return refuse(file, is_stdin, table, "UTF-16", "convert", "iconv -f UTF-16BE -t UTF-8", err);
    *skip = head.len >= 3 && memcmp(head.ptr, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    return 0;
}
