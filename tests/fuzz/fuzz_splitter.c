/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Any bytes as a file to upload, header and all; the first three choose the options and how the reads are
 * cut. Whatever comes: batches are within their bounds, each row is there and can be found again, and two
 * runs that cut their reads differently give the same.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/upload/splitter.h"
#include "shared/wire/dialect.h"
#include "shared/wire/malformed.h"
#include "shared/wire/rowtext.h"

enum { BATCH = 128, PARTITIONS = 3 };

static const char table[] = "{\"table\":\"t\",\"columns\":[{\"name\":\"a\",\"type\":\"int\"},"
                            "{\"name\":\"b\",\"type\":\"decimal(6,2)\"},{\"name\":\"c\",\"type\":\"text\"}],"
                            "\"key\":[\"b\",\"a\"]}";
static const char table_without_key[] = "{\"table\":\"t\",\"columns\":[{\"name\":\"a\",\"type\":\"int\"},"
                                        "{\"name\":\"b\",\"type\":\"text\"}]}";

/* The source of this program: bytes in memory, cut as told. */
struct source {
    struct tl_str bytes;
    size_t at, step;
};

const char *source_name(const struct source *s)
{
    (void)s;
    return "fuzz.csv";
}

bool source_trickles(const struct source *s)
{
    (void)s;
    return false;
}

int source_read(struct source *s, char *dst, size_t size, int wait_ms, size_t *n, struct tl_error *err)
{
    (void)wait_ms;
    (void)err;
    *n = TL_MIN(TL_MIN(size, s->step), s->bytes.len - s->at);
    if (*n)
        memcpy(dst, s->bytes.ptr + s->at, *n);
    s->at += *n;
    return 0;
}

int source_rewind(struct source *s, struct tl_error *err)
{
    (void)err;
    s->at = 0;
    return 0;
}

static void require(bool holds)
{
    if (!holds)
        abort();
}

struct sink {
    struct splitter *splitter;
    struct tl_dialect dialect;
    struct tl_buf text;
    int64_t seq[PARTITIONS];
};

/* Reads the batch as the validator does: rows delimited by their quoting, save those that are listed. */
static void check_value(const struct sink *sink, const struct batch *b)
{
    struct tl_str rest = tl_str_n(b->value, b->len), list = tl_str(b->malformed);
    struct tl_malformed m;
    int more = b->malformed ? tl_malformed_next(&list, &m) : 0;
    int64_t rows = 0, line, earlier = 0;

    while (rest.len) {
        size_t offset, len;

        require(tl_rawtext_line(&rest, &line) && line > earlier);
        require(rows > 0 || line == b->first_line);
        earlier = line;
        offset = (size_t)(rest.ptr - b->value);
        if (more == 1 && m.offset == offset) {
            len = m.len;
            more = tl_malformed_next(&list, &m);
        } else {
            struct tl_scan_record record;

            require(tl_csv_scan(&sink->dialect, rest.ptr, rest.ptr + rest.len, true, BATCH, &record) ==
                    TL_SCAN_RECORD);
            len = record.len;
        }
        require(len < rest.len && rest.ptr[len] == '\n');
        rest = tl_str_n(rest.ptr + len + 1, rest.len - len - 1);
        rows++;
    }
    require(more == 0 && rows == b->rows && rows > 0);
}

static int on_batch(void *app, struct batch *b, struct tl_error *err)
{
    struct sink *sink = app;

    (void)err;
    require(b->partition >= 0 && b->partition < PARTITIONS && b->seq == ++sink->seq[b->partition]);
    require(b->len <= BATCH && b->len <= b->cap);
    check_value(sink, b);
    require(tl_buf_appendf(&sink->text, "%d:", b->partition) == TL_BUF_OK);
    require(tl_buf_append(&sink->text, b->value, b->len) == TL_BUF_OK);
    free(b->malformed);
    splitter_recycle(sink->splitter, b->value, b->cap);
    return 0;
}

static int run(struct sink *sink, const struct tl_schema *schema, const struct split_options *o,
               struct tl_str bytes, size_t step)
{
    struct source source = {.bytes = bytes, .step = step};
    struct tl_error err;
    int rc;

    *sink = (struct sink){.dialect = o->dialect};
    tl_buf_init(&sink->text, 256 * 1024 * 1024);
    sink->splitter = splitter_new(schema, o, on_batch, sink, &err);
    require(sink->splitter != NULL);
    rc = splitter_run(sink->splitter, &source, &err);
    require(rc || splitter_totals(sink->splitter).bytes == (int64_t)bytes.len);
    splitter_free(sink->splitter);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct split_options o = {.partitions = PARTITIONS, .batch_bytes = BATCH, .malformed_in_a_row = 50};
    struct sink whole, parts;
    struct tl_schema *schema;
    struct tl_error err;
    struct tl_str bytes;

    if (size < 3)
        return 0;
    require(tl_schema_from_text(tl_str(data[0] & 1 ? table : table_without_key), &schema, &err) == 0);
    tl_dialect_csv(&o.dialect);
    if (data[0] & 2)
        o.dialect.quote = '\0';
    o.header = (enum header_mode)((data[0] >> 2) % 3);
    o.record_max = data[1];
    bytes = tl_str_n((const char *)data + 3, size - 3);
    require(run(&whole, schema, &o, bytes, SIZE_MAX) == run(&parts, schema, &o, bytes, 1 + data[2]));
    require(tl_str_eq(tl_buf_str(&whole.text), tl_buf_str(&parts.text)));
    tl_buf_release(&whole.text);
    tl_buf_release(&parts.text);
    tl_schema_free(schema);
    return 0;
}
