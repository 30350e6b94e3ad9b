// SPDX-License-Identifier: Apache-2.0
// train.c: the training program: options → model, data, device → steps, validation, checkpoints.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "apps/buckets.h"
#include "apps/held_out.h"
#include "apps/leave.h"
#include "apps/ranks.h"
#include "apps/report.h"
#include "apps/resume.h"
#include "apps/share.h"
#include "apps/train_options.h"
#include "engine/checkpoint.h"
#include "engine/dump.h"
#include "engine/file.h"
#include "engine/rate.h"
#include "engine/turns.h"

/// Everything a run holds.
struct run {
    struct train_options o;
    struct sy_ctx *ctx;
    struct ranks ranks;
    struct sy_device *device;
    struct sy_bundle model;
    struct sy_form form; ///< With --pairs.
    struct held_out held_out;
    struct buckets buckets; ///< With --pairs; the first one's dataset, session and micro-batches are those below.
    uint32_t bucket;        ///< Of the step that was drawn.
    struct sy_dataset *train, *valid;
    struct sy_session *session, *validation;
    struct sy_rate rate;
    bool jitter;                   ///< --batch brings the router's noise.
    struct sy_batch fixed, *micro; ///< --batch; micro-batches of one step
    bool drawn;                    ///< They are those of the step after `begun`.
    uint64_t begun;                ///< The last step that was handed to the device; it, or the one before, is done.
    uint32_t sequences;            ///< Of a step, on all ranks.
    uint32_t share, micro_batch, micro_count; ///< This rank's sequences of a step, and how they are cut.
    uint32_t slices;                          ///< Of a step, on all ranks.
    struct sy_train_state state, was;         ///< was: of the checkpoint, with --resume
    int leave;                                ///< The signal that asked a rank to leave; all know of it.
    struct report report;
    struct sy_lock lock;     ///< Held on --out.
    bool made_out;           ///< --out was not there before.
    char from[SY_PATH_ROOM]; ///< The checkpoint that --resume goes on from.
};

static enum sy_status open_dataset(struct run *r, const struct cli_list *files, bool held_out, struct sy_dataset **out)
{
    const bool apart = !held_out && mix_apart(&r->o.mix); // shares as the sizes are: one stream has them
    double *rates = NULL;
    if (!held_out)
        SY_TRY(mix_rates(r->ctx, &r->o.mix, files, &rates));
    struct sy_dataset_params p = {.tokenizer = r->model.tokenizer,
                                  .mixing = rates != NULL ? SY_MIX_RATE : SY_MIX_SIZE,
                                  .exponent = r->o.mix.exponent,
                                  .src_len = (uint32_t)r->o.src_len,
                                  .tgt_len = (uint32_t)r->o.tgt_len,
                                  .seed = r->o.seed,
                                  .in_order = held_out};
    enum sy_status status = texts_open(r->ctx, &r->o.texts, files, apart, rates, p, out);
    free(rates);
    return status;
}

/// The largest micro-batch of at most `wanted` sequences of which a step is a power of two; the whole step when there
/// is none.
static uint32_t nearest_micro(uint32_t sequences, uint32_t wanted)
{
    uint32_t micro = sequences;
    while (micro > wanted && micro % 2 == 0)
        micro /= 2;
    return micro;
}

/// The micro-batches of all ranks that make a step, where they have been cut.
static uint32_t step_micros(const struct run *r)
{
    const struct sy_layout *l = &r->ranks.layout;
    return l->turns != NULL ? l->turns[l->data] * l->expert : r->micro_count * ranks_places(&r->ranks);
}

/// Of one place after the other, as much as there is to give to each.
static enum sy_status divide_unequally(struct run *r)
{
    const struct sy_layout *l = &r->ranks.layout;
    const struct train_options *o = &r->o;
    const uint64_t slices = o->slices != 0 ? o->slices : o->resume ? r->was.slices : 0;
    const struct share_step step = {.sequences = r->sequences / l->expert,
                                    .micro = (uint32_t)o->micro,
                                    .slices = (uint32_t)(slices / l->expert),
                                    .group = r->model.config.experts != 0 ? r->model.config.group_tokens : 0,
                                    .src_len = (uint32_t)o->src_len,
                                    .tgt_len = (uint32_t)o->tgt_len};
    r->micro_batch = r->sequences / ranks_places(&r->ranks);
    SY_TRY(ranks_cut(r->ctx, &r->ranks, &step, &r->micro_batch));
    if (l->turns != NULL) {
        const uint32_t d = l->rank / l->expert;
        r->micro_count = l->turns[d + 1] - l->turns[d];
        r->share = r->micro_count * r->micro_batch;
    }
    return SY_OK;
}

