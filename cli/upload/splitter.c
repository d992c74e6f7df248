/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The window holds the bytes that were read and not yet handed on; it is read into, 256 KiB at a time,
 * behind what is left of the record that the last bytes began:
 *
 *   window   ├──── handed on ────┼── record begun ──┼──── room for 256 KiB ────┤
 *            0                   begin              end
 *
 * Before each read the record begun moves to the front, so the window works within a core's cache unless a
 * record is long. tl_csv_scan says MORE only for less than limit + 2 bytes, so the window never has to
 * grow.
 *
 * A record begun is scanned from its start again when more of it has come. To keep that linear in its
 * length it is not done before half as much again is there; to keep input that trickles prompt, short ones
 * are always scanned, and all are when nothing comes for a while.
 *
 * Malformed records are what a hostile or unlucky file can make expensive: each may be looked at up to the
 * limit and is then cut at its first line end, so the same bytes are looked at again and again. What was
 * looked at in vain is counted, and must stay in proportion to what was read.
 */
#include "cli/upload/splitter.h"

#include <inttypes.h>
#include <stdlib.h>

#include "cli/upload/header.h"
#include "cli/upload/sniff.h"
#include "shared/csv/fields.h"
#include "shared/wire/keyhash.h"

enum {
    CHUNK = 256 * 1024,
    SNIFF_MS = 50,     /* that long the rest of a file's first bytes is waited for */
    SHORT = 16 * 1024, /* a record begun that is shorter is scanned again whenever more of it comes */
    KEY_TEXT_MAX = 8 * 1024 * 1024,
    VAIN_FREE = 256 * 1024 * 1024, /* bytes looked at in vain that no file is reproached with */
    VAIN_FACTOR = 8                /* nor are this many for each byte of input */
};

/* A column of the key: where its field is, and room for its value. */
struct key_column {
    const struct tl_type *type;
    size_t order; /* index into splitter.key_values: the key's own order */
    struct tl_buf unquoted, canonical;
};

struct splitter {
    const struct tl_schema *schema;
    struct split_options o;
    void *app;
    size_t limit; /* longest record */
    struct batches *batches;
    struct header header;
    struct split_totals totals;

    /* In the order of the fields, as tl_csv_pick wants them. */
    struct key_column *key;
    uint32_t *key_fields;
    struct tl_str *key_raw;
    struct tl_str *key_values; /* in the key's order */

    /* Of the file that is being read. */
    struct source *source;
    const char *file;
    char *window;
    size_t size, begin, end;
    size_t scan_at; /* bytes that the record begun must have before it is scanned again */
    bool last;      /* the source is at its end */
    bool idle;      /* nothing came for a while */
    int64_t line;   /* of the record at begin */
    uint64_t vain;  /* bytes looked at in vain, over all files */
    uint32_t malformed_in_a_row;
};

static int check_options(const struct split_options *o, struct tl_error *err)
{
    if (o->columns && o->header == HEADER_MATCH)
        return tl_fail(err, TL_E_USAGE,
                       "--columns: the file's header names the fields; --header=skip or none with it");
    if (o->nmap && o->header != HEADER_MATCH)
        return tl_fail(err, TL_E_USAGE, "--map: there is no header to match; use --columns");
    if (o->batch_bytes <= BATCH_ROW_EXTRA)
        return tl_fail(err, TL_E_USAGE, "a batch of %zu bytes has no room for a record", o->batch_bytes);
    return 0;
}

static int make_key(struct splitter *s, struct tl_error *err)
{
    size_t n = s->schema->nkey;

    if (n == 0)
        return 0;
    s->key = calloc(n, sizeof *s->key);
    s->key_fields = calloc(n, sizeof *s->key_fields);
    s->key_raw = calloc(n, sizeof *s->key_raw);
    s->key_values = calloc(n, sizeof *s->key_values);
    if (!s->key || !s->key_fields || !s->key_raw || !s->key_values)
        return tl_fail_nomem(err);
    for (size_t i = 0; i < n; i++) {
        tl_buf_init(&s->key[i].unquoted, KEY_TEXT_MAX);
        tl_buf_init(&s->key[i].canonical, KEY_TEXT_MAX);
    }
    return 0;
}

