// SPDX-License-Identifier: Apache-2.0
// poorfs.c: preloaded into a program, it takes away what some file systems lack. POORFS lists it: links (no symbolic or
// hard links), flock, swap (no exchange of two names), over (no rename over a file that is there), sync (directories
// cannot be flushed).
#include <dlfcn.h>
#include <errno.h>
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
