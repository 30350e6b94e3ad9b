// SPDX-License-Identifier: Apache-2.0
// dataset.c: which text example number i is made of, and how it is cut. dataset_open.c reads it.
#include <stdlib.h>
#include <string.h>

#include "engine/data/dataset_state.h"
#include "engine/data/spans.h"
#include "kernels/philox.h"

#define STREAM_ORDER 0xDA7A0100u // + round
#define STREAM_MIX 0xDA7A0200u
#define ROUNDS 6u

// ---- order ----------------------------------------------------------------------------------------------------------

/// A permutation of 0 … n−1 without a table: a Feistel network over the next power of 4, walked until inside.
static uint64_t permute(uint64_t i, uint64_t n, uint64_t seed, uint32_t stream, uint32_t who, uint64_t pass)
{
    unsigned half = 1;
    while (half < 31 && (UINT64_C(1) << (2 * half)) < n)
        ++half;
    uint32_t mask = (UINT32_C(1) << half) - 1;
    do {
        uint32_t left = (uint32_t)(i >> half), right = (uint32_t)i & mask;
        for (uint32_t round = 0; round < ROUNDS; ++round) {
            struct sy_u4 r = sy_philox(right, (u32)pass, stream + round, (u32)(pass >> 32) ^ who << 16, (u32)seed,
                                       (u32)(seed >> 32));
            uint32_t next = left ^ (r.x & mask);
            left = right;
            right = next;
        }
        i = (uint64_t)left << half | right;
    } while (i >= n);
    return i;
}

struct place {
    const struct sy_dataset_source *source;
    uint64_t example; ///< Within the source.
    uint64_t noise;   ///< Key of the span corruption.
};

/// The source whose part of a block holds place `p`: the last that begins at or before it.
static const struct sy_dataset_source *sharer(const struct sy_dataset *ds, uint64_t p)
{
    size_t low = 0, high = ds->source_count;
    while (high - low > 1) {
        const size_t middle = low + (high - low) / 2;
        if (ds->sources[middle].share_start <= p)
            low = middle;
        else
            high = middle;
    }
    return &ds->sources[low];
}

static struct place find_place(const struct sy_dataset *ds, uint64_t i)
{
    if (ds->in_order) {
        uint64_t rest = i % ds->examples, noise = rest;
        const struct sy_dataset_source *s = ds->sources;
        for (; rest >= s->examples; ++s)
            rest -= s->examples;
        return (struct place){s, rest, noise};
    }
    const struct sy_dataset_source *s = ds->sources;
    uint64_t local = i;
    if (ds->source_count > 1) {
        uint64_t block = i / ds->block, p = permute(i % ds->block, ds->block, ds->seed, STREAM_MIX, 0, block);
        s = sharer(ds, p);
        local = block * s->share + (p - s->share_start);
    }
    uint32_t who = (uint32_t)(s - ds->sources);
    uint64_t example = permute(local % s->examples, s->examples, ds->seed, STREAM_ORDER, who, local / s->examples);
    return (struct place){s, example, i};
}

// ---- making examples ------------------------------------------------------------------------------------------------

/// Room for the work on one example.
struct scratch {
    uint32_t *kept, *noise;
    int32_t *inputs, *targets, *raw;
};

/// Which tokens of its source an example is made of. The last rest is an example too; a single token that is left over
/// takes one from the segment before, for span corruption needs two (a segment of two has none to spare: it is shown
/// whole, and one of its tokens again).
static uint32_t find_segment(const struct sy_dataset *ds, const struct place *place, uint64_t *out_first)
{
    const struct sy_dataset_source *s = place->source;
    const uint64_t first = place->example * ds->segment, left = s->count - first;
    const bool single = s->count % ds->segment == 1 && s->examples > 1;
    *out_first = first;
    if (single && place->example + 1 == s->examples) {
        *out_first = s->count - 2;
        return 2;
    }
    if (single && place->example + 2 == s->examples && ds->segment > 2)
        return ds->segment - 1;
    return left < ds->segment ? (uint32_t)left : ds->segment;
}

/// A document that is an example alone: cut where it is longer than a segment.
static enum sy_status find_document(struct sy_ctx *ctx, const struct sy_dataset *ds, const struct place *place,
                                    uint64_t *out_first, uint32_t *out_length)
{
    const struct sy_dataset_source *s = place->source;
    uint64_t count;
    if (s->corpus != NULL) {
        SY_TRY(sy_corpus_document(ctx, s->corpus, place->example, out_first, &count));
    } else {
        *out_first = s->starts[place->example];
        count = (place->example + 1 < s->begun ? s->starts[place->example + 1] : s->count) - *out_first;
    }
    *out_length = count < ds->segment ? (uint32_t)count : ds->segment;
    return SY_OK;
}

