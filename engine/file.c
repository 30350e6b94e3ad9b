// SPDX-License-Identifier: Apache-2.0
// file.c: whole files: read, map, hash, write atomically. Directories and names: directory.c.
#include "engine/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#define BLOCK_BYTES (1u << 20)

char *sy_path_join(const char *directory, const char *name)
{
    size_t a = strlen(directory), b = strlen(name);
    bool slash = a > 0 && directory[a - 1] != '/';
    char *path = malloc(a + b + 2);
    if (path == NULL)
        return NULL;
    memcpy(path, directory, a);
    if (slash)
        path[a++] = '/';
    memcpy(path + a, name, b + 1);
    return path;
}

bool sy_file_exists(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISREG(s.st_mode);
}

bool sy_dir_exists(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}

enum sy_status sy_path_print(struct sy_ctx *ctx, char out[SY_PATH_ROOM], const char *directory, const char *name)
{
    const int n =
        snprintf(out, SY_PATH_ROOM, "%s%s%s", directory, *directory != '\0' && *name != '\0' ? "/" : "", name);
    return n >= 0 && n < SY_PATH_ROOM ? SY_OK : sy_fail(ctx, SY_INVALID, "path too long: %.200s…/%s", directory, name);
}

static enum sy_status no_memory(struct sy_ctx *ctx, const char *path)
{
    return sy_fail(ctx, SY_NOMEM, "%s: out of memory for the file's name or contents", path);
}

// ---- reading --------------------------------------------------------------------------------------------------------

static enum sy_status open_regular(struct sy_ctx *ctx, const char *path, int *out_fd, uint64_t *out_bytes)
{
    // O_NONBLOCK: opening a named pipe without a writer must not hang; regular files do not care.
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return sy_fail(ctx, SY_IO, "cannot open %s: %s", path, strerror(errno));
    struct stat s;
    if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode)) {
        close(fd);
        return sy_fail(ctx, SY_IO, "cannot read %s: it is not a regular file", path);
    }
    *out_fd = fd;
    *out_bytes = (uint64_t)s.st_size;
    return SY_OK;
}

static enum sy_status read_fully(struct sy_ctx *ctx, const char *path, int fd, char *data, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        ssize_t got = read(fd, data + done, bytes - done);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return sy_fail(ctx, SY_IO, "cannot read %s: %s", path, strerror(errno));
        if (got == 0)
            return sy_fail(ctx, SY_IO, "%s ended after %zu of %zu bytes: is it still being written?", path, done,
                           bytes);
        done += (size_t)got;
    }
    return SY_OK;
}

enum sy_status sy_file_read(struct sy_ctx *ctx, const char *path, uint64_t max_bytes, char **out_data,
                            size_t *out_bytes)
{
    int fd;
    uint64_t bytes;
    SY_TRY(open_regular(ctx, path, &fd, &bytes));
    enum sy_status status = SY_OK;
    char *data = NULL;
    if (bytes > max_bytes)
        status = sy_fail(ctx, SY_FORMAT, "%s has %llu bytes, expected at most %llu: is it the right file?", path,
                         (unsigned long long)bytes, (unsigned long long)max_bytes);
    else if ((data = malloc((size_t)bytes + 1)) == NULL)
        status = no_memory(ctx, path);
    else
        status = read_fully(ctx, path, fd, data, (size_t)bytes);
    close(fd);
    if (status != SY_OK) {
        free(data);
        return status;
    }
    data[bytes] = '\0';
    *out_data = data;
    *out_bytes = (size_t)bytes;
    return SY_OK;
}

enum sy_status sy_map_open(struct sy_ctx *ctx, const char *path, struct sy_map *out_map)
{
    int fd;
    uint64_t bytes;
    SY_TRY(open_regular(ctx, path, &fd, &bytes));
    void *data = NULL;
    if (bytes > 0) // mmap of nothing is an error
        data = mmap(NULL, (size_t)bytes, PROT_READ, MAP_PRIVATE, fd, 0);
    int cause = errno;
    close(fd);
    if (data == MAP_FAILED)
        return sy_fail(ctx, SY_IO, "cannot map %s (%llu bytes): %s", path, (unsigned long long)bytes, strerror(cause));
    *out_map = (struct sy_map){.data = data, .bytes = bytes};
    return SY_OK;
}

