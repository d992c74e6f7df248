/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What errstore.h asks of an error store, over every store in errstores.def. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "coordinatord/errors/errstores.h"

struct fixture {
    const struct errstore_ops *ops;
    const struct hooks *hooks;
    char dir[64];
    char url[80];
    struct errstore *store;
    struct tl_buf out;
    struct tl_error err;
};

struct hooks {
    const char *scheme;
    void (*make_place)(struct fixture *f);
    void (*remove_place)(struct fixture *f);
    /* True when nothing but directories of the place itself and of tenants is left. */
    bool (*empty)(struct fixture *f);
};

/* --- file --- */

static void dir_make_place(struct fixture *f)
{
    snprintf(f->dir, sizeof f->dir, "/tmp/tload-errors-XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->url, sizeof f->url, "file:%s/a/b", f->dir);
}

/* Removes what is below path, and it; returns how many entries that are not directories there were. */
static int remove_tree(const char *path)
{
    DIR *d = opendir(path);
    struct dirent *e;
    int files = 0;

    if (!d) {
        assert_int_equal(unlink(path), 0);
        return 1;
    }
    while ((e = readdir(d))) {
        char below[600];

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(below, sizeof below, "%s/%s", path, e->d_name);
        files += remove_tree(below);
    }
    closedir(d);
    assert_int_equal(rmdir(path), 0);
    return files;
}

static void dir_remove_place(struct fixture *f)
{
    if (access(f->dir, F_OK) == 0)
        remove_tree(f->dir);
}

static bool dir_empty(struct fixture *f)
{
    return remove_tree(f->dir) == 0;
}

static const struct hooks all_hooks[] = {
    {
        .scheme = "file",
        .make_place = dir_make_place,
        .remove_place = dir_remove_place,
        .empty = dir_empty,
    },
};

/* --- helpers --- */

#define OK(call)                                    \
    do {                                            \
        if (call)                                   \
            fail_msg("%s: %s", #call, f->err.text); \
    } while (0)
#define FAILS(call, error)                      \
    do {                                        \
        f->err.code = TL_E_NONE;                \
        assert_int_equal((call), -1);           \
        assert_int_equal(f->err.code, (error)); \
    } while (0)

static struct segment_id segment(int64_t seq, int64_t part)
{
    return (struct segment_id){.tenant = "acme", .upload = "Up.1", .partition = 3, .seq = seq, .part = part};
}

static void put(struct fixture *f, struct segment_id id, const char *lines)
{
    OK(f->ops->put(f->store, &id, tl_str(lines), &f->err));
}

static void expect(struct fixture *f, struct errstore *s, struct segment_id id, const char *lines)
{
    assert_int_equal(f->ops->get(s, &id, &f->out, &f->err), lines ? 1 : 0);
    if (lines)
        assert_true(tl_str_eq_z(tl_buf_str(&f->out), lines));
}

static int setup(void **state)
{
    const struct errstore_ops *ops = *state;
    struct fixture *f = calloc(1, sizeof *f);

    assert_non_null(f);
    f->ops = ops;
    for (size_t i = 0; i < TL_ARRAY_LEN(all_hooks); i++)
        if (strcmp(all_hooks[i].scheme, ops->scheme) == 0)
            f->hooks = &all_hooks[i];
    assert_non_null(f->hooks);
    tl_buf_init(&f->out, 1024 * 1024);
    f->hooks->make_place(f);
    f->store = ops->open(f->url, NULL, &f->err);
    assert_non_null(f->store);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    f->ops->close(f->store);
    f->hooks->remove_place(f);
    tl_buf_release(&f->out);
    free(f);
    return 0;
}

/* --- tests --- */

static void test_url(void **state)
{
    struct fixture *f = *state;
    char bare[40];

    OK(f->ops->check_url(f->url, &f->err));
    snprintf(bare, sizeof bare, "%s:", f->ops->scheme);
    FAILS(f->ops->check_url(bare, &f->err), TL_E_REFUSED);
    assert_ptr_equal(errstore_for_url(f->url, &f->err), f->ops);
    assert_null(errstore_for_url("nothing:/x", &f->err));
    assert_int_equal(f->err.code, TL_E_REFUSED);
    assert_non_null(strstr(f->err.text, f->ops->scheme));
}

static void test_put_and_get(void **state)
{
    struct fixture *f = *state;
    struct segment_id sink = segment(1, 1);
    struct errstore *other = f->ops->open(f->url, NULL, &f->err);

    assert_non_null(other);
    sink.stage = TL_STAGE_SINK;
    expect(f, f->store, segment(1, 1), NULL);
    put(f, segment(1, 1), "{\"line\":1}\n{\"line\":2}\n");
    put(f, segment(1, 2), "{\"line\":3}\n");
    put(f, segment(INT64_MAX, INT64_MAX), "{\"line\":4}\n");
    put(f, sink, "{\"line\":5}\n");
    OK(f->ops->sync(f->store, &f->err));
    expect(f, other, segment(1, 1), "{\"line\":1}\n{\"line\":2}\n");
    expect(f, other, segment(1, 2), "{\"line\":3}\n");
    expect(f, other, segment(INT64_MAX, INT64_MAX), "{\"line\":4}\n");
    expect(f, other, sink, "{\"line\":5}\n");
    expect(f, other, segment(2, 1), NULL);
    f->ops->close(other);
    f->ops->close(NULL);
}

static void test_put_again(void **state)
{
    struct fixture *f = *state;

    put(f, segment(1, 1), "one\n");
    put(f, segment(1, 1), "one\n");
    OK(f->ops->sync(f->store, &f->err));
    put(f, segment(1, 1), "one\n");
    OK(f->ops->sync(f->store, &f->err));
    expect(f, f->store, segment(1, 1), "one\n");
    put(f, segment(1, 1), "two\n");
    expect(f, f->store, segment(1, 1), "two\n");
    put(f, segment(1, 1), "another length\n");
    OK(f->ops->sync(f->store, &f->err));
    OK(f->ops->sync(f->store, &f->err));
    expect(f, f->store, segment(1, 1), "another length\n");
}

static void test_many(void **state)
{
    struct fixture *f = *state;

    for (int64_t seq = 1; seq <= 300; seq++) {
        struct segment_id id = segment(seq * 10, 1);
        char text[40];

        id.partition = (int32_t)(seq % 150);
        snprintf(text, sizeof text, "%lld\n", (long long)seq);
        put(f, id, text);
    }
    OK(f->ops->sync(f->store, &f->err));
    for (int64_t seq = 1; seq <= 300; seq++) {
        struct segment_id id = segment(seq * 10, 1);
        char text[40];

        id.partition = (int32_t)(seq % 150);
        snprintf(text, sizeof text, "%lld\n", (long long)seq);
        expect(f, f->store, id, text);
    }
}

static void test_ceiling(void **state)
{
    struct fixture *f = *state;
    struct tl_buf small;
    struct segment_id id = segment(1, 1);
    char lines[1000];

    memset(lines, 'x', sizeof lines);
    OK(f->ops->put(f->store, &id, tl_str_n(lines, sizeof lines), &f->err));
    tl_buf_init(&small, sizeof lines - 1);
    FAILS(f->ops->get(f->store, &id, &small, &f->err), TL_E_TOO_LARGE);
    tl_buf_release(&small);
    tl_buf_init(&small, sizeof lines);
    assert_int_equal(f->ops->get(f->store, &id, &small, &f->err), 1);
    assert_int_equal(small.len, sizeof lines);
    tl_buf_release(&small);
}

static void test_remove(void **state)
{
    struct fixture *f = *state;
    struct segment_id other = segment(1, 1);

    other.upload = "Up.10";
    OK(f->ops->remove(f->store, "acme", "Up.1", &f->err));
    put(f, segment(1, 1), "a\n");
    put(f, segment(5000, 2), "b\n");
    put(f, other, "c\n");
    OK(f->ops->sync(f->store, &f->err));
    OK(f->ops->remove(f->store, "acme", "Up.1", &f->err));
    expect(f, f->store, segment(1, 1), NULL);
    expect(f, f->store, segment(5000, 2), NULL);
    expect(f, f->store, other, "c\n");
    put(f, segment(1, 1), "d\n");
    OK(f->ops->remove(f->store, "acme", "Up.1", &f->err));
    OK(f->ops->sync(f->store, &f->err));
    OK(f->ops->remove(f->store, "acme", "Up.10", &f->err));
    assert_true(f->hooks->empty(f));
}

static void test_ids_stay_inside(void **state)
{
    static const char *const bad[] = {"", ".", "..", "../x", "a/b", "/etc", "a\nb", ".hidden"};
    struct fixture *f = *state;

    for (size_t i = 0; i < TL_ARRAY_LEN(bad); i++) {
        struct segment_id id = segment(1, 1);

        id.upload = bad[i];
        FAILS(f->ops->put(f->store, &id, tl_str("x\n"), &f->err), TL_E_CORRUPT);
        FAILS(f->ops->get(f->store, &id, &f->out, &f->err), TL_E_CORRUPT);
        FAILS(f->ops->remove(f->store, "acme", bad[i], &f->err), TL_E_CORRUPT);
        id = segment(1, 1);
        id.tenant = bad[i];
        FAILS(f->ops->put(f->store, &id, tl_str("x\n"), &f->err), TL_E_CORRUPT);
        FAILS(f->ops->remove(f->store, bad[i], "Up.1", &f->err), TL_E_CORRUPT);
    }
    FAILS(f->ops->put(f->store, &(struct segment_id){"acme", "u", -1, TL_STAGE_SINK, 1, 1}, tl_str("x"),
                      &f->err),
          TL_E_CORRUPT);
    FAILS(f->ops->put(f->store, &(struct segment_id){"acme", "u", 1, TL_STAGE_SINK, 0, 1}, tl_str("x"),
                      &f->err),
          TL_E_CORRUPT);
    FAILS(f->ops->put(f->store, &(struct segment_id){"acme", "u", 1, TL_STAGE_SINK, 1, 0}, tl_str("x"),
                      &f->err),
          TL_E_CORRUPT);
    assert_true(f->hooks->empty(f));
}

int main(void)
{
    static const struct {
        const char *name;
        CMUnitTestFunction test;
    } tests[] = {
        {"url", test_url},
        {"put_and_get", test_put_and_get},
        {"put_again", test_put_again},
        {"many", test_many},
        {"ceiling", test_ceiling},
        {"remove", test_remove},
        {"ids_stay_inside", test_ids_stay_inside},
    };
    int failed = 0;

    for (size_t i = 0; i < errstores_count; i++) {
        struct CMUnitTest list[TL_ARRAY_LEN(tests)];

        for (size_t k = 0; k < TL_ARRAY_LEN(tests); k++)
            list[k] = (struct CMUnitTest){.name = tests[k].name,
                                          .test_func = tests[k].test,
                                          .setup_func = setup,
                                          .teardown_func = teardown,
                                          .initial_state = (void *)(uintptr_t)errstores[i]};
        failed += cmocka_run_group_tests_name(errstores[i]->scheme, list, NULL, NULL);
    }
    return failed;
}
