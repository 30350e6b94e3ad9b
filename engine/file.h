// SPDX-License-Identifier: Apache-2.0
// file.h: whole files: read, map, hash, and write so that a reader sees the old one or the new one, never half.
//
// Writing goes to `PATH.tmp-PID` beside the target, is flushed to the disk, and takes the name at the end.
// A full disk or a crash leaves the old file as it was.
// Layer: engine.
#pragma once

#include "hostlib/status.h"

/// "directory/name" in a malloc'ed string; NULL when out of memory.
char *sy_path_join(const char *directory, const char *name);
#define SY_PATH_ROOM 4096
/// The same in a buffer of the caller's; a "" on either side takes its slash along. Errors: INVALID too long.
SY_MUST_CHECK enum sy_status sy_path_print(struct sy_ctx *ctx, char out[SY_PATH_ROOM], const char *directory,
                                           const char *name);
bool sy_file_exists(const char *path); ///< A regular file (or a link to one).
bool sy_dir_exists(const char *path);

/// Creates a directory and its missing parents. Errors: IO.
SY_MUST_CHECK enum sy_status sy_dir_create(struct sy_ctx *ctx, const char *path);

/// A directory that this process has for itself.
struct sy_lock {
    int fd;     ///< Of the directory, under flock(); -1: none.
    char *file; ///< Where there is no flock(): a file that says who. NULL: none.
};
#define SY_LOCK_NONE ((struct sy_lock){.fd = -1})
/// Takes a directory for this process until sy_dir_unlock(), or until the process ends. On a file system without
/// flock() the file PATH/.lock says which process of which host has it; one whose process is gone is taken over.
/// Errors: INVALID another one has it · IO.
SY_MUST_CHECK enum sy_status sy_dir_lock(struct sy_ctx *ctx, const char *path, struct sy_lock *out);
void sy_dir_unlock(struct sy_lock *lock);

/// Finds out whether files can be written, flushed and renamed over each other in a directory, and whether it can hold
/// symbolic links. What was there is untouched. Errors: IO (no room, no rights, read-only).
SY_MUST_CHECK enum sy_status sy_dir_probe(struct sy_ctx *ctx, const char *path, bool *out_links);
/// Bytes that can still be written where a directory is; UINT64_MAX when nobody knows.
uint64_t sy_dir_free_bytes(const char *path);
/// Whether fsync() failed with `cause` because there is nothing that could be flushed: no reason to fail.
bool sy_flush_impossible(int cause);
/// Removes a directory tree (old checkpoints). Links are removed, never followed. A missing one is no error.
SY_MUST_CHECK enum sy_status sy_dir_remove(struct sy_ctx *ctx, const char *path);
/// Renames a file or directory that was completely written, and flushes the directory entries involved.
SY_MUST_CHECK enum sy_status sy_path_commit(struct sy_ctx *ctx, const char *from, const char *to);

/// Swaps two paths of one file system in one moment (both must exist): `b` becomes what was completely written as `a`.
SY_MUST_CHECK enum sy_status sy_path_exchange(struct sy_ctx *ctx, const char *a, const char *b);

/// Reads a file of at most `max_bytes` into malloc'ed memory with a NUL behind it. Errors: IO · FORMAT too large.
SY_MUST_CHECK enum sy_status sy_file_read(struct sy_ctx *ctx, const char *path, uint64_t max_bytes, char **out_data,
                                          size_t *out_bytes);

/// A read-only mapping. The file must not shrink while it is mapped.
struct sy_map {
    const uint8_t *data; ///< NULL for an empty file.
    uint64_t bytes;
};
SY_MUST_CHECK enum sy_status sy_map_open(struct sy_ctx *ctx, const char *path, struct sy_map *out_map);
/// Says that bytes at `data`, within the mapping, were used: the pages that are wholly theirs leave the process until
/// they are read again.
void sy_map_release(const struct sy_map *map, const void *data, uint64_t bytes);
void sy_map_close(struct sy_map *map);

/// XXH3-128 of a file as 32 hexadecimal digits (canonical order, as `xxhsum -H2` prints it), and its size.
SY_MUST_CHECK enum sy_status sy_file_hash(struct sy_ctx *ctx, const char *path, char out_hex[33], uint64_t *out_bytes);

/// One file being written; what is no regular file (a device, a pipe) is never replaced. After any failure call
/// sy_file_abort(); the target is untouched.
struct sy_file;
SY_MUST_CHECK enum sy_status sy_file_create(struct sy_ctx *ctx, const char *path, struct sy_file **out_file);
SY_MUST_CHECK enum sy_status sy_file_append(struct sy_file *file, const void *data, uint64_t bytes);
/// What sy_file_hash() will say of it if nothing more is appended: computed while writing, nothing is read back.
void sy_file_written(const struct sy_file *file, char out_hex[33], uint64_t *out_bytes);
/// Flushes, renames and closes. `*file` becomes NULL in any case.
SY_MUST_CHECK enum sy_status sy_file_commit(struct sy_file **file);
/// Discards the temporary file; a NULL file is fine.
void sy_file_abort(struct sy_file **file);

/// Sums of files that were written into one directory, for a list of what it holds. Release with sy_file_sums_finish().
struct sy_file_sums {
    struct sy_file_sum {
        char name[64]; ///< Within the directory.
        char hex[33];  ///< XXH3-128.
        uint64_t bytes;
    } * items;
    size_t count;
};
/// Notes a file that is about to be committed; `sums` NULL: nobody asked. Errors: NOMEM · INVALID a name too long.
SY_MUST_CHECK enum sy_status sy_file_sums_add(const struct sy_file *file, struct sy_file_sums *sums);
/// NULL when there is none of that name.
const struct sy_file_sum *sy_file_sums_find(const struct sy_file_sums *sums, const char *name);
void sy_file_sums_finish(struct sy_file_sums *sums);

/// All of the above for data in memory.
SY_MUST_CHECK enum sy_status sy_file_write(struct sy_ctx *ctx, const char *path, const void *data, uint64_t bytes);
