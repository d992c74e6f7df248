/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/upload/source.h"
#include "shared/base/buf.h"

static char dir[] = "/tmp/test_source.XXXXXX";
static char path[64];

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    snprintf(path, sizeof path, "%s/orders.csv", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    unlink(path);
    return rmdir(dir);
}

static void write_file(const char *mode, size_t n)
{
    FILE *f = fopen(path, mode);

    assert_non_null(f);
    for (size_t i = 0; i < n; i++)
        putc((int)('a' + i % 26), f);
    assert_int_equal(fclose(f), 0);
}

static struct source *open_path(const char *name)
{
    struct tl_error err;
    struct source *s = source_open(name, &err);

    if (!s)
        fail_msg("%s", err.text);
    return s;
}

/* Reads to the end by `size`; the number of bytes, which must be those of write_file. */
static size_t read_all(struct source *s, size_t size)
{
    static char bytes[200 * 1024];
    struct tl_error err;
    size_t at = 0, n;

    for (;;) {
        int rc = source_read(s, bytes, size, -1, &n, &err);

        if (rc < 0)
            fail_msg("%s", err.text);
        if (rc == 0 && n == 0)
            return at;
        for (size_t i = 0; i < n; i++, at++)
            assert_int_equal(bytes[i], 'a' + at % 26);
    }
}

static void a_file(void **state)
{
    struct source *s;
    struct tl_error err;

    (void)state;
    write_file("w", 500000);
    s = open_path(path);
    assert_string_equal(source_name(s), path);
    assert_int_equal(source_size(s), 500000);
    assert_false(source_trickles(s));
    assert_int_equal(read_all(s, 7000), 500000);
    assert_int_equal(source_rewind(s, &err), 0);
    assert_int_equal(read_all(s, 200 * 1024), 500000);
    source_close(s);
    source_close(NULL);
}

static void fingerprints(void **state)
{
    struct source *s;
    char first[200];
    int fd;

    (void)state;
    /* Of all sizes, so that the samples overlap, touch, or lie apart. */
    for (size_t n = 0; n < 400000; n += 65536) {
        struct stat st;
        struct timespec times[2];

        write_file("w", n);
        assert_int_equal(stat(path, &st), 0);
        s = open_path(path);
        snprintf(first, sizeof first, "%s", source_fingerprint(s));
        source_close(s);
        assert_true(strlen(first) > 32);
        s = open_path(path);
        assert_string_equal(source_fingerprint(s), first);
        source_close(s);
        if (n == 0)
            continue;
        /* Another byte, with the size and the mtime that it had. */
        fd = open(path, O_WRONLY);
        assert_true(fd >= 0);
        assert_int_equal(pwrite(fd, "!", 1, (off_t)n - 1), 1);
        times[0] = st.st_atim;
        times[1] = st.st_mtim;
        assert_int_equal(futimens(fd, times), 0);
        close(fd);
        s = open_path(path);
        assert_string_not_equal(source_fingerprint(s), first);
        source_close(s);
    }
}

static void check_changed(size_t before, const char *mode, size_t written, const char *what)
{
    struct source *s;
    struct tl_error err;
    char expected[200], buf[1000];
    size_t n;
    int rc;

    write_file("w", before);
    s = open_path(path);
    assert_int_equal(source_read(s, buf, 100, -1, &n, &err), 0);
    assert_int_equal(n, 100);
    write_file(mode, written);
    do {
        rc = source_read(s, buf, sizeof buf, -1, &n, &err);
    } while (rc == 0 && n);
    assert_int_equal(rc, -1);
    assert_int_equal(err.code, TL_E_CORRUPT);
    snprintf(expected, sizeof expected, "%s changed while it was read (%s)", path, what);
    assert_string_equal(err.text, expected);
    source_close(s);
}

static void a_file_that_changes(void **state)
{
    struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    struct tl_error err;
    struct source *s;
    char buf[10];
    size_t n;

    (void)state;
    check_changed(1000, "a", 200, "it had 1000 bytes, now 1200");
    check_changed(1000, "w", 500, "it had 1000 bytes, now 500");
    check_changed(1000, "w", 0, "it had 1000 bytes, now 0");
    write_file("w", 0);
    s = open_path(path);
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
    assert_int_equal(source_read(s, buf, sizeof buf, -1, &n, &err), -1);
    assert_int_equal(err.code, TL_E_CORRUPT);
    source_close(s);
}

static void what_cannot_be_opened(void **state)
{
    struct tl_error err;
    char expected[200];

    (void)state;
    assert_null(source_open("/nonexistent/orders.csv", &err));
    assert_int_equal(err.code, TL_E_IO);
    assert_string_equal(err.text, "/nonexistent/orders.csv: No such file or directory");
    assert_null(source_open(dir, &err));
    assert_int_equal(err.code, TL_E_REFUSED);
    snprintf(expected, sizeof expected, "%s: is a directory", dir);
    assert_string_equal(err.text, expected);
}

