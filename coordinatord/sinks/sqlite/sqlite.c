/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The embedded sink as the rest of the daemon sees it. */
#include "coordinatord/sinks/sinks.h"
#include "coordinatord/sinks/sqlite/connection.h"

const struct sink_ops sink_sqlite = {
    .scheme = "sqlite",
    .connections = 1,
    .columns_max = TL_COLUMNS_MAX,
    .alter_check = table_alter_check,
    .check_url = connection_check_url,
    .open = connection_open,
    .close = connection_close,
    .offset = ledger_offset,
    .table = table_get,
    .foreign = table_foreign,
    .ledger_get = ledger_row_get,
    .errors_get = ledger_errors_get,
    .refused_get = ledger_refused_get,
    .progress = ledger_progress,
    .last_seqs = ledger_last_seqs,
    .owed_first = ledger_owed_first,
    .owed_tables = ledger_owed_tables,
    .begin = connection_begin,
    .patience = connection_patience,
    .apply_schema = table_apply,
    .write = write_batch,
    .ledger_put = ledger_row_put,
    .errors_put = ledger_errors_put,
    .refused_put = ledger_refused_put,
    .owe = ledger_owe,
    .settle = ledger_settle,
    .offset_move = ledger_offset_move,
    .commit = connection_commit,
    .rollback = connection_rollback,
    .forget = ledger_forget,
};
