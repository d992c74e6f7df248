/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which field of a file belongs to which column: by the names in its header, or as the options say. One
 * thread.
 */
#ifndef CLI_UPLOAD_HEADER_H
#define CLI_UPLOAD_HEADER_H

#include "shared/base/buf.h"
#include "shared/schema/schema.h"

struct header {
    size_t n;            /* fields */
    uint32_t *column;    /* of each: index into schema->columns; owned */
    struct tl_buf names; /* with commas between, a C string */
};

/* --map FIELD=COLUMN, as given. */
struct header_maps {
    const char *const *map;
    size_t n;
};

/* A version of the table that has, or had, a column of some name. */
struct header_former {
    int64_t version;
    uint32_t id;  /* of the column */
    bool pending; /* the version is not active yet */
};

/*
 * Asked for a name that the table does not have, so that the message can say what became of it: true, and
 * *out is the last version that has it.
 */
struct header_history {
    bool (*find)(void *app, const char *name, struct header_former *out);
    void *app;
};

void header_init(struct header *h);
void header_release(struct header *h);

/*
 * Matches the values of a header: names without blanks around them, upper case like lower, in any order;
 * what a map names goes where it says. TL_E_REFUSED, with what to do, for an unknown, duplicate, nameless
 * or missing column (one of the key, or one that is not null and has no default). `file` and `line` are for
 * the message, and history, which may be NULL. h was initialized, or holds an earlier match, which is
 * replaced.
 */
int header_match(struct header *h, const struct tl_schema *schema, const struct header_maps *maps,
                 const struct header_history *history, const char *file, int64_t line,
                 const struct tl_str *values, size_t n, struct tl_error *err) TL_MUST_CHECK;

/* columns: "A,B,…", or NULL for all of the table's in their order. The same rules. */
int header_given(struct header *h, const struct tl_schema *schema, const char *columns,
                 const struct header_history *history, struct tl_error *err) TL_MUST_CHECK;

/* Index of the field that holds the column, or -1. */
int64_t header_field_of(const struct header *h, size_t column);

#endif
