/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/upload/sources.h"

#include <stdlib.h>

#include "shared/http/client.h"

static char *encode_name(const char *name)
{
    struct tl_buf b;

    tl_buf_init(&b, 16 * 1024);
    if (tl_http_escape(&b, name) || tl_buf_terminate(&b)) {
        tl_buf_release(&b);
        return NULL;
    }
    return b.data; /* malloc'ed, the caller's */
}

int sources_open(struct sources *s, const char *const *paths, size_t n, struct tl_error *err)
{
    s->item = calloc(n, sizeof *s->item);
    if (!s->item)
        return tl_fail_nomem(err);
    for (; s->n < n; s->n++) {
        struct named_source *item = &s->item[s->n];
        int64_t size;

        item->source = source_open(paths[s->n], err);
        if (!item->source)
            return -1;
        item->path = realpath(paths[s->n], NULL); /* NULL for standard input */
        item->encoded = encode_name(source_name(item->source));
        if (!item->encoded) {
            free(item->path);
            source_close(item->source);
            return tl_fail_nomem(err);
        }
        size = source_size(item->source);
        s->bytes = size < 0 || s->bytes < 0 ? -1 : s->bytes + size;
        s->trickle = s->trickle || source_trickles(item->source);
    }
    return 0;
}

void sources_close(struct sources *s)
{
    for (size_t i = 0; i < s->n; i++) {
        source_close(s->item[i].source);
        free(s->item[i].encoded);
        free(s->item[i].path);
    }
    free(s->item);
    *s = (struct sources){0};
}

int sources_check_headers(struct sources *s, struct splitter *splitter, struct tl_error *err)
{
    char *first = NULL;
    int rc = 0;

    for (size_t i = 0; i < s->n && !rc; i++) {
        const char *columns;

        rc = splitter_check_header(splitter, s->item[i].source, err);
        columns = rc ? "" : splitter_columns(splitter);
        if (!columns[0])
            continue; /* an empty file has none */
        if (!first) {
            first = strdup(columns);
            rc = first ? 0 : tl_fail_nomem(err);
        } else if (strcmp(first, columns) != 0) {
            rc = tl_fail(
                err, TL_E_REFUSED,
                "%s has its columns in another order than the files before it (%s, not %s); upload it by itself",
                source_name(s->item[i].source), columns, first);
        }
    }
    free(first);
    return rc;
}

json_t *sources_to_json(const struct sources *s)
{
    json_t *files = json_array();

    for (size_t i = 0; files && i < s->n; i++) {
        const struct source *source = s->item[i].source;
        int64_t size = source_size(source);
        json_t *name = json_string(source_name(source));
        json_t *file;

        if (!name) /* not UTF-8, which a file's name may be */
            name = json_string(s->item[i].encoded);
        file = json_pack("{s:o, s:s*, s:o, s:s}", "name", name, "path", s->item[i].path, "bytes",
                         size < 0 ? json_null() : json_integer(size), "fingerprint",
                         source_fingerprint(source));

        if (!file || json_array_append_new(files, file)) {
            json_decref(files);
            return NULL;
        }
    }
    return files;
}
