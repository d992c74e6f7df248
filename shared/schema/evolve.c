/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A version changed into the next one, on the schema's JSON form:
 *
 *   from ──► its JSON ──each change──► columns changed, dropped, added ──assemble──► tl_schema_from_json ──► out
 *
 * What a single schema has to be (names, defaults by their type, the limits) is checked by the last step
 * alone; here is only what depends on the version before.
 */
#include "shared/schema/evolve.h"

#include <stdlib.h>

#include "shared/schema/name.h"

enum { INT_DIGITS = 10, BIGINT_DIGITS = 19 };

/* What may be done to one column by one call, each once. */
enum { TOUCH_DROP = 1, TOUCH_RENAME = 2, TOUCH_TYPE = 4, TOUCH_DEFAULT = 8, TOUCH_NULLABLE = 16 };

struct plan {
    const struct tl_schema *from;
    json_t *json;        /* the schema that it becomes, owned */
    json_t *columns;     /* its columns as `from` orders them, changed in place; owned */
    json_t *added;       /* owned */
    const json_t *order; /* NULL: as they are */
    unsigned *touched;   /* of each column of `from` */
    uint32_t next_id;
};

/* ------------------------------------------------------------------ types */

static int32_t before_point(const struct tl_type *type)
{
    return type->length - type->scale;
}

bool tl_type_widens(const struct tl_type *from, const struct tl_type *to)
{
    bool decimal = to->id == TL_TYPE_DECIMAL;

    switch (from->id) {
    case TL_TYPE_INT:
        return to->id == TL_TYPE_BIGINT || to->id == TL_TYPE_DOUBLE ||
               (decimal && before_point(to) >= INT_DIGITS);
    case TL_TYPE_BIGINT:
        return decimal && before_point(to) >= BIGINT_DIGITS;
    case TL_TYPE_DECIMAL:
        return decimal && !tl_type_eq(from, to) && to->scale >= from->scale &&
               before_point(to) >= before_point(from);
    case TL_TYPE_VARCHAR:
        return to->id == TL_TYPE_TEXT || (to->id == TL_TYPE_VARCHAR && to->length > from->length);
    case TL_TYPE_DATE:
        return to->id == TL_TYPE_TIMESTAMP;
    default:
        return false;
    }
}

/* What a column of this type can become, for messages. */
static const char *wider(enum tl_type_id id)
{
    switch (id) {
    case TL_TYPE_INT:
        return "bigint, double, or a decimal with 10 digits before the point";
    case TL_TYPE_BIGINT:
        return "a decimal with 19 digits before the point";
    case TL_TYPE_DECIMAL:
        return "a decimal with at least as many digits before and behind the point";
    case TL_TYPE_VARCHAR:
        return "a longer varchar, or text";
    case TL_TYPE_DATE:
        return "timestamp";
    default:
        return "no other type";
    }
}

/* ------------------------------------------------------------------ reading a change */

static struct tl_str text_of(const json_t *string)
{
    return tl_str_n(json_string_value(string), json_string_length(string));
}

static bool listed(const char *names, const char *name)
{
    struct tl_str rest = tl_str(names);

    while (rest.ptr)
        if (tl_str_eq_z(tl_str_cut(&rest, ' '), name))
            return true;
    return false;
}

static int check_members(const json_t *object, const char *what, const char *known, struct tl_error *err)
{
    char shown[TL_SHOW_TEXT];
    const char *name;
    json_t *value;

    if (!json_is_object(object))
        return tl_fail(err, TL_E_REFUSED, "%s has to be a JSON object", what);
    json_object_foreach((json_t *)object, name, value)
    {
        if (!listed(known, name))
            return tl_fail(err, TL_E_REFUSED, "%s: unknown member \"%s\"; known are: %s", what,
                           tl_show(tl_str(name), shown), known);
    }
    return 0;
}

static int read_text(const json_t *object, const char *what, const char *name, struct tl_str *out,
                     struct tl_error *err)
{
    const json_t *value = json_object_get(object, name);

    if (!json_is_string(value))
        return tl_fail(err, TL_E_REFUSED, "%s: \"%s\" has to be a string", what, name);
    *out = text_of(value);
    return 0;
}

