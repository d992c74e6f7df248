/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/upload/header.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    NAMES_MAX = TL_COLUMNS_MAX * (TL_NAME_MAX + 1) + 1,
    SHOWN_MAX = 80,   /* bytes of a name that messages show */
    MISSING_MAX = 200 /* bytes of the list of missing columns */
};

/* What the names were found in, for messages: "orders.csv:1" or "--columns". */
struct place {
    const char *file; /* NULL: --columns */
    int64_t line;
    const struct header_history *history; /* NULL: nothing is known of other versions */
};

void header_init(struct header *h)
{
    *h = (struct header){0};
    tl_buf_init(&h->names, NAMES_MAX);
}

void header_release(struct header *h)
{
    free(h->column);
    tl_buf_release(&h->names);
    header_init(h);
}

int64_t header_field_of(const struct header *h, size_t column)
{
    for (size_t i = 0; i < h->n; i++)
        if (h->column[i] == column)
            return (int64_t)i;
    return -1;
}

static int refuse(const struct place *place, struct tl_error *err)
{
    err->code = TL_E_REFUSED;
    if (place->file)
        return tl_error_prefix(err, "%s:%" PRId64, place->file, place->line);
    return tl_error_prefix(err, "--columns");
}

/* A name of the file's as messages show it: not too long, and nothing that a terminal would act on. */
static void show(struct tl_str name, char out[SHOWN_MAX + 1])
{
    size_t n = TL_MIN(name.len, (size_t)SHOWN_MAX);

    for (size_t i = 0; i < n; i++)
        out[i] = (unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f ? '?' : name.ptr[i];
    out[n] = '\0';
}

/* The column of this name, upper case like lower; -1 when there is none. *lower: the name as looked for. */
static int find(const struct tl_schema *schema, struct tl_str name, char lower[TL_NAME_MAX + 1])
{
    size_t n = TL_MIN(name.len, (size_t)TL_NAME_MAX);

    for (size_t i = 0; i < n; i++)
        lower[i] = name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? (char)(name.ptr[i] - 'A' + 'a') : name.ptr[i];
    lower[n] = '\0';
    return name.len > TL_NAME_MAX ? -1 : tl_schema_find(schema, tl_str_n(lower, n));
}

static bool same_name(struct tl_str a, struct tl_str b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        unsigned char x = (unsigned char)a.ptr[i], y = (unsigned char)b.ptr[i];

        x = x >= 'A' && x <= 'Z' ? x | 0x20 : x;
        y = y >= 'A' && y <= 'Z' ? y | 0x20 : y;
        if (x != y)
            return false;
    }
    return true;
}

/* FIELD=COLUMN; a field's name may hold an equals sign, a column's can't. */
static bool cut_map(const char *map, struct tl_str *field, struct tl_str *column)
{
    const char *at = strrchr(map, '=');

    if (!at)
        return false;
    *field = tl_str_trim(tl_str_n(map, (size_t)(at - map)));
    *column = tl_str_trim(tl_str(at + 1));
    return field->len && column->len;
}

/* The table has the column, or had it, in another version. */
static int fail_former(const struct place *place, const struct tl_schema *schema, const char *name,
                       const struct header_former *former, struct tl_error *err)
{
    int at = tl_schema_find_id(schema, former->id);
    const char *now = at < 0 ? "" : schema->columns[at].name;
    char map[SHOWN_MAX + TL_NAME_MAX + 16] = "";

    if (at >= 0 && place->file)
        snprintf(map, sizeof map, " (--map %s=%s)", name, now);
    if (at < 0)
        tl_fail(err, TL_E_REFUSED,
                "column \"%s\" is not in version %d of table \"%s\"; version %lld has it%s", name,
                (int)schema->version, schema->table, (long long)former->version,
                former->version < schema->version ? ", and it was dropped since" : "");
    else if (former->version < schema->version)
        tl_fail(err, TL_E_REFUSED,
                "column \"%s\" is not in version %d of table \"%s\"; it was in version %lld, and its name is "
                "\"%s\" now%s",
                name, (int)schema->version, schema->table, (long long)former->version, now, map);
    else
        tl_fail(err, TL_E_REFUSED,
                "column \"%s\" is not in version %d of table \"%s\"; it is in version %lld%s, and is \"%s\" "
                "in this one%s",
                name, (int)schema->version, schema->table, (long long)former->version,
                former->pending ? ", which is pending" : "", now, map);
    return refuse(place, err);
}

