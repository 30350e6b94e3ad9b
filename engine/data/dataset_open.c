// SPDX-License-Identifier: Apache-2.0
// dataset_open.c: reading texts and finding corpora, and how many examples of each there are.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "engine/data/dataset_state.h"
#include "engine/data/input.h"
#include "engine/data/shares.h"
#include "engine/data/spans.h"
#include "engine/data/words.h"
#include "engine/file.h"

#define BLOCK 65536u           // examples in which every source has its exact share, when there are few
#define BLOCK_PER_SOURCE 16u   // at least, when there are many
#define MAX_SOURCES (1u << 24) // 2^28 places in a block

// ---- reading --------------------------------------------------------------------------------------------------------

struct loader {
    struct sy_ctx *ctx;
    struct sy_dataset *ds;
    struct sy_dataset_source *source;
    struct sy_words *words;
    const char *first_empty;
    bool begins; ///< A document has begun that has no token yet.
};

/// A document alone begins where its first token is; one without a token is none.
static enum sy_status add_start(struct loader *l, uint64_t at)
{
    struct sy_dataset_source *s = l->source;
    if (s->begun == s->begun_room) {
        const uint64_t room = 2 * s->begun_room + 64;
        uint64_t *bigger = realloc(s->starts, room * sizeof *bigger);
        if (bigger == NULL)
            return sy_fail(l->ctx, SY_NOMEM, "%s: out of host memory for %llu documents", s->name,
                           (unsigned long long)room);
        s->starts = bigger;
        s->begun_room = room;
    }
    s->starts[s->begun++] = at;
    return SY_OK;
}

static enum sy_status add_text(void *user, const char *text, size_t bytes, bool begins)
{
    struct loader *l = user;
    struct sy_dataset_source *s = l->source;
    l->begins = l->begins || begins;
    const uint64_t before = s->ids.count;
    if (l->begins && before > 0 && s->documents == SY_DOCUMENTS_EOS) {
        SY_TRY(sy_ids_reserve(l->ctx, &s->ids, 1, s->name));
        s->ids.data[s->ids.count++] = sy_tokenizer_eos(l->ds->tokenizer);
    }
    const uint64_t first = s->ids.count;
    SY_TRY(sy_ids_add_text(l->ctx, &s->ids, l->ds->tokenizer, l->words, text, bytes, s->name));
    if (s->ids.count == first) {
        s->ids.count = before;
        return SY_OK;
    }
    if (l->begins && s->documents == SY_DOCUMENTS_ALONE)
        SY_TRY(add_start(l, first));
    l->begins = false;
    return SY_OK;
}

/// Cut, but ended by its last id, eos.
static enum sy_status add_ids(struct loader *l, const int32_t *ids, size_t n, uint64_t most)
{
    struct sy_dataset_source *s = l->source;
    const size_t kept = n > most ? (size_t)most : n;
    SY_TRY(sy_ids_reserve(l->ctx, &s->ids, kept, s->name));
    memcpy(s->ids.data + s->ids.count, ids, kept * sizeof *ids);
    s->ids.count += kept;
    if (kept < n)
        s->ids.data[s->ids.count - 1] = ids[n - 1];
    return SY_OK;
}

static enum sy_status add_half(struct loader *l, const char *text, size_t bytes, uint64_t most)
{
    int32_t *ids;
    size_t n;
    SY_TRY(sy_tokenizer_encode(l->ctx, l->ds->tokenizer, text, bytes, SY_ENCODE_SENTINELS | SY_ENCODE_EOS, &ids, &n));
    enum sy_status status = add_ids(l, ids, n, most);
    free(ids);
    return status;
}

static enum sy_status reserve_pair(struct loader *l)
{
    struct sy_dataset_source *s = l->source;
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
    struct sy_dataset_source *s = l->source;
    SY_TRY(reserve_pair(l));
    SY_TRY(add_half(l, inputs, inputs_bytes, l->ds->src_len));
    s->ends[2 * s->pairs] = s->ids.count;
    SY_TRY(add_half(l, targets, targets_bytes, l->ds->tgt_len));
    s->ends[2 * s->pairs + 1] = s->ids.count;
    ++s->pairs;
    return SY_OK;
}

static enum sy_status take_pairs(struct loader *l, const struct sy_pairs *pairs)
{
    struct sy_dataset_source *s = l->source;
    for (size_t i = 0; i < pairs->count; ++i) {
        const struct sy_pair *p = &pairs->items[i];
        SY_TRY(reserve_pair(l));
        SY_TRY(add_ids(l, p->input_ids, p->input_count, l->ds->src_len));
        s->ends[2 * s->pairs] = s->ids.count;
        SY_TRY(add_ids(l, p->target_ids, p->target_count, l->ds->tgt_len));
        s->ends[2 * s->pairs++ + 1] = s->ids.count;
    }
    l->ds->reading.documents += pairs->count;
    ++l->ds->reading.files;
    return SY_OK;
}

/// How many examples a source makes; 0: it has too little text for one.
static uint64_t count_examples(const struct sy_dataset *ds, const struct sy_dataset_source *s)
{
    if (ds->objective == SY_OBJECTIVE_PAIRS)
        return s->pairs;
    if (s->documents == SY_DOCUMENTS_ALONE)
        return s->corpus != NULL ? sy_corpus_documents(s->corpus) : s->begun;
    return s->count < 2 ? 0 : (s->count + ds->segment - 1) / ds->segment;
}

