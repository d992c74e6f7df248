/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What can be asked of a schema; schema_json.c makes them. */
#include "shared/schema/schema.h"

#include <stdlib.h>

#include "shared/schema/canon.h"
#include "shared/schema/name.h"

void tl_schema_free(struct tl_schema *schema)
{
    if (!schema)
        return;
    for (size_t i = 0; i < schema->ncolumns; i++)
        free(schema->columns[i].default_text);
    free(schema->columns);
    free(schema->key);
    free(schema);
}

int tl_schema_find(const struct tl_schema *schema, struct tl_str name)
{
    for (size_t i = 0; i < schema->ncolumns; i++)
        if (tl_str_eq_z(name, schema->columns[i].name))
            return (int)i;
    return -1;
}

int tl_schema_find_id(const struct tl_schema *schema, uint32_t id)
{
    for (size_t i = 0; i < schema->ncolumns; i++)
        if (schema->columns[i].id == id)
            return (int)i;
    return -1;
}

const char *tl_schema_suggest(const struct tl_schema *schema, struct tl_str name)
{
    unsigned distance, best = ~0U;
    const char *found = NULL;
    char lower[TL_NAME_MAX + 1];

    if (name.len > TL_NAME_MAX)
        return NULL;
    for (size_t i = 0; i < name.len; i++)
        lower[i] = tl_lower(name.ptr[i]);
    for (size_t i = 0; i < schema->ncolumns; i++) {
        const char *column = schema->columns[i].name;

        if (tl_near(tl_str_n(lower, name.len), tl_str(column), &distance) && distance < best) {
            best = distance;
            found = column;
        }
    }
    return found;
}

static bool same_default(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

bool tl_schema_same_shape(const struct tl_schema *a, const struct tl_schema *b)
{
    if (a->ncolumns != b->ncolumns || a->nkey != b->nkey)
        return false;
    for (size_t i = 0; i < a->ncolumns; i++) {
        const struct tl_column *x = &a->columns[i], *y = &b->columns[i];

        if (strcmp(x->name, y->name) != 0 || !tl_type_eq(&x->type, &y->type) || x->nullable != y->nullable ||
            !same_default(x->default_text, y->default_text))
            return false;
    }
    return a->nkey == 0 || memcmp(a->key, b->key, a->nkey * sizeof *a->key) == 0;
}
