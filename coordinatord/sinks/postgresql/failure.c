/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What can be done about a failure hangs on its SQLSTATE: five characters, of which the first two are the
 * class. The longest row of the table that fits decides; what is in none needs somebody's help.
 */
#include "coordinatord/sinks/postgresql/connection.h"

static const struct {
    const char *state; /* or its beginning */
    enum tl_error_code code;
} meanings[] = {
    {"53100", TL_E_NO_SPACE},    /* disk_full */
    {"55P03", TL_E_LOCKED},      /* lock_not_available: lock_timeout */
    {"55006", TL_E_AGAIN},       /* object_in_use */
    {"57014", TL_E_AGAIN},       /* query_canceled: statement_timeout, or somebody did */
    {"25006", TL_E_UNAVAILABLE}, /* read_only_sql_transaction: a standby, maybe not for long */
    {"25P03", TL_E_UNAVAILABLE}, /* idle_in_transaction_session_timeout */
    {"08", TL_E_UNAVAILABLE},    /* connection */
    {"40", TL_E_AGAIN},          /* serialization, deadlock */
    {"53", TL_E_UNAVAILABLE},    /* memory, connections */
    {"57", TL_E_UNAVAILABLE},    /* the server stops, starts or recovers */
    {"58", TL_E_UNAVAILABLE},    /* the server's own input and output */
};

static enum tl_error_code code_of(const struct sink *s, const char *state)
{
    if (!state || s->lost || PQstatus(s->conn) == CONNECTION_BAD)
        return TL_E_UNAVAILABLE;
    for (size_t i = 0; i < TL_ARRAY_LEN(meanings); i++)
        if (strncmp(state, meanings[i].state, strlen(meanings[i].state)) == 0)
            return meanings[i].code;
    return TL_E_FATAL;
}

/* What libpq says may have several lines, and tabs. */
static void one_line(const char *text, char *out, size_t size)
{
    size_t n = 0;

    for (; *text && n + 1 < size; text++) {
        bool blank = *text == '\n' || *text == '\t' || *text == ' ';

        if (!blank)
            out[n++] = *text;
        else if (n && out[n - 1] != ' ')
            out[n++] = ' ';
    }
    while (n && out[n - 1] == ' ')
        n--;
    out[n] = '\0';
}

void pg_message(const PGresult *r, char *out, size_t size)
{
    const char *text = PQresultErrorField(r, PG_DIAG_MESSAGE_PRIMARY);

    one_line(text ? text : PQresultErrorMessage(r), out, size);
}

bool pg_refuses(const struct sink *s, const PGresult *r)
{
    const char *state = PQresultErrorField(r, PG_DIAG_SQLSTATE);
    char class[3];

    if (!state || strlen(state) != 5 || PQstatus(s->conn) == CONNECTION_BAD)
        return false;
    memcpy(class, state, 2);
    class[2] = '\0';
    return strstr(PG_REFUSED_CLASSES, class) != NULL;
}

int pg_fail(struct sink *s, const PGresult *r, const char *what, struct tl_error *err)
{
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    const char *detail = r ? PQresultErrorField(r, PG_DIAG_MESSAGE_DETAIL) : NULL;
    enum tl_error_code code = code_of(s, state);
    char text[300], more[200] = "";

    if (s->lost)
        snprintf(text, sizeof text, "the server does not answer");
    else if (state)
        pg_message(r, text, sizeof text);
    else
        one_line(PQerrorMessage(s->conn), text, sizeof text);
    /* Somebody has to look: what the table's view or index is called is said in the detail. */
    if (code == TL_E_FATAL && detail)
        one_line(detail, more, sizeof more);
    return tl_fail(err, code, "%s: %s%s%s%s", what, text[0] ? text : "the connection is lost",
                   more[0] ? " (" : "", more, more[0] ? ")" : "");
}