void sy_map_release(const struct sy_map *map, const void *data, uint64_t bytes)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), from = (uint64_t)((const uint8_t *)data - map->data);
    const uint64_t first = (from + page - 1) / page * page, end = (from + bytes) / page * page;
    if (end > first)
        (void)madvise((void *)(uintptr_t)(map->data + first), (size_t)(end - first), MADV_DONTNEED);
}

void sy_map_close(struct sy_map *map)
{
    if (map->data != NULL)
        munmap((void *)(uintptr_t)map->data, (size_t)map->bytes);
    *map = (struct sy_map){0};
}

static enum sy_status hash_rest(struct sy_ctx *ctx, const char *path, int fd, uint64_t bytes, XXH3_state_t *state)
{
    char *block = malloc(BLOCK_BYTES);
    if (block == NULL)
        return no_memory(ctx, path);
    enum sy_status status = SY_OK;
    for (uint64_t done = 0; done < bytes && status == SY_OK;) {
        size_t n = bytes - done < BLOCK_BYTES ? (size_t)(bytes - done) : BLOCK_BYTES;
        status = read_fully(ctx, path, fd, block, n);
        if (status == SY_OK && XXH3_128bits_update(state, block, n) != XXH_OK)
            status = sy_fail(ctx, SY_INTERNAL, "%s: hashing failed", path);
        done += n;
    }
    free(block);
    return status;
}

static void print_hash(const XXH3_state_t *state, char out_hex[33])
{
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state));
    for (size_t i = 0; i < sizeof canonical.digest; ++i)
        snprintf(out_hex + 2 * i, 3, "%02x", canonical.digest[i]);
}

enum sy_status sy_file_hash(struct sy_ctx *ctx, const char *path, char out_hex[33], uint64_t *out_bytes)
{
    int fd;
    uint64_t bytes;
    SY_TRY(open_regular(ctx, path, &fd, &bytes));
    enum sy_status status = SY_OK;
    XXH3_state_t *state = XXH3_createState();
    if (state == NULL || XXH3_128bits_reset(state) != XXH_OK)
        status = no_memory(ctx, path);
    else
        status = hash_rest(ctx, path, fd, bytes, state);
    close(fd);
    if (status == SY_OK) {
        print_hash(state, out_hex);
        *out_bytes = bytes;
    }
    XXH3_freeState(state);
    return status;
}

// ---- writing --------------------------------------------------------------------------------------------------------

struct sy_file {
    struct sy_ctx *ctx;
    char *path, *temporary;
    int fd;
    XXH3_state_t *hash; ///< Of what was appended.
    uint64_t bytes;
};

static void file_free(struct sy_file **file)
{
    XXH3_freeState((*file)->hash);
    free((*file)->path);
    free((*file)->temporary);
    free(*file);
    *file = NULL;
}

// A rename would put a file in the place of /dev/null or a named pipe.
static enum sy_status check_target(struct sy_ctx *ctx, const char *path)
{
    struct stat s;
    if (stat(path, &s) != 0 || S_ISREG(s.st_mode))
        return SY_OK;
    return sy_fail(ctx, SY_IO, "cannot write %s: it is %s; name a file", path,
                   S_ISDIR(s.st_mode) ? "a directory" : "a device or pipe");
}

enum sy_status sy_file_create(struct sy_ctx *ctx, const char *path, struct sy_file **out_file)
{
    SY_TRY(check_target(ctx, path));
    struct sy_file *file = calloc(1, sizeof *file);
    size_t room = strlen(path) + 32;
    if (file == NULL || (file->path = strdup(path)) == NULL || (file->temporary = malloc(room)) == NULL ||
        (file->hash = XXH3_createState()) == NULL || XXH3_128bits_reset(file->hash) != XXH_OK) {
        if (file != NULL)
            file_free(&file);
        return no_memory(ctx, path);
    }
    snprintf(file->temporary, room, "%s.tmp-%ld", path, (long)getpid());
    file->ctx = ctx;
    file->fd = open(file->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file->fd < 0) {
        enum sy_status status = sy_fail(ctx, SY_IO, "cannot create %s: %s", path, strerror(errno));
        file_free(&file);
        return status;
    }
    *out_file = file;
    return SY_OK;
}

