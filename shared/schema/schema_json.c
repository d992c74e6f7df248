/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A schema's JSON form, read and written: requests of users (define-table --schema), control's database, and
 * the schema messages in Kafka are all the same form. Everything that comes in is checked here and nowhere
 * else.
 */
#include <stdlib.h>

#include "shared/schema/name.h"
#include "shared/schema/schema.h"

enum { DEFAULT_MAX = 64 * 1024 }; /* bytes of a column's default: it travels with every schema message */

static const char *const table_members[] = {"table",   "table_id", "version", "columns",
                                            "dropped", "adopted",  "key",     "next_column_id"};
static const char *const column_members[] = {"id", "name", "type", "nullable", "default"};

static struct tl_str json_str(const json_t *string)
{
    return tl_str_n(json_string_value(string), json_string_length(string));
}

/* null is as good as absent. */
static const json_t *member(const json_t *object, const char *name)
{
    const json_t *value = json_object_get(object, name);

    return json_is_null(value) ? NULL : value;
}

static int check_members(const json_t *object, const char *const known[], size_t n, struct tl_error *err)
{
    char shown[TL_SHOW_TEXT];
    const char *name, *nearest;
    unsigned distance, best;
    json_t *value;
    size_t i;

    json_object_foreach((json_t *)object, name, value)
    {
        nearest = NULL;
        best = ~0U;
        for (i = 0; i < n && strcmp(name, known[i]) != 0; i++)
            if (tl_near(tl_str(name), tl_str(known[i]), &distance) && distance < best) {
                best = distance;
                nearest = known[i];
            }
        if (i < n)
            continue;
        tl_show(tl_str(name), shown);
        if (nearest)
            return tl_fail(err, TL_E_REFUSED, "unknown member \"%s\"; did you mean \"%s\"?", shown, nearest);
        return tl_fail(err, TL_E_REFUSED, "unknown member \"%s\"", shown);
    }
    return 0;
}

/* A whole number in [0, max]; 0 when it is absent. */
static int read_number(const json_t *object, const char *name, json_int_t max, json_int_t *out,
                       struct tl_error *err)
{
    const json_t *value = member(object, name);

    *out = 0;
    if (!value)
        return 0;
    if (!json_is_integer(value) || json_integer_value(value) < 0 || json_integer_value(value) > max)
        return tl_fail(err, TL_E_REFUSED, "\"%s\" has to be a whole number from 0 to %lld", name,
                       (long long)max);
    *out = json_integer_value(value);
    return 0;
}

static int read_flag(const json_t *object, const char *name, bool fallback, bool *out, struct tl_error *err)
{
    const json_t *value = member(object, name);

    *out = value ? json_is_true(value) : fallback;
    if (value && !json_is_boolean(value))
        return tl_fail(err, TL_E_REFUSED, "\"%s\" has to be true or false", name);
    return 0;
}

static int read_string(const json_t *object, const char *name, struct tl_str *out, struct tl_error *err)
{
    const json_t *value = member(object, name);

    if (!value)
        return tl_fail(err, TL_E_REFUSED, "\"%s\" is missing", name);
    if (!json_is_string(value))
        return tl_fail(err, TL_E_REFUSED, "\"%s\" has to be a string", name);
    *out = json_str(value);
    return 0;
}

/* Brings the default into its canonical form by the column's own type. */
static int set_default(struct tl_column *column, struct tl_str text, struct tl_error *err)
{
    char shown[TL_SHOW_TEXT], type[TL_TYPE_FORMAT];
    enum tl_verdict verdict;
    struct tl_reject why;
    struct tl_buf scratch;
    struct tl_str out;
    int rc = -1;

    if (text.len > DEFAULT_MAX)
        return tl_fail(err, TL_E_REFUSED, "the default has %zu bytes; %d are the most", text.len,
                       DEFAULT_MAX);
    tl_buf_init(&scratch, 2 * DEFAULT_MAX);
    verdict = tl_type_canon(&column->type, text, &scratch, &out, &why);
    if (verdict == TL_VALUE_OK) {
        column->default_text = malloc(out.len + 1);
        if (column->default_text) {
            memcpy(column->default_text, out.ptr, out.len);
            column->default_text[out.len] = '\0';
            rc = 0;
        } else {
            tl_fail_nomem(err);
        }
    } else if (verdict == TL_VALUE_REJECT) {
        tl_type_format(&column->type, type);
        tl_fail(err, TL_E_REFUSED, "default \"%s\" of type %s %s", tl_show(text, shown), type, why.reason);
    } else {
        tl_fail_nomem(err);
    }
    tl_buf_release(&scratch);
    return rc;
}