static int no_such_column(const struct tl_schema *schema, struct tl_str name, struct tl_error *err)
{
    const char *nearest = tl_schema_suggest(schema, name);
    char shown[TL_SHOW_TEXT];

    tl_show(name, shown);
    if (nearest)
        return tl_fail(err, TL_E_REFUSED, "there is no column \"%s\"; did you mean \"%s\"?", shown, nearest);
    return tl_fail(err, TL_E_REFUSED, "there is no column \"%s\"", shown);
}

/* The column that the change names, touched for this change; -1 when there is none, or it can't be. */
static int touch(struct plan *p, const json_t *change, const char *what, unsigned how, struct tl_error *err)
{
    char name[TL_NAME_MAX + 1];
    struct tl_str text;
    int at = -1;

    if (read_text(change, what, "column", &text, err))
        return -1;
    if (tl_name_parse(text, "column", name, err) == 0)
        at = tl_schema_find(p->from, tl_str(name));
    if (at < 0)
        return no_such_column(p->from, text, err);
    if (p->touched[at] & how)
        return tl_fail(err, TL_E_REFUSED, "column \"%s\": %s is said twice", name, what);
    p->touched[at] |= how;
    if ((p->touched[at] & TOUCH_DROP) && p->touched[at] != TOUCH_DROP)
        return tl_fail(err, TL_E_REFUSED, "column \"%s\" can't be both dropped and changed", name);
    return at;
}

static int set(json_t *object, const char *name, json_t *value, struct tl_error *err)
{
    return json_object_set_new(object, name, value) ? tl_fail_nomem(err) : 0;
}

/* ------------------------------------------------------------------ the changes */

static int apply_add(struct plan *p, const json_t *change, struct tl_error *err)
{
    const json_t *given = json_object_get(change, "column"), *fallback, *nullable;
    char name[TL_NAME_MAX + 1];
    struct tl_str text;
    json_t *column;

    if (check_members(change, "add", "op column", err) ||
        check_members(given, "add", "name type nullable default", err) ||
        read_text(given, "add", "name", &text, err) || tl_name_parse(text, "column", name, err))
        return -1;
    fallback = json_object_get(given, "default");
    nullable = json_object_get(given, "nullable");
    if (json_is_false(nullable) && (!fallback || json_is_null(fallback)))
        return tl_fail(err, TL_E_REFUSED,
                       "column \"%s\" is not null and has no default: rows that are there already would have "
                       "no value for it; give it a default, or let it be null",
                       name);
    column = json_deep_copy(given);
    if (!column || json_object_set_new(column, "name", json_string(name)) ||
        json_object_set_new(column, "id", json_integer(p->next_id))) {
        json_decref(column);
        return tl_fail_nomem(err);
    }
    p->next_id++;
    return json_array_append_new(p->added, column) ? tl_fail_nomem(err) : 0;
}

static int apply_drop(struct plan *p, const json_t *change, struct tl_error *err)
{
    int at;

    if (check_members(change, "drop", "op column", err))
        return -1;
    at = touch(p, change, "drop", TOUCH_DROP, err);
    if (at < 0)
        return -1;
    if (p->from->columns[at].in_key)
        return tl_fail(err, TL_E_REFUSED,
                       "column \"%s\" is in the key, which tells one row from another: it can't be dropped",
                       p->from->columns[at].name);
    return 0;
}

static int apply_rename(struct plan *p, const json_t *change, struct tl_error *err)
{
    char name[TL_NAME_MAX + 1];
    struct tl_str text;
    int at;

    if (check_members(change, "rename", "op column to", err))
        return -1;
    at = touch(p, change, "rename", TOUCH_RENAME, err);
    if (at < 0 || read_text(change, "rename", "to", &text, err) || tl_name_parse(text, "column", name, err))
        return -1;
    return set(json_array_get(p->columns, (size_t)at), "name", json_string(name), err);
}

static int apply_type(struct plan *p, const json_t *change, struct tl_error *err)
{
    char was[TL_TYPE_FORMAT], is[TL_TYPE_FORMAT];
    const struct tl_column *column;
    struct tl_type type;
    struct tl_str text;
    int at;

    if (check_members(change, "type", "op column type", err))
        return -1;
    at = touch(p, change, "type", TOUCH_TYPE, err);
    if (at < 0 || read_text(change, "type", "type", &text, err))
        return -1;
    column = &p->from->columns[at];
    if (tl_type_parse(text, &type, err))
        return tl_error_prefix(err, "column \"%s\"", column->name);
    tl_type_format(&column->type, was);
    tl_type_format(&type, is);
    if (tl_type_eq(&column->type, &type))
        return tl_fail(err, TL_E_REFUSED, "column \"%s\" is %s already", column->name, is);
    if (column->in_key)
        return tl_fail(
            err, TL_E_REFUSED,
            "column \"%s\" is in the key, whose values decide on a row's partition: its type stays "
            "%s",
            column->name, was);
    if (!tl_type_widens(&column->type, &type))
        return tl_fail(err, TL_E_REFUSED,
                       "column \"%s\": not every value of %s is one of %s; it can become %s", column->name,
                       was, is, wider(column->type.id));
    return set(json_array_get(p->columns, (size_t)at), "type", json_string(is), err);
}

