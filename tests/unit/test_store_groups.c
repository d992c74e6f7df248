/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Clusters that have tenants, and the consumer groups that these are read in. */
#include <string.h>

#include "tests/unit/store_fixture.h"

static void test_clusters(void **state)
{
    struct fixture *f = *state;
    char properties[] = "{\"bootstrap.servers\":\"x\"}";
    struct cluster_row west = {
        .cluster = "west", .properties = properties, .max_partitions = 9, .created_ms = 5};
    struct tenant_row a = {.tenant = "a", .partitions = 2};
    struct cluster_room rooms[STORE_CLUSTERS_MAX];
    struct tl_error err;
    size_t n;

    must(store_cluster_add(f->store, &west, &err), &err);
    assert_int_equal(store_cluster_add(f->store, &west, &err), -1);
    assert_int_equal(err.code, TL_E_CONFLICT);
    must(store_tenant_add(f->store, &a, GROUP_PARTITIONS, place, (void *)(uintptr_t) "west", &err), &err);
    must(store_rooms(f->store, rooms, &n, &err), &err);
    assert_int_equal(n, 2);
    assert_string_equal(rooms[1].cluster, "west");
    assert_true(rooms[1].reserved == 6 && rooms[1].max_partitions == 9);
    assert_int_equal(store_cluster_remove(f->store, "west", &err), -1);
    assert_int_equal(err.code, TL_E_CONFLICT);
    must(store_tenant_remove(f->store, "a", &err), &err);
    must(store_cluster_remove(f->store, "west", &err), &err);
    assert_int_equal(
        store_tenant_add(f->store, &a, GROUP_PARTITIONS, place, (void *)(uintptr_t) "west", &err), -1);
}

static int32_t group_of_next(struct fixture *f, const char *name, const char *cluster, int32_t partitions)
{
    struct tenant_row row = {.partitions = partitions};
    struct tl_error err;

    snprintf(row.tenant, sizeof row.tenant, "%s", name);
    must(store_tenant_add(f->store, &row, GROUP_PARTITIONS, place, (void *)(uintptr_t)cluster, &err), &err);
    return row.group;
}

static int find_group(void *app, struct tenant_row *row, struct tl_error *err)
{
    int32_t *group = app;

    (void)err;
    if (strcmp(row->tenant, "wide") == 0)
        *group = row->group;
    return 0;
}

/* "default" has 4 partitions of the first group already. */
static void test_groups_are_filled_up(void **state)
{
    struct fixture *f = *state;
    struct cluster_row west = {.cluster = "west", .max_partitions = 9999, .created_ms = 5};
    struct tl_error err;
    int32_t group = -1;

    must(store_cluster_add(f->store, &west, &err), &err);
    assert_int_equal(group_of_next(f, "a", "default", GROUP_PARTITIONS - 5), 0);
    assert_int_equal(group_of_next(f, "b", "default", 2), 1);
    assert_int_equal(group_of_next(f, "c", "default", 1), 0);
    assert_int_equal(group_of_next(f, "d", "default", 1), 1);
    assert_int_equal(group_of_next(f, "wide", "default", 2 * GROUP_PARTITIONS), 2);
    assert_int_equal(group_of_next(f, "e", "default", GROUP_PARTITIONS), 3);
    assert_int_equal(group_of_next(f, "f", "west", 1), 0);
    must(store_tenant_remove(f->store, "b", &err), &err);
    must(store_tenant_remove(f->store, "d", &err), &err);
    assert_int_equal(group_of_next(f, "g", "default", GROUP_PARTITIONS), 1);
    store_close(f->store);
    f->store = must_open(f->path);
    must(store_tenants(f->store, find_group, &group, &err), &err);
    assert_int_equal(group, 2);
}

/* It keeps its group, so whoever is placed where it comes counts it. */
static void test_groups_count_those_that_move(void **state)
{
    struct fixture *f = *state;
    struct cluster_row west = {.cluster = "west", .max_partitions = 9999, .created_ms = 5};
    struct tl_error err;

    must(store_cluster_add(f->store, &west, &err), &err);
    assert_int_equal(group_of_next(f, "a", "default", GROUP_PARTITIONS - 4), 0);
    must(store_tenant_move(f->store, "a", place, (void *)(uintptr_t) "west", &err), &err);
    assert_int_equal(group_of_next(f, "b", "west", 4), 0);
    assert_int_equal(group_of_next(f, "c", "west", 1), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_clusters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_groups_are_filled_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_groups_count_those_that_move, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
