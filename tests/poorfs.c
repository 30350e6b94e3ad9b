// SPDX-License-Identifier: Apache-2.0
// poorfs.c: preloaded into a program, it takes away what some file systems lack. POORFS lists it: links (no symbolic or
// hard links), flock, swap (no exchange of two names), over (no rename over a file that is there), sync (directories
// cannot be flushed), burst (no write of more than 5000 bytes at once), room (no more than 30000 bytes in a file). No
// file whose path contains POORFS_UNREADABLE can be opened for reading.
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int lacks(const char *what)
{
    const char *list = getenv("POORFS");
    return list != NULL && strstr(list, what) != NULL;
}

static int fail(int cause)
{
    errno = cause;
    return -1;
}

#define NEXT(args, name) int(*next) args = (int(*) args)(size_t)dlsym(RTLD_NEXT, name)

int symlink(const char *target, const char *path)
{
    NEXT((const char *, const char *), "symlink");
    return lacks("links") ? fail(ENOSYS) : next(target, path);
}

int link(const char *from, const char *to)
{
    NEXT((const char *, const char *), "link");
    return lacks("links") ? fail(EPERM) : next(from, to);
}

int flock(int fd, int operation)
{
    NEXT((int, int), "flock");
    return lacks("flock") ? fail(ENOLCK) : next(fd, operation);
}

int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags)
{
    NEXT((int, const char *, int, const char *, unsigned), "renameat2");
    return lacks("swap") && flags != 0 ? fail(EINVAL) : next(from_dir, from, to_dir, to, flags);
}

int rename(const char *from, const char *to)
{
    struct stat s;
    NEXT((const char *, const char *), "rename");
    return lacks("over") && lstat(to, &s) == 0 ? fail(EEXIST) : next(from, to);
}

int fsync(int fd)
{
    struct stat s;
    NEXT((int), "fsync");
    return lacks("sync") && fstat(fd, &s) == 0 && S_ISDIR(s.st_mode) ? fail(ENOTSUP) : next(fd);
}

int open(const char *path, int flags, ...)
{
    const char *hidden = getenv("POORFS_UNREADABLE");
    va_list more;
    va_start(more, flags);
    const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
    va_end(more);
    NEXT((const char *, int, ...), "open64");
    return (flags & O_ACCMODE) == O_RDONLY && hidden != NULL && strstr(path, hidden) != NULL ? fail(EIO)
                                                                                             : next(path, flags, mode);
}

ssize_t write(int fd, const void *data, size_t bytes)
{
    struct stat s;
    ssize_t (*next)(int, const void *, size_t) =
        (ssize_t(*)(int, const void *, size_t))(size_t)dlsym(RTLD_NEXT, "write");
    const bool file = fstat(fd, &s) == 0 && S_ISREG(s.st_mode);
    if (file && lacks("room") && lseek(fd, 0, SEEK_CUR) > 30000)
        return fail(ENOSPC);
    return next(fd, data, file && lacks("burst") && bytes > 5000 ? 5000 : bytes);
}