static enum sy_status open_corpus(struct loader *l, const char *directory)
{
    struct sy_dataset_source *s = l->source;
    if (l->ds->objective == SY_OBJECTIVE_PAIRS)
        return sy_fail(l->ctx, SY_INVALID, "%s is a directory, expected JSON lines with pairs", directory);
    SY_TRY(sy_corpus_open(l->ctx, directory, &s->corpus));
    SY_TRY(sy_corpus_agree(l->ctx, s->corpus, l->ds->tokenizer));
    s->documents = l->ds->documents != SY_DOCUMENTS_UNSAID ? l->ds->documents : sy_corpus_kind(s->corpus);
    s->count = sy_corpus_tokens(s->corpus);
    if (s->documents == SY_DOCUMENTS_EOS)
        s->count += sy_corpus_documents(s->corpus) - 1;
    ++l->ds->reading.files;
    l->ds->reading.documents += sy_corpus_documents(s->corpus);
    return SY_OK;
}

static enum sy_status read_file(struct loader *l, const char *path)
{
    struct sy_reading *reading = &l->ds->reading;
    const uint64_t empty = reading->empty_files;
    SY_TRY(l->ds->objective == SY_OBJECTIVE_PAIRS ? sy_pairs_read(l->ctx, reading, path, add_pair, l)
                                                  : sy_text_read(l->ctx, reading, path, add_text, l));
    if (reading->empty_files > empty && l->first_empty == NULL)
        l->first_empty = sy_input_name(path);
    return SY_OK;
}

static enum sy_status read_source(struct loader *l, const struct sy_dataset_params *params,
                                  const struct sy_data_source *from, size_t *files_done, size_t files)
{
    struct sy_dataset_source *s = l->source;
    const bool prepared = params->pairs == NULL && from->file_count == 1 && sy_dir_exists(from->files[0]);
    l->begins = false;
    s->documents = l->ds->documents != SY_DOCUMENTS_UNSAID ? l->ds->documents : SY_DOCUMENTS_FOLLOW;
    if (params->pairs != NULL)
        SY_TRY(take_pairs(l, params->pairs));
    for (size_t i = 0; i < from->file_count && params->pairs == NULL; ++i) {
        SY_TRY(prepared ? open_corpus(l, from->files[i]) : read_file(l, from->files[i]));
        if (params->progress != NULL)
            params->progress(params->user, from->files[i], ++*files_done, files, s->ids.count);
    }
    s->count = prepared ? s->count : s->ids.count;
    s->examples = count_examples(l->ds, s);
    int32_t *fitting = s->ids.count > 0 ? realloc(s->ids.data, s->ids.count * sizeof *fitting) : NULL; // may be many
    if (fitting != NULL) {
        s->ids.data = fitting;
        s->ids.room = s->ids.count;
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
        const struct sy_dataset_source *s = &ds->sources[i];
        const uint64_t sizes[] = {s->count, s->examples, s->share};
        XXH3_64bits_update(state, sizes, sizeof sizes);
        XXH3_64bits_update(state, s->ids.data, s->ids.count * sizeof *s->ids.data);
        XXH3_64bits_update(state, s->starts, s->begun * sizeof *s->starts);
        if (s->corpus != NULL) { // its index has the sums of all its tokens
            const uint64_t kind = s->documents;
            XXH3_64bits_update(state, sy_corpus_sum(s->corpus), 32);
            XXH3_64bits_update(state, &kind, sizeof kind);
        }
        if (s->pairs > 0)
            XXH3_64bits_update(state, s->ends, 2 * s->pairs * sizeof *s->ends);
    }
    ds->fingerprint = XXH3_64bits_digest(state);
    XXH3_freeState(state);
    return SY_OK;
}

static enum sy_status read_sources(struct loader *l, const struct sy_dataset_params *params)
{
    size_t files = 0, done = 0;
    struct sy_dataset *ds = l->ds;
    for (size_t i = 0; i < params->source_count; ++i)
        files += params->sources[i].file_count;
    for (size_t i = 0; i < params->source_count; ++i) {
        const struct sy_data_source *from = &params->sources[i];
        l->source = &ds->sources[i];
        ds->sources[i].name = from->name != NULL ? from->name : sy_input_name(from->files[0]);
        SY_TRY(read_source(l, params, from, &done, files));
        ds->examples += ds->sources[i].examples;
        ds->tokens += ds->sources[i].count;
    }
    return check_text(l);
}

static enum sy_status open_all(struct sy_ctx *ctx, const struct sy_dataset_params *params, struct sy_dataset *ds)
{
    if (ds->objective == SY_OBJECTIVE_SPANS)
        SY_TRY(prepare_spans(ctx, ds));
    struct sy_pieces *pieces = sy_pieces_create(ds->tokenizer);
    struct loader loader = {.ctx = ctx, .ds = ds, .words = sy_words_create(pieces)};
    enum sy_status status = read_sources(&loader, params);
    sy_words_destroy(&loader.words);
    sy_pieces_destroy(&pieces);
    SY_TRY(status);
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
    ds->documents = params->documents;
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
        free(ds->sources[i].ids.data);
        free(ds->sources[i].starts);
        sy_corpus_close(&ds->sources[i].corpus);
        free(ds->sources[i].ends);
    }
    free(ds->sources);
    free(ds->sentinels);
    free(ds);
    *dataset = NULL;
}