static int make(struct splitter *s, splitter_on_batch *on_batch, struct tl_error *err)
{
    struct batches_options o = {.partitions = s->o.partitions,
                                .keyed = s->schema->nkey > 0,
                                .batch_bytes = s->o.batch_bytes,
                                .on_batch = on_batch,
                                .app = s->app};

    s->batches = batches_new(&o, err);
    if (!s->batches)
        return -1;
    s->window = malloc(s->size);
    if (!s->window)
        return tl_fail_nomem(err);
    return make_key(s, err);
}

struct splitter *splitter_new(const struct tl_schema *schema, const struct split_options *options,
                              splitter_on_batch *on_batch, void *app, struct tl_error *err)
{
    struct splitter *s;

    if (check_options(options, err))
        return NULL;
    s = calloc(1, sizeof *s);
    if (!s) {
        tl_fail_nomem(err);
        return NULL;
    }
    s->schema = schema;
    s->o = *options;
    s->app = app;
    s->limit = TL_MIN(options->record_max, options->batch_bytes - BATCH_ROW_EXTRA);
    s->size = TL_MAX(s->limit, (size_t)SPLITTER_HEADER_MAX) + 2 + CHUNK;
    header_init(&s->header);
    if (make(s, on_batch, err)) {
        splitter_free(s);
        return NULL;
    }
    return s;
}

void splitter_free(struct splitter *s)
{
    if (!s)
        return;
    for (size_t i = 0; s->key && i < s->schema->nkey; i++) {
        tl_buf_release(&s->key[i].unquoted);
        tl_buf_release(&s->key[i].canonical);
    }
    batches_free(s->batches);
    header_release(&s->header);
    free(s->key);
    free(s->key_fields);
    free(s->key_raw);
    free(s->key_values);
    free(s->window);
    free(s);
}

/* Hands on what has waited long enough. *wait_ms: until there is more of that, patience_ms at most. */
static int flush_by_time(struct splitter *s, int patience_ms, int *wait_ms, struct tl_error *err)
{
    int64_t next_ms;

    if (batches_flush_older(s->batches, SPLITTER_FLUSH_MS, &next_ms, err))
        return -1;
    *wait_ms = next_ms < 0 || next_ms > patience_ms ? patience_ms : (int)next_ms;
    return 0;
}

/* Reads once. Sets last at the source's end, idle when nothing came for patience_ms, or sooner. */
static int fill(struct splitter *s, int patience_ms, struct tl_error *err)
{
    int wait_ms = -1, rc;
    size_t n;

    if (s->o.on_read && s->o.on_read(s->app, err))
        return -1;
    if (source_trickles(s->source) && flush_by_time(s, patience_ms, &wait_ms, err))
        return -1;
    if (s->begin) {
        memmove(s->window, s->window + s->begin, s->end - s->begin);
        s->end -= s->begin;
        s->begin = 0;
    }
    rc = source_read(s->source, s->window + s->end, TL_MIN(s->size - s->end, (size_t)CHUNK), wait_ms, &n,
                     err);
    if (rc < 0)
        return -1;
    s->idle = rc == 1;
    s->last = rc == 0 && n == 0;
    s->end += n;
    return 0;
}

static void consume(struct splitter *s, size_t bytes, uint32_t lines)
{
    s->begin += bytes;
    s->line += lines;
    s->totals.bytes += (int64_t)bytes;
}

/* Scans the record at begin, reading what it takes. TL_SCAN_MORE: there is none, the source is at its end. */
static int next_record(struct splitter *s, size_t limit, enum tl_scan *found, struct tl_scan_record *record,
                       struct tl_error *err)
{
    for (;;) {
        size_t have = s->end - s->begin;

        if (have && (have >= s->scan_at || s->last || s->idle)) {
            const char *p = s->window + s->begin;

            *found = tl_csv_scan(&s->o.dialect, p, p + have, s->last, limit, record);
            if (*found != TL_SCAN_MORE) {
                s->scan_at = 0;
                return 0;
            }
            s->scan_at = have < SHORT ? have + 1 : TL_MIN(have + have / 2, limit + 2);
        }
        if (s->last) {
            *found = TL_SCAN_MORE;
            return 0;
        }
        if (fill(s, SPLITTER_FLUSH_MS, err))
            return -1;
    }
}