/// `*out` is where `count` tokens of a source are, or a copy of them in `room`.
static enum sy_status read_tokens(struct sy_ctx *ctx, const struct sy_dataset *ds, const struct sy_dataset_source *s,
                                  uint64_t first, uint32_t count, int32_t *room, const int32_t **out)
{
    *out = s->corpus != NULL ? room : s->ids.data + first;
    if (s->corpus == NULL)
        return SY_OK;
    return s->documents == SY_DOCUMENTS_EOS
               ? sy_corpus_read_joined(ctx, s->corpus, sy_tokenizer_eos(ds->tokenizer), first, count, room)
               : sy_corpus_read(ctx, s->corpus, first, count, room);
}

static enum sy_status corrupt(struct sy_ctx *ctx, const struct sy_dataset *ds, const struct place *place,
                              struct scratch *w, uint32_t *inputs, uint32_t *targets)
{
    const struct sy_dataset_source *s = place->source;
    const int32_t *tokens;
    uint64_t first;
    uint32_t noise, spans, length;
    if (s->documents == SY_DOCUMENTS_ALONE)
        SY_TRY(find_document(ctx, ds, place, &first, &length));
    else
        length = find_segment(ds, place, &first);
    SY_TRY(read_tokens(ctx, ds, s, first, length, w->raw, &tokens));
    sy_spans_count(length, &noise, &spans);
    sy_spans_lengths(length, inputs, targets);
    sy_spans_draw(ds->seed, place->noise, length, w->kept, w->noise);
    sy_spans_apply(tokens, spans, w->kept, w->noise, ds->sentinels, sy_tokenizer_eos(ds->tokenizer), w->inputs,
                   w->targets);
    return SY_OK;
}

static enum sy_status fill_row(struct sy_ctx *ctx, const struct sy_dataset *ds, const struct place *place,
                               struct scratch *w, struct sy_batch *b, uint32_t row)
{
    const struct sy_dataset_source *s = place->source;
    const int32_t *inputs = w->inputs, *targets = w->targets;
    uint32_t n, m;
    if (ds->objective == SY_OBJECTIVE_PAIRS) {
        uint64_t begin = place->example > 0 ? s->ends[2 * place->example - 1] : 0;
        uint64_t middle = s->ends[2 * place->example];
        inputs = s->ids.data + begin;
        targets = s->ids.data + middle;
        n = (uint32_t)(middle - begin);
        m = (uint32_t)(s->ends[2 * place->example + 1] - middle);
    } else {
        SY_TRY(corrupt(ctx, ds, place, w, &n, &m));
    }
    memcpy(b->input_ids + (uint64_t)row * b->src_len, inputs, n * sizeof *inputs);
    for (uint32_t i = 0; i < n; ++i)
        b->attention_mask[(uint64_t)row * b->src_len + i] = 1;
    memcpy(b->labels + (uint64_t)row * b->tgt_len, targets, m * sizeof *targets);
    return SY_OK;
}

enum sy_status sy_dataset_batch(struct sy_ctx *ctx, const struct sy_dataset *dataset, uint64_t first, uint32_t batch,
                                struct sy_batch *out_batch)
{
    const struct sy_dataset *ds = dataset;
    SY_TRY(sy_batch_resize(ctx, batch, ds->src_len, ds->tgt_len, sy_tokenizer_pad(ds->tokenizer), out_batch));
    size_t room = (size_t)ds->src_len + ds->tgt_len;
    uint32_t *numbers = malloc(5 * room * sizeof *numbers);
    if (numbers == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory for one example");
    struct scratch w = {numbers, numbers + room, (int32_t *)(numbers + 2 * room), (int32_t *)(numbers + 3 * room),
                        (int32_t *)(numbers + 4 * room)};
    enum sy_status status = SY_OK;
    for (uint32_t row = 0; row < batch && status == SY_OK; ++row) {
        struct place place = find_place(ds, first + row);
        status = fill_row(ctx, ds, &place, &w, out_batch, row);
    }
    free(numbers);
    return status;
}

// ---- facts ----------------------------------------------------------------------------------------------------------

uint64_t sy_dataset_count(const struct sy_dataset *dataset) { return dataset->examples; }
uint64_t sy_dataset_tokens(const struct sy_dataset *dataset) { return dataset->tokens; }
uint32_t sy_dataset_segment(const struct sy_dataset *dataset) { return dataset->segment; }
uint64_t sy_dataset_documents(const struct sy_dataset *dataset) { return dataset->reading.documents; }
uint64_t sy_dataset_fingerprint(const struct sy_dataset *dataset) { return dataset->fingerprint; }

size_t sy_dataset_sources(const struct sy_dataset *dataset) { return dataset->source_count; }
const char *sy_dataset_source_name(const struct sy_dataset *dataset, size_t index)
{
    return dataset->sources[index].name;
}

double sy_dataset_share(const struct sy_dataset *dataset, size_t index)
{
    if (index >= dataset->source_count)
        return 0;
    if (dataset->in_order || dataset->source_count == 1)
        return (double)dataset->sources[index].examples / (double)dataset->examples;
    return (double)dataset->sources[index].share / (double)dataset->block;
}
