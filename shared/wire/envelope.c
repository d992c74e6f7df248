/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/wire/envelope.h"

#include <stddef.h>

#include "shared/schema/schema.h"

static const char type_header[] = "tl-type", stage_header[] = "tl-stage";

static const char *const type_names[] = {
    [TL_MSG_ROWS] = "rows",
    [TL_MSG_SCHEMA] = "schema",
    [TL_MSG_END] = "end",
    [TL_MSG_CANCEL] = "cancel",
};

static const char *const stage_names[] = {
    [TL_STAGE_VALIDATE] = "validate",
    [TL_STAGE_SINK] = "sink",
};

/* The headers that are one number or text, in the order in which they are written. */
static const struct number_header {
    const char *name;
    size_t offset; /* in struct tl_envelope */
    int64_t min, max;
} numbers[] = {
    {"tl-table-id", offsetof(struct tl_envelope, table_id), 1, INT64_MAX},
    {"tl-version", offsetof(struct tl_envelope, version), 1, INT32_MAX},
    {"tl-seq", offsetof(struct tl_envelope, seq), 1, INT64_MAX},
    {"tl-rows", offsetof(struct tl_envelope, rows), 0, INT64_MAX},
    {"tl-rejected", offsetof(struct tl_envelope, rejected), 0, INT64_MAX},
    {"tl-raw-offset", offsetof(struct tl_envelope, raw_offset), 0, INT64_MAX},
    {"tl-part", offsetof(struct tl_envelope, part), 1, INT64_MAX},
    {"tl-attempt", offsetof(struct tl_envelope, attempt), 1, INT64_MAX},
};

static const struct text_header {
    const char *name;
    size_t offset;
} texts[] = {
    {"tl-table", offsetof(struct tl_envelope, table)},
    {"tl-upload", offsetof(struct tl_envelope, upload)},
    {"tl-format", offsetof(struct tl_envelope, format)},
    {"tl-columns", offsetof(struct tl_envelope, columns)},
    {"tl-file", offsetof(struct tl_envelope, file)},
    {"tl-malformed", offsetof(struct tl_envelope, malformed)},
    {"tl-control", offsetof(struct tl_envelope, control)},
    {"traceparent", offsetof(struct tl_envelope, traceparent)},
};

enum { DIGITS = 20 }; /* of an int64_t, with a NUL; none of the numbers is below 0 */

_Static_assert(2 + TL_ARRAY_LEN(numbers) + TL_ARRAY_LEN(texts) <= TL_HEADERS_MAX, "room for every header");
_Static_assert(TL_ARRAY_LEN(numbers) * DIGITS <= TL_HEADER_NUMBERS, "room for every number");

static int64_t *number_of(const struct tl_envelope *e, const struct number_header *h)
{
    return (int64_t *)((char *)e + h->offset);
}

static struct tl_str *text_of(const struct tl_envelope *e, const struct text_header *h)
{
    return (struct tl_str *)((char *)e + h->offset);
}

void tl_envelope_init(struct tl_envelope *e, enum tl_msg_type type)
{
    *e = (struct tl_envelope){.type = type};
    for (size_t i = 0; i < TL_ARRAY_LEN(numbers); i++)
        *number_of(e, &numbers[i]) = -1;
}

static void add(struct tl_headers *out, const char *name, struct tl_str value)
{
    out->item[out->n++] = (struct tl_header){name, value};
}

void tl_envelope_to_headers(const struct tl_envelope *e, struct tl_headers *out)
{
    size_t used = 0;

    out->n = 0;
    add(out, type_header, tl_str(type_names[e->type]));
    for (size_t i = 0; i < TL_ARRAY_LEN(numbers); i++) {
        int64_t value = *number_of(e, &numbers[i]);
        char *text = out->numbers + used;

        if (value < 0)
            continue;
        used += (size_t)snprintf(text, DIGITS, "%lld", (long long)value);
        add(out, numbers[i].name, tl_str_n(text, (size_t)(out->numbers + used - text)));
    }
    if (e->part >= 0)
        add(out, stage_header, tl_str(stage_names[e->stage]));
    for (size_t i = 0; i < TL_ARRAY_LEN(texts); i++) {
        struct tl_str text = *text_of(e, &texts[i]);

        if (text.ptr)
            add(out, texts[i].name, text);
    }
}

/* Which of the names it is, or -1 with *err. */
static int read_name(const char *const *names, size_t n, const char *header, struct tl_str value,
                     struct tl_error *err)
{
    for (size_t i = 0; i < n; i++)
        if (tl_str_eq_z(value, names[i]))
            return (int)i;
    return tl_fail(err, TL_E_CORRUPT, "header %s: \"%.*s\" is not known", header,
                   (int)TL_MIN(value.len, (size_t)40), value.ptr ? value.ptr : "");
}