static enum sy_status divide_equally(struct run *r)
{
    const uint64_t wanted = r->o.micro;
    const uint32_t ranks = ranks_places(&r->ranks);
    r->share = r->sequences / ranks;
    const char *whose = ranks > 1 ? "a rank's share of a step" : "a step";
    r->micro_batch = wanted == 0 || wanted > r->share ? r->share : (uint32_t)wanted;
    if (r->share % r->micro_batch != 0)
        return sy_fail(r->ctx, SY_INVALID, "--micro-batch %u does not divide the %u sequences of %s", r->micro_batch,
                       r->share, whose);
    r->micro_count = r->share / r->micro_batch;
    if ((r->micro_count & (r->micro_count - 1)) != 0)
        return sy_fail(r->ctx, SY_INVALID,
                       "--micro-batch %u cuts the %u sequences of %s into %u: it is a power of two of "
                       "micro-batches; take --micro-batch %u",
                       r->micro_batch, r->share, whose, r->micro_count, nearest_micro(r->share, r->micro_batch));
    return SY_OK;
}

/// Cuts the sequences of a step into shares of ranks, and those into micro-batches.
static enum sy_status divide(struct run *r)
{
    SY_TRY(divide_unequally(r));
    if (r->ranks.layout.turns == NULL)
        SY_TRY(divide_equally(r));
    r->micro = calloc(r->micro_count, sizeof *r->micro);
    bool room = r->micro != NULL;
    for (uint32_t k = 1; k < r->buckets.count && room; ++k) {
        r->buckets.list[k].micro = calloc(r->micro_count, sizeof *r->micro);
        room = r->buckets.list[k].micro != NULL;
    }
    return room ? SY_OK : sy_fail(r->ctx, SY_NOMEM, "out of host memory");
}

/// How many sequences of a step come before this rank's i-th micro-batch.
static uint64_t before(const struct run *r, uint32_t i)
{
    return (uint64_t)sy_turns_number(ranks_layout(&r->ranks), r->micro_count, i) * r->micro_batch;
}

/// The lengths are those of the training rows, unless they were given.
static enum sy_status open_pairs(struct run *r, const char *path, struct sy_pairs *pairs)
{
    struct train_options *o = &r->o;
    SY_TRY(pairs_open(r->ctx, &r->form, path, r->model.tokenizer, pairs));
    if (o->src_len == 0)
        o->src_len = pairs_length(pairs->longest_input, sy_task_pairs.src_len);
    if (o->tgt_len == 0)
        o->tgt_len = pairs_length(pairs->longest_target, sy_task_pairs.tgt_len);
    pairs_warn_cut(r->ctx, pairs, o->src_len, o->tgt_len);
    return SY_OK;
}

static struct sy_dataset_params params_of_rows(const struct run *r, bool held_out)
{
    return (struct sy_dataset_params){.tokenizer = r->model.tokenizer,
                                      .src_len = (uint32_t)r->o.src_len,
                                      .tgt_len = (uint32_t)r->o.tgt_len,
                                      .seed = r->o.seed,
                                      .in_order = held_out};
}

static enum sy_status check_sequences(struct run *r)
{
    const uint32_t ranks = ranks_places(&r->ranks);
    if (r->sequences % ranks == 0)
        return SY_OK;
    return sy_fail(r->ctx, SY_INVALID,
                   "the %u sequences of a step cannot be shared out evenly among %u ranks: change --batch-tokens",
                   r->sequences, ranks);
}

static enum sy_status choose_sequences(struct run *r)
{
    const struct train_options *o = &r->o;
    r->sequences = (uint32_t)(o->batch_tokens / o->src_len);
    if (r->sequences == 0)
        return sy_fail(r->ctx, SY_INVALID, "--batch-tokens %llu is less than one sequence of --src-len %llu",
                       (unsigned long long)o->batch_tokens, (unsigned long long)o->src_len);
    return check_sequences(r);
}