enum sy_status sy_file_append(struct sy_file *file, const void *data, uint64_t bytes)
{
    const char *from = data;
    for (uint64_t done = 0; done < bytes;) { // in blocks, which are still in the cache when they are hashed
        uint64_t rest = bytes - done;
        ssize_t put = write(file->fd, from + done, rest < BLOCK_BYTES ? (size_t)rest : BLOCK_BYTES);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return sy_fail(file->ctx, SY_IO, "cannot write %s: %s; an older file of that name is unchanged%s",
                           file->path, strerror(errno),
                           errno == ENOSPC || errno == EDQUOT ? ", free some space and repeat" : "");
        if (XXH3_128bits_update(file->hash, from + done, (size_t)put) != XXH_OK)
            return sy_fail(file->ctx, SY_INTERNAL, "%s: hashing failed", file->path);
        done += (uint64_t)put;
        file->bytes += (uint64_t)put;
    }
    return SY_OK;
}

void sy_file_written(const struct sy_file *file, char out_hex[33], uint64_t *out_bytes)
{
    print_hash(file->hash, out_hex);
    *out_bytes = file->bytes;
}

enum sy_status sy_file_commit(struct sy_file **file)
{
    struct sy_file *f = *file;
    enum sy_status status = SY_OK;
    if (fsync(f->fd) != 0 && !sy_flush_impossible(errno))
        status = sy_fail(f->ctx, SY_IO, "cannot flush %s to the disk: %s; an older file is unchanged", f->path,
                         strerror(errno));
    if (close(f->fd) != 0 && status == SY_OK)
        status = sy_fail(f->ctx, SY_IO, "cannot finish %s: %s; an older file is unchanged", f->path, strerror(errno));
    if (status == SY_OK)
        status = sy_path_commit(f->ctx, f->temporary, f->path);
    if (status != SY_OK)
        unlink(f->temporary);
    file_free(file);
    return status;
}

void sy_file_abort(struct sy_file **file)
{
    if (*file == NULL)
        return;
    close((*file)->fd);
    unlink((*file)->temporary);
    file_free(file);
}

enum sy_status sy_file_write(struct sy_ctx *ctx, const char *path, const void *data, uint64_t bytes)
{
    struct sy_file *file;
    SY_TRY(sy_file_create(ctx, path, &file));
    enum sy_status status = sy_file_append(file, data, bytes);
    if (status == SY_OK)
        return sy_file_commit(&file);
    sy_file_abort(&file);
    return status;
}

// ---- sums -----------------------------------------------------------------------------------------------------------

enum sy_status sy_file_sums_add(const struct sy_file *file, struct sy_file_sums *sums)
{
    if (sums == NULL)
        return SY_OK;
    const char *slash = strrchr(file->path, '/'), *name = slash != NULL ? slash + 1 : file->path;
    if (strlen(name) >= sizeof sums->items->name)
        return sy_fail(file->ctx, SY_INVALID, "%s: a name too long for a list of files", file->path);
    struct sy_file_sum *bigger = realloc(sums->items, (sums->count + 1) * sizeof *bigger);
    if (bigger == NULL)
        return no_memory(file->ctx, file->path);
    sums->items = bigger;
    struct sy_file_sum *sum = &bigger[sums->count++];
    snprintf(sum->name, sizeof sum->name, "%s", name);
    sy_file_written(file, sum->hex, &sum->bytes);
    return SY_OK;
}

const struct sy_file_sum *sy_file_sums_find(const struct sy_file_sums *sums, const char *name)
{
    for (size_t i = 0; i < sums->count; ++i)
        if (strcmp(sums->items[i].name, name) == 0)
            return &sums->items[i];
    return NULL;
}

void sy_file_sums_finish(struct sy_file_sums *sums)
{
    free(sums->items);
    *sums = (struct sy_file_sums){0};
}
