/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A table that is in the sink's database and that somebody else made: what it looks like, whether it is what a
 * definition says, and the definition that it could have.
 *
 *   sink_ops.foreign ──► struct foreign_table ──foreign_differences──► why it can't be taken over
 *                                             ──foreign_definition───► what define-table --from-sink shows
 *
 * A table is made by a sink and freed by whoever got it. All here is pure; any thread.
 */
#ifndef COORDINATORD_SINKS_FOREIGN_H
#define COORDINATORD_SINKS_FOREIGN_H

#include "shared/base/buf.h"
#include "shared/schema/schema.h"

struct foreign_column {
    char *name;     /* owned */
    char *declared; /* its type as the database has it; owned */
    bool mapped;    /* `type` is the same type of ours */
    struct tl_type
        type; /* where one of theirs is several of ours: the one that was wanted, if it is among them */
    bool nullable;
    bool computed;      /* by the database alone: nobody can write it */
    bool numbered;      /* by the database, when nobody does */
    char *default_expr; /* as the database has it; NULL: none; owned */
};

/* Its primary key, or a unique index, which tells rows apart as well. */
struct foreign_key {
    bool primary;
    size_t ncolumns;
    size_t columns[TL_KEY_MAX]; /* indexes into the table's */
};

enum { FOREIGN_KEYS_MAX = 64 };

struct foreign_table {
    char obstacle[120]; /* what keeps it from being taken over whatever its columns are: "it is a view"; "" */
    size_t ncolumns, cap;
    struct foreign_column *columns; /* owned */
    size_t nkeys;
    struct foreign_key keys[FOREIGN_KEYS_MAX]; /* the primary one first, if there is one */
};

struct foreign_table *foreign_new(struct tl_error *err); /* NULL with *err */
void foreign_free(struct foreign_table *t);              /* NULL is fine */
/* The texts are copied; default_expr may be NULL. The new column, or NULL with *err. */
struct foreign_column *foreign_add(struct foreign_table *t, const char *name, const char *declared,
                                   const char *default_expr, struct tl_error *err);
/* One more key without columns; NULL when there are too many to be of interest. */
struct foreign_key *foreign_add_key(struct foreign_table *t, bool primary);
/*
 * The next column of the key that was added last, by name. False: it has too many, or no such column; then the
 * key is none for us, and taken away.
 */
bool foreign_key_add(struct foreign_table *t, struct foreign_key *key, const char *column);

/*
 * Appends what differs between the table and the definition, "; " between, and counts it. Columns that the
 * table has beyond the definition are no difference when the database fills them by itself.
 */
int foreign_differences(const struct foreign_table *t, const struct tl_schema *schema, struct tl_buf *out,
                        size_t *n, struct tl_error *err) TL_MUST_CHECK;
/* Fails with the code and all differences that there is room for; 0 when there are none. */
int foreign_check(const struct foreign_table *t, const struct tl_schema *schema, enum tl_error_code code,
                  struct tl_error *err) TL_MUST_CHECK;
/*
 * {"table", "columns", "key", "notes"}: the definition that the table agrees with, and in "notes" what it does
 * not say. TL_E_REFUSED names each column that can't be one of ours, and its type.
 */
int foreign_definition(const struct foreign_table *t, const char *table, json_t **out,
                       struct tl_error *err) TL_MUST_CHECK;
/*
 * The value of a default that is a constant, as SQL writes it (7, 'it''s', 'x'::text, X'00'), in the canonical
 * form of the type. 1: *out is malloc'ed; 0: it is none; *out NULL with 1: it is null, as good as no default.
 */
int foreign_constant(const char *expr, const struct tl_type *type, char **out,
                     struct tl_error *err) TL_MUST_CHECK;

#endif