static int apply_default(struct plan *p, const json_t *change, struct tl_error *err)
{
    json_t *value = json_object_get(change, "default");
    int at;

    if (check_members(change, "default", "op column default", err))
        return -1;
    at = touch(p, change, "default", TOUCH_DEFAULT, err);
    if (at < 0)
        return -1;
    if (!value)
        return tl_fail(err, TL_E_REFUSED, "default: \"default\" is missing; null takes it away");
    if (json_is_null(value) && !p->from->columns[at].default_text)
        return tl_fail(err, TL_E_REFUSED, "column \"%s\" has no default", p->from->columns[at].name);
    return json_object_set(json_array_get(p->columns, (size_t)at), "default", value) ? tl_fail_nomem(err) : 0;
}

static int apply_nullable(struct plan *p, const json_t *change, struct tl_error *err)
{
    const struct tl_column *column;
    int at;

    if (check_members(change, "nullable", "op column", err))
        return -1;
    at = touch(p, change, "nullable", TOUCH_NULLABLE, err);
    if (at < 0)
        return -1;
    column = &p->from->columns[at];
    if (column->in_key)
        return tl_fail(err, TL_E_REFUSED, "column \"%s\" is in the key, and no part of a key can be null",
                       column->name);
    if (column->nullable)
        return tl_fail(err, TL_E_REFUSED, "column \"%s\" can be null already", column->name);
    return set(json_array_get(p->columns, (size_t)at), "nullable", json_true(), err);
}

static int apply_order(struct plan *p, const json_t *change, struct tl_error *err)
{
    const json_t *columns = json_object_get(change, "columns");

    if (check_members(change, "order", "op columns", err))
        return -1;
    if (p->order)
        return tl_fail(err, TL_E_REFUSED, "order is said twice");
    if (json_array_size(columns) == 0)
        return tl_fail(err, TL_E_REFUSED, "order: \"columns\" has to be a list of names");
    p->order = columns;
    return 0;
}

static const struct {
    const char *op;
    int (*apply)(struct plan *p, const json_t *change, struct tl_error *err);
} ops[] = {
    {"add", apply_add},         {"drop", apply_drop},         {"rename", apply_rename}, {"type", apply_type},
    {"default", apply_default}, {"nullable", apply_nullable}, {"order", apply_order},
};

static int apply_one(struct plan *p, const json_t *change, struct tl_error *err)
{
    const json_t *op = json_object_get(change, "op");
    char shown[TL_SHOW_TEXT];

    if (!json_is_string(op))
        return tl_fail(err, TL_E_REFUSED, "a change has to be an object with an \"op\"");
    for (size_t i = 0; i < TL_ARRAY_LEN(ops); i++)
        if (tl_str_eq_z(text_of(op), ops[i].op))
            return ops[i].apply(p, change, err);
    return tl_fail(err, TL_E_REFUSED,
                   "there is no change \"%s\"; known are: add drop rename type default nullable order",
                   tl_show(text_of(op), shown));
}

/* ------------------------------------------------------------------ putting it together */

/*
 * A batch of an earlier version may come without the column; without its default there would be no value
 * for it. (A key's columns are in every batch.)
 */
static int check_defaults(const struct plan *p, struct tl_error *err)
{
    for (size_t i = 0; i < p->from->ncolumns; i++) {
        const struct tl_column *was = &p->from->columns[i];
        const json_t *is = json_array_get(p->columns, i);

        if ((p->touched[i] & TOUCH_DEFAULT) && !was->in_key && json_is_null(json_object_get(is, "default")) &&
            json_is_false(json_object_get(is, "nullable")))
            return tl_fail(err, TL_E_REFUSED,
                           "column \"%s\" is not null: without its default, rows of uploads under way that "
                           "do not have it would have no value for it; let it be null as well",
                           was->name);
    }
    return 0;
}

