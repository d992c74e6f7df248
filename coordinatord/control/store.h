/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Control's memory: tenants, tables with their versions, uploads, in one SQLite file (WAL, synchronous=FULL).
 * What a function wrote is durable when it returns 0. One connection behind a mutex of its own: any thread,
 * transactions are short.
 *
 * Errors: TL_E_NO_SPACE, TL_E_AGAIN (locked for longer than the busy timeout), TL_E_IO, TL_E_CORRUPT; others
 * as stated.
 */
#ifndef COORDINATORD_CONTROL_STORE_H
#define COORDINATORD_CONTROL_STORE_H

#include "coordinatord/control/secret.h"
#include "coordinatord/control/upload.h"
#include "shared/schema/schema.h"

struct store;

enum { STORE_WHO_MAX = UPLOAD_WHO_MAX };

/* Makes the file when it is not there and brings an older one up to date; a newer one is refused. */
struct store *store_open(const char *path, struct tl_error *err);
void store_close(struct store *s); /* NULL is fine */

/* --- clusters --- */

enum { STORE_CLUSTERS_MAX = 100, STORE_KAFKA_ID_MAX = 63 };

struct cluster_row {
    char cluster[TL_TENANT_MAX + 1];
    char *properties;       /* JSON, owned; NULL: those of the configuration */
    int32_t max_partitions; /* 0: as the configuration has it */
    bool draining;
    char kafka_id[STORE_KAFKA_ID_MAX + 1]; /* what Kafka calls it; "" not known yet */
    int64_t created_ms;
    char who[STORE_WHO_MAX];
};

void cluster_row_release(struct cluster_row *row);
/* TL_E_CONFLICT when it is there already, TL_E_REFUSED when there are too many. */
int store_cluster_add(struct store *s, const struct cluster_row *row, struct tl_error *err) TL_MUST_CHECK;
/* All but the name, created_ms and who. */
int store_cluster_set(struct store *s, const struct cluster_row *row, struct tl_error *err) TL_MUST_CHECK;
/* TL_E_CONFLICT while tenants have topics there. */
int store_cluster_remove(struct store *s, const char *cluster, struct tl_error *err) TL_MUST_CHECK;
/* By name. each must not call the store; row is its caller's. */
int store_clusters(struct store *s,
                   int (*each)(void *app, const struct cluster_row *row, struct tl_error *err), void *app,
                   struct tl_error *err) TL_MUST_CHECK;

/* How much of a cluster's budget is taken. */
struct cluster_room {
    char cluster[TL_TENANT_MAX + 1];
    int32_t max_partitions; /* 0: as the configuration has it */
    bool draining;
    int64_t reserved; /* partitions of all tenants that have, or will have, topics there */
};

/* Fills rooms, of STORE_CLUSTERS_MAX; by name. */
int store_rooms(struct store *s, struct cluster_room *rooms, size_t *n, struct tl_error *err) TL_MUST_CHECK;

/* --- tenants --- */

enum tenant_state {
    TENANT_PREPARING, /* stored; its topics were never all there */
    TENANT_READY,
    TENANT_MOVING,
    TENANT_REMOVING, /* nobody's any more; its topics, then the rest, are on their way out */
    TENANT_STATES
};

const char *tenant_state_name(enum tenant_state state);

struct tenant_row {
    char tenant[TL_TENANT_MAX + 1];
    char cluster[TL_TENANT_MAX + 1];
    int32_t partitions;
    enum tenant_state state;
    int32_t group;       /* number of the consumer groups of its topics' readers, wherever it lives */
    int64_t epoch;       /* from 1; the next one when the name is used again, or its topics are others */
    char *sink_url;      /* owned; NULL: the configuration's, as the next one */
    char *errors_url;    /* owned */
    int64_t max_uploads; /* that may send at a time; 0: no limit, as the next one */
    int64_t max_bytes_per_second;      /* of raw-input, before compression */
    char move_to[TL_TENANT_MAX + 1];   /* a cluster that has its topics too, or will have; "" */
    char move_from[TL_TENANT_MAX + 1]; /* a cluster that still has its old ones; "" */
    int32_t move_step;
    int64_t created_ms;
    char who[STORE_WHO_MAX];
};

void tenant_row_release(struct tenant_row *row);

/* Names one of the rooms, or fails. Called within the transaction; must not call the store. */
typedef const char *store_place(void *app, const struct cluster_room *rooms, size_t n, struct tl_error *err);
/*
 * Reserves its partitions on the cluster that `place` names, and stores it; both or nothing. Fills in the cluster,
 * the group and the epoch. A group has at most group_partitions of a topic, unless a tenant alone has more.
 * TL_E_CONFLICT when the name is taken, also by one that is being removed.
 */