int tl_envelope_read_header(struct tl_envelope *e, struct tl_str name, struct tl_str value,
                            struct tl_error *err)
{
    int found;

    if (tl_str_eq_z(name, type_header)) {
        found = read_name(type_names, TL_ARRAY_LEN(type_names), type_header, value, err);
        if (found >= 0)
            e->type = (enum tl_msg_type)found;
        return found < 0 ? -1 : 0;
    }
    if (tl_str_eq_z(name, stage_header)) {
        found = read_name(stage_names, TL_ARRAY_LEN(stage_names), stage_header, value, err);
        if (found >= 0)
            e->stage = (enum tl_stage)found;
        return found < 0 ? -1 : 0;
    }
    for (size_t i = 0; i < TL_ARRAY_LEN(numbers); i++) {
        const struct number_header *h = &numbers[i];

        if (!tl_str_eq_z(name, h->name))
            continue;
        if (!tl_str_to_i64(value, h->min, h->max, number_of(e, h)))
            return tl_fail(err, TL_E_CORRUPT, "header %s: \"%.*s\" is not a number from %lld", h->name,
                           (int)TL_MIN(value.len, (size_t)40), value.ptr ? value.ptr : "", (long long)h->min);
        return 0;
    }
    for (size_t i = 0; i < TL_ARRAY_LEN(texts); i++) {
        if (tl_str_eq_z(name, texts[i].name)) {
            *text_of(e, &texts[i]) = tl_str_n(value.ptr ? value.ptr : "", value.len);
            return 0;
        }
    }
    return 0;
}

static int need_number(int64_t value, const char *header, const struct tl_envelope *e, struct tl_error *err)
{
    if (value < 0)
        return tl_fail(err, TL_E_CORRUPT, "a message of type %s has no header %s", type_names[e->type],
                       header);
    return 0;
}

static int need_table(const struct tl_envelope *e, struct tl_error *err)
{
    if (e->table.len == 0 || e->table.len > TL_NAME_MAX || memchr(e->table.ptr, '\0', e->table.len))
        return tl_fail(err, TL_E_CORRUPT,
                       "a message of type %s has no header tl-table that can be a table's name",
                       type_names[e->type]);
    return 0;
}

static int need_upload(const struct tl_envelope *e, struct tl_error *err)
{
    if (!tl_upload_id_valid(e->upload))
        return tl_fail(err, TL_E_CORRUPT,
                       "a message of type %s has no header tl-upload that can be an upload's id",
                       type_names[e->type]);
    return 0;
}

int tl_envelope_check(const struct tl_envelope *e, struct tl_error *err)
{
    switch (e->type) {
    case TL_MSG_ROWS:
        if (need_table(e, err) || need_number(e->table_id, "tl-table-id", e, err) ||
            need_number(e->version, "tl-version", e, err) || need_upload(e, err) ||
            need_number(e->seq, "tl-seq", e, err) || need_number(e->rows, "tl-rows", e, err))
            return -1;
        return 0;
    case TL_MSG_SCHEMA:
        return need_table(e, err) || need_number(e->version, "tl-version", e, err) ? -1 : 0;
    case TL_MSG_END:
        return need_upload(e, err) || need_number(e->seq, "tl-seq", e, err) ? -1 : 0;
    case TL_MSG_CANCEL:
        return need_upload(e, err);
    }
    return tl_fail(err, TL_E_CORRUPT, "a message of a type that is not known");
}

static bool lower_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

bool tl_upload_id_valid(struct tl_str id)
{
    if (id.len == 0 || id.len > TL_UPLOAD_ID_MAX || id.ptr[0] == '.' || id.ptr[0] == '_' || id.ptr[0] == '-')
        return false;
    for (size_t i = 0; i < id.len; i++) {
        char c = id.ptr[i];

        if (!lower_or_digit(c) && !(c >= 'A' && c <= 'Z') && c != '.' && c != '_' && c != '-')
            return false;
    }
    return true;
}

bool tl_tenant_valid(struct tl_str name)
{
    if (name.len == 0 || name.len > TL_TENANT_MAX || !(name.ptr[0] >= 'a' && name.ptr[0] <= 'z'))
        return false;
    for (size_t i = 0; i < name.len; i++)
        if (!lower_or_digit(name.ptr[i]) && name.ptr[i] != '-')
            return false;
    return true;
}
