/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where a value comes from: the table of keys below gives the built-in one, the INI file overrides it,
 * TLOAD_SECTION_KEY in the environment overrides both. What hangs on another value (the sink's place on the
 * state directory) is filled in last.
 */
#include "coordinatord/config.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "coordinatord/errors/errstore.h"
#include "coordinatord/sinks/sink.h"
#include "shared/base/ini.h"
#include "shared/wire/topic.h"

#define DEFAULT_PATH "/etc/tload/coordinatord.conf"

extern char **environ;

enum key_kind { KEY_TEXT, KEY_INT, KEY_LEVEL };

struct key {
    const char *title; /* "[section] name" */
    const char *section;
    const char *name;
    enum key_kind kind;
    size_t offset; /* in struct config */
    int min, max;
    const char *value;     /* built-in; NULL: worked out from others */
    const char *dev_value; /* with --dev, NULL: the same; '~' at its start stands for the directory .tload */
};

#define KEY(section, name) "[" section "] " name, section, name
#define AT(member)         offsetof(struct config, member)

static const struct key keys[] = {
    {KEY("coordinator", "state"), KEY_TEXT, AT(state), 0, 0, "/var/lib/tload", "~"},
    {KEY("coordinator", "socket"), KEY_TEXT, AT(socket), 0, 0, "/run/tload/coordinatord.sock",
     "~/coordinatord.sock"},
    {KEY("coordinator", "listen"), KEY_TEXT, AT(listen), 0, 0, "127.0.0.1:8470", NULL},
    {KEY("coordinator", "log"), KEY_TEXT, AT(log_file), 0, 0, "", "~/coordinatord.log"},
    {KEY("coordinator", "log_level"), KEY_LEVEL, AT(log_level), 0, 0, "info", NULL},
    {KEY("coordinator", "control"), KEY_TEXT, AT(control), 0, 0, "", NULL},
    {KEY("coordinator", "clusters"), KEY_TEXT, AT(clusters), 0, 0, "", NULL},
    {KEY("coordinator", "token_file"), KEY_TEXT, AT(token_file), 0, 0, "", NULL},
    {KEY("kafka", "partitions"), KEY_INT, AT(partitions), 1, 10000, "4", NULL},
    {KEY("kafka", "max_partitions"), KEY_INT, AT(max_partitions), 1, 1000000, "1000", NULL},
    {KEY("kafka", "group_partitions"), KEY_INT, AT(group_partitions), 1, 1000000, "512", NULL},
    {KEY("kafka", "replication"), KEY_INT, AT(replication), -1, 100, "0", NULL},
    {KEY("kafka", "min_insync_replicas"), KEY_INT, AT(min_insync_replicas), -1, 100, "0", NULL},
    {KEY("kafka", "trim_seconds"), KEY_INT, AT(trim_seconds), 1, 86400, "30", NULL},
    {KEY("kafka", "trim_records"), KEY_INT, AT(trim_records), 1, 1000000000, "100", NULL},
    {KEY("kafka", "compression"), KEY_TEXT, AT(compression), 0, 0, "lz4", NULL},
    {KEY("sink", "url"), KEY_TEXT, AT(sink_url), 0, 0, NULL, NULL},
    {KEY("sink", "connections"), KEY_INT, AT(sink_connections), 0, 64, "0", NULL},
    {KEY("sink", "commit_rows"), KEY_INT, AT(sink_commit_rows), 1, 10000000, "100000", NULL},
    {KEY("sink", "commit_bytes"), KEY_INT, AT(sink_commit_bytes), 1, 1 << 30, "16777216", NULL},
    {KEY("sink", "commit_ms"), KEY_INT, AT(sink_commit_ms), 0, 60000, "200", NULL},
    {KEY("errors", "url"), KEY_TEXT, AT(errors_url), 0, 0, NULL, NULL},
    {KEY("validate", "threads"), KEY_INT, AT(validate_threads), 1, 64, "2", NULL},
};

static const struct {
    const char *name;
    enum role role;
} role_names[] = {
    {"control", ROLE_CONTROL}, {"validate", ROLE_VALIDATE}, {"sink", ROLE_SINK}, {"errors", ROLE_ERRORS}};

static const struct key *find_key(const char *section, const char *name)
{
    for (size_t i = 0; i < TL_ARRAY_LEN(keys); i++)
        if (strcmp(keys[i].section, section) == 0 && strcmp(keys[i].name, name) == 0)
            return &keys[i];
    return NULL;
}

