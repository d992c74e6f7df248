/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/upload/source.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/base/buf.h"
#include "shared/wire/fingerprint.h"

enum {
    EDGE = 64 * 1024, /* bytes sampled at either end of a file */
    SAMPLE = 4 * 1024,
    SAMPLES = 16 /* between the two */
};

struct source {
    int fd;
    bool is_stdin; /* not ours to close */
    bool regular;
    bool trickles;
    off_t start; /* where the first byte is: standard input may stand in the middle of a file */
    int64_t size;
    struct timespec mtime;
    /* Of input that trickles: its first bytes, as long as no more have come; `replay` is the next of them. */
    struct tl_buf kept;
    size_t replay;
    bool can_rewind;
    char fingerprint[TL_FINGERPRINT_TEXT];
    char name[];
};

/* Appends what the file has of [at, at + n); less when it is shorter. */
static int sample(struct source *s, struct tl_buf *samples, int64_t at, size_t n, struct tl_error *err)
{
    int rc = tl_buf_reserve(samples, n);

    if (rc)
        return tl_buf_fail(rc, samples, "the samples of a file", err);
    while (n) {
        ssize_t got = pread(s->fd, samples->data + samples->len, n, (off_t)at);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return tl_fail_errno(err, errno, "%s: can't be read", s->name);
        if (got == 0)
            break;
        samples->len += (size_t)got;
        at += got;
        n -= (size_t)got;
    }
    return 0;
}

static int take_fingerprint(struct source *s, struct tl_error *err)
{
    struct tl_buf samples;
    int64_t rest = s->size - 2 * EDGE;
    int rc;

    tl_buf_init(&samples, 2 * EDGE + SAMPLES * SAMPLE);
    rc = sample(s, &samples, 0, EDGE, err);
    for (int i = 0; !rc && rest > 0 && i < SAMPLES; i++)
        rc = sample(s, &samples, EDGE + rest / SAMPLES * i, SAMPLE, err);
    if (!rc && s->size > EDGE)
        rc = sample(s, &samples, s->size - EDGE, EDGE, err);
    if (!rc)
        tl_fingerprint(s->size, (int64_t)s->mtime.tv_sec * 1000000000 + s->mtime.tv_nsec,
                       tl_buf_str(&samples), s->fingerprint);
    tl_buf_release(&samples);
    return rc;
}

static int look(struct source *s, struct tl_error *err)
{
    struct stat st;

    if (fstat(s->fd, &st))
        return tl_fail_errno(err, errno, "%s", s->name);
    if (S_ISDIR(st.st_mode))
        return tl_fail(err, TL_E_REFUSED, "%s: is a directory", s->name);
    if (S_ISBLK(st.st_mode) || S_ISSOCK(st.st_mode))
        return tl_fail(err, TL_E_REFUSED, "%s: is not a file", s->name);
    s->regular = S_ISREG(st.st_mode);
    s->trickles = s->is_stdin || !s->regular;
    s->can_rewind = s->trickles;
    s->size = -1;
    if (!s->regular)
        return 0;
    s->start = lseek(s->fd, 0, SEEK_CUR);
    if (s->start < 0)
        return tl_fail_errno(err, errno, "%s", s->name);
    s->size = st.st_size > s->start ? st.st_size - s->start : 0;
    s->mtime = st.st_mtim;
    /* Only advice: nothing is lost when it is not taken. */
    (void)posix_fadvise(s->fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    return s->trickles ? 0 : take_fingerprint(s, err);
}

struct source *source_open(const char *path, struct tl_error *err)
{
    bool is_stdin = strcmp(path, "-") == 0;
    const char *name = is_stdin ? "(stdin)" : path;
    struct source *s = calloc(1, sizeof *s + strlen(name) + 1);

    if (!s) {
        tl_fail_nomem(err);
        return NULL;
    }
    memcpy(s->name, name, strlen(name) + 1);
    tl_buf_init(&s->kept, SOURCE_REWIND_MAX);
    s->is_stdin = is_stdin;
    s->fd = is_stdin ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (s->fd < 0) {
        tl_fail_errno(err, errno, "%s", path);
        free(s);
        return NULL;
    }
    if (look(s, err)) {
        source_close(s);
        return NULL;
    }
    return s;
}

void source_close(struct source *s)
{
    if (!s)
        return;
    if (!s->is_stdin)
        close(s->fd);
    tl_buf_release(&s->kept);
    free(s);
}

const char *source_name(const struct source *s)
{
    return s->name;
}

int64_t source_size(const struct source *s)
{
    return s->size;
}

bool source_trickles(const struct source *s)
{
    return s->trickles;
}

const char *source_fingerprint(const struct source *s)
{
    return s->fingerprint;
}

static int check_unchanged(struct source *s, struct tl_error *err)
{
    struct stat st;

    if (fstat(s->fd, &st))
        return tl_fail_errno(err, errno, "%s", s->name);
    if (st.st_size - s->start != s->size)
        return tl_fail(err, TL_E_CORRUPT,
                       "%s changed while it was read (it had %" PRId64 " bytes, now %" PRId64 ")", s->name,
                       s->size, (int64_t)(st.st_size - s->start));
    if (st.st_mtim.tv_sec != s->mtime.tv_sec || st.st_mtim.tv_nsec != s->mtime.tv_nsec)
        return tl_fail(err, TL_E_CORRUPT, "%s changed while it was read (it was written to)", s->name);
    return 0;
}

/* Keeps what was read for source_rewind, or gives that up: no failure before somebody rewinds. */
static void keep(struct source *s, const char *bytes, size_t n)
{
    if (tl_buf_append(&s->kept, bytes, n) == TL_BUF_OK) {
        s->replay = s->kept.len;
        return;
    }
    s->can_rewind = false;
    s->replay = 0;
    tl_buf_release(&s->kept);
}

int source_read(struct source *s, char *dst, size_t size, int wait_ms, size_t *n, struct tl_error *err)
{
    *n = 0;
    if (s->replay < s->kept.len) {
        *n = TL_MIN(size, s->kept.len - s->replay);
        memcpy(dst, s->kept.data + s->replay, *n);
        s->replay += *n;
        return 0;
    }
    for (;;) {
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        int ready = s->regular ? 1 : poll(&p, 1, wait_ms);
        ssize_t got;

        if (ready == 0 || (ready < 0 && errno == EINTR))
            return 1;
        if (ready < 0)
            return tl_fail_errno(err, errno, "%s: can't be waited for", s->name);
        got = read(s->fd, dst, size);
        if (got > 0) {
            *n = (size_t)got;
            if (s->can_rewind)
                keep(s, dst, *n);
            return 0;
        }
        if (got == 0)
            return s->regular ? check_unchanged(s, err) : 0;
        if (errno == EINTR && s->trickles)
            return 1;
        if (errno != EINTR && errno != EAGAIN)
            return tl_fail_errno(err, errno, "%s: can't be read", s->name);
    }
}

int source_rewind(struct source *s, struct tl_error *err)
{
    if (s->trickles) {
        if (!s->can_rewind)
            return tl_fail(err, TL_E_TOO_LARGE, "%s: can't be read from its beginning again", s->name);
        s->replay = 0;
        return 0;
    }
    if (lseek(s->fd, s->start, SEEK_SET) < 0)
        return tl_fail_errno(err, errno, "%s", s->name);
    return 0;
}
