/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * date, timestamp and timestamptz: ISO 8601's forms, year first, in the proleptic Gregorian calendar, years
 * 0001 to 9999, microseconds. No other order of day and month is guessed.
 *
 *   date         2026-01-31
 *   timestamp    2026-01-31 12:00:00[.5]       seconds, or the whole time, may be missing
 *   timestamptz  2026-01-31 12:00:00[.5]+00    any offset is shifted to UTC
 *
 * Those are the canonical forms as well; a fraction has no zeros at its end.
 */
#include <stdio.h>

#include "shared/schema/canon.h"

enum {
    DATE_TEXT = 10,
    TIME_TEXT = 19, /* date, blank, HH:MM:SS */
    FRACTION_MAX = 6,
    OFFSET_MAX = 15 * 60 + 59, /* minutes, as in PostgreSQL */
    DAY_MINUTES = 24 * 60
};

#define YEARS_REASON "is outside of the years 0001 to 9999"

struct moment {
    int year, month, day;
    int minutes; /* of the day */
    int second;
    struct tl_str fraction; /* digits without zeros at the end */
    struct tl_str rest;     /* what follows: a zone, or nothing */
    size_t len;             /* bytes before the zone, without zeros at the fraction's end */
    bool written_plain;     /* those bytes are YYYY-MM-DD HH:MM:SS[.f] as they stand */
    bool zeros_cut;         /* there are zeros between those bytes and the zone */
};

static bool two_digits(const char *p, int *value)
{
    if (!tl_is_digit(p[0]) || !tl_is_digit(p[1]))
        return false;
    *value = (p[0] - '0') * 10 + (p[1] - '0');
    return true;
}

static int month_days(int year, int month)
{
    static const char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

    return days[month - 1] + (month == 2 && leap);
}

/* What is wrong with the date at the beginning of s, NULL when nothing is. */
static const char *read_date(struct tl_str s, struct moment *m, enum tl_reject_code *code)
{
    int century, rest;

    *code = TL_REJECT_NOT_DATE;
    if (s.len < DATE_TEXT || !two_digits(s.ptr, &century) || !two_digits(s.ptr + 2, &rest) ||
        s.ptr[4] != '-' || !two_digits(s.ptr + 5, &m->month) || s.ptr[7] != '-' ||
        !two_digits(s.ptr + 8, &m->day))
        return "";
    m->year = century * 100 + rest;
    if (m->month < 1 || m->month > 12)
        return "has no such month";
    if (m->year == 0) {
        *code = TL_REJECT_OUT_OF_RANGE;
        return YEARS_REASON;
    }
    if (m->day < 1 || m->day > month_days(m->year, m->month))
        return "is not a day of the calendar";
    return NULL;
}

static enum tl_verdict date_canon(const struct tl_type *type, struct tl_str in, struct tl_buf *scratch,
                                  struct tl_str *out, struct tl_reject *why)
{
    struct tl_str s = tl_str_trim(in);
    enum tl_reject_code code;
    const char *wrong;
    struct moment m;

    (void)type;
    (void)scratch;
    wrong = read_date(s, &m, &code);
    if (wrong && *wrong)
        return tl_canon_reject(why, in, code, "%s", wrong);
    if (wrong || s.len != DATE_TEXT)
        return tl_canon_reject(why, in, TL_REJECT_NOT_DATE, "is not a date (YYYY-MM-DD)");
    return tl_canon_borrow(s.ptr, s.len, out);
}

/* Reads [.f] at s[i]; false when a point has no digits behind it. */
static bool read_fraction(struct tl_str s, size_t *i, struct moment *m)
{
    size_t start, end;

    m->len = *i;
    if (*i == s.len || s.ptr[*i] != '.')
        return true;
    start = end = *i + 1;
    while (end < s.len && tl_is_digit(s.ptr[end]))
        end++;
    if (end == start)
        return false;
    *i = end;
    while (end > start && s.ptr[end - 1] == '0')
        end--;
    m->fraction = tl_str_n(s.ptr + start, end - start);
    m->zeros_cut = end != *i;
    if (end > start)
        m->len = end;
    return true;
}

