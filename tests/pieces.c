// SPDX-License-Identifier: Apache-2.0
// pieces.c: on a device that binds a few kilobytes at once, a model whose expert stacks, embedding table, logits and
// gradients are larger trains and evaluates to the bit as on the same device without that limit: for every router, both
// optimizers, in slices and micro-batches, recomputed or not; also when a submission is to take less time there than a
// dispatch does. What cannot be cut is refused by name.
#include <stdlib.h>
#include <string.h>

#include "tests/tiny.h"

struct row {
    enum sy_router router;
    enum sy_optimizer optimizer;
    enum sy_precision precision;
    bool gated, untied, recompute;
    bool wide;         ///< Matrices that Adafactor factors.
    const char *limit; ///< What the small device binds.
    uint32_t micro, slices, sequences, src_len, tgt_len;
};

static const struct row rows[] = {
    {SY_ROUTER_SWITCH, SY_OPTIMIZER_ADAFACTOR, SY_PRECISION_F32, false, false, false, false, "24K", 1, 1, 4, 10, 5},
    {SY_ROUTER_SWITCH, SY_OPTIMIZER_ADAMW, SY_PRECISION_F32, false, true, false, false, "96K", 1, 16, 16, 5, 3},
    {SY_ROUTER_TOP2, SY_OPTIMIZER_ADAFACTOR, SY_PRECISION_F32, false, false, false, true, "70K", 1, 1, 4, 10, 5},
    {SY_ROUTER_TOP2, SY_OPTIMIZER_ADAMW, SY_PRECISION_SELECTIVE, true, false, true, false, "16K", 2, 4, 4, 10, 5},
    {SY_ROUTER_NTLB, SY_OPTIMIZER_ADAFACTOR, SY_PRECISION_BF16, false, true, false, false, "16K", 2, 2, 4, 5, 5},
    {SY_ROUTER_EXPERT_CHOICE, SY_OPTIMIZER_ADAMW, SY_PRECISION_F32, true, false, false, false, "24K", 1, 2, 4, 10, 5},
    {SY_ROUTER_SWITCH, SY_OPTIMIZER_ADAFACTOR, SY_PRECISION_SELECTIVE, false, true, false, true, "140K", 2, 4, 4, 8, 5},
};

enum { OTHERS = 3 }; ///< From here on one for each router.

/// What a run leaves: every weight and every state tensor, the last step's metrics and those of an evaluation.
struct outcome {
    float *values;
    uint64_t count;
    struct sy_metrics trained, evaluated;
    unsigned pieces; ///< Tensors that are in some.
};

/// Fewer where a dispatch of a tiny model takes far longer than its work.
static uint64_t steps_on(const struct sy_session *s)
{
    const enum sy_backend_id backend = sy_device_caps(sy_session_device(s))->backend;
    return backend == SY_BACKEND_REF ? 3 : backend == SY_BACKEND_OPENCL ? 2 : 1;
}

static enum sy_status train(struct sy_session *s, const struct row *row, const struct sy_batch *data,
                            struct outcome *out)
{
    const uint32_t each = row->sequences / row->micro;
    struct sy_batch cut[8];
    for (uint64_t t = 1; t <= steps_on(s); ++t) {
        for (uint32_t i = 0; i < row->micro; ++i)
            cut[i] = tiny_slice(data, i * each, each);
        SY_TRY(sy_session_step(s, cut, row->micro, t, 0.02, 7, &out->trained));
    }
    const struct sy_graph *g = sy_session_graph(s);
    for (size_t i = 0; i < sy_graph_param_count(g); ++i) {
        const struct sy_param *p = sy_graph_param_at(g, i);
        SY_TRY(tiny_append(s, p->master, &out->values, &out->count));
        for (uint32_t k = 0; k < p->state_count; ++k)
            SY_TRY(tiny_append(s, p->state[k], &out->values, &out->count));
    }
    for (sy_tid i = 0; i < sy_graph_tensor_count(g); ++i)
        out->pieces += sy_graph_tensor(g, i)->pieces != SY_NONE;
    return SY_OK;
}

static struct sy_config config_of(const struct row *row)
{
    struct sy_config config = tiny_config(true);
    tiny_add_noise(&config);
    config.router = row->router;
    config.gated = row->gated;
    config.tied = !row->untied;
    config.vocab_size = 1000;
    config.experts = row->wide ? 5 : 28;
    if (row->wide)
        config.d_model = config.d_ff = 130;
    return config;
}

