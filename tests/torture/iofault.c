/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A disk that fails when it is told to, for LD_PRELOAD: writes below IOFAULT_DIR fail while the first byte of the file
 * IOFAULT_CONTROL, which is mapped, says so.
 *
 *   'S'   no space left: what would make a file longer fails with ENOSPC
 *   'E'   every write and every fsync fails with EIO
 *   else  nothing fails
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static const volatile char *control;
static const char *dir;

__attribute__((constructor)) static void open_control(void)
{
    const char *path = getenv("IOFAULT_CONTROL");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *map = fd >= 0 ? mmap(NULL, 1, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

    dir = getenv("IOFAULT_DIR");
    if (fd >= 0)
        close(fd);
    if (map != MAP_FAILED && dir)
        control = map;
}

static int below_dir(int fd)
{
    char link[40], path[PATH_MAX];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path);
    return n > 0 && (size_t)n > strlen(dir) && strncmp(path, dir, strlen(dir)) == 0;
}

/* Whether this call is to fail; then errno is set. sync: it is an fsync. */
static int fails(int fd, int sync)
{
    char now = control ? *control : 0;

    if ((now != 'S' && now != 'E') || (now == 'S' && sync) || !below_dir(fd))
        return 0;
    errno = now == 'S' ? ENOSPC : EIO;
    return 1;
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void *bytes, size_t n)
{
    return fails(fd, 0) ? -1 : NEXT(write)(fd, bytes, n);
}

ssize_t writev(int fd, const struct iovec *pieces, int n)
{
    return fails(fd, 0) ? -1 : NEXT(writev)(fd, pieces, n);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    return fails(fd, 0) ? -1 : NEXT(pwrite)(fd, bytes, n, at);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
    return fails(fd, 0) ? -1 : NEXT(pwrite64)(fd, bytes, n, at);
}

int fsync(int fd)
{
    return fails(fd, 1) ? -1 : NEXT(fsync)(fd);
}

int fdatasync(int fd)
{
    return fails(fd, 1) ? -1 : NEXT(fdatasync)(fd);
}
