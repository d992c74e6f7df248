/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/client/watch.h"

#include "cli/client/coordinator.h"
#include "cli/upload/ui.h"

int watch_upload(struct cli *cli, const char *upload, int64_t timeout_ms, bool every_change,
                 struct tl_error *err)
{
    struct interrupt *interrupt = interrupt_start(err);
    struct coordinator *c = interrupt ? coordinator_open(cli->settings, err) : NULL;
    struct upload_ui ui = {0};
    int rc = -1;

    if (c && upload_ui_init(&ui, cli, interrupt, err) == 0) {
        ui.every_change = every_change && cli->json;
        rc = upload_ui_watch(&ui, c, upload, NULL, timeout_ms, err);
        upload_ui_release(&ui);
    }
    coordinator_close(c);
    interrupt_stop(interrupt);
    return rc;
}
