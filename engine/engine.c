// SPDX-License-Identifier: Apache-2.0
#include "engine/engine.h"

#include <stdlib.h>
#include <string.h>

#include "engine/checkpoint.h"
#include "engine/task/decode.h"
#include "engine/task/evaluate.h"
#include "engine/tune.h"

enum { KINDS = SY_SESSION_DECODE + 1 };

struct sy_engine {
    struct sy_ctx *ctx;
    struct sy_engine_params p; ///< Its strings are not read after opening.
    struct sy_device *device;
    struct sy_bundle model;
    struct sy_session *sessions[KINDS]; ///< Made when first needed; NULL before.
    uint64_t step;
    uint64_t fingerprint; ///< Of the data that was last trained on.
};

struct sy_engine_params sy_engine_defaults(void)
{
    return (struct sy_engine_params){.device = "auto",
                                     .precision = SY_PRECISION_SELECTIVE,
                                     .rate = {.kind = SY_RATE_CONSTANT, .peak = 1e-3},
                                     .batch = 8,
                                     .src_len = sy_task_spans.src_len,
                                     .tgt_len = sy_task_spans.tgt_len};
}

static enum sy_status open_all(struct sy_engine *e, const char *path)
{
    SY_TRY(sy_bundle_open(e->ctx, path, SY_WEIGHTS_UNLESS_CONFIG, &e->model));
    SY_TRY(sy_bundle_tokenizer(e->ctx, path, e->p.tokenizer, &e->model));
    SY_TRY(sy_device_open(e->ctx, e->p.device, &e->device));
    return sy_tune_begin(e->device);
}

enum sy_status sy_engine_open(struct sy_ctx *ctx, const char *path, const struct sy_engine_params *params,
                              struct sy_engine **out)
{
    struct sy_engine *e = calloc(1, sizeof *e);
    if (e == NULL)
        return sy_fail(ctx, SY_NOMEM, "out of host memory");
    e->ctx = ctx;
    e->p = params != NULL ? *params : sy_engine_defaults();
    enum sy_status status = open_all(e, path);
    if (status == SY_OK)
        *out = e;
    else
        sy_engine_close(&e);
    return status;
}

static void close_sessions(struct sy_engine *e)
{
    for (size_t i = KINDS; i-- > SY_SESSION_TRAIN + 1;) // borrowers first
        sy_session_destroy(&e->sessions[i]);
    sy_session_destroy(&e->sessions[SY_SESSION_TRAIN]);
}

void sy_engine_close(struct sy_engine **engine)
{
    struct sy_engine *e = *engine;
    if (e == NULL)
        return;
    close_sessions(e);
    sy_bundle_close(&e->model);
    sy_device_close(&e->device);
    free(e);
    *engine = NULL;
}

const struct sy_config *sy_engine_config(const struct sy_engine *e) { return &e->model.config; }
const struct sy_tokenizer *sy_engine_tokenizer(const struct sy_engine *e) { return e->model.tokenizer; }
struct sy_device *sy_engine_device(const struct sy_engine *e) { return e->device; }

static struct sy_dataset_params data_params(const struct sy_engine *e, bool held_out)
{
    return (struct sy_dataset_params){.tokenizer = e->model.tokenizer,
                                      .src_len = e->p.src_len,
                                      .tgt_len = e->p.tgt_len,
                                      .seed = e->p.seed,
                                      .in_order = held_out};
}

enum sy_status sy_engine_text(const struct sy_engine *e, const char *const *files, size_t count, bool held_out,
                              struct sy_dataset **out)
{
    const struct sy_data_source source = {.files = files, .file_count = count};
    struct sy_dataset_params d = data_params(e, held_out);
    d.sources = &source;
    d.source_count = 1;
    return sy_dataset_open(e->ctx, &d, out);
}

enum sy_status sy_engine_rows(const struct sy_engine *e, const char *task, const char *table, bool held_out,
                              struct sy_dataset **out)
{
    struct sy_form form = {0};
    struct sy_pairs pairs = {0};
    const struct sy_data_source source = {.files = &table, .file_count = 1};
    struct sy_dataset_params d = data_params(e, held_out);
    d.sources = &source;
    d.source_count = 1;
    d.objective = SY_OBJECTIVE_PAIRS;
    d.pairs = &pairs;
    enum sy_status status = sy_form_load(e->ctx, task, &form);
    if (status == SY_OK)
        status = sy_form_check(e->ctx, &form);
    if (status == SY_OK)
        status = sy_pairs_load(e->ctx, &form, table, &pairs);
    if (status == SY_OK)
        status = sy_pairs_encode(e->ctx, e->model.tokenizer, &pairs);
    if (status == SY_OK)
        status = sy_dataset_open(e->ctx, &d, out);
    sy_pairs_finish(&pairs);
    sy_form_finish(&form);
    return status;
}

