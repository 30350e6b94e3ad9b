// SPDX-License-Identifier: Apache-2.0
// dataset.c: which text example number i is made of, and how it is cut.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "engine/data/batch.h"
#include "engine/data/input.h"
#include "engine/data/reader.h"
#include "engine/data/shares.h"
#include "engine/data/spans.h"
#include "kernels/philox.h"

#define BLOCK 65536u             // examples in which every source has its exact share, when there are few
#define BLOCK_PER_SOURCE 16u     // at least, when there are many
#define MAX_SOURCES (1u << 24)   // 2^28 places in a block
#define STREAM_ORDER 0xDA7A0100u // + round
#define STREAM_MIX 0xDA7A0200u
#define ROUNDS 6u

struct source {
    const char *name; // borrowed while opening, for messages
    int32_t *tokens;
    uint64_t count, room;
    uint64_t *ends; // pairs: end of inputs and of targets of each example
    uint64_t pairs, pairs_room;
    uint64_t examples;
    uint64_t share, share_start; // of the dataset's block
};

struct sy_dataset {
    const struct sy_tokenizer *tokenizer;
    enum sy_objective objective;
    uint32_t src_len, tgt_len, segment;
    uint64_t seed, examples, tokens, fingerprint, block;
    bool in_order, document_eos;
    struct sy_reading reading;
    int32_t *sentinels;
    struct source *sources;
    size_t source_count;
};

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
    const struct source *source;
    uint64_t example; ///< Within the source.
    uint64_t noise;   ///< Key of the span corruption.
};

/// The source whose part of a block holds place `p`: the last that begins at or before it.
static const struct source *sharer(const struct sy_dataset *ds, uint64_t p)
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
        const struct source *s = ds->sources;
        for (; rest >= s->examples; ++s)
            rest -= s->examples;
        return (struct place){s, rest, noise};
    }
    const struct source *s = ds->sources;
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
    int32_t *inputs, *targets;
};

