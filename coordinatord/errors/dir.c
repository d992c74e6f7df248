/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The error store in a directory, file:/dir. A segment is one file:
 *
 *   /dir/<tenant>/<upload>/p<partition>/<seq / 1000>/<seq>-<part>.v.jsonl       found by validate; .s.jsonl:
 * by the sink
 *
 * put writes a file beside it and renames it, so that a reader never sees half of one; the descriptor is
 * kept. sync starts writing all of them to the disk and then waits for each, so that many small segments
 * share the disk's work, and for the directories that lead to them. When a descriptor too many would be open,
 * put waits for the files already.
 *
 * Delivering a segment again must not harm the copy that an earlier sync made durable: one with the same
 * bytes is left as it is, any other is replaced only by a file that is durable already.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "coordinatord/errors/errstores.h"
#include "shared/base/clock.h"
#include "shared/base/dirs.h"
#include "shared/base/failpoint.h"

enum {
    SEQS_IN_DIRECTORY = 1000,
    PENDING_MAX = 128, /* descriptors */
    ROOT_LONGEST = 1024,
    NAME_MAX_BYTES = TL_TENANT_MAX + 1 + TL_UPLOAD_ID_MAX + 1 + 12 + 21 + 64,
    BESIDE_MAX = NAME_MAX_BYTES + 32
};

static const char scheme[] = "file:";

/* A path below the store's directory. */
struct name {
    char text[NAME_MAX_BYTES];
};

struct pending {
    int fd;
    struct name name;
};

struct errstore {
    int root;
    struct tl_log *log;
    size_t npending;
    struct pending pending[PENDING_MAX];
    size_t ndirs; /* directories with names that are not durable yet */
    struct name dirs[PENDING_MAX];
};

static int dir_check_url(const char *url, struct tl_error *err)
{
    const char *dir = url + sizeof scheme - 1;

    if (strncmp(url, scheme, sizeof scheme - 1) != 0 || *dir == '\0')
        return tl_fail(err, TL_E_REFUSED,
                       "\"%s\": expected file: and a directory, as in file:/var/lib/tload/errors", url);
    if (strlen(dir) >= ROOT_LONGEST)
        return tl_fail(err, TL_E_REFUSED, "the error store's directory has a name of more than %d bytes",
                       ROOT_LONGEST - 1);
    return 0;
}

/* The directories on the way to a segment. */
static int make_way(struct errstore *s, const struct name *name, struct tl_error *err)
{
    struct name dir = *name;

    for (char *slash = strchr(dir.text, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdirat(s->root, dir.text, 0750) != 0 && errno != EEXIST)
            return tl_fail_errno(err, errno, "rejected rows can't be stored: directory %s", dir.text);
        *slash = '/';
    }
    return 0;
}

static struct errstore *dir_open(const char *url, struct tl_log *log, struct tl_error *err)
{
    const char *dir = url + sizeof scheme - 1;
    struct errstore *s;

    if (dir_check_url(url, err))
        return NULL;
    if (tl_dirs_make(dir, err)) {
        tl_error_prefix(err, "error store");
        return NULL;
    }
    s = calloc(1, sizeof *s);
    if (!s) {
        tl_fail_nomem(err);
        return NULL;
    }
    s->log = log;
    s->root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (s->root < 0) {
        tl_fail_errno(err, errno, "the error store's directory %s can't be opened", dir);
        free(s);
        return NULL;
    }
    return s;
}

static void forget_pending(struct errstore *s)
{
    for (size_t i = 0; i < s->npending; i++)
        close(s->pending[i].fd);
    s->npending = 0;
    s->ndirs = 0;
}

static void dir_close(struct errstore *s)
{
    if (!s)
        return;
    forget_pending(s);
    close(s->root);
    free(s);
}

static int name_segment(const struct segment_id *id, struct name *name, struct tl_error *err)
{
    /* Checked at the edge as well; here so that no id, wherever it came from, can lead out of the directory.
     */
    if (!tl_tenant_valid(tl_str(id->tenant)) || !tl_upload_id_valid(tl_str(id->upload)) ||
        id->partition < 0 || id->seq < 1 || id->part < 1)
        return tl_fail(err, TL_E_CORRUPT, "a segment of rejected rows has an id that can't be");
    snprintf(name->text, sizeof name->text, "%s/%s/p%d/%06lld/%lld-%lld.%c.jsonl", id->tenant, id->upload,
             (int)id->partition, (long long)(id->seq / SEQS_IN_DIRECTORY), (long long)id->seq,
             (long long)id->part, id->stage == TL_STAGE_SINK ? 's' : 'v');
    return 0;
}

