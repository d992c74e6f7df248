/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The PostgreSQL sink as the rest of the daemon sees it. */
#include "coordinatord/sinks/postgresql/connection.h"
#include "coordinatord/sinks/sinks.h"

const struct sink_ops sink_postgresql = {
    .scheme = "postgresql",
    .alias = "postgres",
    .connections = 2,
    .columns_max = COLUMNS_MAX,
    .columns_spent = true,
    .check_url = pg_check_url,
    .open = pg_open,
    .close = pg_close,
    .offset = pg_offset,
    .table = pg_table_get,
    .foreign = pg_foreign,
    .ledger_get = pg_ledger_get,
    .errors_get = pg_errors_get,
    .refused_get = pg_refused_get,
    .progress = pg_progress,
    .last_seqs = pg_last_seqs,
    .owed_first = pg_owed_first,
    .owed_tables = pg_owed_tables,
    .begin = pg_begin,
    .patience = pg_patience,
    .apply_schema = pg_table_apply,
    .write = pg_write,
    .ledger_put = pg_ledger_put,
    .errors_put = pg_errors_put,
    .refused_put = pg_refused_put,
    .owe = pg_owe,
    .settle = pg_settle,
    .offset_move = pg_offset_move,
    .commit = pg_commit,
    .rollback = pg_rollback,
    .forget = pg_forget,
};
