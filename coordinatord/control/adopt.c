/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What control asks of the sink's database before it makes a version, so that the request is refused and not, much
 * later, the sink's own work: whether a table that is to be adopted is there and agrees, and whether one that is to
 * be made has its name for itself.
 *
 * The sink looks once more when it applies the version. A server that does not answer keeps nobody waiting for long.
 */
#include <stdlib.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "coordinatord/control/request.h"

enum { PATIENCE_MS = 5000 };

/* *found NULL: there is nothing by that name that is not ours. */
static int look(struct control *c, const struct tenant *t, const char *table, const struct tl_schema *wanted,
                struct foreign_table **found, struct tl_error *err)
{
    const struct sink_ops *ops = t->sink_ops;
    struct sink_conf conf = {
        .url = t->sink_url,
        .tenant = t->name,
        .read_only = true,
        .foreign = true,
        .patience_ms = PATIENCE_MS,
        .log = c->log,
        .stop = &c->stop,
    };
    struct sink *sink = ops->open(&conf, err);
    int rc;

    *found = NULL;
    if (!sink)
        return err->code == TL_E_NOT_FOUND ? 0 : -1;
    rc = ops->foreign(sink, table, wanted, found, err);
    ops->close(sink);
    return rc;
}

/* What a client is to do about a sink that can't be asked: come again. */
static int out_of_reach(struct tl_error *err)
{
    if (tl_error_retriable(err))
        err->code = TL_E_UNAVAILABLE;
    return tl_error_prefix(err, "the data sink can't be asked");
}

int adopt_check(struct control *c, const struct tenant *t, const struct tl_schema *schema,
                struct tl_error *err)
{
    struct foreign_table *found;
    int rc = 0;

    if (look(c, t, schema->table, schema, &found, err) < 0) {
        /* The table is made when the sink comes, as ever. */
        return schema->adopted ? out_of_reach(err) : 0;
    }
    if (schema->adopted)
        rc = found ? foreign_check(found, schema, TL_E_CONFLICT, err)
                   : tl_fail(err, TL_E_NOT_FOUND, "the data sink has no table \"%s\" to be adopted",
                             schema->table);
    else if (found)
        rc = tl_fail(
            err, TL_E_CONFLICT,
            "the data sink has a table \"%s\" already, which tload did not make: adopt it with --adopt, or"
            " see what it is like with --from-sink",
            schema->table);
    foreign_free(found);
    return rc;
}

/* Names that the next version gives to columns must not be those of columns that are the owner's alone. */
static int check_names(const struct foreign_table *found, const struct tl_schema *now,
                       const struct tl_schema *next, struct tl_error *err)
{
    for (size_t i = 0; i < found->ncolumns; i++) {
        struct tl_str name = tl_str(found->columns[i].name);

        if (tl_schema_find(next, name) >= 0 && tl_schema_find(now, name) < 0)
            return tl_fail(err, TL_E_CONFLICT, "table \"%s\" of the data sink has a column \"%s\" of its own",
                           now->table, found->columns[i].name);
    }
    return 0;
}

int adopt_check_alter(struct control *c, const struct tenant *t, const struct tl_schema *now,
                      const struct tl_schema *next, struct tl_error *err)
{
    const struct sink_ops *ops = t->sink_ops;
    struct foreign_table *found;
    int rc = 0;

    if (!now->adopted)
        return 0;
    if (ops->alter_check && ops->alter_check(now, next, err) < 0)
        return -1;
    if (look(c, t, now->table, next, &found, err) < 0)
        return out_of_reach(err);
    if (found)
        rc = check_names(found, now, next, err);
    foreign_free(found);
    return rc;
}

int control_foreign(struct control *c, const char *tenant, const char *table, json_t **answer,
                    struct tl_error *err)
{
    struct tenant *t = tenant_find(c, tenant, err);
    char name[TL_NAME_MAX + 1];
    struct foreign_table *found;
    int rc;

    if (!t || control_running(c, err) < 0 || table_name(table, name, err) < 0)
        return -1;
    if (look(c, t, name, NULL, &found, err) < 0)
        return out_of_reach(err);
    rc = found ? foreign_definition(found, name, answer, err)
               : tl_fail(err, TL_E_NOT_FOUND, "the data sink has no table \"%s\" that tload did not make",
                         name);
    foreign_free(found);
    return rc;
}
