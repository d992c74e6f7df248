/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/sinks/foreign.h"

#include <stdio.h>
#include <stdlib.h>

enum { DIFFERENCES_MAX = 1 << 20, LISTED = 470 /* bytes of them in an error's text */ };

/* --- made by a sink --- */

struct foreign_table *foreign_new(struct tl_error *err)
{
    struct foreign_table *t = calloc(1, sizeof *t);

    if (!t)
        tl_fail_nomem(err);
    return t;
}

void foreign_free(struct foreign_table *t)
{
    if (!t)
        return;
    for (size_t i = 0; i < t->ncolumns; i++) {
        free(t->columns[i].name);
        free(t->columns[i].declared);
        free(t->columns[i].default_expr);
    }
    free(t->columns);
    free(t);
}

struct foreign_column *foreign_add(struct foreign_table *t, const char *name, const char *declared,
                                   const char *default_expr, struct tl_error *err)
{
    struct foreign_column *c;

    if (t->ncolumns == t->cap) {
        size_t cap = t->cap ? 2 * t->cap : 32;
        struct foreign_column *columns = reallocarray(t->columns, cap, sizeof *columns);

        if (!columns) {
            tl_fail_nomem(err);
            return NULL;
        }
        t->columns = columns;
        t->cap = cap;
    }
    c = &t->columns[t->ncolumns++];
    *c = (struct foreign_column){.name = strdup(name), .declared = strdup(declared)};
    c->default_expr = default_expr ? strdup(default_expr) : NULL;
    if (c->name && c->declared && (c->default_expr || !default_expr))
        return c;
    tl_fail_nomem(err);
    return NULL;
}

struct foreign_key *foreign_add_key(struct foreign_table *t, bool primary)
{
    struct foreign_key *key;

    if (t->nkeys == FOREIGN_KEYS_MAX)
        return NULL;
    key = &t->keys[t->nkeys++];
    *key = (struct foreign_key){.primary = primary};
    return key;
}

