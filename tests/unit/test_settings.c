/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where settings come from, in which order, and what is refused in their files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/settings.h"

/* A home with a user's file in it, and a machine's file beside. */
struct home {
    char dir[64];
    char config[96];
    char user[128];
    char system[96];
};

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

static int set_up(void **state)
{
    static struct home h;

    snprintf(h.dir, sizeof h.dir, "/tmp/tload-settings-XXXXXX");
    if (!mkdtemp(h.dir))
        return -1;
    snprintf(h.config, sizeof h.config, "%s/tload", h.dir);
    snprintf(h.user, sizeof h.user, "%s/config", h.config);
    snprintf(h.system, sizeof h.system, "%s/system", h.dir);
    unsetenv("TLOAD_COORDINATOR");
    unsetenv("TLOAD_TENANT");
    unsetenv("TLOAD_TOKEN_FILE");
    unsetenv("TLOAD_COMPRESSION");
    *state = &h;
    return mkdir(h.config, 0700) || setenv("XDG_CONFIG_HOME", h.dir, 1);
}

static int tear_down(void **state)
{
    struct home *h = *state;

    unlink(h->user);
    unlink(h->system);
    rmdir(h->config);
    return rmdir(h->dir);
}

static void load(const struct home *h, struct settings *s, const char *tenant)
{
    char *argv[] = {(char *)"tload", (char *)"tables", (char *)"--tenant", (char *)tenant, NULL};
    struct tl_error err = {0};
    struct args args;

    if (args_parse(&args, tenant ? 4 : 2, argv, &err) || settings_load(s, &args, h->system, &err))
        fail_msg("%s", err.text);
    args_release(&args);
}

static void load_fails(const struct home *h, const char *path, const char *text)
{
    char *argv[] = {(char *)"tload", (char *)"tables", NULL};
    struct tl_error err = {0};
    struct settings s;
    struct args args;
    char expected[300];

    assert_int_equal(args_parse(&args, 2, argv, &err), 0);
    assert_int_equal(settings_load(&s, &args, h->system, &err), -1);
    snprintf(expected, sizeof expected, "%s%s", path, text);
    assert_string_equal(err.text, expected);
    assert_int_equal(err.code, TL_E_REFUSED);
    settings_release(&s);
    args_release(&args);
}

static void test_precedence(void **state)
{
    struct home *h = *state;
    struct settings s;

    load(h, &s, NULL);
    assert_string_equal(s.coordinator, "unix:/run/tload/coordinatord.sock");
    assert_string_equal(s.tenant, "default");
    assert_string_equal(s.token_file, "");
    settings_release(&s);

    write_file(h->system, "[tload]\ntenant = machine\ncoordinator = http://machine:1\n");
    load(h, &s, NULL);
    assert_string_equal(s.tenant, "machine");
    settings_release(&s);

    write_file(h->user, "# mine\n[tload]\n  tenant = user ; and so on\n  compression = zstd\n");
    load(h, &s, NULL);
    assert_string_equal(s.tenant, "user");
    assert_string_equal(s.compression, "zstd");
    assert_string_equal(s.coordinator, "http://machine:1");
    settings_release(&s);

    setenv("TLOAD_TENANT", "", 1);
    load(h, &s, NULL);
    assert_string_equal(s.tenant, "user");
    settings_release(&s);
    setenv("TLOAD_TENANT", "environment", 1);
    load(h, &s, NULL);
    assert_string_equal(s.tenant, "environment");
    settings_release(&s);

    load(h, &s, "option");
    assert_string_equal(s.tenant, "option");
    settings_release(&s);
}

static void test_files_are_checked(void **state)
{
    struct home *h = *state;

    write_file(h->user, "[tload]\n\ntenannt = x\n");
    load_fails(h, h->user, ":3: unknown key 'tenannt'; did you mean 'tenant'?");
    write_file(h->user, "[tload]\npartitions = 4\n");
    load_fails(h, h->user, ":2: unknown key 'partitions'");
    write_file(h->user, "[kafka]\ntenant = x\n");
    load_fails(h, h->user, ":2: unknown section '[kafka]'; all keys of this file are in [tload]");
    write_file(h->user, "[tload]\ntenant\n");
    load_fails(h, h->user, ":2: neither a [section] nor a key = value");
    unlink(h->user);
    write_file(h->system, "tenant = x\n");
    load_fails(h, h->system, ":1: unknown section '[]'; all keys of this file are in [tload]");
}

static void test_token(void **state)
{
    struct home *h = *state;
    static const mode_t open_to_all[] = {0644, 0604, 0602, 0666};
    struct settings s = {.token_file = (char *)""};
    struct tl_error err = {0};
    char *token;

    assert_int_equal(settings_token(&s, &token, &err), 0);
    assert_null(token);
    s.token_file = h->user;
    write_file(h->user, "secret \nmore\n");
    for (size_t i = 0; i < TL_ARRAY_LEN(open_to_all); i++) {
        assert_int_equal(chmod(h->user, open_to_all[i]), 0);
        assert_int_equal(settings_token(&s, &token, &err), -1);
        assert_non_null(strstr(err.text, "everybody on this machine"));
    }
    assert_int_equal(chmod(h->user, 0640), 0);
    assert_int_equal(settings_token(&s, &token, &err), 0);
    assert_string_equal(token, "secret");
    free(token);
    write_file(h->user, "\nsecret\n");
    assert_int_equal(settings_token(&s, &token, &err), -1);
    assert_non_null(strstr(err.text, "no token in its first line"));
    unlink(h->user);
    assert_int_equal(settings_token(&s, &token, &err), -1);
    assert_non_null(strstr(err.text, "No such file"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_precedence, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_are_checked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_token, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
