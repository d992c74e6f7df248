/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What things wait for: what the roles report (kept for 5 s), and what control finds itself. */
#include <stdio.h>
#include <string.h>

#include "coordinatord/control/control_impl.h"
#include "coordinatord/control/request.h"
#include "shared/base/clock.h"

enum { REQUEST_TEXT_MAX = 4096 };

static void remove_report(struct control *c, size_t i)
{
    c->reports[i] = c->reports[--c->nreports];
}

const char *report_for(struct control *c, const char *tenant, const char *table, int64_t now)
{
    for (size_t i = 0; i < c->nreports;) {
        struct report *r = &c->reports[i];

        if (r->until <= now) {
            remove_report(c, i);
            continue;
        }
        if (strcmp(r->tenant, tenant) == 0 && (!table || !r->table[0] || strcmp(r->table, table) == 0))
            return r->reason;
        i++;
    }
    return NULL;
}

bool live_waiting_update(struct control *c, struct live *l, int64_t now)
{
    char text[TROUBLE_TEXT] = "";
    char when[TL_CLOCK_TEXT];
    const char *reported;

    reported = report_for(c, l->u.tenant, l->u.table, now);
    if (l->tenant->alarm[0]) {
        snprintf(text, sizeof text, "%s", l->tenant->alarm);
    } else if (l->u.state == UPLOAD_QUEUED && l->u.wish == UPLOAD_SENDING) {
        turns_text(l, now, text, sizeof text);
    } else if (l->trouble[0]) {
        snprintf(text, sizeof text, "%s", l->trouble);
    } else if (l->u.wish != UPLOAD_SENDING && !l->cancel_written && l->tenant->trouble[0]) {
        snprintf(text, sizeof text, "%s", l->tenant->trouble);
    } else if (reported) {
        snprintf(text, sizeof text, "%s", reported);
    } else if (l->tenant->trouble[0]) {
        snprintf(text, sizeof text, "cluster %s: %.500s", l->tenant->cluster->name, l->tenant->trouble);
    } else if (l->u.state == UPLOAD_SENDING && l->u.wish == UPLOAD_SENDING &&
               now - l->heard_ms > SENDER_SILENT_MS) {
        tl_clock_text(l->heard_wall_ms, when);
        snprintf(text, sizeof text, "nothing heard from the sender since %s", when);
    }
    if (strcmp(text, l->waiting) == 0)
        return false;
    memcpy(l->waiting, text, sizeof text);
    return true;
}

/* The one that says the same of an earlier moment. */
static struct report *find_report(struct control *c, const struct report *report)
{
    for (size_t i = 0; i < c->nreports; i++) {
        struct report *r = &c->reports[i];

        if (r->partition == report->partition && strcmp(r->role, report->role) == 0 &&
            strcmp(r->tenant, report->tenant) == 0 && strcmp(r->table, report->table) == 0)
            return r;
    }
    return NULL;
}

static void look_at_tenant(const struct tenant *t)
{
    for (struct live *l = t->lives; l; l = l->after)
        live_look_now(l);
}

static size_t reports_of(const struct control *c, const char *tenant)
{
    size_t n = 0;

    for (size_t i = 0; i < c->nreports; i++)
        n += strcmp(c->reports[i].tenant, tenant) == 0;
    return n;
}

static int put_report(struct control *c, const struct report *report, struct tl_error *err)
{
    struct report *r = find_report(c, report);

    if (!report->reason[0]) {
        if (r)
            remove_report(c, (size_t)(r - c->reports));
        return 0;
    }
    if (!r) {
        /* Forgets those that are out of date on its way. */
        if (c->nreports >= REPORTS_TENANT_MAX)
            report_for(c, "", NULL, tl_clock_ms());
        if (c->nreports == REPORTS_MAX || reports_of(c, report->tenant) >= REPORTS_TENANT_MAX)
            return tl_fail(err, TL_E_AGAIN, "too many roles are waiting");
        r = &c->reports[c->nreports++];
    }
    *r = *report;
    return 0;
}

static int read_report(const json_t *request, struct report *report, struct tl_error *err)
{
    const char *role = "", *tenant = "", *table = "", *reason = "";
    int64_t partition = -1;

    if (request_members(request, "the report", "role tenant partition table reason", err) < 0 ||
        request_text(request, "role", sizeof report->role - 1, &role, err) < 0 ||
        request_text(request, "tenant", REQUEST_TEXT_MAX, &tenant, err) < 0 ||
        request_number(request, "partition", -1, INT32_MAX, &partition, err) < 0 ||
        request_text(request, "table", REQUEST_TEXT_MAX, &table, err) < 0 ||
        request_text(request, "reason", REQUEST_TEXT_MAX, &reason, err) < 0)
        return -1;
    if (!*role || !*tenant)
        return tl_fail(err, TL_E_REFUSED, "\"role\" or \"tenant\" is missing");
    if (!tl_tenant_valid(tl_str(tenant)) || !tl_str_copy(tl_str(table), report->table, sizeof report->table))
        return tl_fail(err, TL_E_NOT_FOUND, "no such tenant or table");
    snprintf(report->role, sizeof report->role, "%s", role);
    snprintf(report->tenant, sizeof report->tenant, "%s", tenant);
    snprintf(report->reason, sizeof report->reason, "%s", reason);
    report->partition = (int32_t)partition;
    return 0;
}

int control_waiting(struct control *c, const json_t *request, struct tl_error *err)
{
    struct report report = {0};
    struct tenant *t;
    int rc = -1;

    if (read_report(request, &report, err) < 0)
        return -1;
    report.until = tl_clock_ms() + REPORT_LIFE_MS;
    control_lock(c);
    t = tenant_find(c, report.tenant, err);
    if (t) {
        rc = put_report(c, &report, err);
        look_at_tenant(t);
    }
    control_unlock(c);
    return rc;
}
