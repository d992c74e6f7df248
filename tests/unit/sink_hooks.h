/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What only a sink's own database can tell, a set of hooks a sink; sink_fixture.h has the rest. */
#ifndef TESTS_UNIT_SINK_HOOKS_H
#define TESTS_UNIT_SINK_HOOKS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "coordinatord/sinks/sinks.h"
#include "shared/base/buf.h"

struct fixture {
    const struct sink_ops *ops;
    const struct hooks *hooks;
    char dir[64]; /* sqlite: the directory; postgresql: the database */
    char url[200];
    struct sink *sink;
    struct tl_buf dump;
    struct tl_schema *orders;
    struct tl_error err;
};

struct hooks {
    const char *scheme;
    void (*make_place)(struct fixture *f);
    void (*remove_place)(struct fixture *f);
    /*
     * Rows of a query as `a|b\n`, null as NULL, true and false as 1 and 0, bytes in hexadecimal, into f->dump;
     * "no such table" when that is the case.
     */
    void (*query)(struct fixture *f, const char *sql);
    /* Something that refuses rows of "orders" whose qty is negative, saying "qty is negative". */
    void (*add_check)(struct fixture *f);
    /* No more room for this connection; and again room. */
    void (*fill_disk)(struct fixture *f);
    void (*free_disk)(struct fixture *f);
    const char *edge_values; /* as query gives them: test_types */
};

#endif
