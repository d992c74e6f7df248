/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A fuzz target as a unit test, without a fuzzer: it is given every file of tests/fuzz/regression/<target>/, each once
 * a crasher, and some thousand inputs that are made of the same bytes on every run.
 */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { INPUTS = 4000, INPUT_MAX = 400, FILE_MAX = 1 << 20 };

static void replay_file(const char *path)
{
    FILE *f = fopen(path, "re");
    uint8_t *data = malloc(FILE_MAX);
    size_t size;

    assert_non_null(f);
    assert_non_null(data);
    size = fread(data, 1, FILE_MAX, f);
    assert_false(ferror(f));
    fclose(f);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
}

static void regressions(void **state)
{
    char path[1024];
    DIR *dir;

    (void)state;
    snprintf(path, sizeof path, "tests/fuzz/regression/%s", program_invocation_short_name);
    dir = opendir(path);
    if (!dir) {
        assert_int_equal(errno, ENOENT); /* nothing was ever found */
        return;
    }
    for (struct dirent *e; (e = readdir(dir));) {
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "tests/fuzz/regression/%s/%s", program_invocation_short_name, e->d_name);
        replay_file(path);
    }
    closedir(dir);
}

/* Bytes that mean something in one of the formats come far more often than others. */
static uint8_t next_byte(uint64_t *random)
{
    static const char common[] = ",,,\"\"\"\n\n\r\t\\;'N0123456789-+.:eE{}[]ab \xc3\xa9";

    *random = *random * 6364136223846793005u + 1442695040888963407u;
    if ((*random >> 60) == 0)
        return (uint8_t)(*random >> 40);
    return (uint8_t)common[(*random >> 33) % (sizeof common - 1)];
}

static void made_inputs(void **state)
{
    uint64_t random = 1;

    (void)state;
    for (int i = 0; i < INPUTS; i++) {
        size_t size = (size_t)(i % INPUT_MAX);
        uint8_t *data = malloc(size ? size
                                    : 1); /* of exactly this size: a sanitizer sees every step too far */

        assert_non_null(data);
        for (size_t k = 0; k < size; k++)
            data[k] = next_byte(&random);
        LLVMFuzzerTestOneInput(data, size);
        free(data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(regressions), cmocka_unit_test(made_inputs)};

    return cmocka_run_group_tests_name("fuzz", tests, NULL, NULL);
}