/* Passes over the rest of a line whose beginning is consumed. */
static int skip_line(struct splitter *s, struct tl_error *err)
{
    for (;;) {
        const char *p = s->window + s->begin, *end = s->window + s->end;
        size_t n = tl_csv_skip_line(p, end, s->last);

        if (n) {
            consume(s, n, 1);
            return 0;
        }
        consume(s, (size_t)(end - p) - (p < end && end[-1] == '\r'), 0);
        if (s->last)
            return 0;
        if (fill(s, SPLITTER_FLUSH_MS, err))
            return -1;
    }
}

/* The partition of a well-formed record by its key; -1 when it has none that is any good; -2 on failure. */
static TL_HOT int32_t key_partition(struct splitter *s, struct tl_str record, struct tl_error *err)
{
    size_t n = s->schema->nkey;

    if (tl_csv_pick(&s->o.dialect, record, s->key_fields, n, s->key_raw) < n)
        return -1;
    for (size_t i = 0; i < n; i++) {
        struct key_column *k = &s->key[i];
        enum tl_verdict verdict;
        struct tl_reject why;
        struct tl_str value;
        bool is_null;

        tl_buf_reset(&k->unquoted);
        tl_buf_reset(&k->canonical);
        verdict = tl_csv_unquote(&s->o.dialect, s->key_raw[i], &k->unquoted, &value, &is_null);
        if (verdict == TL_VALUE_OK && is_null)
            return -1;
        if (verdict == TL_VALUE_OK)
            verdict = tl_type_canon(k->type, value, &k->canonical, &s->key_values[k->order], &why);
        if (verdict == TL_VALUE_REJECT)
            return -1;
        if (verdict == TL_VALUE_NOMEM) {
            tl_fail_nomem(err);
            return -2;
        }
    }
    return tl_key_partition(s->key_values, n, s->o.partitions);
}

static int add(struct splitter *s, struct tl_str record, enum tl_reject_code why, struct tl_error *err)
{
    int32_t partition = -1;

    if (s->schema->nkey) {
        if (why == TL_REJECT_NONE)
            partition = key_partition(s, record, err);
        if (partition == -2)
            return -1;
        /* It will be rejected: any partition is right that is always the same. */
        if (partition == -1)
            partition = tl_key_partition(&record, 1, s->o.partitions);
    }
    s->totals.rows++;
    return batches_add(s->batches, partition, s->line, record, why, err);
}

/* Keeps a malformed record's account; -1 when it is time to give up. */
static int count_malformed(struct splitter *s, const struct tl_scan_record *record, struct tl_error *err)
{
    s->totals.malformed++;
    s->malformed_in_a_row++;
    s->vain += record->seen - record->len;
    if (s->malformed_in_a_row >= s->o.malformed_in_a_row) {
        if (record->why == TL_REJECT_RECORD_TOO_LONG)
            return tl_fail(err, TL_E_CORRUPT,
                           "%s:%" PRId64 ": %" PRIu32
                           " records in a row are broken, this one longer than %zu bytes; "
                           "is it CSV?",
                           s->file, s->line, s->malformed_in_a_row, s->limit);
        return tl_fail(err, TL_E_CORRUPT,
                       "%s:%" PRId64 ": %" PRIu32
                       " records in a row have broken quoting; is the quote character "
                       "right? (--quote)",
                       s->file, s->line, s->malformed_in_a_row);
    }
    if (s->vain > VAIN_FREE + VAIN_FACTOR * (uint64_t)s->totals.bytes)
        return tl_fail(err, TL_E_CORRUPT,
                       "%s:%" PRId64 ": %" PRId64 " of %" PRId64
                       " records have quotes that nothing closes; is the "
                       "quote character right? (--quote)",
                       s->file, s->line, s->totals.malformed, s->totals.rows + 1);
    return 0;
}