/// The session of that kind. While nothing trains each has weights of its own, as what is prepared of them differs; the
/// training session lends its to the others, which are made anew for that.
static enum sy_status take(struct sy_engine *e, enum sy_session_kind kind, struct sy_session **out)
{
    *out = e->sessions[kind];
    if (*out != NULL)
        return SY_OK;
    struct sy_session_params p = {.kind = kind,
                                  .config = &e->model.config,
                                  .precision = e->p.precision,
                                  .batch = kind == SY_SESSION_DECODE ? 1 : e->p.batch,
                                  .src_len = e->p.src_len,
                                  .tgt_len = e->p.tgt_len,
                                  .optimizer = e->p.optimizer};
    if (kind == SY_SESSION_TRAIN)
        close_sessions(e);
    else
        p.lender = e->sessions[SY_SESSION_TRAIN];
    SY_TRY(sy_session_create(e->ctx, e->device, &p, out));
    struct sy_runtime *rt = sy_session_runtime(*out);
    enum sy_status status = p.lender != NULL           ? SY_OK
                            : e->model.tensors != NULL ? sy_weights_load(rt, e->model.tensors)
                                                       : sy_weights_init(rt, e->p.seed);
    if (status == SY_OK)
        e->sessions[kind] = *out;
    else
        sy_session_destroy(out);
    return status;
}

enum sy_status sy_engine_train(struct sy_engine *e, const struct sy_dataset *data, uint64_t steps, sy_engine_fn heard,
                               void *user)
{
    struct sy_session *s;
    struct sy_batch batch = {0};
    struct sy_metrics m;
    SY_TRY(take(e, SY_SESSION_TRAIN, &s));
    e->fingerprint = sy_dataset_fingerprint(data);
    enum sy_status status = SY_OK;
    for (uint64_t end = e->step + steps; e->step < end && status == SY_OK;) {
        const uint64_t t = e->step + 1;
        status = sy_dataset_batch(e->ctx, data, e->step * e->p.batch, e->p.batch, &batch);
        if (status == SY_OK)
            status = sy_session_step(s, &batch, 1, t, sy_rate_at(&e->p.rate, t), e->p.seed, &m);
        if (status != SY_OK)
            break;
        e->step = t;
        if (heard != NULL)
            heard(user, t, &m);
    }
    sy_batch_finish(&batch);
    return status;
}

enum sy_status sy_engine_evaluate(struct sy_engine *e, const struct sy_dataset *data, struct sy_metrics *out)
{
    struct sy_session *s;
    const struct sy_evaluate_params p = {.data = data, .batch = e->p.batch};
    SY_TRY(take(e, SY_SESSION_EVAL, &s));
    return sy_evaluate(s, &p, out);
}

static enum sy_status answer(struct sy_engine *e, struct sy_session *s, const struct sy_prompt *prompt, char **out_text)
{
    uint32_t count;
    int32_t *ids = malloc(e->p.tgt_len * sizeof *ids);
    const struct sy_decode_params p = {.prompts = prompt, .count = 1, .max_tokens = e->p.tgt_len};
    enum sy_status status = ids != NULL ? SY_OK : sy_fail(e->ctx, SY_NOMEM, "out of host memory for an answer");
    if (status == SY_OK)
        status = sy_decode(s, &p, ids, &count);
    if (status == SY_OK)
        status = sy_tokenizer_decode(e->ctx, e->model.tokenizer, ids, count, out_text);
    free(ids);
    return status;
}

enum sy_status sy_engine_generate(struct sy_engine *e, const char *prompt, char **out_text)
{
    struct sy_session *s;
    int32_t *ids;
    size_t count;
    SY_TRY(sy_tokenizer_encode(e->ctx, e->model.tokenizer, prompt, strlen(prompt), SY_ENCODE_SENTINELS | SY_ENCODE_EOS,
                               &ids, &count));
    const struct sy_prompt asked = {ids, (uint32_t)count};
    enum sy_status status = take(e, SY_SESSION_DECODE, &s);
    if (status == SY_OK)
        status = answer(e, s, &asked, out_text);
    free(ids);
    return status;
}

enum sy_status sy_engine_save(struct sy_engine *e, const char *out_dir)
{
    struct sy_session *s;
    SY_TRY(take(e, SY_SESSION_TRAIN, &s));
    struct sy_train_state state = {
        .step = e->step, .next_example = e->step * e->p.batch, .seed = e->p.seed, .data_fingerprint = e->fingerprint};
    sy_checkpoint_describe(s, &e->p.rate, &state);
    return sy_checkpoint_save(s, out_dir, &state, e->model.tokenizer, 0);
}
