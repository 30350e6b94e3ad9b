// SPDX-License-Identifier: Apache-2.0
#include "apps/buckets.h"

#include <stdlib.h>

#include "kernels/philox.h"

#define SHORTEST_TARGET 16u // targets are short anyway: a half of what is shorter saves nothing
#define STREAM 0x6275636bu

/// The shortest bucket that a row fits.
static uint32_t bucket_for(const struct buckets *b, const struct sy_pair *p)
{
    uint32_t k = b->count - 1;
    while (k > 0 && (p->input_count > b->list[k].src_len || p->target_count > b->list[k].tgt_len))
        --k;
    return k;
}

/// How many buckets there are worth having, with a count of rows for each.
static void choose(const struct sy_pairs *pairs, uint32_t most, uint32_t sequences, const struct sy_dataset_params *p,
                   struct buckets *b, uint64_t rows[BUCKETS])
{
    b->count = most;
    for (uint32_t k = 0; k < most; ++k) {
        const uint32_t half = ((p->tgt_len - 1) >> k) + 1,
                       floor = p->tgt_len < SHORTEST_TARGET ? p->tgt_len : SHORTEST_TARGET;
        b->list[k] = (struct bucket){
            .src_len = ((p->src_len - 1) >> k) + 1, .tgt_len = half > floor ? half : floor, .scale = 1u << k};
        rows[k] = 0;
    }
    for (size_t i = 0; i < pairs->count; ++i)
        ++rows[bucket_for(b, &pairs->items[i])];
    for (uint32_t k = most - 1; k > 0; --k) {
        if (rows[k] >= 2ull * sequences * b->list[k].scale)
            continue;
        rows[k - 1] += rows[k]; // it goes; those behind it move up
        for (uint32_t i = k; i + 1 < b->count; ++i) {
            b->list[i] = b->list[i + 1];
            rows[i] = rows[i + 1];
        }
        --b->count;
    }
    if (rows[0] == 0) // longer than any row: as was asked for
        b->count = 1;
}

static enum sy_status open_one(struct sy_ctx *ctx, const struct sy_pairs *pairs, const struct buckets *b, uint32_t k,
                               struct sy_dataset_params params, struct bucket *out)
{
    struct sy_pairs part = *pairs; // a view
    part.count = 0;
    part.items = malloc(pairs->count * sizeof *part.items);
    if (part.items == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    for (size_t i = 0; i < pairs->count; ++i)
        if (bucket_for(b, &pairs->items[i]) == k)
            part.items[part.count++] = pairs->items[i];
    params.src_len = out->src_len;
    params.tgt_len = out->tgt_len;
    enum sy_status status = pairs_dataset(ctx, &part, params, &out->data);
    free(part.items);
    return status;
}

enum sy_status buckets_open(struct sy_ctx *ctx, const struct sy_pairs *pairs, uint32_t most, uint32_t sequences,
                            const struct sy_dataset_params *params, struct buckets *out)
{
    uint64_t rows[BUCKETS];
    double all = 0.0;
    *out = (struct buckets){.seed = params->seed};
    choose(pairs, most, sequences, params, out, rows);
    for (uint32_t k = 0; k < out->count; ++k) {
        SY_TRY(open_one(ctx, pairs, out, k, *params, &out->list[k]));
        out->list[k].share = (double)sy_dataset_count(out->list[k].data) / out->list[k].scale;
        all += out->list[k].share;
    }
    for (uint32_t k = 0; k < out->count; ++k)
        out->list[k].share /= all;
    return SY_OK;
}

uint32_t buckets_of(const struct buckets *b, uint64_t t)
{
    const struct sy_u4 r = sy_philox((u32)t, (u32)(t >> 32), STREAM, 0, (u32)b->seed, (u32)(b->seed >> 32));
    double left = r.x / 4294967296.0;
    uint32_t k = 0;
    while (k + 1 < b->count && left >= b->list[k].share)
        left -= b->list[k++].share;
    return k;
}

uint64_t buckets_fingerprint(const struct buckets *b)
{
    uint64_t all = 0;
    for (uint32_t k = 0; k < b->count; ++k)
        all = (all << 1 | all >> 63) ^ sy_dataset_fingerprint(b->list[k].data);
    return all;
}

uint64_t buckets_rows(const struct buckets *b)
{
    uint64_t all = 0;
    for (uint32_t k = 0; k < b->count; ++k)
        all += sy_dataset_count(b->list[k].data);
    return all;
}

void buckets_close(struct buckets *b, uint32_t micro_count)
{
    for (uint32_t k = 0; k < b->count; ++k) {
        sy_dataset_close(&b->list[k].data);
        for (uint32_t i = 0; b->list[k].micro != NULL && i < micro_count; ++i)
            sy_batch_finish(&b->list[k].micro[i]);
        free(b->list[k].micro);
    }
}
