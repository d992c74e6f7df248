/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Statements are sent and their answers waited for without ever blocking in libpq, because a server may not answer
 * at all: one whose machine is gone is found out by the kernel, but one that hangs is not. Waiting has no end of
 * its own, a statement may take as long as it takes; but when the process is to stop, or whoever opened the
 * connection has only so much patience, what is not answered soon is given up, and the connection with it.
 */
#include <poll.h>

#include "coordinatord/sinks/postgresql/connection.h"
#include "shared/base/clock.h"

enum { LOOK_EVERY_MS = 100, STOP_MS = 1500 };

/* True when the socket is ready for one of the events; false: given up. */
static bool wait_for(struct sink *s, short events)
{
    struct pollfd fd = {.fd = PQsocket(s->conn), .events = events};
    int64_t stopping = 0;

    while (fd.fd >= 0 && poll(&fd, 1, LOOK_EVERY_MS) <= 0) {
        int64_t now = tl_clock_ms();

        if (s->patience_ends && now >= s->patience_ends) {
            s->lost = true;
            return false;
        }
        if (!s->stop || !atomic_load(s->stop))
            continue;
        if (!stopping)
            stopping = now;
        if (now - stopping >= STOP_MS) {
            s->lost = true;
            return false;
        }
    }
    return true;
}

int pg_flush(struct sink *s)
{
    int more;

    while ((more = PQflush(s->conn)) > 0) {
        /* What the server has to say is taken in, or both would wait for each other. */
        if (!wait_for(s, POLLIN | POLLOUT) || !PQconsumeInput(s->conn))
            return -1;
    }
    return more;
}

PGresult *pg_result(struct sink *s)
{
    /* After a failure libpq still has a result, which says so. */
    if (pg_flush(s) && s->lost)
        return NULL;
    while (PQisBusy(s->conn)) {
        if (!wait_for(s, POLLIN))
            return NULL;
        if (!PQconsumeInput(s->conn))
            break;
    }
    return PQgetResult(s->conn);
}

PGresult *pg_answer(struct sink *s, int sent)
{
    PGresult *last = NULL, *r;

    while (sent && (r = pg_result(s))) {
        PQclear(last);
        last = r;
    }
    if (s->lost) {
        PQclear(last);
        last = NULL;
    }
    return last;
}
