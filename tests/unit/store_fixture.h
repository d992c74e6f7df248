/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A store in a directory of its own, with a cluster and a tenant "default". */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "coordinatord/control/store.h"
#include "tests/unit/remove_tree.h"

enum { GROUP_PARTITIONS = 20 };

struct fixture {
    char dir[32];
    char path[64];
    struct store *store;
};

static struct store *must_open(const char *path)
{
    struct tl_error err;
    struct store *s = store_open(path, &err);

    if (!s)
        fail_msg("%s", err.text);
    return s;
}

static void must(int rc, const struct tl_error *err)
{
    if (rc < 0)
        fail_msg("%s", err->text);
}

/* On the cluster that app names. */
static const char *place(void *app, const struct cluster_room *rooms, size_t n, struct tl_error *err)
{
    (void)rooms;
    (void)n;
    (void)err;
    return app;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct cluster_row c = {.cluster = "default"};
    struct tenant_row t = {.tenant = "default", .partitions = 4, .state = TENANT_READY, .created_ms = 1};
    struct tl_error err;

    snprintf(f->dir, sizeof f->dir, "/tmp/tload-store-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof f->path, "%s/control.db", f->dir);
    f->store = must_open(f->path);
    must(store_cluster_add(f->store, &c, &err), &err);
    must(store_tenant_add(f->store, &t, GROUP_PARTITIONS, place, (void *)(uintptr_t) "default", &err), &err);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    int rc;

    store_close(f->store);
    rc = remove_tree(f->dir);
    free(f);
    return rc;
}

#endif