static bool section_known(const char *section)
{
    for (size_t i = 0; i < TL_ARRAY_LEN(keys); i++)
        if (strcmp(keys[i].section, section) == 0)
            return true;
    return false;
}

/* The nearest section (section NULL) or the nearest key of a section, NULL when nothing is near. */
static const char *nearest(const char *section, const char *name)
{
    const char *best = NULL;
    unsigned best_distance = (unsigned)strlen(name) / 3 + 1;

    for (size_t i = 0; i < TL_ARRAY_LEN(keys); i++) {
        const char *candidate = section ? keys[i].name : keys[i].section;
        unsigned d;

        if (section && strcmp(keys[i].section, section) != 0)
            continue;
        d = tl_str_distance(tl_str(name), tl_str(candidate));
        if (d <= best_distance) {
            best_distance = d;
            best = candidate;
        }
    }
    return best;
}

static void *member(struct config *c, const struct key *k)
{
    return (char *)c + k->offset;
}

static int set_text(char **slot, const char *value, struct tl_error *err)
{
    char *copy = strdup(value);

    if (!copy)
        return tl_fail_nomem(err);
    free(*slot);
    *slot = copy;
    return 0;
}

static int set_key(struct config *c, const struct key *k, const char *value, struct tl_error *err)
{
    int64_t number;

    switch (k->kind) {
    case KEY_TEXT:
        return set_text(member(c, k), value, err);
    case KEY_INT:
        if (!tl_str_to_i64(tl_str(value), k->min, k->max, &number))
            return tl_fail(err, TL_E_USAGE, "[%s] %s: \"%s\" is not a number from %d to %d", k->section,
                           k->name, value, k->min, k->max);
        *(int *)member(c, k) = (int)number;
        return 0;
    case KEY_LEVEL:
        if (!tl_log_parse_level(value, member(c, k)))
            return tl_fail(err, TL_E_USAGE, "[%s] %s: \"%s\" is none of error, warn, info, debug", k->section,
                           k->name, value);
        return 0;
    }
    return tl_fail(err, TL_E_FATAL, "[%s] %s: unknown kind of key", k->section, k->name);
}

static int set(struct config *c, const char *section, const char *name, const char *value,
               struct tl_error *err)
{
    const struct key *k = find_key(section, name);
    const char *near;