static enum sy_status open_training_rows(struct run *r, struct sy_pairs *pairs)
{
    SY_TRY(open_pairs(r, r->o.pairs, pairs));
    SY_TRY(choose_sequences(r));
    const struct sy_dataset_params p = params_of_rows(r, false);
    SY_TRY(buckets_open(r->ctx, pairs, (uint32_t)r->o.buckets, r->sequences, &p, &r->buckets));
    r->train = r->buckets.list[0].data;
    for (uint32_t k = 1; k < r->buckets.count; ++k) {
        const struct bucket *b = &r->buckets.list[k];
        printf("%llu of them fit %u and %u tokens: %u in a step, %.0f %% of the steps\n",
               (unsigned long long)sy_dataset_count(b->data), b->src_len, b->tgt_len, r->sequences * b->scale,
               100.0 * b->share);
    }
    return SY_OK;
}

static enum sy_status open_tables(struct run *r)
{
    const struct train_options *o = &r->o;
    struct sy_pairs pairs = {0};
    SY_TRY(pairs_form(r->ctx, &o->form, &r->form));
    SY_TRY(sy_metric_check(r->ctx, replies_metrics(&r->form)));
    const enum sy_status status = open_training_rows(r, &pairs);
    sy_pairs_finish(&pairs);
    SY_TRY(status);
    printf("%llu examples of at most %llu and %llu tokens, %u in a step; %s lr %g, dropout %g, expert dropout %g\n",
           (unsigned long long)buckets_rows(&r->buckets), (unsigned long long)o->src_len,
           (unsigned long long)o->tgt_len, r->sequences, o->schedule, r->rate.peak, r->model.config.dropout,
           r->model.config.expert_dropout);
    if (o->valid_pairs == NULL)
        return SY_OK;
    SY_TRY(open_pairs(r, o->valid_pairs, &r->held_out.pairs));
    SY_TRY(pairs_dataset(r->ctx, &r->held_out.pairs, params_of_rows(r, true), &r->valid));
    printf("held out: %llu examples\n", (unsigned long long)sy_dataset_count(r->valid));
    return SY_OK;
}

static enum sy_status open_data(struct run *r)
{
    struct train_options *o = &r->o;
    if (o->batch_file != NULL) {
        SY_TRY(sy_batch_load(r->ctx, o->batch_file, r->model.config.vocab_size, &r->fixed));
        o->src_len = r->fixed.src_len;
        o->tgt_len = r->fixed.tgt_len;
        r->sequences = r->fixed.batch;
        return check_sequences(r);
    }
    SY_TRY(sy_bundle_tokenizer(r->ctx, o->common.model, o->common.tokenizer, &r->model));
    if (o->pairs != NULL)
        return open_tables(r);
    SY_TRY(choose_sequences(r));
    SY_TRY(open_dataset(r, &o->data, false, &r->train));
    report_text(r->ctx, r->train, r->model.tokenizer, (uint32_t)o->src_len, (uint32_t)o->tgt_len, r->sequences);
    mix_print(r->train);
    if (o->valid.count != 0) {
        char line[160];
        SY_TRY(open_dataset(r, &o->valid, true, &r->valid));
        texts_describe(r->valid, line);
        printf("held out: %s\n", line);
    }
    return SY_OK;
}

static enum sy_status choose(struct run *r)
{
    struct train_options *o = &r->o;
    if (o->schedule == NULL)
        o->schedule = o->pairs != NULL ? "constant" : "rsqrt";
    if (o->pairs == NULL) {
        o->src_len = o->src_len != 0 ? o->src_len : sy_task_spans.src_len;
        o->tgt_len = o->tgt_len != 0 ? o->tgt_len : sy_task_spans.tgt_len;
    }
    SY_TRY(sy_rate_parse(r->ctx, o->schedule, &r->rate.kind));
    bool rsqrt_kind = r->rate.kind == SY_RATE_RSQRT;
    r->rate.peak = o->have_lr ? o->lr : rsqrt_kind ? 1.0 : 1e-3;
    r->rate.warmup = o->have_warmup ? o->warmup : rsqrt_kind ? 10000 : 0;
    r->rate.steps = o->steps;
    return SY_OK;
}