/* Index in the list, by name; the list's length when it is not there. */
static size_t index_of(const json_t *list, const char *name)
{
    json_t *column;
    size_t i;

    json_array_foreach(list, i, column)
    {
        if (strcmp(json_string_value(json_object_get(column, "name")), name) == 0)
            break;
    }
    return i;
}

/* Moves the columns that `order` names to the front of the list. */
static int reorder(json_t *list, const json_t *order, struct tl_error *err)
{
    char name[TL_NAME_MAX + 1], shown[TL_SHOW_TEXT];
    json_t *item, *column;
    size_t i, at;

    json_array_foreach(order, i, item)
    {
        if (!json_is_string(item))
            return tl_fail(err, TL_E_REFUSED, "order: \"columns\" has to be a list of names");
        at = json_array_size(list);
        if (tl_name_parse(text_of(item), "column", name, err) == 0)
            at = index_of(list, name);
        if (at == json_array_size(list))
            return tl_fail(err, TL_E_REFUSED, "order: there is no column \"%s\" in the new version",
                           tl_show(text_of(item), shown));
        if (at < i)
            return tl_fail(err, TL_E_REFUSED, "order: column \"%s\" is there twice", name);
        column = json_incref(json_array_get(list, at));
        if (json_array_remove(list, at) || json_array_insert_new(list, i, column))
            return tl_fail_nomem(err);
    }
    return 0;
}

static int new_columns(const struct plan *p, json_t *list, struct tl_error *err)
{
    for (size_t i = 0; i < p->from->ncolumns; i++)
        if (!(p->touched[i] & TOUCH_DROP) && json_array_append(list, json_array_get(p->columns, i)))
            return tl_fail_nomem(err);
    if (json_array_extend(list, p->added))
        return tl_fail_nomem(err);
    return p->order ? reorder(list, p->order, err) : 0;
}

static int new_key(const struct plan *p, json_t *key, struct tl_error *err)
{
    for (size_t i = 0; i < p->from->nkey; i++)
        if (json_array_append(key, json_object_get(json_array_get(p->columns, p->from->key[i]), "name")))
            return tl_fail_nomem(err);
    return 0;
}

static int assemble(struct plan *p, struct tl_schema **out, struct tl_error *err)
{
    json_t *list = json_array(), *key = json_array();
    int rc = list && key ? new_columns(p, list, err) : tl_fail_nomem(err);

    if (!rc)
        rc = new_key(p, key, err);
    if (!rc && (json_object_set(p->json, "columns", list) || json_object_set(p->json, "key", key)))
        rc = tl_fail_nomem(err);
    json_decref(list);
    json_decref(key);
    if (rc || set(p->json, "version", json_integer((json_int_t)p->from->version + 1), err) ||
        set(p->json, "next_column_id", json_integer(p->next_id), err))
        return -1;
    return tl_schema_from_json(p->json, out, err);
}

static bool same(const struct tl_schema *a, const struct tl_schema *b)
{
    if (!tl_schema_same_shape(a, b))
        return false;
    for (size_t i = 0; i < a->ncolumns; i++)
        if (a->columns[i].id != b->columns[i].id)
            return false;
    return true;
}

static int evolve(struct plan *p, const json_t *changes, struct tl_schema **out, struct tl_error *err)
{
    const json_t *change;
    size_t i;

    json_array_foreach(changes, i, change)
    {
        if (apply_one(p, change, err))
            return -1;
    }
    if (check_defaults(p, err) || assemble(p, out, err))
        return -1;
    if (!same(p->from, *out))
        return 0;
    tl_schema_free(*out);
    *out = NULL;
    return tl_fail(err, TL_E_REFUSED, "nothing changes: table \"%s\" is like that already", p->from->table);
}

int tl_schema_evolve(const struct tl_schema *from, const json_t *changes, struct tl_schema **out,
                     struct tl_error *err)
{
    struct plan p = {.from = from, .next_id = from->next_column_id};
    int rc;

    *out = NULL;
    if (json_array_size(changes) == 0)
        return tl_fail(err, TL_E_REFUSED, "\"changes\" has to be a list of changes");
    p.json = tl_schema_to_json(from);
    p.columns = json_incref(json_object_get(p.json, "columns"));
    p.added = json_array();
    p.touched = calloc(from->ncolumns, sizeof *p.touched);
    if (!p.json || !p.added || !p.touched)
        rc = tl_fail_nomem(err);
    else
        rc = evolve(&p, changes, out, err);
    json_decref(p.json);
    json_decref(p.columns);
    json_decref(p.added);
    free(p.touched);
    return rc;
}

