/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A page of a tenant's uploads:
 *
 *   store ──objects as stored──► list ──those that are not final──► as they are in memory, which is further on
 *
 * Only the second part is under the lock, and that is short, so that a long list keeps nobody else waiting.
 */
#include <stdio.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"

struct upload_page {
    json_t *list;
    int limit;
    bool more;
    int64_t last;
};

static int list_upload(void *app, const struct upload *u, struct tl_error *err)
{
    struct upload_page *page = app;

    if ((int)json_array_size(page->list) == page->limit) {
        page->more = true;
        return 0;
    }
    page->last = u->rowid;
    return json_array_append_new(page->list, upload_to_json(u)) ? tl_fail_nomem(err) : 0;
}

static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

static bool is_final(const json_t *object)
{
    enum upload_state state;

    return upload_state_parse(text_of(object, "state"), &state) && upload_final(state);
}

/* As it is by now; NULL with *err. Under the lock. */
static json_t *refreshed(struct control *c, const struct tenant *t, const char *id, struct tl_error *err)
{
    const struct live *l = live_find(c, t->name, id);
    struct upload u;
    json_t *json;

    if (l) {
        json = live_to_json(l);
    } else if (upload_stored(c, t->name, id, &u, err) == 0) {
        json = upload_to_json(&u);
        upload_release(&u);
    } else {
        return NULL;
    }
    if (!json)
        tl_fail_nomem(err);
    return json;
}

/* Those that are not final, all as they are at one moment; one that has left the state that is asked for goes. */
static int refresh(struct control *c, const struct tenant *t, json_t *list, const char *state,
                   struct tl_error *err)
{
    int rc = 0;

    control_lock(c);
    live_await_looks(c, t);
    for (size_t i = json_array_size(list); i-- > 0 && rc == 0;) {
        json_t *object = json_array_get(list, i);

        if (is_final(object))
            continue;
        object = refreshed(c, t, text_of(object, "upload"), err);
        if (!object || json_array_set_new(list, i, object))
            rc = object ? tl_fail_nomem(err) : -1;
        else if (state && strcmp(text_of(object, "state"), state) != 0)
            rc = json_array_remove(list, i);
    }
    control_unlock(c);
    return rc;
}

static int fill_page(struct control *c, struct upload_page *page, const struct tenant *t,
                     const struct upload_query *query, struct tl_error *err)
{
    struct upload_filter filter = {.tenant = t->name, .table = query->table, .limit = query->limit + 1};
    enum upload_state state;

    if (query->state && !upload_state_parse(query->state, &state))
        return tl_fail(err, TL_E_REFUSED, "\"%.40s\" is no state of an upload", query->state);
    filter.state = query->state;
    if (query->cursor && !tl_str_to_i64(tl_str(query->cursor), 1, INT64_MAX, &filter.before))
        return tl_fail(err, TL_E_REFUSED, "the cursor is not one that was given out");
    return store_uploads(c->store, &filter, list_upload, page, err) < 0 ||
                   refresh(c, t, page->list, query->state, err) < 0
               ? -1
               : 0;
}

int control_uploads(struct control *c, const char *tenant, const struct upload_query *query, json_t **answer,
                    struct tl_error *err)
{
    const struct tenant *t = tenant_find(c, tenant, err);
    struct upload_page page = {.list = json_array(), .limit = query->limit};
    char next[24];

    if (!page.list)
        return tl_fail_nomem(err);
    if (!t || fill_page(c, &page, t, query, err) < 0) {
        json_decref(page.list);
        return -1;
    }
    snprintf(next, sizeof next, "%lld", (long long)page.last);
    return control_answer(json_pack("{s:o, s:s?}", "uploads", page.list, "next", page.more ? next : NULL),
                          answer, err);
}
