/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The headers of a message in Kafka: what it is, whose, and which number it has. tload-wire(7) tells it.
 *
 * An envelope borrows its texts: from the message that it was read from, or from whoever fills it in.
 * Any thread.
 */
#ifndef TL_WIRE_ENVELOPE_H
#define TL_WIRE_ENVELOPE_H

#include <stdint.h>

#include "shared/base/error.h"
#include "shared/base/str.h"

enum {
    TL_UPLOAD_ID_MAX = 64,
    TL_TENANT_MAX = 31,
    TL_BATCH_ROWS_MAX_BYTES = 1024 * 1024, /* of rows in one batch, before compression */
    TL_MESSAGE_MAX = 8 * 1024 * 1024, /* what the topics take: canonical text can be longer than the record */
    TL_HEADERS_MAX = 20,
    TL_HEADER_NUMBERS = 160 /* bytes that all numbers of one envelope take as text */
};

enum tl_msg_type { TL_MSG_ROWS, TL_MSG_SCHEMA, TL_MSG_END, TL_MSG_CANCEL };

/* Which role found the rows of an import-error message: both may find some in the same batch. */
enum tl_stage { TL_STAGE_VALIDATE, TL_STAGE_SINK };

/* Numbers that are not there are -1, texts {NULL, 0}. */
struct tl_envelope {
    enum tl_msg_type type;
    struct tl_str table;
    int64_t table_id;
    int64_t version;
    struct tl_str upload;  /* rows, end, cancel */
    int64_t seq;           /* rows, end: from 1 within (upload, partition) */
    int64_t rows;          /* rows: how many there are in the value */
    int64_t rejected;      /* validated-input: rows of the raw batch that are not in the value */
    int64_t raw_offset;    /* validated-input, import-error: where the raw batch stands in raw-input */
    int64_t part;          /* import-error: from 1, when one batch's errors need several messages */
    enum tl_stage stage;   /* import-error: there when part is */
    int64_t attempt;       /* import-error, stage sink: which try at the batch it was, a number of no order */
    struct tl_str format;  /* raw-input: how records are written (dialect.h) */
    struct tl_str columns; /* names with commas, in the order of the fields */
    struct tl_str file;    /* the file's name, percent-encoded (RFC 3986) */
    struct tl_str malformed; /* raw-input: records that quoting can't delimit (malformed.h) */
    struct tl_str
        control; /* validated-input: the JSON of schema, end and cancel, whose value is empty there */
    struct tl_str traceparent; /* passed on as it came */
};

void tl_envelope_init(struct tl_envelope *e, enum tl_msg_type type);

struct tl_header {
    const char *name; /* static */
    struct tl_str value;
};

/* Headers as they are handed to Kafka. The values borrow from the envelope and from `numbers` within. */
struct tl_headers {
    size_t n;
    struct tl_header item[TL_HEADERS_MAX];
    char numbers[TL_HEADER_NUMBERS];
};

void tl_envelope_to_headers(const struct tl_envelope *e, struct tl_headers *out);

/*
 * Reads one header into the envelope, which tl_envelope_init made with any type; names that are not ours are
 * passed over. A value that is not what its name needs is TL_E_CORRUPT. When all are read, tl_envelope_check
 * says whether what its type needs is there: TL_E_CORRUPT otherwise.
 */
int tl_envelope_read_header(struct tl_envelope *e, struct tl_str name, struct tl_str value,
                            struct tl_error *err) TL_MUST_CHECK;
int tl_envelope_check(const struct tl_envelope *e, struct tl_error *err) TL_MUST_CHECK;

/* An upload's id: [A-Za-z0-9][A-Za-z0-9._-]{0,63}. */
bool tl_upload_id_valid(struct tl_str id);
/* A tenant's name: [a-z][a-z0-9-]{0,30}. */
bool tl_tenant_valid(struct tl_str name);

#endif