/// The micro-batches of --batch are views of it.
static enum sy_status cut_fixed(struct run *r)
{
    for (uint32_t i = 0; i < r->micro_count; ++i) {
        const uint64_t first = before(r, i);
        r->micro[i] = r->fixed;
        r->micro[i].batch = r->micro_batch;
        r->micro[i].input_ids += first * r->fixed.src_len;
        r->micro[i].attention_mask += first * r->fixed.src_len;
        r->micro[i].labels += first * r->fixed.tgt_len;
    }
    SY_TRY(sy_dump_has_jitter(r->ctx, r->o.batch_file, &r->jitter));
    return !r->jitter || (r->micro_count == 1 && r->ranks.group.size == 1)
               ? SY_OK
               : sy_fail(r->ctx, SY_INVALID,
                         "%s holds jitter for all of its %u sequences at once: leave --micro-batch and mpirun away",
                         r->o.batch_file, r->sequences);
}

/// A run keeps the slices that it began with: its bits depend on them.
static enum sy_status choose_slices(struct run *r)
{
    const uint32_t least = step_micros(r);
    r->slices = r->o.slices != 0 ? (uint32_t)r->o.slices : r->o.resume ? r->was.slices : least;
    if (r->o.resume && r->slices != r->was.slices)
        return sy_fail(r->ctx, SY_INVALID, "%s was trained with --slices %u, not %u: leave --slices away", r->from,
                       r->was.slices, r->slices);
    if ((r->slices & (r->slices - 1)) != 0 || r->sequences % r->slices != 0 || r->slices % least != 0)
        return sy_fail(
            r->ctx, SY_INVALID,
            "%u slices of a step of %u sequences in %u micro-batches%s: the slices must be a power of two, divide "
            "the sequences, and be at least as many as the micro-batches: change --slices, --micro-batch or "
            "--batch-tokens",
            r->slices, r->sequences, least, r->ranks.group.size > 1 ? " of all ranks" : "");
    return SY_OK;
}

/// Sequences of a validation; 0: all. Rows are few, and a score of some of them is another score.
static uint64_t most_held_out(const struct run *r)
{
    const struct train_options *o = &r->o;
    const uint64_t batches = o->valid_batches != 0 ? o->valid_batches : o->valid_pairs != NULL ? 0 : 16;
    return o->valid_sequences != 0 ? o->valid_sequences : batches * r->sequences;
}

static enum sy_status open_sessions(struct run *r)
{
    const struct train_options *o = &r->o;
    struct sy_session_params p = {
        .kind = SY_SESSION_TRAIN,
        .config = &r->model.config,
        .precision = o->common.precision,
        .batch = r->micro_batch,
        .micro_count = r->micro_count,
        .slices = r->slices / step_micros(r) * r->micro_count,
        .task = o->pairs != NULL ? &sy_task_pairs : &sy_task_spans,
        .ranks = ranks_layout(&r->ranks),
        .src_len = (uint32_t)o->src_len,
        .tgt_len = (uint32_t)o->tgt_len,
        .jitter_input = r->jitter,
        .recompute = o->recompute,
        .optimizer = {.kind = o->common.optimizer, .clip_norm = (float)o->clip, .weight_decay = (float)o->decay}};
    SY_TRY(cli_check_fits(r->ctx, sy_device_caps(r->device), &p, r->valid != NULL, r->share, "--micro-batch"));
    SY_TRY(sy_session_create(r->ctx, r->device, &p, &r->session));
    for (uint32_t k = 1; k < r->buckets.count; ++k) {
        struct bucket *b = &r->buckets.list[k];
        struct sy_session_params q = p;
        q.lender = r->session;
        q.batch = r->micro_batch * b->scale;
        q.src_len = b->src_len;
        q.tgt_len = b->tgt_len;
        SY_TRY(sy_session_create(r->ctx, r->device, &q, &b->session));
    }
    if (r->valid == NULL)
        return SY_OK;
    p.kind = SY_SESSION_EVAL;
    p.micro_count = p.slices = 1;
    p.jitter_input = false;
    p.lender = r->session;
    SY_TRY(sy_session_create(r->ctx, r->device, &p, &r->validation));
    return o->valid_pairs != NULL
               ? held_out_open(r->ctx, &r->form, r->session, r->model.tokenizer, most_held_out(r), &r->held_out)
               : SY_OK;
}

