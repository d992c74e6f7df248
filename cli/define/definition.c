/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/define/definition.h"

#include <errno.h>
#include <stdlib.h>

#include "cli/client/outcome.h"
#include "shared/schema/schema.h"

json_t *definition_from_columns(const char *const *columns, size_t n, struct tl_error *err)
{
    json_t *list = json_array(), *definition;

    for (size_t i = 0; list && i < n; i++) {
        json_t *column = tl_column_def_parse(tl_str(columns[i]), err);

        if (!column) {
            json_decref(list);
            return NULL;
        }
        if (json_array_append_new(list, column)) {
            json_decref(list);
            list = NULL;
        }
    }
    definition = list ? json_pack("{s:o}", "columns", list) : NULL;
    if (!definition)
        tl_fail_nomem(err);
    return definition;
}

json_t *definition_from_file(const char *path, struct tl_error *err)
{
    bool from_stdin = strcmp(path, "-") == 0;
    FILE *f = from_stdin ? stdin : fopen(path, "re");
    json_error_t why;
    json_t *json;

    if (!f) {
        tl_fail_errno(err, errno, "%s", path);
        return NULL;
    }
    json = json_loadf(f, JSON_REJECT_DUPLICATES, &why);
    if (!json)
        tl_fail(err, TL_E_REFUSED, "%s:%d: not JSON: %s", from_stdin ? "(stdin)" : path, why.line, why.text);
    if (!from_stdin)
        fclose(f);
    if (json && !json_is_object(json)) {
        tl_fail(err, TL_E_REFUSED,
                "%s: a table's definition is an object: {\"columns\": [...], \"key\": [...]}", path);
        json_decref(json);
        return NULL;
    }
    return json;
}

static json_t *key_from_text(const char *key, struct tl_error *err)
{
    struct tl_str rest = tl_str(key);
    json_t *list = json_array();

    while (list && rest.ptr) {
        struct tl_str name = tl_str_trim(tl_str_cut(&rest, ','));
        char folded[TL_NAME_MAX + 1];

        if (tl_name_parse(name, "key column", folded, err)) {
            json_decref(list);
            return NULL;
        }
        if (json_array_append_new(list, json_string(folded))) {
            json_decref(list);
            list = NULL;
        }
    }
    if (!list)
        tl_fail_nomem(err);
    return list;
}

/* What describe --json and the coordinator say about a table beside its definition. */
static void drop_members(json_t *object)
{
    static const char *const members[] = {"table_id",       "version",    "state",   "created_at",
                                          "changed_at",     "changed_by", "changes", "pending",
                                          "next_column_id", "notes",      "adopted"};
    json_t *column;
    size_t i;

    for (i = 0; i < TL_ARRAY_LEN(members); i++)
        json_object_del(object, members[i]);
    json_array_foreach(json_object_get(object, "columns"), i, column)
    {
        if (json_is_object(column))
            json_object_del(column, "id");
    }
}

json_t *definition_request(const json_t *definition, const char *table, const char *key, struct tl_error *err)
{
    json_t *request = json_deep_copy(definition), *names = NULL;
    struct tl_schema *schema;

    if (!request || json_object_set_new(request, "table", json_string(table))) {
        json_decref(request);
        tl_fail_nomem(err);
        return NULL;
    }
    drop_members(request);
    if (key) {
        names = key_from_text(key, err);
        if (!names || json_object_set_new(request, "key", names)) {
            json_decref(request);
            return NULL;
        }
    }
    if (tl_schema_from_json(request, &schema, err)) {
        json_decref(request);
        return NULL;
    }
    json_decref(request);
    request = tl_schema_to_json(schema);
    tl_schema_free(schema);
    if (!request)
        tl_fail_nomem(err);
    else
        drop_members(request);
    return request;
}

/* The text within single quotes of the shell. */
static int append_quoted(struct tl_buf *b, const char *text)
{
    int rc = 0;

    for (; !rc && *text; text++)
        rc = *text == '\'' ? tl_buf_append_z(b, "'\\''") : tl_buf_append_char(b, *text);
    return rc;
}

/* The default as tl_column_def_parse reads it, in SQL's quotes, within the shell's. */
static int append_default(struct tl_buf *b, const char *text)
{
    int rc = tl_buf_append_z(b, " default '\\''");

    for (; !rc && *text; text++) {
        char one[2] = {*text, '\0'};

        rc = append_quoted(b, one);
        if (!rc && *text == '\'')
            rc = append_quoted(b, one);
    }
    return rc ? rc : tl_buf_append_z(b, "'\\''");
}

static int append_column(struct tl_buf *b, const json_t *column)
{
    const char *text = json_string_value(json_object_get(column, "default"));
    int rc = tl_buf_append_z(b, " \\\n    '");

    if (!rc)
        rc = append_quoted(b, upload_text(column, "name"));
    if (!rc)
        rc = tl_buf_append_char(b, ' ');
    if (!rc)
        rc = append_quoted(b, upload_text(column, "type"));
    if (!rc && json_is_false(json_object_get(column, "nullable")))
        rc = tl_buf_append_z(b, " not null");
    if (!rc && text)
        rc = append_default(b, text);
    return rc ? rc : tl_buf_append_char(b, '\'');
}

int definition_print_command(struct output *out, const json_t *request, struct tl_error *err)
{
    const json_t *key = json_object_get(request, "key");
    struct tl_buf text;
    json_t *item;
    size_t i;
    int rc;

    tl_buf_init(&text, 4 << 20);
    rc = tl_buf_appendf(&text, "tload define-table %s", upload_text(request, "table"));
    json_array_foreach(json_object_get(request, "columns"), i, item)
    {
        if (!rc)
            rc = append_column(&text, item);
    }
    json_array_foreach(key, i, item)
    {
        if (!rc)
            rc = tl_buf_appendf(&text, "%s%s", i ? "," : " \\\n    --key ", json_string_value(item));
    }
    if (!rc && json_is_true(json_object_get(request, "adopt")))
        rc = tl_buf_append_z(&text, " \\\n    --adopt");
    if (!rc)
        rc = tl_buf_append_char(&text, '\n');
    rc = rc ? tl_buf_fail(rc, &text, "the command", err) : output_write(out, text.data, text.len, err);
    tl_buf_release(&text);
    return rc;
}