/// Which tokens of its source an example is made of. The last rest is an example too; a single token that is left over
/// takes one from the segment before, for span corruption needs two (a segment of two has none to spare: it is shown
/// whole, and one of its tokens again).
static uint32_t find_segment(const struct sy_dataset *ds, const struct place *place, uint64_t *out_first)
{
    const struct source *s = place->source;
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

static void corrupt(const struct sy_dataset *ds, const struct place *place, struct scratch *w, uint32_t *inputs,
                    uint32_t *targets)
{
    const struct source *s = place->source;
    uint64_t first;
    uint32_t noise, spans, length = find_segment(ds, place, &first);
    sy_spans_count(length, &noise, &spans);
    sy_spans_lengths(length, inputs, targets);
    sy_spans_draw(ds->seed, place->noise, length, w->kept, w->noise);
    sy_spans_apply(s->tokens + first, spans, w->kept, w->noise, ds->sentinels, sy_tokenizer_eos(ds->tokenizer),
                   w->inputs, w->targets);
}

static void fill_row(const struct sy_dataset *ds, const struct place *place, struct scratch *w, struct sy_batch *b,
                     uint32_t row)
{
    const struct source *s = place->source;
    const int32_t *inputs = w->inputs, *targets = w->targets;
    uint32_t n, m;
    if (ds->objective == SY_OBJECTIVE_PAIRS) {
        uint64_t begin = place->example > 0 ? s->ends[2 * place->example - 1] : 0;
        uint64_t middle = s->ends[2 * place->example];
        inputs = s->tokens + begin;
        targets = s->tokens + middle;
        n = (uint32_t)(middle - begin);
        m = (uint32_t)(s->ends[2 * place->example + 1] - middle);
    } else {
        corrupt(ds, place, w, &n, &m);
    }
    memcpy(b->input_ids + (uint64_t)row * b->src_len, inputs, n * sizeof *inputs);
    for (uint32_t i = 0; i < n; ++i)
        b->attention_mask[(uint64_t)row * b->src_len + i] = 1;
    memcpy(b->labels + (uint64_t)row * b->tgt_len, targets, m * sizeof *targets);
}

enum sy_status sy_dataset_batch(struct sy_ctx *ctx, const struct sy_dataset *dataset, uint64_t first, uint32_t batch,
                                struct sy_batch *out_batch)
{
    const struct sy_dataset *ds = dataset;
    SY_TRY(sy_batch_resize(ctx, batch, ds->src_len, ds->tgt_len, sy_tokenizer_pad(ds->tokenizer), out_batch));
    size_t room = (size_t)ds->src_len + ds->tgt_len;
    uint32_t *numbers = malloc(4 * room * sizeof *numbers);
    if (numbers == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory for one example");
    struct scratch w = {numbers, numbers + room, (int32_t *)(numbers + 2 * room), (int32_t *)(numbers + 3 * room)};
    for (uint32_t row = 0; row < batch; ++row) {
        struct place place = find_place(ds, first + row);
        fill_row(ds, &place, &w, out_batch, row);
    }
    free(numbers);
    return SY_OK;
}

// ---- reading --------------------------------------------------------------------------------------------------------

struct loader {
    struct sy_ctx *ctx;
    struct sy_dataset *ds;
    struct source *source;
    const char *first_empty;
    bool eos_due; ///< A document has begun behind another one; an eos goes before its first token.
};

static enum sy_status reserve(struct sy_ctx *ctx, struct source *s, uint64_t more)
{
    if (s->count + more <= s->room)
        return SY_OK;
    uint64_t room = s->count + more + s->count / 2 + 1024;
    int32_t *bigger = realloc(s->tokens, room * sizeof *bigger);
    if (bigger == NULL)
        return sy_fail(ctx, SY_NOMEM, "%s: out of host memory for %llu tokens; give fewer files", s->name,
                       (unsigned long long)room);
    s->tokens = bigger;
    s->room = room;
    return SY_OK;
}

/// Cut, but ended by its last id, eos.
static enum sy_status add_ids(struct loader *l, const int32_t *ids, size_t n, uint64_t most)
{
    struct source *s = l->source;
    const size_t kept = n > most ? (size_t)most : n;
    SY_TRY(reserve(l->ctx, s, kept));
    memcpy(s->tokens + s->count, ids, kept * sizeof *ids);
    s->count += kept;
    if (kept < n)
        s->tokens[s->count - 1] = ids[n - 1];
    return SY_OK;
}

static enum sy_status add_tokens(struct loader *l, const char *text, size_t bytes, uint32_t flags, uint64_t most)
{
    int32_t *ids;
    size_t n;
    struct source *s = l->source;
    SY_TRY(sy_tokenizer_encode(l->ctx, l->ds->tokenizer, text, bytes, flags, &ids, &n));
    if (n > most) { // cut, but keep the eos
        ids[most - 1] = ids[n - 1];
        n = (size_t)most;
    }
    enum sy_status status = reserve(l->ctx, s, n + 1);
    if (status == SY_OK && n > 0) {
        if (l->eos_due)
            s->tokens[s->count++] = sy_tokenizer_eos(l->ds->tokenizer);
        l->eos_due = false;
        memcpy(s->tokens + s->count, ids, n * sizeof *ids);
        s->count += n;
    }
    free(ids);
    return status;
}

// SentencePiece works on one sentence, or here line; bytes need no cutting.
static enum sy_status add_text(void *user, const char *text, size_t bytes, bool begins)
{
    struct loader *l = user;
    if (begins)
        l->eos_due = l->ds->document_eos && l->source->count > 0;
    if (sy_tokenizer_is_bytes(l->ds->tokenizer))
        return add_tokens(l, text, bytes, 0, UINT64_MAX);
    while (bytes > 0) {
        const char *newline = memchr(text, '\n', bytes);
        size_t n = newline != NULL ? (size_t)(newline - text) : bytes;
        SY_TRY(add_tokens(l, text, n, 0, UINT64_MAX));
        n += newline != NULL;
        text += n;
        bytes -= n;
    }
    return SY_OK;
}

static enum sy_status reserve_pair(struct loader *l)
{
    struct source *s = l->source;
    if (s->pairs == s->pairs_room) {
        uint64_t room = 2 * s->pairs_room + 64;
        uint64_t *bigger = realloc(s->ends, 2 * room * sizeof *bigger);
        if (bigger == NULL)
            return sy_fail(l->ctx, SY_NOMEM, "%s: out of host memory for %llu examples", s->name,
                           (unsigned long long)room);
        s->ends = bigger;
        s->pairs_room = room;
    }
    return SY_OK;
}

static enum sy_status add_pair(void *user, const char *inputs, size_t inputs_bytes, const char *targets,
                               size_t targets_bytes)
{
    struct loader *l = user;
    struct source *s = l->source;
    SY_TRY(reserve_pair(l));
    SY_TRY(add_tokens(l, inputs, inputs_bytes, SY_ENCODE_SENTINELS | SY_ENCODE_EOS, l->ds->src_len));
    s->ends[2 * s->pairs] = s->count;
    SY_TRY(add_tokens(l, targets, targets_bytes, SY_ENCODE_SENTINELS | SY_ENCODE_EOS, l->ds->tgt_len));
    s->ends[2 * s->pairs + 1] = s->count;
    ++s->pairs;
    return SY_OK;
}

static enum sy_status take_pairs(struct loader *l, const struct sy_pairs *pairs)
{
    struct source *s = l->source;
    for (size_t i = 0; i < pairs->count; ++i) {
        const struct sy_pair *p = &pairs->items[i];
        SY_TRY(reserve_pair(l));
        SY_TRY(add_ids(l, p->input_ids, p->input_count, l->ds->src_len));
        s->ends[2 * s->pairs] = s->count;
        SY_TRY(add_ids(l, p->target_ids, p->target_count, l->ds->tgt_len));
        s->ends[2 * s->pairs++ + 1] = s->count;
    }
    l->ds->reading.documents += pairs->count;
    ++l->ds->reading.files;
    return SY_OK;
}

/// How many examples a source makes; 0: it has too little text for one.
static uint64_t count_examples(const struct sy_dataset *ds, const struct source *s)
{
    if (ds->objective == SY_OBJECTIVE_PAIRS)
        return s->pairs;
    return s->count < 2 ? 0 : (s->count + ds->segment - 1) / ds->segment;
}

static enum sy_status read_source(struct loader *l, const struct sy_dataset_params *params,
                                  const struct sy_data_source *from, size_t *files_done, size_t files)
{
    struct source *s = l->source;
    struct sy_reading *reading = &l->ds->reading;
    if (params->pairs != NULL)
        SY_TRY(take_pairs(l, params->pairs));
    for (size_t i = 0; i < from->file_count && params->pairs == NULL; ++i) {
        const uint64_t empty = reading->empty_files;
        SY_TRY(params->objective == SY_OBJECTIVE_PAIRS ? sy_pairs_read(l->ctx, reading, from->files[i], add_pair, l)
                                                       : sy_text_read(l->ctx, reading, from->files[i], add_text, l));
        if (reading->empty_files > empty && l->first_empty == NULL)
            l->first_empty = sy_input_name(from->files[i]);
        if (params->progress != NULL)
            params->progress(params->user, from->files[i], ++*files_done, files, s->count);
    }
    s->examples = count_examples(l->ds, s);
    int32_t *fitting = s->count > 0 ? realloc(s->tokens, s->count * sizeof *fitting) : NULL; // sources may be many
    if (fitting != NULL) {
        s->tokens = fitting;
        s->room = s->count;
    }
    return SY_OK;
}

/// What was left out, and whether something is left.
static enum sy_status check_text(const struct loader *l)
{
    const struct sy_dataset *ds = l->ds;
    const struct sy_reading *r = &ds->reading;
    if (r->files == 1 && r->empty_files == 1)
        return sy_fail(l->ctx, SY_INVALID, "%s %s; give at least one file with text in it", l->first_empty,
                       r->skipped > 0 ? "holds no text, only odd lines" : "is empty");
    if (r->empty_files == r->files)
        return sy_fail(l->ctx, SY_INVALID, "all %llu files are empty%s, the first is %s; give one with text in it",
                       (unsigned long long)r->files, r->skipped > 0 ? " or hold only odd lines" : "", l->first_empty);
    if (ds->examples == 0)
        return sy_fail(l->ctx, SY_INVALID, "%s: %llu tokens are too few to train on; give more text",
                       ds->sources[0].name, (unsigned long long)ds->tokens);
    if (r->empty_files > 0)
        sy_log(l->ctx, SY_LOG_WARN, "%llu of %llu files are empty and skipped, the first is %s",
               (unsigned long long)r->empty_files, (unsigned long long)r->files, l->first_empty);
    if (r->skipped > 0)
        sy_log(l->ctx, SY_LOG_INFO, "skipped %llu of %llu JSON lines", (unsigned long long)r->skipped,
               (unsigned long long)r->lines);
    size_t small = 0;
    const char *first = NULL;
    for (size_t i = 0; i < ds->source_count; ++i)
        if (ds->sources[i].examples == 0 && ds->sources[i].count > 0)
            first = small++ == 0 ? ds->sources[i].name : first;
    if (small > 0)
        sy_log(l->ctx, SY_LOG_WARN, "%zu of %zu sources are a single token and skipped, the first is %s", small,
               ds->source_count, first);
    return SY_OK;
}

// ---- shares ---------------------------------------------------------------------------------------------------------

static double weight(const struct sy_dataset_params *params, const struct sy_dataset *ds, size_t i)
{
    if (params->mixing == SY_MIX_RATE)
        return params->sources[i].rate;
    return pow((double)ds->sources[i].count, params->exponent);
}

/// The weights of all sources into `out`, which is zeroed: sources without an example keep none.
static enum sy_status take_weights(struct sy_ctx *ctx, const struct sy_dataset_params *params,
                                   const struct sy_dataset *ds, double *out)
{
    for (size_t i = 0; i < ds->source_count; ++i) {
        if (ds->sources[i].examples == 0)
            continue;
        out[i] = weight(params, ds, i);
        if (!(out[i] > 0) || !isfinite(out[i]))
            return sy_fail(ctx, SY_INVALID, "source %s has the rate %g, expected a number above 0", ds->sources[i].name,
                           out[i]);
    }
    return SY_OK;
}

static enum sy_status share_out(struct sy_ctx *ctx, const struct sy_dataset_params *params, struct sy_dataset *ds)
{
    if (ds->source_count == 1 || params->in_order) // nothing to mix: rates do not matter
        return SY_OK;
    for (ds->block = BLOCK; ds->block < (uint64_t)BLOCK_PER_SOURCE * ds->source_count; ds->block *= 2)
        ;
    double *weights = calloc(ds->source_count, sizeof *weights);
    uint64_t *shares = calloc(ds->source_count, sizeof *shares), start = 0;
    enum sy_status status = weights != NULL && shares != NULL ? take_weights(ctx, params, ds, weights)
                                                              : sy_fail(ctx, SY_NOMEM, "out of host memory for shares");
    if (status == SY_OK)
        status = sy_shares_of(ctx, weights, ds->source_count, ds->block, shares);
    for (size_t i = 0; status == SY_OK && i < ds->source_count; ++i) {
        ds->sources[i].share = shares[i];
        ds->sources[i].share_start = start;
        start += shares[i];
    }
    free(weights);
    free(shares);
    return status;
}

// ---- opening --------------------------------------------------------------------------------------------------------

static enum sy_status check_params(struct sy_ctx *ctx, const struct sy_dataset_params *p)
{
    if (p->source_count == 0 || p->source_count > MAX_SOURCES)
        return sy_fail(ctx, SY_INVALID, "a dataset of %zu sources, expected 1 to %u", p->source_count, MAX_SOURCES);
    for (size_t i = 0; i < p->source_count; ++i)
        if (p->sources[i].file_count == 0)
            return sy_fail(ctx, SY_INVALID, "source %zu of the dataset names no file", i);
    if (p->src_len < 2 || p->tgt_len < 2 || p->src_len > 1u << 20 || p->tgt_len > 1u << 20)
        return sy_fail(ctx, SY_INVALID, "source length %u and target length %u, expected 2 to 2^20", p->src_len,
                       p->tgt_len);
    return SY_OK;
}

static enum sy_status prepare_spans(struct sy_ctx *ctx, struct sy_dataset *ds)
{
    uint32_t n = sy_tokenizer_sentinels(ds->tokenizer);
    ds->segment = sy_spans_raw_length(ds->src_len, ds->tgt_len, n);
    if (ds->segment == 0)
        return sy_fail(ctx, SY_INVALID,
                       "source length %u and target length %u are too short for span corruption: at least 3 of each",
                       ds->src_len, ds->tgt_len);
    ds->sentinels = malloc((n + 1) * sizeof *ds->sentinels);
    if (ds->sentinels == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory for the dataset");
    for (uint32_t i = 0; i < n; ++i)
        ds->sentinels[i] = sy_tokenizer_sentinel(ds->tokenizer, i);
    return SY_OK;
}

static enum sy_status take_fingerprint(struct sy_ctx *ctx, struct sy_dataset *ds)
{
    XXH3_state_t *state = XXH3_createState();
    if (state == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory for the dataset");
    const uint64_t facts[] = {ds->objective, ds->src_len,      ds->tgt_len, ds->segment,
                              ds->seed,      ds->source_count, ds->in_order};
    XXH3_64bits_reset(state);
    XXH3_64bits_update(state, facts, sizeof facts);
    for (size_t i = 0; i < ds->source_count; ++i) {
        const struct source *s = &ds->sources[i];
        const uint64_t sizes[] = {s->count, s->examples, s->share};
        XXH3_64bits_update(state, sizes, sizeof sizes);
        XXH3_64bits_update(state, s->tokens, s->count * sizeof *s->tokens);
        if (s->pairs > 0)
            XXH3_64bits_update(state, s->ends, 2 * s->pairs * sizeof *s->ends);
    }
    ds->fingerprint = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return SY_OK;
}

static enum sy_status open_all(struct sy_ctx *ctx, const struct sy_dataset_params *params, struct sy_dataset *ds)
{
    size_t files = 0, done = 0;
    struct loader loader = {.ctx = ctx, .ds = ds};
    if (ds->objective == SY_OBJECTIVE_SPANS)
        SY_TRY(prepare_spans(ctx, ds));
    for (size_t i = 0; i < params->source_count; ++i)
        files += params->sources[i].file_count;
    for (size_t i = 0; i < params->source_count; ++i) {
        const struct sy_data_source *from = &params->sources[i];
        loader.source = &ds->sources[i];
        ds->sources[i].name = from->name != NULL ? from->name : sy_input_name(from->files[0]);
        SY_TRY(read_source(&loader, params, from, &done, files));
        ds->examples += ds->sources[i].examples;
        ds->tokens += ds->sources[i].count;
    }
    SY_TRY(check_text(&loader));
    SY_TRY(share_out(ctx, params, ds));
    return take_fingerprint(ctx, ds);
}

enum sy_status sy_dataset_open(struct sy_ctx *ctx, const struct sy_dataset_params *params,
                               struct sy_dataset **out_dataset)
{
    SY_TRY(check_params(ctx, params));
    struct sy_dataset *ds = calloc(1, sizeof *ds);
    if (ds == NULL || (ds->sources = calloc(params->source_count, sizeof *ds->sources)) == NULL) {
        free(ds);
        return sy_fail(ctx, SY_NOMEM, "out of host memory for the dataset");
    }
    ds->tokenizer = params->tokenizer;
    ds->objective = params->objective;
    ds->src_len = params->src_len;
    ds->tgt_len = params->tgt_len;
    ds->seed = params->seed;
    ds->in_order = params->in_order;
    ds->document_eos = params->document_eos;
    ds->reading = (struct sy_reading){.format = params->format, .text_key = params->text_key, .strict = params->strict};
    ds->source_count = params->source_count;
    enum sy_status status = open_all(ctx, params, ds);
    if (status != SY_OK) {
        sy_dataset_close(&ds);
        return status;
    }
    *out_dataset = ds;
    return SY_OK;
}

void sy_dataset_close(struct sy_dataset **dataset)
{
    struct sy_dataset *ds = *dataset;
    if (ds == NULL)
        return;
    for (size_t i = 0; i < ds->source_count; ++i) {
        free(ds->sources[i].tokens);
        free(ds->sources[i].ends);
    }
    free(ds->sources);
    free(ds->sentinels);
    free(ds);
    *dataset = NULL;
}

uint64_t sy_dataset_count(const struct sy_dataset *dataset) { return dataset->examples; }
uint64_t sy_dataset_tokens(const struct sy_dataset *dataset) { return dataset->tokens; }
uint32_t sy_dataset_segment(const struct sy_dataset *dataset) { return dataset->segment; }
uint64_t sy_dataset_documents(const struct sy_dataset *dataset) { return dataset->reading.documents; }
uint64_t sy_dataset_fingerprint(const struct sy_dataset *dataset) { return dataset->fingerprint; }

double sy_dataset_share(const struct sy_dataset *dataset, size_t index)
{
    if (index >= dataset->source_count)
        return 0;
    if (dataset->in_order || dataset->source_count == 1)
        return (double)dataset->sources[index].examples / (double)dataset->examples;
    return (double)dataset->sources[index].share / (double)dataset->block;
}