static int fail_unknown(const struct place *place, const struct tl_schema *schema, struct tl_str name,
                        const char *lower, bool any_known, struct tl_error *err)
{
    const char *near = tl_schema_suggest(schema, tl_str(lower));
    struct header_former former;
    char shown[SHOWN_MAX + 1];

    show(name, shown);
    if (place->history && name.len <= TL_NAME_MAX &&
        place->history->find(place->history->app, lower, &former))
        return fail_former(place, schema, shown, &former, err);
    if (near && place->file)
        tl_fail(err, TL_E_REFUSED, "column \"%s\" is not in table \"%s\"; did you mean \"%s\"? (--map %s=%s)",
                shown, schema->table, near, shown, near);
    else if (near)
        tl_fail(err, TL_E_REFUSED, "column \"%s\" is not in table \"%s\"; did you mean \"%s\"?", shown,
                schema->table, near);
    else if (place->file && !any_known)
        tl_fail(err, TL_E_REFUSED,
                "column \"%s\" is not in table \"%s\", and neither is any other; has the file no header? "
                "(--header=none)",
                shown, schema->table);
    else
        tl_fail(err, TL_E_REFUSED, "column \"%s\" is not in table \"%s\" (tload describe %s)", shown,
                schema->table, schema->table);
    return refuse(place, err);
}

static bool is_required(const struct tl_column *c)
{
    return c->in_key || (!c->nullable && !c->default_text);
}

static int check_missing(const struct header *h, const struct tl_schema *schema, const struct place *place,
                         struct tl_error *err)
{
    char names[MISSING_MAX], more[32] = "", hint[TL_NAME_MAX + 64] = "";
    size_t missing = 0, shown = 0, at = 0;

    for (size_t i = 0; i < schema->ncolumns; i++) {
        const struct tl_column *c = &schema->columns[i];

        if (!is_required(c) || header_field_of(h, i) >= 0)
            continue;
        if (missing == 0 && place->file)
            snprintf(hint, sizeof hint, "; if a field holds it under another name: --map FIELD=%s", c->name);
        missing++;
        if (at + strlen(c->name) + sizeof ", \"\"" > sizeof names)
            continue;
        at += (size_t)snprintf(names + at, sizeof names - at, "%s\"%s\"", shown ? ", " : "", c->name);
        shown++;
    }
    if (!missing)
        return 0;
    if (missing > shown)
        snprintf(more, sizeof more, " and %zu more", missing - shown);
    tl_fail(err, TL_E_REFUSED, "table \"%s\" needs a value for column%s %s%s%s", schema->table,
            missing > 1 ? "s" : "", names, more, hint);
    return refuse(place, err);
}

/* Takes the columns that h->column now names: checks what is missing, and writes the names down. */
static int settle(struct header *h, const struct tl_schema *schema, const struct place *place,
                  struct tl_error *err)
{
    if (check_missing(h, schema, place, err))
        return -1;
    for (size_t i = 0; i < h->n; i++) {
        int rc = i ? tl_buf_append_char(&h->names, ',') : TL_BUF_OK;

        if (!rc)
            rc = tl_buf_append_z(&h->names, schema->columns[h->column[i]].name);
        if (rc)
            return tl_buf_fail(rc, &h->names, "the list of columns", err);
    }
    if (tl_buf_terminate(&h->names))
        return tl_fail_nomem(err);
    return 0;
}

static int reserve(struct header *h, size_t n, struct tl_error *err)
{
    header_release(h);
    h->column = calloc(n ? n : 1, sizeof *h->column);
    return h->column ? 0 : tl_fail_nomem(err);
}