/* Bytes before the first line end. In a batch, line ends are in well-formed records only. */
static size_t first_line_len(struct tl_str s)
{
    size_t n = tl_csv_skip_line(s.ptr, s.ptr + s.len, true);

    if (!n)
        return s.len;
    while (n && (s.ptr[n - 1] == '\n' || s.ptr[n - 1] == '\r'))
        n--;
    return n;
}

static int take_malformed(struct splitter *s, const struct tl_scan_record *found, struct tl_error *err)
{
    struct tl_str record = tl_str_n(s->window + s->begin, found->len);

    if (count_malformed(s, found, err))
        return -1;
    if (found->why == TL_REJECT_RECORD_TOO_LONG) {
        record.len = TL_MIN(record.len, (size_t)SPLITTER_SAMPLE);
        record.len = first_line_len(record);
    }
    if (add(s, record, found->why, err))
        return -1;
    consume(s, found->len + found->end_len, found->lines);
    return found->why == TL_REJECT_RECORD_TOO_LONG ? skip_line(s, err) : 0;
}

static TL_HOT int take_records(struct splitter *s, struct tl_error *err)
{
    struct tl_scan_record found;
    enum tl_scan scan;

    for (;;) {
        if (next_record(s, s->limit, &scan, &found, err))
            return -1;
        if (scan == TL_SCAN_MORE)
            return 0;
        if (scan == TL_SCAN_MALFORMED) {
            if (take_malformed(s, &found, err))
                return -1;
            continue;
        }
        /* An empty line is no record. */
        if (found.len) {
            s->malformed_in_a_row = 0;
            if (add(s, tl_str_n(s->window + s->begin, found.len), TL_REJECT_NONE, err))
                return -1;
        }
        consume(s, found.len + found.end_len, found.lines);
    }
}

/* Looks at the first bytes: refuses what is no text, passes over a byte order mark. */
static int take_start(struct splitter *s, struct tl_error *err)
{
    size_t skip;

    do {
        if (fill(s, SNIFF_MS, err))
            return -1;
    } while (s->end < SNIFF_BYTES && !s->last && !(s->idle && s->end));
    if (sniff(s->file, strcmp(s->file, "(stdin)") == 0, s->schema->table,
              tl_str_n(s->window, TL_MIN(s->end, (size_t)SNIFF_BYTES)), &skip, err))
        return -1;
    consume(s, skip, 0);
    return 0;
}

static int match_header(struct splitter *s, struct tl_str record, struct tl_error *err)
{
    const struct header_maps maps = {.map = s->o.map, .n = s->o.nmap};
    struct tl_fields *fields = tl_fields_new(&s->o.dialect, TL_COLUMNS_MAX, err);
    const struct tl_str *values;
    struct tl_reject why;
    size_t n;
    int rc;

    if (!fields)
        return -1;
    switch (tl_fields_split(fields, record, &values, &n, &why)) {
    case TL_VALUE_OK:
        rc = header_match(&s->header, s->schema, &maps, s->o.history, s->file, s->line, values, n, err);
        break;
    case TL_VALUE_REJECT:
        rc = tl_fail(err, TL_E_REFUSED,
                     "%s:%" PRId64 ": the header %s; is the quote character right? (--quote)", s->file,
                     s->line, why.reason);
        break;
    default:
        rc = tl_fail_nomem(err);
    }
    tl_fields_free(fields);
    return rc;
}

/* Where each column of the key is. header_match saw to it that all are there. */
static void settle_key(struct splitter *s)
{
    size_t n = 0;

    for (size_t field = 0; field < s->header.n; field++) {
        for (size_t i = 0; i < s->schema->nkey; i++) {
            if (s->schema->key[i] != s->header.column[field])
                continue;
            s->key_fields[n] = (uint32_t)field;
            s->key[n].type = &s->schema->columns[s->header.column[field]].type;
            s->key[n].order = i;
            n++;
        }
    }
}

