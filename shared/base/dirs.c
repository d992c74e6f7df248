/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "shared/base/dirs.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

static int sync_directory(const char *path, struct tl_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), failed = 0;

    if (fd < 0)
        return tl_fail_errno(err, errno, "directory %s can't be opened", path);
    if (fsync(fd) != 0)
        failed = tl_fail_errno(err, errno, "directory %s can't be written to the disk", path);
    close(fd);
    return failed;
}

static int make_one(const char *path, const char *parent, struct tl_error *err)
{
    if (mkdir(path, 0750) == 0)
        return sync_directory(parent, err);
    return errno == EEXIST ? 0 : tl_fail_errno(err, errno, "directory %s can't be made", path);
}

int tl_dirs_make(const char *path, struct tl_error *err)
{
    char part[PATH_MAX], parent[PATH_MAX];
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof part)
        return tl_fail(err, TL_E_REFUSED, "a directory's name has %zu bytes", len);
    memcpy(part, path, len + 1);
    memcpy(parent, path[0] == '/' ? "/" : ".", 2);
    for (size_t i = 1; i <= len; i++) {
        if ((path[i] != '/' && path[i] != '\0') || path[i - 1] == '/')
            continue;
        part[i] = '\0';
        if (make_one(part, parent, err))
            return -1;
        memcpy(parent, part, i + 1);
        part[i] = path[i];
    }
    return 0;
}