int store_tenant_add(struct store *s, struct tenant_row *row, int group_partitions, store_place *place,
                     void *app, struct tl_error *err) TL_MUST_CHECK;
/* Whether there ever was a tenant of this name: 1, or 0. */
int store_tenant_known(struct store *s, const char *tenant, struct tl_error *err) TL_MUST_CHECK;
int store_tenant_set_state(struct store *s, const char *tenant, enum tenant_state state,
                           struct tl_error *err) TL_MUST_CHECK;
/* max_uploads and max_bytes_per_second. */
int store_tenant_set_limits(struct store *s, const struct tenant_row *row,
                            struct tl_error *err) TL_MUST_CHECK;
/* All that there is of it, but for its epoch. */
int store_tenant_remove(struct store *s, const char *tenant, struct tl_error *err) TL_MUST_CHECK;
/*
 * A move, each step for itself. Begun: reserved on the cluster that `place` names, and stored as moving; its topics are made
 * there; it lives there, with that epoch; or it stays. After both of these its other topics are to be deleted, until
 * they are.
 */
int store_tenant_move(struct store *s, const char *tenant, store_place *place, void *app,
                      struct tl_error *err) TL_MUST_CHECK;
int store_tenant_move_made(struct store *s, const char *tenant, struct tl_error *err) TL_MUST_CHECK;
int store_tenant_switch(struct store *s, const char *tenant, int64_t epoch,
                        struct tl_error *err) TL_MUST_CHECK;
int store_tenant_stay(struct store *s, const char *tenant, struct tl_error *err) TL_MUST_CHECK;
int store_tenant_cleared(struct store *s, const char *tenant, struct tl_error *err) TL_MUST_CHECK;
/* By name. each may take over the texts of the row (and sets them to NULL then); it must not call the store. */
int store_tenants(struct store *s, int (*each)(void *app, struct tenant_row *row, struct tl_error *err),
                  void *app, struct tl_error *err) TL_MUST_CHECK;

/* --- tokens --- */

enum token_role {
#define X(symbol, name) TOKEN_##symbol,
#include "coordinatord/control/token_roles.def"
#undef X
    TOKEN_ROLES
};

const char *token_role_name(enum token_role role);
bool token_role_parse(const char *name, enum token_role *role) TL_MUST_CHECK;

enum { TOKEN_LABEL_MAX = 40 }; /* bytes; with the id it fits into a `who` */

struct token_row {
    char token[SECRET_ID_TEXT];
    char hash[SECRET_HASH_TEXT];
    enum token_role role;
    char tenant[TL_TENANT_MAX + 1]; /* "": all, of an admin */
    char label[TOKEN_LABEL_MAX + 1];
    char created_by[STORE_WHO_MAX];
    int64_t created_ms;
    int64_t expires_ms; /* 0: never */
};

/* Also forgets those that expired long ago. TL_E_REFUSED: there are too many. */
int store_token_add(struct store *s, const struct token_row *row, struct tl_error *err) TL_MUST_CHECK;
/* 1, or 0. Expired ones are there, too. */
int store_token_by_hash(struct store *s, const char *hash, struct token_row *out,
                        struct tl_error *err) TL_MUST_CHECK;
int store_token_find(struct store *s, const char *token, struct token_row *out,
                     struct tl_error *err) TL_MUST_CHECK;
/* Ids after `after`, ascending; tenant NULL: all. each must not call the store. */
int store_tokens(struct store *s, const char *tenant, const char *after, int limit,
                 int (*each)(void *app, const struct token_row *row, struct tl_error *err), void *app,
                 struct tl_error *err) TL_MUST_CHECK;
/* 1, or 0 when there is none; with a tenant (not NULL) only one of it. */
int store_token_remove(struct store *s, const char *token, const char *tenant,
                       struct tl_error *err) TL_MUST_CHECK;

/* --- tables and versions --- */

struct table_row {
    char name[TL_NAME_MAX + 1];
    int64_t table_id;
    int32_t version; /* of the schema below */
    bool active;     /* false: the first version is still pending */
    bool dropping;   /* that it is dropped is pending */
    int64_t created_ms;
    int64_t version_ms;      /* when this version was asked for */
    char who[STORE_WHO_MAX]; /* and by whom */
    char *schema;            /* JSON, owned */
};

void table_row_release(struct table_row *row);

/* The table of this name that is not dropped: 1, or 0 when there is none. */
int store_table_find(struct store *s, const char *tenant, const char *name, struct table_row *out,
                     struct tl_error *err) TL_MUST_CHECK;
