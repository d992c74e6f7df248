/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A table at one version: its columns and its key. A struct tl_schema is made once, then only read, by any
 * thread; whoever made it frees it.
 *
 * A table is told from an earlier one of the same name by its table_id, which control never gives twice; a
 * column by its id, which is never given twice within a table. Names may change, ids do not.
 */
#ifndef TL_SCHEMA_SCHEMA_H
#define TL_SCHEMA_SCHEMA_H

#include <jansson.h>
#include <stdint.h>

#include "shared/schema/coltype.h"

enum {
    TL_NAME_MAX = 63,      /* bytes of a table's or column's name (PostgreSQL's limit) */
    TL_COLUMNS_MAX = 2000, /* of a table (SQLite's limit) */
    TL_KEY_MAX = 32        /* columns of a key (PostgreSQL's limit) */
};

struct tl_column {
    uint32_t id; /* from 1 */
    char name[TL_NAME_MAX + 1];
    struct tl_type type;
    bool nullable;
    bool in_key;
    char *default_text; /* canonical form, owned; NULL: no default */
};

struct tl_schema {
    char table[TL_NAME_MAX + 1];
    int64_t table_id; /* 0: control has not given one yet */
    int32_t version;  /* from 1; 0: not given yet */
    bool dropped;     /* the table's last message: it is gone */
    bool adopted;     /* it was in the sink's database before: taken over, and left there in the end */
    size_t ncolumns;
    struct tl_column *columns; /* owned */
    size_t nkey;               /* 0: rows are only ever appended */
    size_t *key;               /* owned; indexes into columns, in the key's order */
    uint32_t next_column_id;   /* above every id that a column of the table ever had */
};

void tl_schema_free(struct tl_schema *schema); /* NULL is fine */

/*
 * Checks a name, [a-z_][a-z0-9_]{0,62}, upper case letters being folded into out. Names that begin with
 * "_tload" are the tool's own. `what` is "table" or "column"; a failure is TL_E_REFUSED and says what the
 * name could be.
 */
int tl_name_parse(struct tl_str text, const char *what, char out[TL_NAME_MAX + 1],
                  struct tl_error *err) TL_MUST_CHECK;

/*
 * Makes a legal name of any text, such as a CSV file's header. What is legal but for its case is only folded;
 * of other text each run of bytes that no name may have becomes one "_", none at the ends ("Order No." ->
 * order_no, "2024" -> c_2024). False, and out empty, when there is nothing to make a name of.
 */
bool tl_name_fold(struct tl_str text, char out[TL_NAME_MAX + 1]);

/*
 * The JSON form:
 *   {"table", "table_id", "version", "columns": [{"id", "name", "type", "nullable", "default"}], "key":
 * [names]} with "dropped" and "adopted": true when it is, and "next_column_id" when it is more than the highest
 * id + 1.
 *
 * Reading checks everything (names, no name twice, types, defaults by their own type, key columns exist and
 * are of a type that can be a key; they are made not null) and fails with TL_E_REFUSED. A request has no
 * table_id, version and column ids: the first two are then 0, and ids are given in the order of the columns,
 * from 1. "nullable" is true when absent; "default" may be a string, null, an integer, true or false. A
 * member that is unknown is refused in a request and passed over otherwise, so that a message of a newer
 * version can be read.
 */
int tl_schema_from_json(const json_t *json, struct tl_schema **out, struct tl_error *err) TL_MUST_CHECK;
int tl_schema_from_text(struct tl_str text, struct tl_schema **out, struct tl_error *err) TL_MUST_CHECK;
/* A new reference, NULL when memory is short. `default` is null when there is none. */
json_t *tl_schema_to_json(const struct tl_schema *schema);

/*
 * Parses one COLUMN of `define-table`: NAME TYPE [not null | null] [default VALUE], VALUE bare up to the end
 * or in single quotes with '' for one; a bare null is no default. Gives the column's JSON object as
 * tl_schema_from_json reads it: {"name", "type", "nullable", "default"}, a new reference, or NULL with
 * TL_E_REFUSED. Name, type and form are checked here; the default by tl_schema_from_json, which alone knows
 * the canonical form that it keeps.
 */
json_t *tl_column_def_parse(struct tl_str text, struct tl_error *err) TL_MUST_CHECK;

/* Index of the column, or -1. */
int tl_schema_find(const struct tl_schema *schema, struct tl_str name);
int tl_schema_find_id(const struct tl_schema *schema, uint32_t id);
/*
 * The column whose name is nearest to `name`, for "did you mean"; NULL when none is near (more than a third
 * of it differs).
 */
const char *tl_schema_suggest(const struct tl_schema *schema, struct tl_str name);
/* Same columns (names, types, nullability, defaults, order) and key; ids, table_id and version are not
 * compared. */
bool tl_schema_same_shape(const struct tl_schema *a, const struct tl_schema *b);

#endif