static int find(const struct foreign_table *t, const char *name)
{
    for (size_t i = 0; i < t->ncolumns; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            return (int)i;
    return -1;
}

bool foreign_key_add(struct foreign_table *t, struct foreign_key *key, const char *column)
{
    int at = find(t, column);

    if (at < 0 || key->ncolumns == TL_KEY_MAX) {
        t->nkeys--;
        return false;
    }
    key->columns[key->ncolumns++] = (size_t)at;
    return true;
}

/* --- compared with a definition --- */

enum { SHOWN = 80 };

/* The database's own text as a message has it: not too long, and cut between characters of UTF-8. */
static const char *show(const char *text, char out[SHOWN])
{
    size_t n = strlen(text);

    if (n >= SHOWN) {
        n = SHOWN - sizeof "...";
        while (n && ((unsigned char)text[n] & 0xC0) == 0x80)
            n--;
        snprintf(out, SHOWN, "%.*s...", (int)n, text);
    } else {
        snprintf(out, SHOWN, "%s", text);
    }
    return out;
}

struct differences {
    struct tl_buf *out;
    size_t n;
    int rc; /* TL_BUF_, of the first that failed */
};

static TL_PRINTF(2, 3) void differ(struct differences *d, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (!d->rc && d->n++)
        d->rc = tl_buf_append_z(d->out, "; ");
    if (!d->rc)
        d->rc = tl_buf_append_z(d->out, text);
}

static void compare_type(struct differences *d, const struct foreign_column *is, const struct tl_column *c)
{
    char type[TL_TYPE_FORMAT], shown[SHOWN];

    if (is->mapped && tl_type_eq(&is->type, &c->type))
        return;
    tl_type_format(&c->type, type);
    differ(d, "column \"%s\" is %s, not %s", c->name, show(is->declared, shown), type);
}

/* A default that the database computes is its own, as long as the definition has none. */
static int compare_default(struct differences *d, const struct foreign_column *is, const struct tl_column *c,
                           struct tl_error *err)
{
    char *value = NULL, has[SHOWN], due[SHOWN];
    int constant = is->default_expr ? foreign_constant(is->default_expr, &c->type, &value, err) : 1;

    if (constant < 0)
        return -1;
    show(constant && value ? value : is->default_expr ? is->default_expr : "", has);
    show(c->default_text ? c->default_text : "", due);
    if (c->default_text && constant && !value)
        differ(d, "column \"%s\" has no default, not %s", c->name, due);
    else if (c->default_text && (!constant || strcmp(value, c->default_text) != 0))
        differ(d, "column \"%s\" has default %s, not %s", c->name, has, due);
    else if (!c->default_text && constant && value)
        differ(d, "column \"%s\" has default %s, not none", c->name, has);
    free(value);
    return 0;
}

static int compare_column(struct differences *d, const struct foreign_table *t, const struct tl_column *c,
                          struct tl_error *err)
{
    int at = find(t, c->name);

    if (at < 0) {
        differ(d, "it has no column \"%s\"", c->name);
        return 0;
    }
    compare_type(d, &t->columns[at], c);
    if (t->columns[at].computed) {
        differ(d, "column \"%s\" is computed by the database", c->name);
        return 0;
    }
    if (t->columns[at].nullable != c->nullable)
        differ(d, "column \"%s\" is %s, not %s", c->name, c->nullable ? "not null" : "nullable",
               c->nullable ? "nullable" : "not null");
    return compare_default(d, &t->columns[at], c, err);
}

static void compare_others(struct differences *d, const struct foreign_table *t,
                           const struct tl_schema *schema)
{
    char shown[SHOWN];

    for (size_t i = 0; i < t->ncolumns; i++) {
        const struct foreign_column *is = &t->columns[i];

        if (!is->nullable && !is->default_expr && !is->computed && !is->numbered &&
            tl_schema_find(schema, tl_str(is->name)) < 0)
            differ(d, "column \"%s\", which the definition does not have, is not null and has no default",
                   show(is->name, shown));
    }
}

static bool same_key(const struct foreign_table *t, const struct foreign_key *key,
                     const struct tl_schema *schema)
{
    size_t found = 0;

    for (size_t i = 0; i < key->ncolumns; i++) {
        int at = tl_schema_find(schema, tl_str(t->columns[key->columns[i]].name));

        found += at >= 0 && schema->columns[at].in_key;
    }
    return key->ncolumns == schema->nkey && found == schema->nkey;
}

/* Whether the rows of the definition have values for it; else the database numbers them by itself. */
static bool is_covered(const struct foreign_table *t, const struct foreign_key *key,
                       const struct tl_schema *schema)
{
    for (size_t i = 0; i < key->ncolumns; i++)
        if (tl_schema_find(schema, tl_str(t->columns[key->columns[i]].name)) < 0)
            return false;
    return true;
}

static void name_list(const char *const *names, size_t n, char *out, size_t size)
{
    size_t at = 0;

    *out = '\0';
    for (size_t i = 0; i < n && at < size; i++)
        at += (size_t)snprintf(out + at, size - at, "%s%s", i ? ", " : "", names[i]);
}

static void compare_key(struct differences *d, const struct foreign_table *t, const struct tl_schema *schema)
{
    const struct foreign_key *primary = t->nkeys && t->keys[0].primary ? &t->keys[0] : NULL;
    const char *names[TL_KEY_MAX];
    char has[160] = "", due[160];

    for (size_t i = 0; i < t->nkeys && schema->nkey; i++)
        if (same_key(t, &t->keys[i], schema))
            return;
    for (size_t i = 0; primary && i < primary->ncolumns; i++)
        names[i] = t->columns[primary->columns[i]].name;
    if (primary)
        name_list(names, primary->ncolumns, has, sizeof has);
    for (size_t i = 0; i < schema->nkey; i++)
        names[i] = schema->columns[schema->key[i]].name;
    name_list(names, schema->nkey, due, sizeof due);
    if (!schema->nkey && primary && is_covered(t, primary, schema))
        differ(d, "its primary key is (%s), and the definition has no key", has);
    else if (schema->nkey && primary)
        differ(d, "its primary key is (%s), and no unique index is on (%s)", has, due);
    else if (schema->nkey)
        differ(d, "no primary key or unique index is on (%s)", due);
}

int foreign_differences(const struct foreign_table *t, const struct tl_schema *schema, struct tl_buf *out,
                        size_t *n, struct tl_error *err)
{
    struct differences d = {.out = out};

    if (t->obstacle[0]) {
        differ(&d, "%s", t->obstacle);
    } else {
        for (size_t i = 0; i < schema->ncolumns; i++)
            if (compare_column(&d, t, &schema->columns[i], err))
                return -1;
        compare_others(&d, t, schema);
        compare_key(&d, t, schema);
    }
    if (!d.rc)
        d.rc = tl_buf_terminate(out);
    *n = d.n;
    return d.rc ? tl_buf_fail(d.rc, out, "the differences", err) : 0;
}

/* Where to cut the list: behind a whole difference, if there is one; *left is how many are behind it. */
static size_t cut_list(const struct tl_buf *list, size_t n, size_t *left)
{
    size_t at = list->len, listed = 0;
    const char *p = list->data;

    *left = 0;
    if (list->len <= LISTED)
        return at;
    at = LISTED;
    while ((p = strstr(p, "; ")) && p - list->data <= LISTED) {
        at = (size_t)(p - list->data);
        listed++;
        p += 2;
    }
    *left = n - TL_MAX(listed, (size_t)1);
    return at;
}

int foreign_check(const struct foreign_table *t, const struct tl_schema *schema, enum tl_error_code code,
                  struct tl_error *err)
{
    char more[40] = "";
    struct tl_buf list;
    size_t n, at, left;
    int rc;

    tl_buf_init(&list, DIFFERENCES_MAX);
    rc = foreign_differences(t, schema, &list, &n, err);
    if (!rc && n) {
        at = cut_list(&list, n, &left);
        if (left)
            snprintf(more, sizeof more, "; and %zu more", left);
        rc = tl_fail(err, code, "table \"%s\" of the data sink can't be adopted: %.*s%s", schema->table,
                     (int)at, list.data, more);
    }
    tl_buf_release(&list);
    return rc;
}

/* --- the definition that it could have --- */

static void refuse_column(struct differences *d, const struct foreign_column *c)
{
    char name[SHOWN], type[SHOWN], folded[TL_NAME_MAX + 1];
    struct tl_error ignored;

    if (tl_name_parse(tl_str(c->name), "column", folded, &ignored) || strcmp(folded, c->name) != 0)
        differ(d, "column \"%s\" has a name that no column of tload can have", show(c->name, name));
    if (!c->mapped)
        differ(d, "column \"%s\" is of type %s", c->name, show(c->declared, type));
    if (c->computed)
        differ(d, "column \"%s\" is computed by the database", c->name);
}

/* Fails when there is a column that a definition can't have. */
static int refuse_columns(const struct foreign_table *t, const char *table, struct tl_error *err)
{
    struct differences d = {0};
    struct tl_buf list;
    size_t at, left;
    int rc = 0;

    tl_buf_init(&list, DIFFERENCES_MAX);
    d.out = &list;
    if (t->obstacle[0])
        differ(&d, "%s", t->obstacle);
    for (size_t i = 0; !t->obstacle[0] && i < t->ncolumns; i++)
        refuse_column(&d, &t->columns[i]);
    if (!d.rc)
        d.rc = tl_buf_terminate(&list);
    if (d.rc) {
        rc = tl_buf_fail(d.rc, &list, "the columns", err);
    } else if (d.n) {
        at = cut_list(&list, d.n, &left);
        rc = tl_fail(err, TL_E_REFUSED, "no definition can be taken from table \"%s\": %.*s%s%s", table,
                     (int)at, list.data, left ? "; and others" : "",
                     t->obstacle[0] ? ""
                                    : "; define the other columns with --adopt, if the database fills these");
    }
    tl_buf_release(&list);
    return rc;
}

static bool put(json_t *list, json_t *value)
{
    return value && json_array_append_new(list, value) == 0;
}

static int add_column(const struct foreign_column *c, json_t *columns, json_t *notes, struct tl_error *err)
{
    char type[TL_TYPE_FORMAT], *value = NULL, shown[SHOWN];
    int constant = c->default_expr ? foreign_constant(c->default_expr, &c->type, &value, err) : 1;
    bool ok;

    if (constant < 0)
        return -1;
    tl_type_format(&c->type, type);
    ok = put(columns, json_pack("{s:s, s:s, s:b, s:s?}", "name", c->name, "type", type, "nullable",
                                c->nullable, "default", value));
    if (ok && !constant)
        ok = put(notes,
                 json_sprintf("column \"%s\": its default %s is the database's own; the definition has none",
                              c->name, show(c->default_expr, shown)));
    free(value);
    return ok ? 0 : tl_fail_nomem(err);
}

int foreign_definition(const struct foreign_table *t, const char *table, json_t **out, struct tl_error *err)
{
    json_t *columns, *key, *notes;
    int rc = 0;

    if (refuse_columns(t, table, err))
        return -1;
    *out = json_pack("{s:s, s:[], s:[], s:[]}", "table", table, "columns", "key", "notes");
    columns = json_object_get(*out, "columns");
    key = json_object_get(*out, "key");
    notes = json_object_get(*out, "notes");
    if (!*out)
        return tl_fail_nomem(err);
    for (size_t i = 0; !rc && i < t->ncolumns; i++)
        rc = add_column(&t->columns[i], columns, notes, err);
    for (size_t i = 0; !rc && t->nkeys && t->keys[0].primary && i < t->keys[0].ncolumns; i++)
        if (!put(key, json_string(t->columns[t->keys[0].columns[i]].name)))
            rc = tl_fail_nomem(err);
    if (rc)
        json_decref(*out);
    return rc;
}