    if (k)
        return set_key(c, k, value, err);
    if (strcmp(section, "kafka") == 0)
        return tl_kafka_conf_set(&c->kafka, strcmp(name, "bootstrap") == 0 ? "bootstrap.servers" : name,
                                 value, err);
    if (!section_known(section)) {
        near = nearest(NULL, section);
        if (!*section)
            return tl_fail(err, TL_E_USAGE, "\"%s\" stands before the first [section]", name);
        return tl_fail(err, TL_E_USAGE, "unknown section [%s]%s%s%s", section, near ? "; did you mean [" : "",
                       near ? near : "", near ? "]?" : "");
    }
    near = nearest(section, name);
    return tl_fail(err, TL_E_USAGE, "unknown key \"%s\" in [%s]%s%s%s", name, section,
                   near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* --- the file --- */

static int take_key(void *app, const char *section, const char *name, const char *value, struct tl_error *err)
{
    return set(app, section, name, value, err);
}

static int load_file(struct config *c, const char *path, bool must_exist, struct tl_error *err)
{
    if (tl_ini_read(path, take_key, c, err) == 0 || (err->code == TL_E_NOT_FOUND && !must_exist))
        return 0;
    return -1;
}

/* --- the environment --- */

/* "KAFKA_SASL_USERNAME" behind "TLOAD_": section "kafka", name "sasl_username". */
static bool split_variable(const char *name, size_t len, char section[16], char key[128])
{
    const char *underscore = memchr(name, '_', len);
    size_t n = underscore ? (size_t)(underscore - name) : 0;

    if (!underscore || n >= 16 || len - n - 1 >= 128 || len == n + 1)
        return false;
    for (size_t i = 0; i < n; i++)
        section[i] = (char)tolower((unsigned char)name[i]);
    section[n] = '\0';
    for (size_t i = n + 1; i < len; i++)
        key[i - n - 1] = (char)tolower((unsigned char)name[i]);
    key[len - n - 1] = '\0';
    return section_known(section);
}

static int load_environment(struct config *c, struct tl_error *err)
{
    for (char **e = environ; e && *e; e++) {
        const char *equals = strchr(*e, '=');
        char section[16], key[128];

        if (strncmp(*e, "TLOAD_", 6) != 0 || !equals ||
            !split_variable(*e + 6, (size_t)(equals - *e) - 6, section, key))
            continue;
        /*
         * A shell takes no dots in a name: what is not a key of ours is one of librdkafka's, whose names have
         * dots.
         */
        if (strcmp(section, "kafka") == 0 && !find_key(section, key))
            for (char *p = key; *p; p++)
                if (*p == '_')
                    *p = '.';
        if (set(c, section, key, equals + 1, err) < 0)
            return tl_error_prefix(err, "environment %.*s", (int)(equals - *e), *e);
    }
    return 0;
}

/* --- all together --- */

static int parse_roles(const char *list, unsigned *roles, struct tl_error *err)
{
    struct tl_str rest = tl_str(list);

    *roles = 0;
    if (!list) {
        *roles = ROLE_ALL;
        return 0;
    }
    while (rest.ptr) {
        struct tl_str name = tl_str_trim(tl_str_cut(&rest, ','));
        unsigned role = 0;

        for (size_t i = 0; i < TL_ARRAY_LEN(role_names); i++)
            if (tl_str_eq_z(name, role_names[i].name))
                role = role_names[i].role;
        if (!role)
            return tl_fail(err, TL_E_USAGE, "--roles: \"%.*s\" is none of control, validate, sink, errors",
                           TL_STR_ARG(name));
        *roles |= role;
    }
    return 0;
}

static int set_builtin(struct config *c, const char *dev_dir, struct tl_error *err)
{
    char value[PATH_MAX + 64];

    for (size_t i = 0; i < TL_ARRAY_LEN(keys); i++) {
        const struct key *k = &keys[i];

        if (dev_dir && k->dev_value) {
            snprintf(value, sizeof value, "%s%s", dev_dir, k->dev_value + 1);
            if (set_key(c, k, value, err) < 0)
                return -1;
        } else if (k->value && set_key(c, k, k->value, err) < 0) {
            return -1;
        }
    }
    return tl_kafka_conf_set(&c->kafka, "bootstrap.servers", "127.0.0.1:9092", err);
}

static int set_derived(struct config *c, struct tl_error *err)
{
    char url[PATH_MAX + 64];

    if (!c->sink_url) {
        snprintf(url, sizeof url, "sqlite:%s/data", c->state);
        if (set_text(&c->sink_url, url, err) < 0)
            return -1;
    }
    if (!c->errors_url) {
        snprintf(url, sizeof url, "file:%s/errors", c->state);
        if (set_text(&c->errors_url, url, err) < 0)
            return -1;
    }
    return 0;
}

static int fill(struct config *c, const char *path, struct tl_error *err)
{
    char cwd[PATH_MAX], dir[PATH_MAX + 16];

    if (c->dev) {
        if (!getcwd(cwd, sizeof cwd))
            return tl_fail_errno(err, errno, "the current directory");
        snprintf(dir, sizeof dir, "%s/.tload", strcmp(cwd, "/") == 0 ? "" : cwd);
    }
    if (set_builtin(c, c->dev ? dir : NULL, err) < 0)
        return -1;
    if ((path || !c->dev) && load_file(c, path ? path : DEFAULT_PATH, path != NULL, err) < 0)
        return -1;
    if (load_environment(c, err) < 0)
        return -1;
    return set_derived(c, err);
}

int config_load(struct config *c, const char *path, bool dev, const char *roles, const char *clusters,
                struct tl_error *err)
{
    memset(c, 0, sizeof *c);
    tl_kafka_conf_init(&c->kafka);
    c->dev = dev;
    if (parse_roles(roles, &c->roles, err) == 0 && fill(c, path, err) == 0 &&
        (!clusters || set_text(&c->clusters, clusters, err) == 0))
        return 0;
    config_release(c);
    return -1;
}

void config_release(struct config *c)
{
    for (size_t i = 0; i < TL_ARRAY_LEN(keys); i++) {
        if (keys[i].kind == KEY_TEXT) {
            char **slot = member(c, &keys[i]);

            free(*slot);
            *slot = NULL;
        }
    }
    tl_kafka_conf_release(&c->kafka);
}

const char *config_difference(const struct config *a, const struct config *b)
{
    for (size_t i = 0; i < TL_ARRAY_LEN(keys); i++) {
        const void *x = (const char *)a + keys[i].offset, *y = (const char *)b + keys[i].offset;

        if (keys[i].kind == KEY_TEXT && keys[i].offset != AT(log_file) &&
            strcmp(*(char *const *)x, *(char *const *)y) != 0)
            return keys[i].title;
        if (keys[i].kind == KEY_INT && *(const int *)x != *(const int *)y)
            return keys[i].title;
    }
    return tl_kafka_conf_equal(&a->kafka, &b->kafka) ? NULL : "[kafka]";
}

/* --- what can be told without touching anything --- */

static int check_path(const char *what, const char *path, struct tl_error *err)
{
    if (path[0] != '/')
        return tl_fail(err, TL_E_USAGE, "[coordinator] %s: \"%s\" is not an absolute path", what, path);
    return 0;
}

static int check_listen(const char *listen, struct tl_error *err)
{
    const char *colon = strrchr(listen, ':');
    int64_t port;

    if (!*listen)
        return 0;
    if (!colon || colon == listen || !tl_str_to_i64(tl_str(colon + 1), 0, 65535, &port))
        return tl_fail(err, TL_E_USAGE, "[coordinator] listen: \"%s\" is not ADDRESS:PORT", listen);
    return 0;
}

static int check_control(const struct config *c, struct tl_error *err)
{
    const char *url = c->control;

    if (!*url || strncmp(url, "unix:/", 6) == 0 || strncmp(url, "http://", 7) == 0 ||
        strncmp(url, "https://", 8) == 0)
        return 0;
    return tl_fail(err, TL_E_USAGE,
                   "[coordinator] control: \"%s\" is none of unix:/PATH, http://HOST:PORT, https://HOST:PORT",
                   url);
}

static int check_clusters(const struct config *c, struct tl_error *err)
{
    struct tl_str rest = tl_str(c->clusters);

    if (!*c->clusters)
        return 0;
    if (c->roles & ROLE_CONTROL)
        return tl_fail(err, TL_E_USAGE,
                       "[coordinator] clusters: the control role serves all of them; this is for processes "
                       "without it (--roles)");
    while (rest.ptr) {
        struct tl_str name = tl_str_trim(tl_str_cut(&rest, ','));

        if (!tl_tenant_valid(name))
            return tl_fail(err, TL_E_USAGE, "[coordinator] clusters: \"%.*s\" can't be the name of a cluster",
                           TL_STR_ARG(name));
    }
    return 0;
}

bool config_serves(const struct config *c, const char *cluster)
{
    struct tl_str rest = tl_str(c->clusters);

    if (!*c->clusters)
        return true;
    while (rest.ptr)
        if (tl_str_eq_z(tl_str_trim(tl_str_cut(&rest, ',')), cluster))
            return true;
    return false;
}

static int check_compression(const char *name, struct tl_error *err)
{
    static const char *const known[] = {"none", "lz4", "zstd"};

    for (size_t i = 0; i < TL_ARRAY_LEN(known); i++)
        if (strcmp(name, known[i]) == 0)
            return 0;
    return tl_fail(err, TL_E_USAGE, "[kafka] compression: \"%s\" is none of none, lz4, zstd", name);
}

int config_check(const struct config *c, struct tl_error *err)
{
    const struct sink_ops *sink;
    const struct errstore_ops *errors;

    if (check_path("state", c->state, err) < 0 || check_path("socket", c->socket, err) < 0)
        return -1;
    if ((*c->log_file && check_path("log", c->log_file, err) < 0) ||
        (*c->token_file && check_path("token_file", c->token_file, err) < 0))
        return -1;
    if (strlen(c->socket) > CONFIG_SOCKET_MAX)
        return tl_fail(err, TL_E_USAGE,
                       "[coordinator] socket: \"%s\" is longer than the %d bytes that its path may have",
                       c->socket, CONFIG_SOCKET_MAX);
    if (check_listen(c->listen, err) < 0 || check_control(c, err) < 0 || check_clusters(c, err) < 0 ||
        check_compression(c->compression, err) < 0)
        return -1;
    if (c->partitions * TL_TOPIC_COUNT > c->max_partitions)
        return tl_fail(err, TL_E_USAGE,
                       "[kafka] partitions: three topics of %d partitions are more than max_partitions, %d",
                       c->partitions, c->max_partitions);
    if (tl_kafka_conf_check(&c->kafka, err) < 0)
        return tl_error_prefix(err, "[kafka]");
    sink = sink_for_url(c->sink_url, err);
    if (!sink || sink->check_url(c->sink_url, err) < 0)
        return tl_error_prefix(err, "[sink] url");
    errors = errstore_for_url(c->errors_url, err);
    if (!errors || errors->check_url(c->errors_url, err) < 0)
        return tl_error_prefix(err, "[errors] url");
    return 0;
}
