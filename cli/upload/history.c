/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/upload/history.h"

#include <string.h>

#include "cli/client/outcome.h"

struct search {
    const char *name;
    struct header_former *found;
    bool any;
};

static int look_at(void *app, const json_t *version, struct tl_error *err)
{
    struct search *s = app;
    json_t *column;
    size_t i;

    (void)err;
    json_array_foreach(json_object_get(version, "columns"), i, column)
    {
        if (strcmp(upload_text(column, "name"), s->name) != 0)
            continue;
        s->any = true;
        s->found->version = upload_number(version, "version", 0);
        s->found->id = (uint32_t)upload_number(column, "id", 0);
        s->found->pending = strcmp(upload_text(version, "state"), "pending") == 0;
    }
    return 0;
}

/* The last version wins. That it can't be told is no error: the message is only the shorter for it. */
static bool find(void *app, const char *name, struct header_former *out)
{
    struct history *h = app;
    struct search s = {.name = name, .found = out};
    struct tl_error err;

    return coordinator_versions(h->coordinator, h->table, look_at, &s, &err) == 0 && s.any;
}

void history_init(struct history *h, struct coordinator *coordinator, const char *table)
{
    *h = (struct history){.coordinator = coordinator, .table = table, .names = {.find = find, .app = h}};
}