static enum sy_status first_weights(struct run *r)
{
    char origin[4224];
    sy_bundle_origin(&r->model, r->o.common.model, r->o.seed, origin, sizeof origin);
    printf("%s\n", origin);
    return r->model.tensors != NULL ? sy_weights_load(sy_session_runtime(r->session), r->model.tensors)
                                    : sy_weights_init(sy_session_runtime(r->session), r->o.seed);
}

static uint64_t fingerprint(const struct run *r)
{
    if (r->buckets.count > 1)
        return buckets_fingerprint(&r->buckets);
    return r->train != NULL ? sy_dataset_fingerprint(r->train) : 0;
}

static enum sy_status start(struct run *r)
{
    struct train_options *o = &r->o;
    r->state = (struct sy_train_state){.seed = o->seed, .data_fingerprint = fingerprint(r)};
    sy_checkpoint_describe(r->session, &r->rate, &r->state);
    r->state.batch_sequences = r->sequences; // of all ranks
    r->state.slices = r->slices;
    if (!o->resume)
        return first_weights(r);
    SY_TRY(resume_check_state(r->ctx, r->from, &r->was, &r->state, &r->model.config));
    printf("weights: %s, step %llu\n", r->from, (unsigned long long)r->was.step);
    SY_TRY(sy_checkpoint_load(r->session, r->from));
    r->state.step = r->was.step;
    r->state.next_example = r->was.next_example;
    for (uint64_t t = 1; t <= r->was.step && r->buckets.count > 1; ++t)
        ++r->buckets.list[buckets_of(&r->buckets, t)].taken;
    return SY_OK;
}

static enum sy_status save(struct run *r)
{
    return sy_checkpoint_save(r->session, r->o.out, &r->state, r->model.tokenizer, (uint32_t)r->o.keep);
}

/// Scores the held-out rows, and keeps the checkpoint that scores best.
static enum sy_status validate_rows(struct run *r)
{
    char best[SY_PATH_ROOM];
    struct replies_scores scores;
    bool better;
    SY_TRY(held_out_score(r->ctx, &r->form, &r->held_out, &scores, &better));
    if (r->ranks.group.rank == 0)
        SY_TRY(held_out_report(&r->report, r->state.step, &scores, better));
    if (!better)
        return SY_OK;
    SY_TRY(sy_path_print(r->ctx, best, r->o.out, "best"));
    SY_TRY(sy_checkpoint_save(r->session, best, &r->state, r->model.tokenizer, 1));
    return r->ranks.group.rank == 0 ? held_out_keep(r->ctx, &r->held_out, r->o.out, r->state.step, &scores) : SY_OK;
}

static enum sy_status validate(struct run *r)
{
    struct sy_metrics m;
    SY_TRY(report_evaluate(r->validation, r->valid, r->sequences, most_held_out(r), &m));
    if (r->ranks.group.rank == 0)
        SY_TRY(report_validation(&r->report, r->state.step, &m));
    return r->o.valid_pairs != NULL ? validate_rows(r) : SY_OK;
}

/// Makes the batches of step t of a bucket.
static enum sy_status draw_from(struct run *r, struct bucket *b, struct sy_batch *micro)
{
    const uint32_t size = r->micro_batch * b->scale;
    const uint64_t first = b->taken++ * r->sequences;
    for (uint32_t i = 0; i < r->micro_count; ++i)
        SY_TRY(sy_dataset_batch(r->ctx, b->data, (first + before(r, i)) * b->scale, size, &micro[i]));
    r->drawn = true;
    return SY_OK;
}

/// Makes the batches of step t, whose first example is `first` where all steps are alike.
static enum sy_status draw_step(struct run *r, uint64_t t, uint64_t first)
{
    if (r->buckets.count > 1) {
        r->bucket = buckets_of(&r->buckets, t);
        struct bucket *b = &r->buckets.list[r->bucket];
        return draw_from(r, b, r->bucket != 0 ? b->micro : r->micro);
    }
    for (uint32_t i = 0; r->train != NULL && i < r->micro_count; ++i)
        SY_TRY(sy_dataset_batch(r->ctx, r->train, first + before(r, i), r->micro_batch, &r->micro[i]));
    r->drawn = true;
    return SY_OK;
}

