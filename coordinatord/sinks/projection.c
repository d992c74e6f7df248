/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "coordinatord/sinks/projection.h"

static int place_field(struct projection *p, size_t field, const struct tl_schema *batch, uint32_t id,
                       const struct tl_schema *table, bool *carried, struct tl_error *err)
{
    int from = tl_schema_find_id(batch, id), to = tl_schema_find_id(table, id);

    if (from < 0)
        return tl_fail(err, TL_E_CORRUPT, "table %s, version %d: no column has id %u", batch->table,
                       (int)batch->version, (unsigned)id);
    p->fields[field].column = to;
    if (to < 0)
        return 0;
    if (carried[to])
        return tl_fail(err, TL_E_CORRUPT, "table %s: a batch carries column \"%s\" twice", table->table,
                       table->columns[to].name);
    carried[to] = true;
    p->fields[field].widened = !tl_type_eq(&batch->columns[from].type, &table->columns[to].type);
    return 0;
}

static int fill(struct projection *p, const struct tl_schema *batch, const uint32_t *ids,
                const struct tl_schema *table, bool *carried, struct tl_error *err)
{
    for (size_t i = 0; i < p->nfields; i++)
        if (place_field(p, i, batch, ids[i], table, carried, err))
            return -1;
    for (size_t i = 0; i < table->ncolumns; i++) {
        if (carried[i])
            continue;
        if (table->columns[i].in_key)
            return tl_fail(err, TL_E_CORRUPT, "table %s: a batch does not carry the key column \"%s\"",
                           table->table, table->columns[i].name);
        p->missing[p->nmissing++] = i;
    }
    return 0;
}

int projection_init(struct projection *p, const struct tl_schema *batch, const uint32_t *ids, size_t n,
                    const struct tl_schema *table, struct tl_error *err)
{
    bool *carried = calloc(table->ncolumns + 1, sizeof *carried);
    int rc = -1;

    *p = (struct projection){.nfields = n};
    p->fields = calloc(n + 1, sizeof *p->fields);
    p->missing = calloc(table->ncolumns + 1, sizeof *p->missing);
    if (!carried || !p->fields || !p->missing)
        tl_fail_nomem(err);
    else
        rc = fill(p, batch, ids, table, carried, err);
    free(carried);
    if (rc)
        projection_release(p);
    return rc;
}

void projection_release(struct projection *p)
{
    free(p->fields);
    free(p->missing);
    *p = (struct projection){0};
}
