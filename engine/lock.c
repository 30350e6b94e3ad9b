// SPDX-License-Identifier: Apache-2.0
// lock.c: one process at a time in a directory: flock(), and a file that says who where a file system has none.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "engine/file.h"

#define OWNER_ROOM 512

/// The first line of a small file of the kernel; "" when there is none.
static void first_line(const char *path, char *out, size_t room)
{
    FILE *file = fopen(path, "re");
    out[0] = '\0';
    if (file != NULL && fgets(out, (int)room, file) == NULL)
        out[0] = '\0';
    if (file != NULL)
        fclose(file);
    out[strcspn(out, "\n")] = '\0';
}

/// When a process began, in ticks since the boot: a number that comes back for another process has another one.
static unsigned long long started(long pid)
{
    char path[64], line[1024];
    unsigned long long ticks = 0;
    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    first_line(path, line, sizeof line);
    const char *at = strrchr(line, ')'); // the name before it may hold anything
    return at != NULL &&
                   sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %*d %*d %llu",
                          &ticks) == 1
               ? ticks
               : 0;
}

struct owner {
    char host[256], boot[64];
    long pid;
    unsigned long long started;
};

static void describe_self(struct owner *o)
{
    char host[sizeof o->host] = ""; // not o->host itself: with UBSan gcc sees a null pointer there
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0' || strpbrk(host, " \n") != NULL)
        strcpy(host, "unknown");
    memset(o, 0, sizeof *o);
    memcpy(o->host, host, sizeof host);
    first_line("/proc/sys/kernel/random/boot_id", o->boot, sizeof o->boot);
    if (o->boot[0] == '\0')
        strcpy(o->boot, "unknown");
    o->pid = (long)getpid();
    o->started = started(o->pid);
}

static int print_owner(const struct owner *o, char out[OWNER_ROOM])
{
    return snprintf(out, OWNER_ROOM, "process %ld of host %s, started %llu, boot %s\n", o->pid, o->host, o->started,
                    o->boot);
}

static bool parse_owner(const char *text, struct owner *o)
{
    memset(o, 0, sizeof *o);
    return sscanf(text, "process %ld of host %255[^,], started %llu, boot %63s", &o->pid, o->host, &o->started,
                  o->boot) == 4;
}

/// Only what surely has ended is stale: nothing is known of another host's processes.
static bool is_stale(const struct owner *was)
{
    struct owner self;
    describe_self(&self);
    if (strcmp(was->host, self.host) != 0)
        return false;
    if (strcmp(was->boot, self.boot) != 0)
        return true; // the host was started again
    if (kill((pid_t)was->pid, 0) != 0 && errno == ESRCH)
        return true;
    return was->started != 0 && started(was->pid) != 0 && started(was->pid) != was->started;
}

/// Moves a stale lock away. Another process may have done so and taken the name since: then its lock goes back.
static bool remove_stale(const char *path, const char *seen)
{
    char *aside = malloc(strlen(path) + 32), now[OWNER_ROOM];
    if (aside == NULL)
        return false;
    sprintf(aside, "%s.%ld", path, (long)getpid());
    bool good = rename(path, aside) == 0;
    if (good) {
        first_line(aside, now, sizeof now);
        good = strcmp(now, seen) == 0;
        if (!good)
            (void)!rename(aside, path);
        else
            unlink(aside);
    }
    free(aside);
    return good;
}

static bool create_lock(const char *path)
{
    struct owner self;
    char text[OWNER_ROOM];
    describe_self(&self);
    const int bytes = print_owner(&self, text);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return false;
    bool good = write(fd, text, (size_t)bytes) == bytes && (fsync(fd) == 0 || sy_flush_impossible(errno));
    const int cause = errno;
    good = close(fd) == 0 && good;
    if (!good) {
        unlink(path);
        errno = cause == EEXIST ? EIO : cause;
    }
    return good;
}

static enum sy_status lock_file(struct sy_ctx *ctx, const char *path, struct sy_lock *out)
{
    char *file = sy_path_join(path, ".lock"), text[OWNER_ROOM];
    struct owner was;
    if (file == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory for the lock's name", path);
    bool good = create_lock(file);
    if (!good && errno == EEXIST) {
        first_line(file, text, sizeof text);
        const bool known = parse_owner(text, &was);
        if (known && is_stale(&was) && remove_stale(file, text)) {
            sy_log(ctx, SY_LOG_INFO, "%s was left by process %ld, which has ended: taken over", file, was.pid);
            good = create_lock(file);
        } else {
            const enum sy_status status = sy_fail(
                ctx, SY_INVALID,
                "%s is being written by another process (%s: %s); wait for it, or choose another directory; if it has "
                "ended, remove that file",
                path, file, known ? text : "not readable");
            free(file);
            return status;
        }
    }
    if (!good) {
        const enum sy_status status = sy_fail(ctx, SY_IO, "cannot create %s: %s", file, strerror(errno));
        free(file);
        return status;
    }
    out->file = file;
    return SY_OK;
}

enum sy_status sy_dir_lock(struct sy_ctx *ctx, const char *path, struct sy_lock *out)
{
    *out = SY_LOCK_NONE;
    out->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (out->fd < 0)
        return sy_fail(ctx, SY_IO, "cannot open directory %s: %s", path, strerror(errno));
    if (flock(out->fd, LOCK_EX | LOCK_NB) == 0)
        return SY_OK;
    const bool taken = errno == EWOULDBLOCK;
    close(out->fd);
    out->fd = -1;
    // Some network file systems lock no directory that is open for reading, and others nothing at all.
    return taken ? sy_fail(ctx, SY_INVALID,
                           "%s is being written by another process; wait for it, or choose another directory", path)
                 : lock_file(ctx, path, out);
}

void sy_dir_unlock(struct sy_lock *lock)
{
    if (lock->fd >= 0)
        close(lock->fd);
    if (lock->file != NULL)
        unlink(lock->file);
    free(lock->file);
    *lock = SY_LOCK_NONE;
}