/// Hands the next step to the device, and prepares the one after meanwhile.
static enum sy_status begin_step(struct run *r)
{
    const uint64_t t = r->begun + 1;
    r->ranks.group.step = t;
    r->ranks.group.ask = leave_asked();
    if (!r->drawn)
        SY_TRY(draw_step(r, t, r->state.next_example));
    struct bucket *b = r->bucket != 0 ? &r->buckets.list[r->bucket] : NULL;
    SY_TRY(sy_session_begin(b != NULL ? b->session : r->session, b != NULL ? b->micro : r->micro, r->micro_count, t,
                            sy_rate_at(&r->rate, t), r->o.seed));
    r->begun = t;
    r->drawn = false;
    r->state.next_example += r->sequences;
    return t < r->o.steps ? draw_step(r, t + 1, r->state.next_example) : SY_OK;
}

static bool due(uint64_t step, uint64_t every) { return every != 0 && step % every == 0; }

/// Whether the step after t may begin before t has ended: not where its weights are wanted, nor its time alone.
static bool may_run_ahead(const struct run *r, uint64_t t)
{
    const bool first = t == r->was.step + 1;
    return !first && t < r->o.steps && !r->leave && !due(t, r->o.save_every) &&
           !(r->valid != NULL && due(t, r->o.valid_every));
}

/// Ends the oldest step under way. The next is in the device's queue by then, so that it works while this one's metrics
/// are looked at.
static enum sy_status one_step(struct run *r)
{
    struct sy_metrics m;
    const uint64_t t = r->state.step + 1;
    enum sy_status next = r->begun < t ? begin_step(r) : SY_OK;
    if (r->begun < t)
        return next;
    if (next == SY_OK && may_run_ahead(r, t))
        next = begin_step(r);
    if (next == SY_DEVICE || next == SY_COMM)
        return next; // no earlier step ends without them
    const uint32_t k = r->buckets.count > 1 ? buckets_of(&r->buckets, t) : 0;
    SY_TRY(
        sy_session_end(k != 0 ? r->buckets.list[k].session : r->session, &m)); // before what is wrong with a later step
    r->state.step = t;
    if (r->ranks.group.rank == 0)
        SY_TRY(report_step(&r->report, t, sy_rate_at(&r->rate, t), &m));
    return next;
}

/// Whether any rank was asked to leave: then all do, after the same step. Later each hears it where a step begins.
static enum sy_status hear_signals(struct run *r)
{
    const int32_t mine = (int32_t)leave_asked();
    int32_t *all = calloc(r->ranks.group.size, sizeof *all);
    if (all == NULL)
        return sy_fail(r->ctx, SY_NOMEM, "out of host memory");
    const enum sy_status status =
        sy_group_collect(r->ctx, &r->ranks.group, "whether to leave", &mine, sizeof mine, all);
    for (uint32_t i = 0; i < r->ranks.group.size && status == SY_OK && r->leave == 0; ++i)
        r->leave = all[i];
    free(all);
    return status;
}

static enum sy_status loop(struct run *r)
{
    const struct train_options *o = &r->o;
    uint64_t saved = r->state.step, validated = UINT64_MAX;
    leave_catch();
    if (r->state.step >= o->steps)
        sy_log(r->ctx, SY_LOG_INFO, "--steps %llu are done already: %s/latest holds step %llu",
               (unsigned long long)o->steps, o->out, (unsigned long long)r->state.step);
    r->begun = r->state.step;
    SY_TRY(hear_signals(r));
    while (r->begun > r->state.step || (r->state.step < o->steps && !r->leave)) {
        SY_TRY(one_step(r));
        if (due(r->state.step, o->save_every)) {
            SY_TRY(save(r));
            saved = r->state.step;
        }
        if (r->valid != NULL && due(r->state.step, o->valid_every)) {
            SY_TRY(validate(r));
            validated = r->state.step;
        }
        r->leave = r->ranks.group.size > 1 ? r->ranks.group.asked : leave_asked();
    }
    if (r->state.step != saved)
        SY_TRY(save(r));
    if (r->leave) {
        if (saved == 0 && r->state.step == 0)
            sy_log(r->ctx, SY_LOG_INFO, "asked to leave before the first step: there was nothing to save");
        else
            sy_log(r->ctx, SY_LOG_INFO, "asked to leave: saved %s/step-%llu; continue with --resume", o->out,
                   (unsigned long long)r->state.step);
        return SY_OK;
    }
    return r->valid != NULL && validated != r->state.step ? validate(r) : SY_OK;
}

