// SPDX-License-Identifier: Apache-2.0
#include "engine/latest.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/checkpoint.h"

#define NAME_ROOM 32

enum kind {
    KIND_NOTHING, ///< Also a link that leads nowhere.
    KIND_LINK,
    KIND_FILE,
    KIND_DIRECTORY,
    KIND_FOREIGN
};

/// Reads the line "step-N" (with or without its end) of a small regular file.
static bool read_name(const char *path, char name[NAME_ROOM])
{
    struct stat s;
    uint64_t step;
    if (stat(path, &s) != 0 || !S_ISREG(s.st_mode) || s.st_size >= NAME_ROOM)
        return false;
    FILE *file = fopen(path, "re");
    const size_t n = file != NULL ? fread(name, 1, NAME_ROOM - 1, file) : 0;
    if (file != NULL)
        fclose(file);
    name[n] = '\0';
    name[strcspn(name, "\r\n")] = '\0';
    return sy_checkpoint_parse_name(name, &step);
}

static enum kind kind_of(const char *path)
{
    struct stat s;
    char name[NAME_ROOM];
    if (lstat(path, &s) != 0)
        return KIND_NOTHING;
    if (S_ISLNK(s.st_mode))
        return sy_dir_exists(path) ? KIND_LINK : KIND_NOTHING;
    if (S_ISDIR(s.st_mode))
        return KIND_DIRECTORY;
    return read_name(path, name) ? KIND_FILE : KIND_FOREIGN;
}

bool sy_latest_foreign(const char *out_dir)
{
    char *latest = sy_path_join(out_dir, "latest");
    const bool foreign = latest != NULL && kind_of(latest) == KIND_FOREIGN;
    free(latest);
    return foreign;
}

enum sy_status sy_latest_resolve(struct sy_ctx *ctx, const char *path, char out[SY_PATH_ROOM])
{
    char name[NAME_ROOM], folder[SY_PATH_ROOM], latest[SY_PATH_ROOM];
    SY_TRY(sy_path_print(ctx, folder, path, "config.json"));
    SY_TRY(sy_path_print(ctx, latest, path, "latest"));
    if (sy_dir_exists(path) && !sy_file_exists(folder) && (sy_dir_exists(latest) || read_name(latest, name)))
        return sy_latest_resolve(ctx, latest, out);
    SY_TRY(sy_path_print(ctx, folder, path, ""));
    if (!read_name(path, name))
        return sy_path_print(ctx, out, path, "");
    char *slash = strrchr(folder, '/');
    if (slash == NULL)
        return sy_path_print(ctx, out, "", name);
    slash[slash == folder] = '\0'; // "/latest": the root keeps its slash
    return sy_path_print(ctx, out, folder, name);
}

/// What OUT holds: the kind of `latest`, the newest whole step-N, and which of both a run goes on from.
struct view {
    char latest[SY_PATH_ROOM];
    enum kind kind;
    bool latest_whole, some_whole, use_step;
    uint64_t latest_step, newest;
};

static enum sy_status look(struct sy_ctx *ctx, const char *out_dir, struct view *v)
{
    uint64_t any;
    memset(v, 0, sizeof *v);
    SY_TRY(sy_path_print(ctx, v->latest, out_dir, "latest"));
    v->kind = kind_of(v->latest);
    if (v->kind == KIND_FOREIGN)
        return sy_fail(ctx, SY_INVALID, "%s is in the way: it is no checkpoint and names none; move it away",
                       v->latest);
    if (v->kind == KIND_FILE) {
        char target[SY_PATH_ROOM];
        SY_TRY(sy_latest_resolve(ctx, v->latest, target));
        if (!sy_dir_exists(target))
            v->kind = KIND_NOTHING;
    }
    if (v->kind == KIND_LINK || v->kind == KIND_FILE)
        return SY_OK;
    v->some_whole = sy_checkpoint_newest(out_dir, true, &v->newest);
    v->latest_whole = v->kind == KIND_DIRECTORY && sy_checkpoint_whole(v->latest, &v->latest_step);
    v->use_step = v->some_whole && (!v->latest_whole || v->newest >= v->latest_step);
    if (v->some_whole || v->latest_whole)
        return SY_OK;
    if (v->kind == KIND_DIRECTORY || sy_checkpoint_newest(out_dir, false, &any))
        return sy_fail(ctx, SY_INVALID,
                       "%s holds no whole checkpoint to resume from (a file that its state.json lists is missing or of "
                       "another size): copy it again, or begin in another --out",
                       out_dir);
    return sy_fail(ctx, SY_INVALID, "there is no checkpoint %s to resume from; leave --resume away to begin",
                   v->latest);
}

static enum sy_status print_step(struct sy_ctx *ctx, char out[SY_PATH_ROOM], const char *out_dir, uint64_t step,
                                 const char *end)
{
    char name[64];
    snprintf(name, sizeof name, "step-%llu%s", (unsigned long long)step, end);
    return sy_path_print(ctx, out, out_dir, name);
}

enum sy_status sy_latest_find(struct sy_ctx *ctx, const char *out_dir, char out[SY_PATH_ROOM])
{
    struct view v;
    SY_TRY(look(ctx, out_dir, &v));
    return v.use_step ? print_step(ctx, out, out_dir, v.newest, "") : sy_latest_resolve(ctx, v.latest, out);
}

