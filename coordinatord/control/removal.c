/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the keeper does for tenants that are being removed; every step may be done twice. */
#include <stdio.h>

#include "coordinatord/control/control_impl.h"
#include "shared/base/failpoint.h"

enum { DELETE_MS = 5000 };

static bool to_be_removed(struct pass *p, const struct tenant *t)
{
    return atomic_load(&t->removing) && !atomic_load(&t->gone) && tenant_cluster(p->c, t) == p->cl;
}

static void forget(struct control *c, struct tenant *t)
{
    control_lock(c);
    atomic_store(&t->gone, true);
    c->ntenants--;
    tenant_touch(c, t);
    control_unlock(c);
    tl_info(c->log, "control", "tenant %s: removed; what it has in %s: stays there", t->name,
            t->sink_ops->scheme);
}

static int remove_one(struct pass *p, struct tenant *t, struct tl_error *err)
{
    struct control *c = p->c;

    if (tenant_stop_uploads(c, t, err) < 0 ||
        c->options.broker->delete_topics(p->broker, t->name, DELETE_MS, err) < 0)
        return -1;
    p->spoke = true;
    TL_FAILPOINT(CONTROL_BEFORE_FORGET);
    if (store_tenant_remove(c->store, t->name, err) < 0)
        return -1;
    forget(c, t);
    return 0;
}

bool pass_removals(struct pass *p)
{
    struct tl_error err;

    for (struct tenant *t = atomic_load(&p->c->tenants); t; t = atomic_load(&t->next)) {
        if (!to_be_removed(p, t) || remove_one(p, t, &err) == 0)
            continue;
        control_lock(p->c);
        snprintf(t->trouble, sizeof t->trouble, "%s", err.text);
        control_unlock(p->c);
        if (!pass_note(p, &err))
            return false;
    }
    return true;
}
