// SPDX-License-Identifier: Apache-2.0
#include "engine/data/prepare_point.h"

#include <string.h>

enum sy_status sy_prepare_point_save(struct sy_ctx *ctx, const char *path, const struct sy_corpus_index *index,
                                     const struct sy_prepare_point *point)
{
    const struct sy_reading *r = &point->reading;
    json_t *root = json_pack("{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:s%, s:I, s:b, s:[I, I, I, I, I, b]}", "index",
                             sy_corpus_index_json(index), "command", point->command, "file", (json_int_t)point->file,
                             "offset", (json_int_t)point->offset, "line", (json_int_t)point->line, "good",
                             (json_int_t)point->good, "broken", (json_int_t)point->broken, "first_broken",
                             point->first_broken, strnlen(point->first_broken, sizeof point->first_broken - 1),
                             "documents_before", (json_int_t)point->documents_before, "pending", point->pending,
                             "reading", (json_int_t)r->files, (json_int_t)r->empty_files, (json_int_t)r->documents,
                             (json_int_t)r->lines, (json_int_t)r->skipped, r->warned);
    if (root == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of memory", path);
    enum sy_status status = sy_json_save(ctx, root, path);
    json_decref(root);
    return status;
}

static bool unpack(json_t *root, const json_t **out_index, struct sy_prepare_point *p)
{
    json_int_t n[12];
    json_t *index;
    const char *command, *broken;
    int pending, warned;
    if (json_unpack(root, "{s:o, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:I, s:b, s:[I, I, I, I, I, b]}", "index", &index,
                    "command", &command, "file", &n[0], "offset", &n[1], "line", &n[2], "good", &n[3], "broken", &n[4],
                    "first_broken", &broken, "documents_before", &n[5], "pending", &pending, "reading", &n[6], &n[7],
                    &n[8], &n[9], &n[10], &warned) != 0)
        return false;
    for (int i = 0; i < 11; ++i)
        if (n[i] < 0)
            return false;
    if (strlen(command) >= sizeof p->command || strlen(broken) >= sizeof p->first_broken)
        return false;
    *p = (struct sy_prepare_point){.file = (uint64_t)n[0],
                                   .offset = (uint64_t)n[1],
                                   .line = (uint64_t)n[2],
                                   .good = (uint64_t)n[3],
                                   .broken = (uint64_t)n[4],
                                   .documents_before = (uint64_t)n[5],
                                   .pending = pending,
                                   .reading = {.files = (uint64_t)n[6],
                                               .empty_files = (uint64_t)n[7],
                                               .documents = (uint64_t)n[8],
                                               .lines = (uint64_t)n[9],
                                               .skipped = (uint64_t)n[10],
                                               .warned = warned}};
    strcpy(p->command, command);
    strcpy(p->first_broken, broken);
    *out_index = index;
    return true;
}

enum sy_status sy_prepare_point_load(struct sy_ctx *ctx, const char *path, struct sy_corpus_index *out_index,
                                     struct sy_prepare_point *out_point)
{
    json_t *root;
    const json_t *index;
    SY_TRY(sy_json_load(ctx, path, &root));
    enum sy_status status = unpack(root, &index, out_point)
                                ? sy_corpus_index_parse(ctx, index, path, false, out_index)
                                : sy_fail(ctx, SY_FORMAT, "%s is damaged; remove the directory and begin again", path);
    json_decref(root);
    return status;
}