/* ------------------------------------------------------------------ what changed */

/* Takes over value; false when memory is short, also for having made it. */
static bool put(json_t *list, json_t *value)
{
    return value && json_array_append_new(list, value) == 0;
}

static json_t *added_column(const struct tl_column *c)
{
    char type[TL_TYPE_FORMAT];

    tl_type_format(&c->type, type);
    return json_pack("{s:s, s:{s:s, s:s, s:b, s:s?}}", "op", "add", "column", "name", c->name, "type", type,
                     "nullable", c->nullable, "default", c->default_text);
}

static bool diff_column(json_t *list, const struct tl_column *was, const struct tl_column *is)
{
    const char *a = was->default_text, *b = is->default_text;
    char from[TL_TYPE_FORMAT], to[TL_TYPE_FORMAT];
    bool ok = true;

    if (strcmp(was->name, is->name) != 0)
        ok = put(list, json_pack("{s:s, s:s, s:s}", "op", "rename", "column", was->name, "to", is->name));
    tl_type_format(&was->type, from);
    tl_type_format(&is->type, to);
    if (ok && strcmp(from, to) != 0)
        ok = put(list, json_pack("{s:s, s:s, s:s, s:s}", "op", "type", "column", was->name, "from", from,
                                 "type", to));
    if (ok && (a && b ? strcmp(a, b) != 0 : a != b))
        ok = put(list, json_pack("{s:s, s:s, s:s?, s:s?}", "op", "default", "column", was->name, "from", a,
                                 "default", b));
    if (ok && was->nullable != is->nullable)
        ok = put(list,
                 json_pack("{s:s, s:s}", "op", is->nullable ? "nullable" : "not_null", "column", was->name));
    return ok;
}

/* The ids of a's columns that b has too, in a's order. */
static size_t common_ids(const struct tl_schema *a, const struct tl_schema *b, uint32_t *ids)
{
    size_t n = 0;

    for (size_t i = 0; i < a->ncolumns; i++)
        if (tl_schema_find_id(b, a->columns[i].id) >= 0)
            ids[n++] = a->columns[i].id;
    return n;
}

/* Whether the columns of `to` stand otherwise than as they were, with those that are new behind them. */
static bool moved(const struct tl_schema *from, const struct tl_schema *to, const uint32_t *ids, size_t n)
{
    for (size_t i = 0; i < to->ncolumns; i++) {
        bool is_old = tl_schema_find_id(from, to->columns[i].id) >= 0;

        if (i < n ? ids[i] != to->columns[i].id : is_old)
            return true;
    }
    return false;
}

static json_t *names_of(const struct tl_schema *schema)
{
    json_t *names = json_array();

    for (size_t i = 0; names && i < schema->ncolumns; i++)
        if (json_array_append_new(names, json_string(schema->columns[i].name))) {
            json_decref(names);
            names = NULL;
        }
    return names;
}

static bool diff_order(json_t *list, const struct tl_schema *from, const struct tl_schema *to)
{
    uint32_t *ids = calloc(from->ncolumns, sizeof *ids);
    bool ok = ids != NULL;

    if (ok && moved(from, to, ids, common_ids(from, to, ids)))
        ok = put(list, json_pack("{s:s, s:o, s:o}", "op", "order", "from", names_of(from), "columns",
                                 names_of(to)));
    free(ids);
    return ok;
}

json_t *tl_schema_diff(const struct tl_schema *from, const struct tl_schema *to)
{
    json_t *list = json_array();
    bool ok = list != NULL;

    for (size_t i = 0; ok && i < from->ncolumns; i++) {
        int at = tl_schema_find_id(to, from->columns[i].id);

        ok = at < 0 ? put(list, json_pack("{s:s, s:s}", "op", "drop", "column", from->columns[i].name))
                    : diff_column(list, &from->columns[i], &to->columns[at]);
    }
    for (size_t i = 0; ok && i < to->ncolumns; i++)
        if (tl_schema_find_id(from, to->columns[i].id) < 0)
            ok = put(list, added_column(&to->columns[i]));
    if (ok)
        ok = diff_order(list, from, to);
    if (ok)
        return list;
    json_decref(list);
    return NULL;
}