/// Trains, then evaluates a batch in a session that borrows the weights.
static bool run(struct tiny *t, struct sy_device *device, const struct row *row, const struct sy_batch *data,
                struct outcome *out)
{
    const struct sy_config config = config_of(row);
    struct sy_session_params p = {.kind = SY_SESSION_TRAIN,
                                  .config = &config,
                                  .precision = row->precision,
                                  .batch = row->sequences / row->micro,
                                  .src_len = row->src_len,
                                  .tgt_len = row->tgt_len,
                                  .micro_count = row->micro,
                                  .slices = row->slices,
                                  .recompute = row->recompute,
                                  .optimizer = {.kind = row->optimizer, .clip_norm = 1.0f}};
    memset(out, 0, sizeof *out);
    struct sy_session *s = tiny_session(t, device, &p), *eval = NULL;
    bool good = s != NULL && tiny_try(t, train(s, row, data, out), "training", device);
    if (good) {
        p.kind = SY_SESSION_EVAL;
        p.lender = s;
        p.micro_count = p.slices = 1;
        eval = tiny_session(t, device, &p);
        const struct sy_batch batch = tiny_slice(data, 0, p.batch);
        good = eval != NULL && tiny_try(t, sy_session_evaluate(eval, &batch, 1, &out->evaluated), "evaluating", device);
    }
    sy_session_destroy(&eval);
    sy_session_destroy(&s);
    return good;
}

static bool same(const struct sy_metrics *a, const struct sy_metrics *b)
{
    return a->loss_ce == b->loss_ce && a->aux == b->aux && a->z == b->z && a->total == b->total &&
           a->accuracy == b->accuracy && a->grad_norm == b->grad_norm;
}

/// The same device once more, smaller.
static struct sy_device *limited(struct tiny *t, const struct sy_device *device, const char *limit)
{
    struct sy_device *small = NULL;
    setenv("SY_FORCE_MAX_ALLOC", limit, 1);
    setenv("SY_SUBMIT_MS", "0.05", 1); // its dispatches, too, are cut: between work-groups
    const enum sy_status status = sy_device_open(t->ctx, sy_device_caps(device)->id, &small);
    unsetenv("SY_FORCE_MAX_ALLOC");
    unsetenv("SY_SUBMIT_MS");
    return tiny_try(t, status, "opening it with a limit", device) ? small : NULL;
}

static void check_row(struct tiny *t, struct sy_device *device, const struct row *row)
{
    const struct sy_config config = config_of(row);
    if (row->precision != SY_PRECISION_F32 && !sy_device_caps(device)->bf16) {
        tap_skip(&t->tap, "%s: %s in bf16", sy_device_caps(device)->id, sy_router_name(row->router));
        return;
    }
    struct sy_device *small = limited(t, device, row->limit);
    struct sy_batch data;
    struct outcome whole = {0}, cut = {0};
    tiny_batch(t, &config, row->sequences, row->src_len, row->tgt_len, 40, &data);
    if (small != NULL && run(t, device, row, &data, &whole) && run(t, small, row, &data, &cut)) {
        const bool bits =
            whole.count == cut.count && memcmp(whole.values, cut.values, whole.count * sizeof *whole.values) == 0;
        tap_ok(&t->tap, bits && same(&whole.trained, &cut.trained) && same(&whole.evaluated, &cut.evaluated),
               "%s: %s, %s, %u x %u slices, %s a binding: the weights, state%s of one without that limit",
               sy_device_caps(device)->id, sy_router_name(row->router),
               row->optimizer == SY_OPTIMIZER_ADAMW ? "adamw" : "adafactor", row->micro, row->slices / row->micro,
               row->limit, bits ? ", losses and scores" : "");
        // Table, experts' wi and wo of two layers: weights and gradients; logits.
        tap_ok(&t->tap, whole.pieces == 0 && cut.pieces >= 11, "%u tensors were in pieces, %u without the limit",
               cut.pieces, whole.pieces);
    }
    free(whole.values);
    free(cut.values);
    sy_batch_finish(&data);
    if (small != NULL)
        sy_device_close(&small);
}

/// What cannot be cut is named, with what it needs and what there is.
static void check_refusal(struct tiny *t, struct sy_device *device, const char *limit, const char *says)
{
    const struct sy_config config = config_of(&rows[0]);
    const struct sy_session_params p = {
        .kind = SY_SESSION_TRAIN, .config = &config, .batch = 4, .src_len = 10, .tgt_len = 5};
    struct sy_device *small = limited(t, device, limit);
    struct sy_session *s = NULL;
    if (small == NULL)
        return;
    const enum sy_status status = sy_session_create(t->ctx, small, &p, &s);
    tap_ok(&t->tap, status == SY_INVALID && strstr(sy_error(t->ctx), says) != NULL && strstr(sy_error(t->ctx), "bytes"),
           "%s a binding: refused (%s)", limit, status == SY_OK ? "it was not" : sy_error(t->ctx));
    sy_session_destroy(&s);
    sy_device_close(&small);
}

int main(int argc, char **argv)
{
    struct tiny t;
    tiny_open(&t, "pieces", argc, argv);
    // Every row on `ref`; elsewhere one for each router.
    for (size_t d = 0; d < t.device_count; ++d)
        for (size_t i = sy_device_caps(t.devices[d])->backend == SY_BACKEND_REF ? 0 : OTHERS; i < SY_COUNT(rows); ++i)
            check_row(&t, t.devices[d], &rows[i]);
    if (t.device_count != 0)
        check_refusal(&t, t.devices[0], "4K", "4096");
    return tiny_close(&t);
}