static void no_permission(void **state)
{
    struct tl_error err;
    char expected[200];

    (void)state;
    if (geteuid() == 0) {
        print_message("root may read all files\n");
        skip();
    }
    write_file("w", 1);
    assert_int_equal(chmod(path, 0), 0);
    assert_null(source_open(path, &err));
    assert_int_equal(err.code, TL_E_IO);
    snprintf(expected, sizeof expected, "%s: Permission denied", path);
    assert_string_equal(err.text, expected);
}

/* A pipe whose other end is *to. */
static struct source *open_pipe(int *to)
{
    int fds[2];
    struct source *s;
    char name[32];

    assert_int_equal(pipe(fds), 0);
    snprintf(name, sizeof name, "/dev/fd/%d", fds[0]);
    s = open_path(name);
    close(fds[0]);
    *to = fds[1];
    return s;
}

static void a_pipe(void **state)
{
    struct tl_error err;
    struct source *s;
    char buf[10];
    size_t n;
    int to;

    (void)state;
    s = open_pipe(&to);
    assert_true(source_trickles(s));
    assert_int_equal(source_size(s), -1);
    assert_string_equal(source_fingerprint(s), "");
    assert_int_equal(source_read(s, buf, sizeof buf, 0, &n, &err), 1);
    assert_int_equal(n, 0);
    assert_int_equal(write(to, "abc", 3), 3);
    assert_int_equal(source_read(s, buf, sizeof buf, -1, &n, &err), 0);
    assert_int_equal(n, 3);
    assert_int_equal(write(to, "defg", 4), 4);
    assert_int_equal(source_rewind(s, &err), 0);
    /* What was kept comes first, then what is new; and all of that once more. */
    assert_int_equal(source_read(s, buf, 2, -1, &n, &err), 0);
    assert_int_equal(n, 2);
    assert_int_equal(source_rewind(s, &err), 0);
    close(to);
    assert_int_equal(read_all(s, 2), 7);
    assert_int_equal(source_rewind(s, &err), 0);
    assert_int_equal(read_all(s, 100), 7);
    source_close(s);
}

static void a_pipe_is_kept_up_to_a_limit(void **state)
{
    enum { STEP = 50000 };
    struct tl_error err;
    struct source *s;
    char *buf = calloc(1, STEP);
    size_t n;
    int to;

    (void)state;
    assert_non_null(buf);
    s = open_pipe(&to);
    for (size_t at = 0; at <= SOURCE_REWIND_MAX; at += STEP) {
        assert_int_equal(source_rewind(s, &err), 0);
        for (size_t back = 0; back < at; back += n)
            assert_int_equal(source_read(s, buf, STEP, -1, &n, &err), 0);
        assert_int_equal(write(to, buf, STEP), STEP);
        for (size_t got = 0; got < STEP; got += n)
            assert_int_equal(source_read(s, buf, STEP, -1, &n, &err), 0);
    }
    assert_int_equal(source_rewind(s, &err), -1);
    assert_int_equal(err.code, TL_E_TOO_LARGE);
    close(to);
    assert_int_equal(source_read(s, buf, STEP, -1, &n, &err), 0);
    assert_int_equal(n, 0);
    source_close(s);
    free(buf);
}

/* Standard input is a stream, also when a file stands behind it; but one that is cut short is noticed. */
static void standard_input_from_a_file(void **state)
{
    int saved = dup(STDIN_FILENO), fd;
    struct tl_error err;
    struct source *s;
    char buf[10];
    size_t n;

    (void)state;
    write_file("w", 26 * 10);
    fd = open(path, O_RDONLY);
    assert_true(fd >= 0 && dup2(fd, STDIN_FILENO) == STDIN_FILENO);
    assert_int_equal(lseek(STDIN_FILENO, 26, SEEK_SET), 26);
    s = open_path("-");
    assert_string_equal(source_name(s), "(stdin)");
    assert_true(source_trickles(s));
    assert_int_equal(source_size(s), 26 * 9);
    assert_string_equal(source_fingerprint(s), "");
    assert_int_equal(read_all(s, 100), 26 * 9);
    assert_int_equal(source_rewind(s, &err), 0);
    assert_int_equal(read_all(s, 100), 26 * 9);
    write_file("w", 30);
    assert_int_equal(source_read(s, buf, sizeof buf, -1, &n, &err), -1);
    assert_int_equal(err.code, TL_E_CORRUPT);
    source_close(s);
    close(fd);
    if (saved >= 0) {
        dup2(saved, STDIN_FILENO);
        close(saved);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file),
        cmocka_unit_test(fingerprints),
        cmocka_unit_test(a_file_that_changes),
        cmocka_unit_test(what_cannot_be_opened),
        cmocka_unit_test(no_permission),
        cmocka_unit_test(a_pipe),
        cmocka_unit_test(a_pipe_is_kept_up_to_a_limit),
        cmocka_unit_test(standard_input_from_a_file),
    };

    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