/* Finds the columns of names; those that a map names are found already (column ≥ 0). */
static int take_names(struct header *h, const struct tl_schema *schema, const struct place *place,
                      const struct tl_str *names, int64_t *column, size_t n, struct tl_error *err)
{
    struct tl_str unknown = {NULL, 0};
    char lower[TL_NAME_MAX + 1];
    bool any_known = false;

    for (size_t i = 0; i < n; i++) {
        struct tl_str name = tl_str_trim(names[i]);

        if (column[i] < 0 && name.len == 0) {
            tl_fail(err, TL_E_REFUSED, "field %zu has no name", i + 1);
            return refuse(place, err);
        }
        if (column[i] < 0)
            column[i] = find(schema, name, lower);
        if (column[i] >= 0)
            any_known = true;
        else if (!unknown.ptr)
            unknown = name;
    }
    if (unknown.ptr) {
        find(schema, unknown, lower);
        return fail_unknown(place, schema, unknown, lower, any_known, err);
    }
    for (size_t i = 0; i < n; i++) {
        int64_t earlier = header_field_of(h, (size_t)column[i]);

        if (earlier >= 0) {
            tl_fail(err, TL_E_REFUSED, "column \"%s\" is there twice, in fields %" PRId64 " and %zu",
                    schema->columns[column[i]].name, earlier + 1, i + 1);
            return refuse(place, err);
        }
        h->column[h->n++] = (uint32_t)column[i];
    }
    return settle(h, schema, place, err);
}

/* Fills column[] for the fields that the maps name. */
static int apply_maps(const struct tl_schema *schema, const struct header_maps *maps,
                      const struct place *place, const struct tl_str *values, int64_t *column, size_t n,
                      struct tl_error *err)
{
    for (size_t m = 0; m < maps->n; m++) {
        struct tl_str field, name;
        char lower[TL_NAME_MAX + 1];
        bool used = false;
        int target;

        if (!cut_map(maps->map[m], &field, &name))
            return tl_fail(err, TL_E_USAGE, "--map %s: is not FIELD=COLUMN", maps->map[m]);
        target = find(schema, name, lower);
        if (target < 0) {
            const char *near = tl_schema_suggest(schema, tl_str(lower));

            return tl_fail(err, TL_E_REFUSED, "--map %s: column \"%.*s\" is not in table \"%s\"%s%s%s",
                           maps->map[m], TL_STR_ARG(name), schema->table, near ? "; did you mean \"" : "",
                           near ? near : "", near ? "\"?" : "");
        }
        for (size_t i = 0; i < n; i++) {
            if (same_name(tl_str_trim(values[i]), field)) {
                column[i] = target;
                used = true;
            }
        }
        if (!used) {
            tl_fail(err, TL_E_REFUSED, "--map %s: the file has no field \"%.*s\"", maps->map[m],
                    TL_STR_ARG(field));
            return refuse(place, err);
        }
    }
    return 0;
}

int header_match(struct header *h, const struct tl_schema *schema, const struct header_maps *maps,
                 const struct header_history *history, const char *file, int64_t line,
                 const struct tl_str *values, size_t n, struct tl_error *err)
{
    const struct place place = {.file = file, .line = line, .history = history};
    int64_t *column;
    int rc;

    if (n > TL_COLUMNS_MAX) {
        tl_fail(err, TL_E_REFUSED, "the header has %zu fields; no table has more than %d columns", n,
                TL_COLUMNS_MAX);
        return refuse(&place, err);
    }
    if (reserve(h, n, err))
        return -1;
    column = malloc((n ? n : 1) * sizeof *column);
    if (!column)
        return tl_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        column[i] = -1;
    rc = apply_maps(schema, maps, &place, values, column, n, err);
    if (!rc)
        rc = take_names(h, schema, &place, values, column, n, err);
    free(column);
    return rc;
}

int header_given(struct header *h, const struct tl_schema *schema, const char *columns,
                 const struct header_history *history, struct tl_error *err)
{
    const struct place place = {.file = NULL, .history = history};
    struct tl_str rest = tl_str(columns), *names;
    int64_t *column;
    size_t n = 1;
    int rc;

    if (!columns) {
        if (reserve(h, schema->ncolumns, err))
            return -1;
        for (size_t i = 0; i < schema->ncolumns; i++)
            h->column[h->n++] = (uint32_t)i;
        return settle(h, schema, &place, err);
    }
    for (size_t i = 0; i < rest.len; i++)
        n += rest.ptr[i] == ',';
    if (reserve(h, n, err))
        return -1;
    names = malloc(n * sizeof *names);
    column = malloc(n * sizeof *column);
    rc = names && column ? 0 : tl_fail_nomem(err);
    for (size_t i = 0; !rc && i < n; i++) {
        names[i] = tl_str_cut(&rest, ',');
        column[i] = -1;
    }
    if (!rc)
        rc = take_names(h, schema, &place, names, column, n, err);
    free(column);
    free(names);
    return rc;
}
