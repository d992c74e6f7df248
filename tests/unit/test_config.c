/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinatord/config.h"

static char path[] = "/tmp/tload-test-config-XXXXXX";

static int make_file(void **state)
{
    int fd = mkstemp(path);

    (void)state;
    close(fd);
    return fd < 0;
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static void write_file(const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_not_equal(fputs(text, f), EOF);
    assert_int_equal(fclose(f), 0);
}

static void assert_refused(const char *text, const char *expected)
{
    struct config c;
    struct tl_error err = {0};

    write_file(text);
    assert_int_equal(config_load(&c, path, false, NULL, NULL, &err), -1);
    assert_int_equal(tl_error_exit_code(err.code), 2);
    if (!strstr(err.text, expected))
        fail_msg("\"%s\" is not in \"%s\"", expected, err.text);
}

static void load(struct config *c, const char *text)
{
    struct tl_error err;

    write_file(text);
    if (config_load(c, path, false, NULL, NULL, &err) < 0)
        fail_msg("%s", err.text);
}

static void test_builtin_values(void **state)
{
    struct config c;

    (void)state;
    load(&c, "");
    assert_string_equal(c.state, "/var/lib/tload");
    assert_string_equal(c.socket, "/run/tload/coordinatord.sock");
    assert_string_equal(c.sink_url, "sqlite:/var/lib/tload/data");
    assert_string_equal(c.errors_url, "file:/var/lib/tload/errors");
    assert_string_equal(tl_kafka_conf_get(&c.kafka, "bootstrap.servers"), "127.0.0.1:9092");
    assert_int_equal(c.partitions, 4);
    assert_int_equal(c.max_partitions, 1000);
    assert_int_equal(c.roles, ROLE_ALL);
    assert_int_equal(c.log_level, TL_LOG_INFO);
    assert_int_equal(c.sink_connections, 0);
    config_release(&c);
}

static void test_file(void **state)
{
    struct config c;

    (void)state;
    load(&c, "; a comment\n[coordinator]\n  state = /srv/tload ; elsewhere\nlisten =\n"
             "[kafka]\nbootstrap = a:1,b:2\n  partitions = 8\nsasl.username = me\n[sink]\nurl = sqlite:/d\n"
             "commit_ms = 0\n");
    assert_string_equal(c.state, "/srv/tload");
    assert_string_equal(c.listen, "");
    assert_string_equal(c.sink_url, "sqlite:/d");
    assert_int_equal(c.sink_commit_ms, 0);
    assert_string_equal(c.errors_url, "file:/srv/tload/errors");
    assert_int_equal(c.partitions, 8);
    assert_string_equal(tl_kafka_conf_get(&c.kafka, "bootstrap.servers"), "a:1,b:2");
    assert_string_equal(tl_kafka_conf_get(&c.kafka, "sasl.username"), "me");
    config_release(&c);
}

static void test_environment_is_stronger(void **state)
{
    struct config c;

    (void)state;
    setenv("TLOAD_COORDINATOR", "unix:/the/client's", 1);
    setenv("TLOAD_COORDINATOR_STATE", "/env", 1);
    setenv("TLOAD_KAFKA_BOOTSTRAP", "env:9", 1);
    setenv("TLOAD_KAFKA_SECURITY_PROTOCOL", "SSL", 1);
    setenv("TLOAD_OTHER_THING", "x", 1);
    load(&c, "[coordinator]\nstate = /file\n");
    assert_string_equal(c.state, "/env");
    assert_string_equal(c.sink_url, "sqlite:/env/data");
    assert_string_equal(tl_kafka_conf_get(&c.kafka, "bootstrap.servers"), "env:9");
    assert_string_equal(tl_kafka_conf_get(&c.kafka, "security.protocol"), "SSL");
    config_release(&c);
    setenv("TLOAD_COORDINATOR_SOKET", "/x", 1);
    assert_refused("", "TLOAD_COORDINATOR_SOKET");
    assert_refused("", "did you mean \"socket\"");
    unsetenv("TLOAD_COORDINATOR");
    unsetenv("TLOAD_COORDINATOR_STATE");
    unsetenv("TLOAD_COORDINATOR_SOKET");
    unsetenv("TLOAD_KAFKA_BOOTSTRAP");
    unsetenv("TLOAD_KAFKA_SECURITY_PROTOCOL");
    unsetenv("TLOAD_OTHER_THING");
}

static void test_refusals(void **state)
{
    char where[PATH_MAX];

    (void)state;
    snprintf(where, sizeof where, "%s:3: ", path);
    assert_refused("[coordinator]\n\nstat = /x\n", where);
    assert_refused("[coordinator]\nstat = /x\n", "did you mean \"state\"");
    assert_refused("[cordinator]\nstate = /x\n", "did you mean [coordinator]");
    assert_refused("state = /x\n", "before the first [section]");
    assert_refused("[kafka]\npartitions = 0\n", "not a number from 1");
    assert_refused("[coordinator]\nlog_level = loud\n", "none of error, warn, info, debug");
    assert_refused("[coordinator]\nnonsense\n", ":2: ");
}

static void test_missing_file(void **state)
{
    struct config c;
    struct tl_error err;

    (void)state;
    assert_int_equal(config_load(&c, "/nowhere/at/all", false, NULL, NULL, &err), -1);
}

static void test_dev(void **state)
{
    struct config c;
    struct tl_error err;
    char cwd[PATH_MAX], want[PATH_MAX + 64];

    (void)state;
    assert_non_null(getcwd(cwd, sizeof cwd));
    assert_int_equal(config_load(&c, NULL, true, "control, sink", NULL, &err), 0);
    snprintf(want, sizeof want, "%s/.tload", cwd);
    assert_string_equal(c.state, want);
    snprintf(want, sizeof want, "%s/.tload/coordinatord.sock", cwd);
    assert_string_equal(c.socket, want);
    snprintf(want, sizeof want, "sqlite:%s/.tload/data", cwd);
    assert_string_equal(c.sink_url, want);
    assert_int_equal(c.roles, ROLE_CONTROL | ROLE_SINK);
    config_release(&c);
    assert_int_equal(config_load(&c, NULL, true, "control,tester", NULL, &err), -1);
    assert_int_equal(err.code, TL_E_USAGE);
}

static void check(const char *text, const char *expected)
{
    struct config c;
    struct tl_error err = {0};
    int rc;

    load(&c, text);
    rc = config_check(&c, &err);
    if (!expected && rc < 0)
        fail_msg("refused: %s", err.text);
    if (expected && rc == 0)
        fail_msg("not refused: %s", text);
    if (expected && !strstr(err.text, expected))
        fail_msg("\"%s\" is not in \"%s\"", expected, err.text);
    config_release(&c);
}

static void test_check(void **state)
{
    (void)state;
    check("", NULL);
    check("[coordinator]\nlisten = [::1]:0\n", NULL);
    check("[coordinator]\nlisten = here\n", "ADDRESS:PORT");
    check("[coordinator]\nlisten = 1.2.3.4:70000\n", "ADDRESS:PORT");
    check("[coordinator]\nstate = data\n", "absolute");
    check("[coordinator]\ncontrol = ftp://x\n", "control");
    check("[kafka]\ncompression = rar\n", "compression");
    check("[kafka]\nno.such.property = 1\n", "no.such.property");
    check("[kafka]\npartitions = 400\n", "max_partitions");
    check("[sink]\nurl = carrier-pigeon:/x\n", "[sink] url");
    check("[errors]\nurl = nowhere\n", "[errors] url");
}

static void test_difference(void **state)
{
    struct config a, b;

    (void)state;
    load(&a, "[coordinator]\nlog_level = debug\n");
    load(&b, "");
    assert_null(config_difference(&a, &b));
    config_release(&b);
    load(&b, "[sink]\ncommit_ms = 5\n");
    assert_string_equal(config_difference(&a, &b), "[sink] commit_ms");
    config_release(&b);
    load(&b, "[kafka]\nbootstrap = x:1\n");
    assert_string_equal(config_difference(&a, &b), "[kafka]");
    config_release(&b);
    config_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_builtin_values),
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_environment_is_stronger),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_missing_file),
        cmocka_unit_test(test_dev),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_difference),
    };

    return cmocka_run_group_tests(tests, make_file, remove_file);
}