/* Reads s up to a zone. Both types come here, `name` being theirs. */
static enum tl_verdict read_moment(const char *name, struct tl_str in, struct tl_str s, struct moment *m,
                                   struct tl_reject *why)
{
    size_t i = DATE_TEXT;
    int hour = 0, minute = 0;
    enum tl_reject_code code;
    const char *wrong;

    *m = (struct moment){0};
    wrong = read_date(s, m, &code);
    if (wrong && *wrong)
        return tl_canon_reject(why, in, code == TL_REJECT_NOT_DATE ? TL_REJECT_NOT_TIMESTAMP : code, "%s",
                               wrong);
    if (wrong)
        goto form;

    if (s.len > i + 1 && (s.ptr[i] == ' ' || s.ptr[i] == 'T') && tl_is_digit(s.ptr[i + 1])) {
        i++;
        if (s.len < i + 5 || !two_digits(s.ptr + i, &hour) || s.ptr[i + 2] != ':' ||
            !two_digits(s.ptr + i + 3, &minute))
            goto form;
        i += 5;
        if (i < s.len && s.ptr[i] == ':') {
            if (s.len < i + 3 || !two_digits(s.ptr + i + 1, &m->second))
                goto form;
            i += 3;
            m->written_plain = s.ptr[DATE_TEXT] == ' ';
            if (!read_fraction(s, &i, m))
                goto form;
        }
        if (hour > 23 || minute > 59 || m->second > 59)
            return tl_canon_reject(why, in, TL_REJECT_NOT_TIMESTAMP,
                                   "has no time of day (00:00:00 to 23:59:59.999999)");
    }
    if (m->fraction.len > FRACTION_MAX)
        return tl_canon_reject(why, in, TL_REJECT_SCALE, "has %zu digits of a second, %s keeps %d",
                               m->fraction.len, name, FRACTION_MAX);
    m->minutes = hour * 60 + minute;
    m->rest = tl_str_n(s.ptr + i, s.len - i);
    return TL_VALUE_OK;
form:
    return tl_canon_reject(why, in, TL_REJECT_NOT_TIMESTAMP, "is not a %s (YYYY-MM-DD HH:MM:SS)", name);
}

/* Z, UTC, +HH, +HH:MM or +HHMM, behind a blank or not; *offset is in minutes east of UTC. */
static bool read_zone(struct tl_str s, int *offset)
{
    int hours, minutes = 0;

    if (s.len && s.ptr[0] == ' ')
        s = tl_str_n(s.ptr + 1, s.len - 1);
    *offset = 0;
    if (tl_is_word(s, "z") || tl_is_word(s, "utc"))
        return true;
    if (s.len < 3 || (s.ptr[0] != '+' && s.ptr[0] != '-') || !two_digits(s.ptr + 1, &hours))
        return false;
    if (s.len == 5 ? !two_digits(s.ptr + 3, &minutes)
                   : s.len != 3 && (s.len != 6 || s.ptr[3] != ':' || !two_digits(s.ptr + 4, &minutes)))
        return false;
    *offset = hours * 60 + minutes;
    if (minutes > 59 || *offset > OFFSET_MAX)
        return false;
    if (s.ptr[0] == '-')
        *offset = -*offset;
    return true;
}

/* Shifts by minutes, less than a day; false when that leaves the years 0001 to 9999. */
static bool shift(struct moment *m, int minutes)
{
    m->minutes += minutes;
    if (m->minutes < 0) {
        m->minutes += DAY_MINUTES;
        if (--m->day == 0) {
            if (--m->month == 0) {
                m->month = 12;
                m->year--;
            }
            m->day = month_days(m->year, m->month);
        }
    } else if (m->minutes >= DAY_MINUTES) {
        m->minutes -= DAY_MINUTES;
        if (++m->day > month_days(m->year, m->month)) {
            m->day = 1;
            if (++m->month > 12) {
                m->month = 1;
                m->year++;
            }
        }
    }
    return m->year >= 1 && m->year <= 9999;
}

