// SPDX-License-Identifier: Apache-2.0
// directory.c: directories and names: create, remove, rename so that a crash leaves the old or the new, and find out
// what a file system can do before hours of work depend on it.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "engine/file.h"

static enum sy_status no_memory(struct sy_ctx *ctx, const char *path)
{
    return sy_fail(ctx, SY_NOMEM, "%s: out of memory for the file's name", path);
}

enum sy_status sy_dir_create(struct sy_ctx *ctx, const char *path)
{
    char *copy = sy_path_join(path, ""); // with a final slash, so that the loop also creates the last part
    if (copy == NULL)
        return no_memory(ctx, path);
    enum sy_status status = SY_OK;
    for (char *p = copy + 1; copy[0] != '\0' && *p != '\0' && status == SY_OK; ++p) {
        if (*p != '/')
            continue;
        *p = '\0';
        // Ranks of one job create the same directory at once: EEXIST is success when it is a directory.
        if (mkdir(copy, 0777) != 0 && !(errno == EEXIST && sy_dir_exists(copy)))
            status = sy_fail(ctx, SY_IO, "cannot create directory %s: %s", copy, strerror(errno));
        *p = '/';
    }
    free(copy);
    return status;
}

enum sy_status sy_dir_remove(struct sy_ctx *ctx, const char *path)
{
    struct stat s;
    if (lstat(path, &s) != 0)
        return errno == ENOENT ? SY_OK : sy_fail(ctx, SY_IO, "cannot look at %s: %s", path, strerror(errno));
    if (!S_ISDIR(s.st_mode)) {
        if (unlink(path) != 0)
            return sy_fail(ctx, SY_IO, "cannot remove %s: %s", path, strerror(errno));
        return SY_OK;
    }
    DIR *dir = opendir(path);
    if (dir == NULL)
        return sy_fail(ctx, SY_IO, "cannot open directory %s: %s", path, strerror(errno));
    enum sy_status status = SY_OK;
    for (struct dirent *e = readdir(dir); e != NULL && status == SY_OK; e = readdir(dir)) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        char *child = sy_path_join(path, e->d_name);
        status = child == NULL ? no_memory(ctx, path) : sy_dir_remove(ctx, child);
        free(child);
    }
    closedir(dir);
    if (status == SY_OK && rmdir(path) != 0)
        status = sy_fail(ctx, SY_IO, "cannot remove directory %s: %s", path, strerror(errno));
    return status;
}

bool sy_flush_impossible(int cause)
{
    return cause == EINVAL || cause == EROFS || cause == ENOSYS || cause == ENOTSUP || cause == EBADF ||
           cause == EISDIR || cause == EACCES || cause == EPERM;
}

// A rename is only on the disk when its directory is. Where a directory cannot be flushed, nothing more can be done.
static enum sy_status flush_parent(struct sy_ctx *ctx, const char *path)
{
    char *parent = strdup(path);
    if (parent == NULL)
        return no_memory(ctx, path);
    char *slash = strrchr(parent, '/');
    if (slash != NULL)
        slash[slash == parent ? 1 : 0] = '\0';
    const char *name = slash != NULL ? parent : ".";
    enum sy_status status = SY_OK;
    int fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if ((fd < 0 || fsync(fd) != 0) && !sy_flush_impossible(errno))
        status = sy_fail(ctx, SY_IO, "cannot flush directory %s to the disk: %s", name, strerror(errno));
    if (fd >= 0)
        close(fd);
    free(parent);
    return status;
}

/// A directory's own entries must be on the disk before its name is.
static enum sy_status flush_inside(struct sy_ctx *ctx, const char *path)
{
    struct stat s;
    if (lstat(path, &s) != 0 || !S_ISDIR(s.st_mode))
        return SY_OK;
    char *inside = sy_path_join(path, ".");
    enum sy_status status = inside == NULL ? no_memory(ctx, path) : flush_parent(ctx, inside);
    free(inside);
    return status;
}

