// SPDX-License-Identifier: Apache-2.0
// batch.c: the arrays of a batch, and batches out of safetensors files.
#include "engine/data/batch.h"

#include <stdlib.h>
#include <string.h>

#include "engine/safetensors.h"

static bool same_shape(const struct sy_batch *b, uint32_t batch, uint32_t src_len, uint32_t tgt_len)
{
    return b->input_ids != NULL && b->batch == batch && b->src_len == src_len && b->tgt_len == tgt_len;
}

enum sy_status sy_batch_resize(struct sy_ctx *ctx, uint32_t batch, uint32_t src_len, uint32_t tgt_len, int32_t pad,
                               struct sy_batch *out_batch)
{
    uint64_t src = (uint64_t)batch * src_len, tgt = (uint64_t)batch * tgt_len;
    if (src == 0 || tgt == 0 || src > INT32_MAX || tgt > INT32_MAX)
        return sy_fail(ctx, SY_INVALID,
                       "a batch of %u examples, %u source and %u target tokens: each must be from 1, and "
                       "fewer than 2^31 tokens in all",
                       batch, src_len, tgt_len);
    if (!same_shape(out_batch, batch, src_len, tgt_len)) {
        struct sy_batch b = {.batch = batch, .src_len = src_len, .tgt_len = tgt_len};
        b.input_ids = malloc(src * sizeof *b.input_ids);
        b.attention_mask = malloc(src * sizeof *b.attention_mask);
        b.labels = malloc(tgt * sizeof *b.labels);
        if (b.input_ids == NULL || b.attention_mask == NULL || b.labels == NULL) {
            sy_batch_finish(&b);
            return sy_fail(ctx, SY_NOMEM, "out of host memory for a batch of %u examples", batch);
        }
        sy_batch_finish(out_batch);
        *out_batch = b;
    }
    for (uint64_t i = 0; i < src; ++i)
        out_batch->input_ids[i] = pad;
    memset(out_batch->attention_mask, 0, src * sizeof *out_batch->attention_mask);
    for (uint64_t i = 0; i < tgt; ++i)
        out_batch->labels[i] = SY_IGNORE;
    return SY_OK;
}

void sy_batch_finish(struct sy_batch *batch)
{
    free(batch->input_ids);
    free(batch->attention_mask);
    free(batch->labels);
    *batch = (struct sy_batch){0};
}

static enum sy_status matrix(struct sy_ctx *ctx, const struct sy_tensors *t, const char *name,
                             const struct sy_tensor_view **out)
{
    const struct sy_tensor_view *v = sy_tensors_find(t, name);
    if (v == NULL)
        return sy_fail(ctx, SY_FORMAT, "%s: tensor %s is missing; a batch has input_ids, attention_mask and labels",
                       sy_tensors_path(t), name);
    if (v->ndim != 2 || v->elements == 0 || v->elements > INT32_MAX)
        return sy_fail(ctx, SY_FORMAT,
                       "%s: tensor %s has %u dimensions and %llu elements, expected a filled [batch, length]",
                       sy_tensors_path(t), name, v->ndim, (unsigned long long)v->elements);
    *out = v;
    return SY_OK;
}

/// Every value must be in [0, end), or `also`.
static enum sy_status check_values(struct sy_ctx *ctx, const char *path, const char *name, const int32_t *values,
                                   uint32_t rows, uint32_t columns, uint32_t end, int32_t also)
{
    for (uint64_t i = 0; i < (uint64_t)rows * columns; ++i)
        if ((values[i] < 0 || (uint32_t)values[i] >= end) && values[i] != also)
            return sy_fail(ctx, SY_FORMAT, "%s: %s[%llu, %llu] is %d, expected 0 … %u%s", path, name,
                           (unsigned long long)(i / columns), (unsigned long long)(i % columns), values[i], end - 1,
                           also < 0 ? " or -100" : "");
    return SY_OK;
}

static enum sy_status load(struct sy_ctx *ctx, const struct sy_tensors *t, uint32_t vocab, struct sy_batch *b)
{
    const struct sy_tensor_view *ids, *labels;
    const char *path = sy_tensors_path(t);
    SY_TRY(matrix(ctx, t, "input_ids", &ids));
    SY_TRY(matrix(ctx, t, "labels", &labels));
    if (ids->dtype == SY_ST_BOOL || labels->dtype == SY_ST_BOOL)
        return sy_fail(ctx, SY_FORMAT, "%s: tensor %s has element type BOOL, expected integers (I32 or I64)", path,
                       ids->dtype == SY_ST_BOOL ? "input_ids" : "labels");
    SY_TRY(sy_batch_resize(ctx, (uint32_t)ids->shape[0], (uint32_t)ids->shape[1], (uint32_t)labels->shape[1], 0, b));
    const uint64_t src[] = {b->batch, b->src_len}, tgt[] = {b->batch, b->tgt_len};
    SY_TRY(sy_tensors_read_i32(ctx, t, "input_ids", 2, src, b->input_ids));
    SY_TRY(sy_tensors_read_i32(ctx, t, "attention_mask", 2, src, b->attention_mask));
    SY_TRY(sy_tensors_read_i32(ctx, t, "labels", 2, tgt, b->labels));
    SY_TRY(check_values(ctx, path, "input_ids", b->input_ids, b->batch, b->src_len, vocab, 0));
    SY_TRY(check_values(ctx, path, "attention_mask", b->attention_mask, b->batch, b->src_len, 2, 0));
    return check_values(ctx, path, "labels", b->labels, b->batch, b->tgt_len, vocab, SY_IGNORE);
}

enum sy_status sy_batch_load(struct sy_ctx *ctx, const char *path, uint32_t vocab, struct sy_batch *out_batch)
{
    struct sy_tensors *t;
    struct sy_batch b = {0};
    SY_TRY(sy_tensors_open(ctx, path, &t));
    enum sy_status status = load(ctx, t, vocab, &b);
    sy_tensors_close(&t);
    if (status != SY_OK) {
        sy_batch_finish(&b);
        return status;
    }
    sy_batch_finish(out_batch);
    *out_batch = b;
    return SY_OK;
}