/* What canonical values may have that their text has not: digits behind the point, a time of day, a zone. */
static size_t growth_of(const struct splitter *s)
{
    enum { TIME_OF_DAY = 24, DOUBLE = 26 };
    size_t growth = 0;

    for (size_t i = 0; i < s->header.n; i++) {
        const struct tl_type *type = &s->schema->columns[s->header.column[i]].type;

        if (type->id == TL_TYPE_DECIMAL)
            growth += (size_t)type->scale + 2;
        else if (type->id == TL_TYPE_TIMESTAMP || type->id == TL_TYPE_TIMESTAMPTZ)
            growth += TIME_OF_DAY;
        else if (type->id == TL_TYPE_DOUBLE)
            growth += DOUBLE;
    }
    return growth;
}

static int take_header(struct splitter *s, struct tl_error *err)
{
    struct tl_scan_record found;
    enum tl_scan scan = TL_SCAN_RECORD;
    int rc = 0;

    header_release(&s->header);
    if (s->o.header != HEADER_MATCH && header_given(&s->header, s->schema, s->o.columns, s->o.history, err))
        return -1;
    if (s->o.header != HEADER_NONE) {
        do {
            if (next_record(s, SPLITTER_HEADER_MAX, &scan, &found, err))
                return -1;
            if (scan == TL_SCAN_RECORD && found.len == 0)
                consume(s, found.end_len, found.lines);
        } while (scan == TL_SCAN_RECORD && found.len == 0);
        if (scan == TL_SCAN_MORE)
            return 0;
        if (scan == TL_SCAN_MALFORMED && found.why == TL_REJECT_RECORD_TOO_LONG)
            return tl_fail(err, TL_E_REFUSED,
                           "%s:%" PRId64 ": the header is longer than %d bytes; is it CSV?", s->file, s->line,
                           SPLITTER_HEADER_MAX);
        if (scan == TL_SCAN_MALFORMED)
            return tl_fail(err, TL_E_REFUSED,
                           "%s:%" PRId64
                           ": the header's quoting is broken; is the quote character right? (--quote)",
                           s->file, s->line);
        if (s->o.header == HEADER_MATCH)
            rc = match_header(s, tl_str_n(s->window + s->begin, found.len), err);
        if (rc)
            return rc;
        consume(s, found.len + found.end_len, found.lines);
    }
    settle_key(s);
    batches_set_growth(s->batches, growth_of(s));
    return 0;
}

static int begin_file(struct splitter *s, struct source *source, struct tl_error *err)
{
    s->source = source;
    s->file = source_name(source);
    s->begin = s->end = s->scan_at = 0;
    s->last = s->idle = false;
    s->line = 1;
    s->malformed_in_a_row = 0;
    batches_begin(s->batches, s->file, source_trickles(source));
    if (take_start(s, err))
        return -1;
    return take_header(s, err);
}

int splitter_run(struct splitter *s, struct source *source, struct tl_error *err)
{
    if (begin_file(s, source, err) || take_records(s, err))
        return -1;
    return batches_flush(s->batches, err);
}

int splitter_check_header(struct splitter *s, struct source *source, struct tl_error *err)
{
    const struct split_totals before = s->totals;

    if (begin_file(s, source, err))
        return -1;
    s->totals = before;
    return source_rewind(source, err);
}

struct split_totals splitter_totals(const struct splitter *s)
{
    return s->totals;
}

int64_t splitter_batches(const struct splitter *s, int32_t partition)
{
    return batches_count(s->batches, partition);
}

int64_t splitter_rows(const struct splitter *s, int32_t partition)
{
    return batches_rows(s->batches, partition);
}

const char *splitter_columns(const struct splitter *s)
{
    return s->header.names.data ? s->header.names.data : "";
}

void splitter_recycle(struct splitter *s, char *value, size_t cap)
{
    batches_recycle(s->batches, value, cap);
}
