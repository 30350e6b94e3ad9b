// SPDX-License-Identifier: Apache-2.0
// safetensors_absent.c: why a directory has no weights that we read, and what helps.
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "engine/file.h"
#include "engine/safetensors.h"

#define NAME_ROOM 256

// In the order in which they explain best: what is nearest to a model that we read comes first.
enum kind { SHARD, VARIANT, PICKLE, TENSORFLOW, FLAX, OTHER, KINDS };

static bool ends(const char *name, const char *tail)
{
    size_t n = strlen(name), m = strlen(tail);
    return n >= m && strcmp(name + n - m, tail) == 0;
}

static enum kind kind_of(const char *name)
{
    static const struct {
        const char *tail;
        enum kind kind;
    } tails[] = {{".bin", PICKLE},
                 {".pt", PICKLE},
                 {".pth", PICKLE},
                 {".ckpt", PICKLE},
                 {".bin.index.json", PICKLE},
                 {".h5", TENSORFLOW},
                 {".h5.index.json", TENSORFLOW},
                 {".msgpack", FLAX},
                 {".msgpack.index.json", FLAX},
                 {".gguf", OTHER},
                 {".onnx", OTHER}};
    unsigned shard, of;
    int used = 0;
    if (sscanf(name, "model-%u-of-%u.safetensors%n", &shard, &of, &used) == 2 && used > 0 && name[used] == '\0')
        return SHARD;
    // The training state of a checkpoint of ours is no model; nor is a tokenizer's or trainer's state by torch.
    if (ends(name, ".safetensors"))
        return strncmp(name, "optimizer-", 10) == 0 ? KINDS : VARIANT;
    if (strcmp(name, "training_args.bin") == 0 || strcmp(name, "optimizer.pt") == 0 ||
        strcmp(name, "scheduler.pt") == 0)
        return KINDS;
    for (size_t i = 0; i < SY_COUNT(tails); ++i)
        if (ends(name, tails[i].tail))
            return tails[i].kind;
    return KINDS;
}

/// The first file of each kind in the order of names; "" where there is none.
static void look(const char *path, char found[KINDS][NAME_ROOM])
{
    DIR *d = opendir(path);
    for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
        enum kind kind = kind_of(e->d_name);
        if (kind < KINDS && (found[kind][0] == '\0' || strcmp(e->d_name, found[kind]) < 0))
            snprintf(found[kind], NAME_ROOM, "%s", e->d_name);
    }
    if (d != NULL)
        closedir(d);
}

/// A name that should be the model, but is a link that leads nowhere or no regular file. SY_OK: there is none.
static enum sy_status check_name(struct sy_ctx *ctx, const char *path, const char *name)
{
    char file[SY_PATH_ROOM], target[1024];
    struct stat s;
    if (snprintf(file, sizeof file, "%s/%s", path, name) >= (int)sizeof file || lstat(file, &s) != 0)
        return SY_OK;
    ssize_t n = S_ISLNK(s.st_mode) ? readlink(file, target, sizeof target - 1) : -1;
    if (n >= 0 && stat(file, &s) != 0) {
        target[n] = '\0';
        return sy_fail(ctx, SY_IO, "%s is a link to %s, which cannot be read (%s): bring the file it should lead to",
                       file, target, strerror(errno));
    }
    return sy_fail(ctx, SY_IO, "%s is no regular file: a model's weights are expected there", file);
}

// In Hugging Face's order.
static const char *const names[] = {"model.safetensors", "model.safetensors.index.json", "pytorch_model.bin",
                                    "pytorch_model.bin.index.json"};

bool sy_tensors_locate(const char *directory, char out[SY_PATH_ROOM], bool *out_index)
{
    for (size_t i = 0; i < SY_COUNT(names); ++i)
        if (snprintf(out, SY_PATH_ROOM, "%s/%s", directory, names[i]) < SY_PATH_ROOM && sy_file_exists(out)) {
            *out_index = i % 2 == 1;
            return true;
        }
    return false;
}

bool sy_tensors_present(const char *directory)
{
    char file[SY_PATH_ROOM];
    bool index;
    return sy_tensors_locate(directory, file, &index);
}

enum sy_status sy_tensors_absent(struct sy_ctx *ctx, const char *path, const char *more)
{
    char found[KINDS][NAME_ROOM] = {{0}};
    for (size_t i = 0; i < SY_COUNT(names); ++i)
        SY_TRY(check_name(ctx, path, names[i]));
    look(path, found);
    if (found[SHARD][0] != '\0')
        return sy_fail(ctx, SY_IO,
                       "%s holds %s but no model.safetensors.index.json, which says what is in which shard: fetch it, "
                       "too%s",
                       path, found[SHARD], more);
    if (strncmp(found[PICKLE], "pytorch_model-", 14) == 0)
        return sy_fail(ctx, SY_IO,
                       "%s holds %s but no pytorch_model.bin.index.json, which says what is in which shard: fetch it, "
                       "too%s",
                       path, found[PICKLE], more);
    if (found[VARIANT][0] != '\0')
        return sy_fail(ctx, SY_IO, "%s holds %s but no model.safetensors: if it is the model, give it that name%s",
                       path, found[VARIANT], more);
    if (found[PICKLE][0] != '\0')
        return sy_fail(ctx, SY_UNSUPPORTED,
                       "%s holds only %s, expected model.safetensors or pytorch_model.bin: if it is the model's "
                       "state_dict, give it that name%s",
                       path, found[PICKLE], more);
    if (found[TENSORFLOW][0] != '\0' || found[FLAX][0] != '\0') {
        bool flax = found[TENSORFLOW][0] == '\0';
        return sy_fail(ctx, SY_UNSUPPORTED,
                       "%s holds only %s, weights of %s; load it with Hugging Face (from_pretrained, %s=True; "
                       "transformers below 5) and save it once more%s",
                       path, found[flax ? FLAX : TENSORFLOW], flax ? "Flax" : "TensorFlow",
                       flax ? "from_flax" : "from_tf", more);
    }
    return sy_fail(ctx, SY_IO, "%s holds neither model.safetensors nor pytorch_model.bin, nor an index of shards%s%s%s",
                   path, found[OTHER][0] != '\0' ? ", but " : "", found[OTHER], more);
}