/* Whether it is, or was, one of the tenant's: 1, or 0. */
int store_table_of(struct store *s, const char *tenant, int64_t table_id, struct tl_error *err) TL_MUST_CHECK;
/* Names after `after`, ascending. each must not call the store; row is its caller's. */
int store_tables(struct store *s, const char *tenant, const char *after, int limit,
                 int (*each)(void *app, const struct table_row *row, struct tl_error *err), void *app,
                 struct tl_error *err) TL_MUST_CHECK;
/* Gives schema its table_id and version 1, pending. TL_E_CONFLICT when the name is taken. */
int store_table_create(struct store *s, const char *tenant, struct tl_schema *schema, const char *who,
                       int64_t now_ms, struct tl_error *err) TL_MUST_CHECK;
/*
 * The next version, pending, says that the table is dropped. TL_E_CONFLICT when another version is pending.
 */
int store_table_drop(struct store *s, int64_t table_id, const char *who, int64_t now_ms,
                     struct tl_error *err) TL_MUST_CHECK;
/*
 * The version behind the active one, pending: next has the table_id, and the version that it is to be.
 * TL_E_CONFLICT when another version is pending, or the active one is not the one before.
 */
int store_table_alter(struct store *s, const struct tl_schema *next, const char *who, int64_t now_ms,
                      struct tl_error *err) TL_MUST_CHECK;
/*
 * One version, also of a dropped table when its table_id (not 0) is given. 1, or 0; pending ones are not
 * there.
 */
int store_version_find(struct store *s, const char *tenant, const char *name, int64_t table_id,
                       int32_t version, struct table_row *out, struct tl_error *err) TL_MUST_CHECK;

struct version_row {
    int32_t version;
    bool active; /* false: pending */
    int64_t created_ms;
    char who[STORE_WHO_MAX];
    char *schema; /* JSON, owned */
};

/* All versions from `from` on, ascending, pending ones too. each must not call the store; row is its
 * caller's. */
int store_versions(struct store *s, int64_t table_id, int32_t from, int limit,
                   int (*each)(void *app, const struct version_row *row, struct tl_error *err), void *app,
                   struct tl_error *err) TL_MUST_CHECK;

struct pending_version {
    int64_t table_id;
    int32_t version;
    char *schema; /* JSON, owned */
};

/* The first tenant by name behind `after` (which may be out) that has a pending version: 1, or 0. */
int store_pending_tenant(struct store *s, const char *after, char out[TL_TENANT_MAX + 1],
                         struct tl_error *err) TL_MUST_CHECK;
/* The tenant's first pending version behind (table_id, version): 1, or 0. */
int store_pending_next(struct store *s, const char *tenant, int64_t table_id, int32_t version,
                       struct pending_version *out, struct tl_error *err) TL_MUST_CHECK;
/* Whether this version is pending: 1, or 0. */
int store_version_pending(struct store *s, int64_t table_id, int32_t version,
                          struct tl_error *err) TL_MUST_CHECK;
int store_version_activate(struct store *s, int64_t table_id, int32_t version, bool dropped,
                           struct tl_error *err) TL_MUST_CHECK;

/* --- uploads --- */

/* Sets u->rowid. TL_E_CONFLICT when the id is taken, or the table is dropped or about to be. */
int store_upload_add(struct store *s, struct upload *u, struct tl_error *err) TL_MUST_CHECK;
/* State, wish, reason, counts, times. */
int store_upload_save(struct store *s, const struct upload *u, struct tl_error *err) TL_MUST_CHECK;
/*
 * The same for what a crash of the process must not undo, but one of the machine may: without a sync, since
 * it is told once a second for each upload.
 */
int store_upload_progress(struct store *s, const struct upload *u, struct tl_error *err) TL_MUST_CHECK;
/* 1, or 0. out is the caller's to release. */
int store_upload_find(struct store *s, const char *tenant, const char *id, struct upload *out,
                      struct tl_error *err) TL_MUST_CHECK;
/*
 * An upload of the same content into the same table that is done, or else one that is not finished: 1, or 0.
 */
int store_upload_by_content(struct store *s, int64_t table_id, const char *content, struct upload *out,
                            struct tl_error *err) TL_MUST_CHECK;

struct upload_filter {
    const char *tenant;
    const char *table; /* NULL: any */
    const char *state; /* NULL: any */
    int64_t before;    /* rowid; 0: from the newest */
    int limit;
};

/* Newest first. each must not call the store; u is its caller's. */
int store_uploads(struct store *s, const struct upload_filter *filter,
                  int (*each)(void *app, const struct upload *u, struct tl_error *err), void *app,
                  struct tl_error *err) TL_MUST_CHECK;
/* All that are in no final state. each may take over the texts of u (and sets them to NULL then). */
int store_uploads_unfinished(struct store *s, int (*each)(void *app, struct upload *u, struct tl_error *err),
                             void *app, struct tl_error *err) TL_MUST_CHECK;

#endif