/* Waits for the files. One that fails is removed: the same bytes put again must not be taken for durable. */
static int sync_files(struct errstore *s, struct tl_error *err)
{
    int failed = 0;

    for (size_t i = 0; i < s->npending; i++)
        (void)sync_file_range(s->pending[i].fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    for (size_t i = 0; i < s->npending; i++) {
        if (fsync(s->pending[i].fd) != 0) {
            failed = tl_fail_errno(err, errno, "rejected rows can't be written to the disk");
            (void)unlinkat(s->root, s->pending[i].name.text, 0);
        }
        close(s->pending[i].fd);
    }
    s->npending = 0;
    return failed;
}

static int sync_directory(struct errstore *s, const char *dir, struct tl_error *err)
{
    int fd = openat(s->root, dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), failed = 0;

    if (fd < 0 && errno == ENOENT) /* removed with its upload */
        return 0;
    if (fd < 0)
        return tl_fail_errno(err, errno, "a directory of rejected rows can't be opened");
    if (fsync(fd) != 0)
        failed = tl_fail_errno(err, errno, "a directory of rejected rows can't be written to the disk");
    close(fd);
    return failed;
}

static bool lies_in(const char *path, const char *dir)
{
    size_t len = strlen(dir);

    return strncmp(path, dir, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* A directory, and those that lead to it, as any of them may be new; each once. */
static int sync_way(struct errstore *s, size_t which, struct tl_error *err)
{
    struct name dir = s->dirs[which];
    char *slash;

    for (;;) {
        for (size_t i = 0; i < which; i++)
            if (lies_in(s->dirs[i].text, dir.text))
                return 0;
        if (sync_directory(s, dir.text, err))
            return -1;
        slash = strrchr(dir.text, '/');
        if (!slash)
            return sync_directory(s, ".", err);
        *slash = '\0';
    }
}

static int dir_sync(struct errstore *s, struct tl_error *err)
{
    int failed = TL_FAILPOINT_FAILS(ERRORS_BEFORE_SYNC, err) ? -1 : sync_files(s, err);

    for (size_t i = 0; !failed && i < s->ndirs; i++)
        failed = sync_way(s, i, err);
    forget_pending(s);
    if (!failed && TL_FAILPOINT_FAILS(ERRORS_AFTER_SYNC, err))
        failed = -1;
    return failed;
}

static int add_directory(struct errstore *s, const struct name *name, struct tl_error *err)
{
    struct name dir = *name;

    *strrchr(dir.text, '/') = '\0';
    for (size_t i = 0; i < s->ndirs; i++)
        if (strcmp(s->dirs[i].text, dir.text) == 0)
            return 0;
    if (s->ndirs == PENDING_MAX && dir_sync(s, err))
        return -1;
    s->dirs[s->ndirs++] = dir;
    return 0;
}

/* Takes the descriptor, also when it fails. */
static int add_pending(struct errstore *s, int fd, const struct name *name, struct tl_error *err)
{
    if (add_directory(s, name, err) || (s->npending == PENDING_MAX && sync_files(s, err))) {
        close(fd);
        return -1;
    }
    s->pending[s->npending++] = (struct pending){fd, *name};
    return 0;
}

static int write_all(int fd, struct tl_str text, struct tl_error *err)
{
    while (text.len) {
        ssize_t n = write(fd, text.ptr, text.len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tl_fail_errno(err, errno, "rejected rows can't be stored");
        text.ptr += n;
        text.len -= (size_t)n;
    }
    return 0;
}

/* Reads up to the end of the file, or of the room: out->max. */
static int read_all(int fd, struct tl_buf *out, struct tl_error *err)
{
    struct stat st;
    int rc;

    tl_buf_reset(out);
    if (fstat(fd, &st) != 0)
        return tl_fail_errno(err, errno, "rejected rows can't be read");
    rc = tl_buf_reserve(out, (size_t)st.st_size);
    if (rc)
        return tl_buf_fail(rc, out, "a segment of rejected rows", err);
    while (out->len < (size_t)st.st_size) {
        ssize_t n = read(fd, out->data + out->len, (size_t)st.st_size - out->len);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return tl_fail_errno(err, errno, "rejected rows can't be read");
        if (n == 0)
            break;
        out->len += (size_t)n;
    }
    return 0;
}

/* 1 when the file has just these bytes. */
static int has_bytes(int fd, struct tl_str lines, struct tl_error *err)
{
    struct tl_buf there;
    struct stat st;
    int same = 0;

    if (fstat(fd, &st) != 0)
        return tl_fail_errno(err, errno, "rejected rows can't be read");
    if ((size_t)st.st_size != lines.len)
        return 0;
    tl_buf_init(&there, TL_MAX(lines.len, (size_t)1));
    same = read_all(fd, &there, err) ? -1 : tl_str_eq(tl_buf_str(&there), lines);
    tl_buf_release(&there);
    return same;
}

/* A new file beside the segment's, under a name that nobody else has. */
static int open_beside(struct errstore *s, const struct name *name, char beside[BESIDE_MAX],
                       struct tl_error *err)
{
    enum { TRIES = 100 };

    for (int i = 0; i < TRIES; i++) {
        int fd;

        snprintf(beside, BESIDE_MAX, "%s.%lld.tmp", name->text, (long long)tl_clock_us());
        fd = openat(s->root, beside, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
        if (fd >= 0)
            return fd;
        if (errno == ENOENT) {
            if (make_way(s, name, err))
                return -1;
        } else if (errno != EEXIST) {
            break;
        }
    }
    return tl_fail_errno(err, errno, "rejected rows can't be stored in %s", name->text);
}

static int replace(struct errstore *s, const struct name *name, struct tl_str lines, bool durable,
                   struct tl_error *err)
{
    char beside[BESIDE_MAX];
    int fd = open_beside(s, name, beside, err), failed;

    if (fd < 0)
        return -1;
    failed = write_all(fd, lines, err);
    if (!failed && durable && fsync(fd) != 0)
        failed = tl_fail_errno(err, errno, "rejected rows can't be stored in %s", name->text);
    TL_FAILPOINT(ERRORS_BEFORE_RENAME);
    if (!failed && renameat(s->root, beside, s->root, name->text) != 0)
        failed = tl_fail_errno(err, errno, "rejected rows can't be stored in %s", name->text);
    TL_FAILPOINT(ERRORS_AFTER_RENAME);
    if (failed) {
        (void)unlinkat(s->root, beside, 0);
        close(fd);
        return -1;
    }
    return add_pending(s, fd, name, err);
}

static int dir_put(struct errstore *s, const struct segment_id *id, struct tl_str lines, struct tl_error *err)
{
    struct name name;
    int fd, same;

    if (name_segment(id, &name, err))
        return -1;
    fd = openat(s->root, name.text, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno != ENOENT)
        return tl_fail_errno(err, errno, "rejected rows can't be stored in %s", name.text);
    if (fd < 0)
        return replace(s, &name, lines, false, err);
    same = has_bytes(fd, lines, err);
    if (same == 1)
        return add_pending(s, fd, &name, err);
    close(fd);
    return same < 0 ? -1 : replace(s, &name, lines, true, err);
}

static int dir_get(struct errstore *s, const struct segment_id *id, struct tl_buf *out, struct tl_error *err)
{
    struct name name;
    int fd, failed;

    tl_buf_reset(out);
    if (name_segment(id, &name, err))
        return -1;
    fd = openat(s->root, name.text, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return tl_fail_errno(err, errno, "rejected rows can't be read from %s", name.text);
    failed = read_all(fd, out, err);
    close(fd);
    return failed ? -1 : 1;
}

static int remove_entry(int at, const char *name, struct tl_error *err);

static int remove_entries(DIR *d, struct tl_error *err)
{
    for (;;) {
        struct dirent *e;

        errno = 0;
        e = readdir(d);
        if (!e)
            return errno ? tl_fail_errno(err, errno, "a directory of rejected rows can't be read") : 0;
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            remove_entry(dirfd(d), e->d_name, err))
            return -1;
    }
}

/* A file, or a directory with all that is in it. Its depth is that of a segment's name, so the recursion is
 * shallow. */
static int remove_entry(int at, const char *name, struct tl_error *err)
{
    int fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool directory = fd >= 0;

    if (directory) {
        DIR *d = fdopendir(fd);
        int failed;

        if (!d) {
            close(fd);
            return tl_fail_nomem(err);
        }
        failed = remove_entries(d, err);
        closedir(d);
        if (failed)
            return -1;
    } else if (errno == ENOENT) {
        return 0;
    } else if (errno != ENOTDIR && errno != ELOOP) {
        return tl_fail_errno(err, errno, "rejected rows can't be removed: %s", name);
    }
    if (unlinkat(at, name, directory ? AT_REMOVEDIR : 0) != 0 && errno != ENOENT)
        return tl_fail_errno(err, errno, "rejected rows can't be removed: %s", name);
    return 0;
}

static int dir_remove(struct errstore *s, const char *tenant, const char *upload, struct tl_error *err)
{
    struct segment_id any = {.tenant = tenant, .upload = upload, .seq = 1, .part = 1};
    struct name name;

    if (name_segment(&any, &name, err))
        return -1;
    snprintf(name.text, sizeof name.text, "%s/%s", tenant, upload);
    return remove_entry(s->root, name.text, err);
}

const struct errstore_ops errstore_dir = {
    .scheme = "file",
    .check_url = dir_check_url,
    .open = dir_open,
    .close = dir_close,
    .put = dir_put,
    .sync = dir_sync,
    .get = dir_get,
    .remove = dir_remove,
};