static bool same_state(const char *a, const char *b)
{
    struct sy_ctx *quiet = sy_ctx_create(NULL, NULL, SY_LOG_ERROR);
    char path[SY_PATH_ROOM], *text[2] = {NULL, NULL};
    const char *const dirs[] = {a, b};
    size_t bytes[2] = {0, 0};
    bool good = quiet != NULL;
    for (int i = 0; i < 2; ++i)
        good = good && sy_path_print(quiet, path, dirs[i], "state.json") == SY_OK &&
               sy_file_read(quiet, path, 1u << 26, &text[i], &bytes[i]) == SY_OK;
    good = good && bytes[0] == bytes[1] && memcmp(text[0], text[1], bytes[0]) == 0;
    free(text[0]);
    free(text[1]);
    sy_ctx_destroy(&quiet);
    return good;
}

/// By the hashes of all files.
static bool undamaged(const char *dir)
{
    struct sy_ctx *quiet = sy_ctx_create(NULL, NULL, SY_LOG_ERROR);
    struct sy_train_state state;
    const bool good = quiet != NULL && sy_checkpoint_read_state(quiet, dir, &state) == SY_OK;
    sy_ctx_destroy(&quiet);
    return good;
}

/// Renames to `BASE`, or `BASE-2`, `BASE-3`, … when that is taken.
static enum sy_status set_aside(struct sy_ctx *ctx, const char *path, const char *base, const char *why)
{
    char free_name[SY_PATH_ROOM], end[32] = "";
    struct stat s;
    for (unsigned i = 2;; ++i) {
        if (snprintf(free_name, sizeof free_name, "%s%s", base, end) >= (int)sizeof free_name)
            return sy_fail(ctx, SY_INVALID, "path too long: %s", base);
        if (lstat(free_name, &s) != 0)
            break;
        snprintf(end, sizeof end, "-%u", i);
    }
    SY_TRY(sy_path_commit(ctx, path, free_name));
    sy_log(ctx, SY_LOG_WARN, "%s is %s: kept as %s", path, why, free_name);
    return SY_OK;
}

/// Makes room where a directory has the name `latest`: it becomes its step-N, unless that is there and whole.
static enum sy_status move_directory(struct sy_ctx *ctx, const char *out_dir, struct view *v)
{
    char step[SY_PATH_ROOM], aside[SY_PATH_ROOM];
    struct stat s;
    uint64_t inside;
    if (!v->latest_whole) {
        SY_TRY(sy_path_print(ctx, aside, out_dir, "latest.damaged"));
        return set_aside(ctx, v->latest, aside, "a directory and no whole checkpoint");
    }
    SY_TRY(print_step(ctx, step, out_dir, v->latest_step, ""));
    if (lstat(step, &s) == 0) {
        const bool whole = sy_checkpoint_whole(step, &inside) && inside == v->latest_step && undamaged(step);
        if (whole && same_state(step, v->latest)) {
            SY_TRY(sy_path_print(ctx, aside, out_dir, SY_LATEST_COPY));
            SY_TRY(sy_dir_remove(ctx, aside));
            SY_TRY(sy_path_commit(ctx, v->latest, aside));
            sy_log(ctx, SY_LOG_INFO, "%s was a directory, a copy of %s: it names that one now", v->latest, step);
            return sy_dir_remove(ctx, aside);
        }
        if (whole) {
            SY_TRY(sy_path_print(ctx, aside, out_dir, "latest.other"));
            return set_aside(ctx, v->latest, aside, "a directory and not the checkpoint of its step");
        }
        SY_TRY(print_step(ctx, aside, out_dir, v->latest_step, ".damaged"));
        SY_TRY(set_aside(ctx, step, aside, "not whole"));
    }
    SY_TRY(sy_path_commit(ctx, v->latest, step));
    sy_log(ctx, SY_LOG_INFO, "%s was a directory: it is %s now", v->latest, step);
    return SY_OK;
}

enum sy_status sy_latest_settle(struct sy_ctx *ctx, const char *out_dir, char out[SY_PATH_ROOM])
{
    struct view v;
    char name[64];
    SY_TRY(look(ctx, out_dir, &v));
    if (v.kind == KIND_LINK || v.kind == KIND_FILE)
        return sy_latest_resolve(ctx, v.latest, out);
    if (v.kind == KIND_DIRECTORY)
        SY_TRY(move_directory(ctx, out_dir, &v));
    const uint64_t step = v.use_step ? v.newest : v.latest_step;
    snprintf(name, sizeof name, "step-%llu", (unsigned long long)step);
    if (v.kind == KIND_NOTHING)
        sy_log(ctx, SY_LOG_WARN, "%s led to no checkpoint: it names %s now, the newest whole one", v.latest, name);
    SY_TRY(sy_latest_point(ctx, out_dir, name));
    return sy_path_print(ctx, out, out_dir, name);
}

/// Whether a file would fail for the same reason as the link.
static bool no_file_either(int cause)
{
    return cause == ENOSPC || cause == EDQUOT || cause == EROFS || cause == EIO || cause == ENAMETOOLONG ||
           cause == ENOENT;
}

enum sy_status sy_latest_point(struct sy_ctx *ctx, const char *out_dir, const char *name)
{
    char latest[SY_PATH_ROOM], fresh[SY_PATH_ROOM], line[NAME_ROOM + 1];
    SY_TRY(sy_path_print(ctx, latest, out_dir, "latest"));
    SY_TRY(sy_path_print(ctx, fresh, out_dir, ".latest.tmp"));
    SY_TRY(sy_dir_remove(ctx, fresh));
    const bool linked = symlink(name, fresh) == 0;
    if (linked && sy_dir_exists(fresh))
        return sy_path_commit(ctx, fresh, latest);
    if (!linked && no_file_either(errno))
        return sy_fail(ctx, SY_IO, "cannot write %s: %s", latest, strerror(errno));
    SY_TRY(sy_dir_remove(ctx, fresh));
    snprintf(line, sizeof line, "%s\n", name);
    SY_TRY(sy_file_write(ctx, fresh, line, strlen(line)));
    return sy_path_commit(ctx, fresh, latest);
}