/// Only rank 0 touches --out before the first save; the others learn from it where to go on.
static enum sy_status take_out(struct run *r)
{
    const bool first = r->ranks.group.rank == 0;
    r->made_out = first && !sy_dir_exists(r->o.out);
    SY_TRY(ranks_agree(r->ctx, &r->ranks,
                       first ? resume_take_out(r->ctx, r->o.out, r->o.resume, &r->lock, r->from) : SY_OK));
    return sy_group_spread(r->ctx, &r->ranks.group, 0, r->from, sizeof r->from);
}

/// All ranks know the best score so far, which is a file of rank 0's.
static enum sy_status begin_held_out(struct run *r)
{
    const bool first = r->ranks.group.rank == 0;
    SY_TRY(ranks_agree(r->ctx, &r->ranks, first ? held_out_begin(r->ctx, &r->held_out, r->o.out, r->o.resume) : SY_OK));
    return sy_group_spread(r->ctx, &r->ranks.group, 0, &r->held_out.best, sizeof r->held_out.best);
}

/// What must be the same on all ranks, before anything is allocated.
static enum sy_status compare(struct run *r)
{
    const struct train_options *o = &r->o;
    char text[256];
    SY_TRY(ranks_compare(r->ctx, &r->ranks, "program version", SY_VERSION));
    snprintf(text, sizeof text, "%s, optimizer %s, clip %g, decay %g, %s lr %g, warm-up %llu, steps %llu%s",
             sy_precision_name(o->common.precision), sy_optimizer_name(o->common.optimizer), o->clip, o->decay,
             o->schedule, r->rate.peak, (unsigned long long)r->rate.warmup, (unsigned long long)o->steps,
             o->recompute ? ", recompute" : "");
    SY_TRY(ranks_compare(r->ctx, &r->ranks, "set of options", text));
    ranks_describe(&r->ranks, text);
    SY_TRY(ranks_compare(r->ctx, &r->ranks, "layout", text));
    snprintf(text, sizeof text, "save every %llu, validate every %llu, %llu batches or %llu sequences of %016llx",
             (unsigned long long)o->save_every, (unsigned long long)o->valid_every,
             (unsigned long long)o->valid_batches, (unsigned long long)o->valid_sequences,
             (unsigned long long)(r->valid != NULL ? sy_dataset_fingerprint(r->valid) : 0));
    SY_TRY(ranks_compare(r->ctx, &r->ranks, "order of saves and validations (with the text's fingerprint)", text));
    snprintf(text, sizeof text, "%llu", (unsigned long long)r->was.step);
    SY_TRY(ranks_compare(r->ctx, &r->ranks, "step to go on from", text));
    snprintf(text, sizeof text, "%llu", (unsigned long long)o->seed);
    SY_TRY(ranks_compare(r->ctx, &r->ranks, "--seed", text));
    snprintf(text, sizeof text, "%016llx", (unsigned long long)fingerprint(r));
    SY_TRY(ranks_compare(r->ctx, &r->ranks, "training text (fingerprint)", text));
    return ranks_compare_config(r->ctx, &r->ranks, &r->model.config);
}

static enum sy_status compare_cut(struct run *r)
{
    const struct train_options *o = &r->o;
    char text[256];
    snprintf(text, sizeof text, "%u sequences of %llu and %llu tokens, %u slices, micro-batches of %u", r->sequences,
             (unsigned long long)o->src_len, (unsigned long long)o->tgt_len, r->slices, r->micro_batch);
    return ranks_compare(r->ctx, &r->ranks, "size of a step", text);
}

/// What rank 0 does alone before the first step.
static enum sy_status begin(struct run *r)
{
    const struct train_options *o = &r->o;
    SY_TRY(resume_check_room(r->ctx, o->out, r->session, o->keep));
    if (r->jitter)
        SY_TRY(sy_dump_load_jitter(r->session, o->batch_file));
    return report_open(&r->report, r->ctx, o->out, r->session, r->state.step, o->steps, o->log_every);
}

/// A run that goes on has its weights in OUT.
static enum sy_weights_wanted weights_wanted(const struct train_options *o)
{
    return o->draw ? SY_WEIGHTS_UNREAD : o->resume ? SY_WEIGHTS_IF_ANY : SY_WEIGHTS_UNLESS_CONFIG;
}