static int read_default(const json_t *json, struct tl_column *column, struct tl_error *err)
{
    const json_t *value = member(json, "default");
    char digits[24];

    if (!value)
        return 0;
    switch (json_typeof(value)) {
    case JSON_STRING:
        return set_default(column, json_str(value), err);
    case JSON_TRUE:
    case JSON_FALSE:
        return set_default(column, tl_str(json_is_true(value) ? "true" : "false"), err);
    case JSON_INTEGER:
        snprintf(digits, sizeof digits, "%lld", (long long)json_integer_value(value));
        return set_default(column, tl_str(digits), err);
    case JSON_REAL:
        return tl_fail(
            err, TL_E_REFUSED,
            "the default is a JSON number with a fraction, which may be rounded; write it in quotes");
    default:
        return tl_fail(err, TL_E_REFUSED, "\"default\" has to be a string");
    }
}

/* The column at `index`, its name aside. */
static int read_column_rest(const json_t *json, bool request, struct tl_column *column, struct tl_error *err)
{
    struct tl_str text;
    json_int_t id;

    if (request && check_members(json, column_members, TL_ARRAY_LEN(column_members), err))
        return -1;
    if (read_string(json, "type", &text, err) || tl_type_parse(text, &column->type, err) ||
        read_flag(json, "nullable", true, &column->nullable, err) ||
        read_number(json, "id", UINT32_MAX - 1, &id, err))
        return -1;
    column->id = (uint32_t)id;
    return read_default(json, column, err);
}

static int read_column(const json_t *json, struct tl_schema *schema, bool request, struct tl_error *err)
{
    struct tl_column *column = &schema->columns[schema->ncolumns];
    struct tl_str name;

    if (!json_is_object(json) || read_string(json, "name", &name, err)) {
        if (!json_is_object(json))
            tl_fail(err, TL_E_REFUSED,
                    "it has to be an object such as {\"name\": \"id\", \"type\": \"bigint\"}");
        return tl_error_prefix(err, "column %zu", schema->ncolumns + 1);
    }
    if (tl_name_parse(name, "column", column->name, err))
        return -1;
    if (tl_schema_find(schema, tl_str(column->name)) >= 0)
        return tl_fail(err, TL_E_REFUSED,
                       "column \"%s\" is there twice; every column needs a name of its own", column->name);
    schema->ncolumns++; /* from here on it is freed with the schema */
    if (read_column_rest(json, request, column, err))
        return tl_error_prefix(err, "column \"%s\"", column->name);
    return 0;
}

/* Either all columns come with an id, or none, and then they are numbered. */
static int settle_ids(const json_t *json, struct tl_schema *schema, struct tl_error *err)
{
    bool given = schema->columns[0].id != 0;
    uint32_t highest = 0;
    json_int_t next;

    for (size_t i = 0; i < schema->ncolumns; i++) {
        struct tl_column *column = &schema->columns[i];

        if (given != (column->id != 0))
            return tl_fail(err, TL_E_REFUSED, "column \"%s\": either every column has an id, or none",
                           column->name);
        if (!given)
            column->id = (uint32_t)i + 1;
        else if (tl_schema_find_id(schema, column->id) != (int)i)
            return tl_fail(err, TL_E_REFUSED, "column \"%s\" has the id %u of another one", column->name,
                           column->id);
        highest = TL_MAX(highest, column->id);
    }
    if (read_number(json, "next_column_id", UINT32_MAX, &next, err))
        return -1;
    if (next && next <= (json_int_t)highest)
        return tl_fail(err, TL_E_REFUSED, "\"next_column_id\" has to be above %u", highest);
    schema->next_column_id = next ? (uint32_t)next : highest + 1;
    return 0;
}

static int read_columns(const json_t *json, struct tl_schema *schema, bool request, struct tl_error *err)
{
    const json_t *list = member(json, "columns");
    size_t n = json_array_size(list);

    if (list && !json_is_array(list))
        return tl_fail(err, TL_E_REFUSED, "\"columns\" has to be a list of columns");
    if (n == 0)
        return tl_fail(err, TL_E_REFUSED, "a table needs at least one column");
    if (n > TL_COLUMNS_MAX)
        return tl_fail(err, TL_E_REFUSED, "a table has at most %d columns, not %zu", TL_COLUMNS_MAX, n);
    schema->columns = calloc(n, sizeof *schema->columns);
    if (!schema->columns)
        return tl_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        if (read_column(json_array_get(list, i), schema, request, err))
            return -1;
    return settle_ids(json, schema, err);
}

static int add_key_column(const json_t *json, struct tl_schema *schema, struct tl_error *err)
{
    char name[TL_NAME_MAX + 1], shown[TL_SHOW_TEXT];
    struct tl_column *column;
    const char *nearest;
    int at = -1;

    if (!json_is_string(json))
        return tl_fail(err, TL_E_REFUSED, "\"key\" has to be a list of column names");
    if (tl_name_parse(json_str(json), "key column", name, err) == 0)
        at = tl_schema_find(schema, tl_str(name));
    if (at < 0) {
        nearest = tl_schema_suggest(schema, json_str(json));
        tl_show(json_str(json), shown);
        if (nearest)
            return tl_fail(err, TL_E_REFUSED, "key: there is no column \"%s\"; did you mean \"%s\"?", shown,
                           nearest);
        return tl_fail(err, TL_E_REFUSED, "key: there is no column \"%s\"", shown);
    }
    column = &schema->columns[at];
    if (column->in_key)
        return tl_fail(err, TL_E_REFUSED, "key: column \"%s\" is there twice", name);
    if (!tl_coltype(column->type.id)->can_be_key)
        return tl_fail(err, TL_E_REFUSED,
                       "key: column \"%s\": %s can't be a key; take another column or type", name,
                       tl_coltype(column->type.id)->name);
    column->in_key = true;
    column->nullable = false;
    schema->key[schema->nkey++] = (size_t)at;
    return 0;
}