/// Puts `from` in the place of `to` in three steps: what was there is never removed before the new one has the name.
static bool replace_in_steps(const char *from, const char *to, bool swap)
{
    char *aside = malloc(strlen(from) + 8);
    if (aside == NULL)
        return false;
    sprintf(aside, "%s.old", from);
    bool good = rename(to, aside) == 0;
    if (good && rename(from, to) != 0) {
        const int cause = errno;
        (void)!rename(aside, to); // as it was
        errno = cause;
        good = false;
    }
    if (good && swap)
        good = rename(aside, from) == 0;
    else if (good)
        unlink(aside); // one too many does no harm
    free(aside);
    return good;
}

enum sy_status sy_path_commit(struct sy_ctx *ctx, const char *from, const char *to)
{
    struct stat s;
    SY_TRY(flush_inside(ctx, from));
    if (rename(from, to) != 0) {
        const int cause = errno;
        // Some file systems do not rename over a file that is there.
        const bool may_replace = (cause == EEXIST || cause == EPERM || cause == ENOTSUP || cause == ENOSYS) &&
                                 lstat(to, &s) == 0 && !S_ISDIR(s.st_mode);
        if (!may_replace || !replace_in_steps(from, to, false))
            return sy_fail(ctx, SY_IO, "cannot rename %s to %s: %s", from, to, strerror(may_replace ? errno : cause));
    }
    return flush_parent(ctx, to);
}

enum sy_status sy_path_exchange(struct sy_ctx *ctx, const char *a, const char *b)
{
    SY_TRY(flush_inside(ctx, a));
    if (renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE) != 0) {
        // Some file systems cannot swap names: then there is a moment without `b`, but never half of one.
        const bool impossible = errno == EINVAL || errno == ENOSYS || errno == ENOTSUP || errno == EPERM;
        if (!impossible || !replace_in_steps(a, b, true))
            return sy_fail(ctx, SY_IO, "cannot swap %s and %s: %s", a, b, strerror(errno));
    }
    return flush_parent(ctx, b);
}

// ---- what a file system can do --------------------------------------------------------------------------------------

static bool write_probe(const char *path)
{
    static const char block[4096];
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0)
        return false;
    ssize_t put = write(fd, block, sizeof block);
    if (put >= 0 && put < (ssize_t)sizeof block)
        errno = ENOSPC;
    bool good = put == (ssize_t)sizeof block && (fsync(fd) == 0 || sy_flush_impossible(errno));
    const int cause = errno;
    good = close(fd) == 0 && good;
    errno = cause;
    return good;
}

static enum sy_status probe(struct sy_ctx *ctx, const char *path, const char *file, const char *other, bool *out_links)
{
    struct stat s;
    if (!write_probe(file) || !write_probe(other))
        return sy_fail(ctx, SY_IO, "cannot write in %s: %s; make room or get the rights, or choose another directory",
                       path, strerror(errno));
    SY_TRY(sy_path_commit(ctx, file, other));
    *out_links = symlink(".", file) == 0 && lstat(file, &s) == 0 && S_ISLNK(s.st_mode) && sy_dir_exists(file);
    return SY_OK;
}

enum sy_status sy_dir_probe(struct sy_ctx *ctx, const char *path, bool *out_links)
{
    char name[64];
    snprintf(name, sizeof name, ".probe-%ld", (long)getpid());
    char *file = sy_path_join(path, name);
    strcat(name, "-2");
    char *other = sy_path_join(path, name);
    enum sy_status status =
        file == NULL || other == NULL ? no_memory(ctx, path) : probe(ctx, path, file, other, out_links);
    if (file != NULL)
        unlink(file);
    if (other != NULL)
        unlink(other);
    free(file);
    free(other);
    return status;
}

uint64_t sy_dir_free_bytes(const char *path)
{
    struct statvfs v;
    // File systems that do not know say 0 of 0.
    return statvfs(path, &v) == 0 && v.f_blocks != 0 ? (uint64_t)v.f_bavail * v.f_frsize : UINT64_MAX;
}