/// Rates that were given, or with --pairs the paper's for fine-tuning, in place of the config's.
static void choose_dropout(struct run *r)
{
    const struct train_options *o = &r->o;
    struct sy_config *c = &r->model.config;
    if (o->dropout >= 0.0 || o->pairs != NULL)
        c->dropout = o->dropout >= 0.0 ? o->dropout : 0.1;
    if (c->is_switch && (o->expert_dropout >= 0.0 || o->pairs != NULL))
        c->expert_dropout = o->expert_dropout >= 0.0 ? o->expert_dropout : 0.4;
}

/// Everything that needs no device.
static enum sy_status prepare(struct run *r)
{
    const struct train_options *o = &r->o;
    SY_TRY(choose(r));
    SY_TRY(sy_bundle_open(r->ctx, o->common.model, weights_wanted(o), &r->model));
    choose_dropout(r);
    SY_TRY(open_data(r));
    return o->resume ? sy_checkpoint_read_state(r->ctx, r->from, &r->was) : SY_OK;
}

/// How a step is cut, which may depend on the devices' speeds.
static enum sy_status cut(struct run *r)
{
    SY_TRY(divide(r));
    if (r->o.batch_file != NULL)
        SY_TRY(cut_fixed(r));
    return choose_slices(r);
}

static enum sy_status open_model(struct run *r)
{
    SY_TRY(open_sessions(r));
    return start(r);
}

static enum sy_status run(struct run *r)
{
    const struct train_options *o = &r->o;
    r->ranks.trains = true;
    SY_TRY(ranks_open(&r->ranks, &o->ranks, "switchyard-train", &r->ctx));
    SY_TRY(take_out(r)); // before minutes of reading text
    if (o->valid_pairs != NULL)
        SY_TRY(begin_held_out(r));
    SY_TRY(ranks_agree(r->ctx, &r->ranks, prepare(r)));
    SY_TRY(compare(r));
    SY_TRY(ranks_open_device(r->ctx, &r->ranks, o->common.device, false, &r->model.config, o->common.precision,
                             &r->device));
    SY_TRY(ranks_agree(r->ctx, &r->ranks, cut(r)));
    SY_TRY(compare_cut(r));
    SY_TRY(ranks_agree(r->ctx, &r->ranks, open_model(r)));
    SY_TRY(ranks_agree(r->ctx, &r->ranks, r->ranks.group.rank == 0 ? begin(r) : SY_OK));
    enum sy_status status = loop(r);
    report_close(&r->report);
    if (status == SY_OK && r->state.step != 0)
        printf("%s/latest holds step %llu; metrics are in %s/metrics.jsonl\n", o->out,
               (unsigned long long)r->state.step, o->out);
    return status;
}

int main(int argc, char **argv)
{
    cli_start();
    struct run r = {.lock = SY_LOCK_NONE, .report = {.file = -1}};
    train_options_read(argc, argv, &r.o);
    leave_catch_early();
    r.ctx = sy_ctx_create(sy_log_stderr, (void *)"switchyard-train", SY_LOG_INFO);
    enum sy_status status = r.ctx != NULL ? run(&r) : SY_NOMEM;
    ranks_close(&r.ranks, r.ctx, status); // before all else: the others wait
    held_out_close(&r.held_out);
    sy_session_destroy(&r.validation);
    for (uint32_t k = 1; k < r.buckets.count; ++k)
        sy_session_destroy(&r.buckets.list[k].session);
    sy_session_destroy(&r.session);
    sy_dataset_close(&r.valid);
    if (r.buckets.count != 0)
        r.train = NULL;
    buckets_close(&r.buckets, r.micro_count);
    sy_dataset_close(&r.train);
    sy_form_finish(&r.form);
    for (uint32_t i = 0; r.micro != NULL && r.fixed.batch == 0 && i < r.micro_count; ++i) // else views
        sy_batch_finish(&r.micro[i]);
    free(r.micro);
    sy_batch_finish(&r.fixed);
    sy_bundle_close(&r.model);
    sy_device_close(&r.device);
    sy_ctx_destroy(&r.ctx);
    train_options_free(&r.o);
    sy_dir_unlock(&r.lock);
    if (status != SY_OK && r.made_out)
        (void)!rmdir(r.o.out); // a run that did not begin leaves nothing
    return leave_end(status, r.leave);
}