static int read_key(const json_t *json, struct tl_schema *schema, struct tl_error *err)
{
    const json_t *list = member(json, "key");
    size_t n = json_array_size(list);

    if (list && !json_is_array(list))
        return tl_fail(err, TL_E_REFUSED, "\"key\" has to be a list of column names");
    if (n > TL_KEY_MAX)
        return tl_fail(err, TL_E_REFUSED, "a key has at most %d columns, not %zu", TL_KEY_MAX, n);
    if (n == 0)
        return 0;
    schema->key = calloc(n, sizeof *schema->key);
    if (!schema->key)
        return tl_fail_nomem(err);
    for (size_t i = 0; i < n; i++)
        if (add_key_column(json_array_get(list, i), schema, err))
            return -1;
    return 0;
}

static int read_schema(const json_t *json, struct tl_schema *schema, struct tl_error *err)
{
    json_int_t table_id, version;
    struct tl_str table;

    if (!json_is_object(json))
        return tl_fail(err, TL_E_REFUSED, "a schema has to be a JSON object with \"table\" and \"columns\"");
    if (read_string(json, "table", &table, err) || tl_name_parse(table, "table", schema->table, err) ||
        read_number(json, "table_id", INT64_MAX, &table_id, err) ||
        read_number(json, "version", INT32_MAX, &version, err) ||
        read_flag(json, "dropped", false, &schema->dropped, err) ||
        read_flag(json, "adopted", false, &schema->adopted, err))
        return -1;
    schema->table_id = table_id;
    schema->version = (int32_t)version;
    if (table_id == 0 && check_members(json, table_members, TL_ARRAY_LEN(table_members), err))
        return -1;
    if (read_columns(json, schema, table_id == 0, err))
        return -1;
    return read_key(json, schema, err);
}

int tl_schema_from_json(const json_t *json, struct tl_schema **out, struct tl_error *err)
{
    struct tl_schema *schema = calloc(1, sizeof *schema);

    if (!schema)
        return tl_fail_nomem(err);
    if (read_schema(json, schema, err)) {
        tl_schema_free(schema);
        return -1;
    }
    *out = schema;
    return 0;
}

int tl_schema_from_text(struct tl_str text, struct tl_schema **out, struct tl_error *err)
{
    json_error_t error;
    json_t *json = json_loadb(text.ptr ? text.ptr : "", text.len, JSON_REJECT_DUPLICATES, &error);
    char shown[TL_SHOW_TEXT];
    int rc;

    if (!json && json_error_code(&error) == json_error_out_of_memory)
        return tl_fail_nomem(err);
    if (!json)
        return tl_fail(err, TL_E_REFUSED, "the schema is not JSON: line %d, column %d: %s", error.line,
                       error.column, tl_show(tl_str(error.text), shown));
    rc = tl_schema_from_json(json, out, err);
    json_decref(json);
    return rc;
}

/* Appends a new reference to a list and takes it over, also when it fails. */
static bool append(json_t *list, json_t *value)
{
    return value && json_array_append_new(list, value) == 0;
}

static json_t *column_to_json(const struct tl_column *column)
{
    char type[TL_TYPE_FORMAT];

    tl_type_format(&column->type, type);
    return json_pack("{s:I, s:s, s:s, s:b, s:s?}", "id", (json_int_t)column->id, "name", column->name, "type",
                     type, "nullable", column->nullable, "default", column->default_text);
}

json_t *tl_schema_to_json(const struct tl_schema *schema)
{
    json_t *json = json_pack("{s:s, s:I, s:i, s:[], s:[]}", "table", schema->table, "table_id",
                             (json_int_t)schema->table_id, "version", (int)schema->version, "columns", "key");
    uint32_t highest = 0;
    bool ok = json != NULL;

    for (size_t i = 0; ok && i < schema->ncolumns; i++) {
        highest = TL_MAX(highest, schema->columns[i].id);
        ok = append(json_object_get(json, "columns"), column_to_json(&schema->columns[i]));
    }
    for (size_t i = 0; ok && i < schema->nkey; i++)
        ok = append(json_object_get(json, "key"), json_string(schema->columns[schema->key[i]].name));
    if (ok && schema->next_column_id > highest + 1)
        ok = json_object_set_new(json, "next_column_id", json_integer(schema->next_column_id)) == 0;
    if (ok && schema->dropped)
        ok = json_object_set_new(json, "dropped", json_true()) == 0;
    if (ok && schema->adopted)
        ok = json_object_set_new(json, "adopted", json_true()) == 0;
    if (!ok) {
        json_decref(json);
        return NULL;
    }
    return json;
}
