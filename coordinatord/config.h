/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The daemon's configuration: built-in values, then the INI file, then TLOAD_SECTION_KEY of the environment.
 * Made by main, then only read; a SIGHUP makes a new one.
 */
#ifndef COORDINATORD_CONFIG_H
#define COORDINATORD_CONFIG_H

#include "shared/base/error.h"
#include "shared/base/log.h"
#include "shared/kafka/conf.h"

/* Bytes of the socket's path: the system's limit, less what is added to it while the socket is made. */
enum { CONFIG_SOCKET_MAX = 103 };

enum role { ROLE_CONTROL = 1, ROLE_VALIDATE = 2, ROLE_SINK = 4, ROLE_ERRORS = 8, ROLE_ALL = 15 };

struct config {
    unsigned roles; /* of enum role */
    bool dev;
    char *state;                 /* [coordinator] state: directory */
    char *socket;                /* path; without the control role: where control answers */
    char *log_file;              /* [coordinator] log: "" for stderr */
    enum tl_log_level log_level; /* [coordinator] log_level */
    char *listen;                /* "127.0.0.1:8470", "" for none */
    /* [coordinator] control: URL of control for the other roles; "" means unix:<socket> */
    char *control;
    /* [coordinator] clusters: whose tenants the roles serve, with commas between them; "" all */
    char *clusters;
    char *token_file; /* [coordinator] token_file: for a control that is reached over TCP; "" none */
    struct tl_kafka_conf kafka; /* [kafka]: every key but the next ones, "bootstrap" as bootstrap.servers */
    int partitions;
    int max_partitions;
    int group_partitions; /* [kafka] group_partitions: of one topic each, that a consumer group may have */
    /* [kafka] replication, min_insync_replicas: of new topics; 0 by the number of brokers, -1 as the broker has it */
    int replication;
    int min_insync_replicas;
    int trim_seconds; /* [kafka] trim_seconds, trim_records: how often, and from how many records on */
    int trim_records;
    /* [kafka] compression: of what the roles write, and of clients that don't say otherwise */
    char *compression;
    char *sink_url; /* [sink] url */
    /* [sink] connections: that write a tenant's data side by side in one process; 0: as the sink likes */
    int sink_connections;
    /* [sink] commit_rows, commit_bytes, commit_ms: a transaction is closed when one is reached */
    int sink_commit_rows;
    int sink_commit_bytes;
    int sink_commit_ms;
    char *errors_url;     /* [errors] url */
    int validate_threads; /* [validate] threads */
};

/*
 * path NULL: no file (with --dev), or /etc/tload/coordinatord.conf when it is there. Unknown sections and
 * keys are refused with a suggestion, line and file named. roles NULL: all. clusters NULL: as configured.
 */
int config_load(struct config *c, const char *path, bool dev, const char *roles, const char *clusters,
                struct tl_error *err) TL_MUST_CHECK;
/* What can be checked without touching anything: URLs, Kafka properties, numbers. */
int config_check(const struct config *c, struct tl_error *err) TL_MUST_CHECK;
void config_release(struct config *c);
/* Whether the roles serve tenants of this cluster. */
bool config_serves(const struct config *c, const char *cluster);
/*
 * The first setting, as "[section] key", that differs and can't be changed while the daemon runs; NULL when
 * there is none.
 */
const char *config_difference(const struct config *a, const struct config *b);

#endif
