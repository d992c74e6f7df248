/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/settings.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "shared/base/ini.h"
#include "shared/base/str.h"

enum { TOKEN_MAX = 8 << 10 };

static const struct setting {
    const char *key;
    const char *env;
    const char *option;
    const char *built_in;
    size_t offset;
} table[] = {
#define X(key, env, option, built_in) {#key, env, option, built_in, offsetof(struct settings, key)},
#include "cli/settings.def"
#undef X
};

static char **slot(struct settings *s, const struct setting *which)
{
    return (char **)((char *)s + which->offset);
}

static int set(struct settings *s, const struct setting *which, const char *value, struct tl_error *err)
{
    char *copy = strdup(value);

    if (!copy)
        return tl_fail_nomem(err);
    free(*slot(s, which));
    *slot(s, which) = copy;
    return 0;
}

static int unknown_key(const char *key, struct tl_error *err)
{
    const char *suggestion = NULL;
    unsigned best = 3; /* more edits than that is another word */

    for (size_t i = 0; i < TL_ARRAY_LEN(table); i++) {
        unsigned distance = tl_str_distance(tl_str(key), tl_str(table[i].key));

        if (distance < best) {
            best = distance;
            suggestion = table[i].key;
        }
    }
    if (suggestion)
        return tl_fail(err, TL_E_REFUSED, "unknown key '%s'; did you mean '%s'?", key, suggestion);
    return tl_fail(err, TL_E_REFUSED, "unknown key '%s'", key);
}

static int take_key(void *app, const char *section, const char *key, const char *value, struct tl_error *err)
{
    if (strcmp(section, "tload") != 0)
        return tl_fail(err, TL_E_REFUSED, "unknown section '[%s]'; all keys of this file are in [tload]",
                       section);
    for (size_t i = 0; i < TL_ARRAY_LEN(table); i++)
        if (strcmp(table[i].key, key) == 0)
            return set(app, &table[i], value, err);
    return unknown_key(key, err);
}

static int read_file(struct settings *s, const char *path, struct tl_error *err)
{
    if (tl_ini_read(path, take_key, s, err) == 0)
        return 0;
    return err->code == TL_E_NOT_FOUND ? 0 : -1;
}

static int read_user_file(struct settings *s, struct tl_error *err)
{
    const char *config = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");
    char *path = NULL;
    int n, rc;

    /* The base directory specification: a relative path is to be passed over. */
    if (config && config[0] == '/')
        n = asprintf(&path, "%s/tload/config", config);
    else if (home && home[0] == '/')
        n = asprintf(&path, "%s/.config/tload/config", home);
    else
        return 0;
    if (n < 0)
        return tl_fail_nomem(err);
    rc = read_file(s, path, err);
    free(path);
    return rc;
}

/* The option's argument when the command, or the global table, has such an option and it was given. */
static const char *given(const struct args *args, const char *name)
{
    for (size_t i = 0; i < args->n; i++)
        if (strcmp(args->given[i].option->name, name) == 0)
            return args->given[i].text;
    return NULL;
}

int settings_load(struct settings *s, const struct args *args, const char *system_file, struct tl_error *err)
{
    *s = (struct settings){0};
    for (size_t i = 0; i < TL_ARRAY_LEN(table); i++)
        if (set(s, &table[i], table[i].built_in, err))
            return -1;
    if (read_file(s, system_file, err) || read_user_file(s, err))
        return -1;
    for (size_t i = 0; i < TL_ARRAY_LEN(table); i++) {
        const char *env = getenv(table[i].env);
        const char *option = given(args, table[i].option);
        const char *value = option ? option : env && *env ? env : NULL;

        if (value && set(s, &table[i], value, err))
            return -1;
    }
    return 0;
}

void settings_release(struct settings *s)
{
    for (size_t i = 0; i < TL_ARRAY_LEN(table); i++) {
        free(*slot(s, &table[i]));
        *slot(s, &table[i]) = NULL;
    }
}

/*
 * A file that everybody can read is no secret. Its group may: that is how a service shares one; and what is no file
 * (a pipe of the shell) is only ours.
 */
static int check_private(FILE *f, const char *path, struct tl_error *err)
{
    struct stat st;

    if (fstat(fileno(f), &st) < 0)
        return tl_fail_errno(err, errno, "the token file %s", path);
    if (S_ISREG(st.st_mode) && (st.st_mode & S_IRWXO))
        return tl_fail(
            err, TL_E_REFUSED,
            "everybody on this machine can use the token file %s (its mode is %04o): 'chmod o= %s', and "
            "revoke the token if that was so for long",
            path, (unsigned)(st.st_mode & 07777), path);
    return 0;
}

int settings_token(const struct settings *s, char **token, struct tl_error *err)
{
    char line[TOKEN_MAX];
    struct tl_str text;
    FILE *f;

    *token = NULL;
    if (!*s->token_file)
        return 0;
    f = fopen(s->token_file, "re");
    if (!f)
        return tl_fail_errno(err, errno, "the token file %s", s->token_file);
    if (check_private(f, s->token_file, err)) {
        fclose(f);
        return -1;
    }
    if (!fgets(line, sizeof line, f))
        line[0] = '\0';
    if (ferror(f)) {
        tl_fail_errno(err, errno, "the token file %s", s->token_file);
        fclose(f);
        return -1;
    }
    fclose(f);
    text = tl_str_trim(tl_str(line));
    if (text.len == 0)
        return tl_fail(err, TL_E_USAGE, "the token file %s has no token in its first line", s->token_file);
    *token = strndup(text.ptr, text.len);
    return *token ? 0 : tl_fail_nomem(err);
}