static char *put_two(char *p, int value)
{
    *p++ = (char)('0' + value / 10);
    *p++ = (char)('0' + value % 10);
    return p;
}

static enum tl_verdict write_moment(const struct moment *m, const char *zone, struct tl_buf *scratch,
                                    struct tl_str *out)
{
    char text[TIME_TEXT + 1 + FRACTION_MAX + 3];
    char *p = text;

    p = put_two(p, m->year / 100);
    p = put_two(p, m->year % 100);
    *p++ = '-';
    p = put_two(p, m->month);
    *p++ = '-';
    p = put_two(p, m->day);
    *p++ = ' ';
    p = put_two(p, m->minutes / 60);
    *p++ = ':';
    p = put_two(p, m->minutes % 60);
    *p++ = ':';
    p = put_two(p, m->second);
    if (m->fraction.len) {
        *p++ = '.';
        memcpy(p, m->fraction.ptr, m->fraction.len);
        p += m->fraction.len;
    }
    while (*zone)
        *p++ = *zone++;
    return tl_canon_copy(scratch, text, (size_t)(p - text), out);
}

TL_HOT static enum tl_verdict timestamp_canon(const struct tl_type *type, struct tl_str in,
                                              struct tl_buf *scratch, struct tl_str *out,
                                              struct tl_reject *why)
{
    struct tl_str s = tl_str_trim(in);
    struct moment m;
    int offset;

    (void)type;
    if (read_moment("timestamp", in, s, &m, why) != TL_VALUE_OK)
        return TL_VALUE_REJECT;
    if (m.rest.len && read_zone(m.rest, &offset))
        return tl_canon_reject(why, in, TL_REJECT_NOT_TIMESTAMP, "has a time zone, timestamp has none");
    if (m.rest.len)
        return tl_canon_reject(why, in, TL_REJECT_NOT_TIMESTAMP, "is not a timestamp (YYYY-MM-DD HH:MM:SS)");
    if (m.written_plain)
        return tl_canon_borrow(s.ptr, m.len, out);
    return write_moment(&m, "", scratch, out);
}

static enum tl_verdict timestamptz_canon(const struct tl_type *type, struct tl_str in, struct tl_buf *scratch,
                                         struct tl_str *out, struct tl_reject *why)
{
    struct tl_str s = tl_str_trim(in);
    struct moment m;
    int offset;

    (void)type;
    if (read_moment("timestamptz", in, s, &m, why) != TL_VALUE_OK)
        return TL_VALUE_REJECT;
    if (m.rest.len == 0)
        return tl_canon_reject(why, in, TL_REJECT_NOT_TIMESTAMP,
                               "has no time zone (Z or an offset such as +02:00)");
    if (!read_zone(m.rest, &offset))
        return tl_canon_reject(
            why, in, TL_REJECT_NOT_TIMESTAMP,
            "does not end in a time zone (Z or an offset such as +02:00, -15:59 to +15:59)");
    if (m.written_plain && !m.zeros_cut && tl_str_eq_z(m.rest, "+00"))
        return tl_canon_borrow(s.ptr, s.len, out);
    if (!shift(&m, -offset))
        return tl_canon_reject(why, in, TL_REJECT_OUT_OF_RANGE, YEARS_REASON " in UTC");
    return write_moment(&m, "+00", scratch, out);
}

const struct tl_coltype tl_coltype_date = {
    .name = "date",
    .usage = "date",
    .can_be_key = true,
    .plain = true,
    .canon = date_canon,
};

const struct tl_coltype tl_coltype_timestamp = {
    .name = "timestamp",
    .usage = "timestamp",
    .can_be_key = true,
    .plain = true,
    .canon = timestamp_canon,
};

const struct tl_coltype tl_coltype_timestamptz = {
    .name = "timestamptz",
    .usage = "timestamptz",
    .can_be_key = true,
    .plain = true,
    .canon = timestamptz_canon,
};
