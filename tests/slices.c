// SPDX-License-Identifier: Apache-2.0
// slices.c: a step of 8 slices has the same bits however it is cut into micro-batches (spec §11): weights, optimizer
// state and metrics after 20 steps (2 on Vulkan), for every router and optimizer, with dropout, jitter, drops and
// padding, recomputed or not.
#include <stdlib.h>
#include <string.h>

#include "tests/tiny.h"

enum { STEPS = 20, SLICES = 8, SEQUENCES = 16, SRC = 10, TGT = 5, LONG_TGT = 64 };

/// What a run leaves: every weight and every state tensor, and the last step's metrics.
struct outcome {
    float *values;
    uint64_t count;
    struct sy_metrics metrics;
};

/// Fewer where a software rasteriser takes a millisecond for each of a tiny model's dispatches.
static uint64_t steps_on(const struct sy_session *s)
{
    return sy_device_caps(sy_session_device(s))->backend == SY_BACKEND_VULKAN ? STEPS / 10 : STEPS;
}

static enum sy_status train(struct sy_session *s, const struct sy_batch *data, uint32_t micro, struct outcome *out)
{
    struct sy_batch cut[SLICES];
    for (uint64_t t = 1; t <= steps_on(s); ++t) {
        for (uint32_t i = 0; i < micro; ++i)
            cut[i] = tiny_slice(&data[t % 3], i * (SEQUENCES / micro), SEQUENCES / micro);
        SY_TRY(sy_session_step(s, cut, micro, t, 0.02, 7, &out->metrics));
    }
    for (size_t i = 0; i < sy_graph_param_count(sy_session_graph(s)); ++i) {
        const struct sy_param *p = sy_graph_param_at(sy_session_graph(s), i);
        SY_TRY(tiny_append(s, p->master, &out->values, &out->count));
        for (uint32_t k = 0; k < p->state_count; ++k)
            SY_TRY(tiny_append(s, p->state[k], &out->values, &out->count));
    }
    return SY_OK;
}

static bool same_metrics(const struct sy_metrics *a, const struct sy_metrics *b)
{
    bool same = a->loss_ce == b->loss_ce && a->aux == b->aux && a->z == b->z && a->total == b->total &&
                a->accuracy == b->accuracy && a->grad_norm == b->grad_norm && a->layer_count == b->layer_count;
    for (uint32_t i = 0; same && i < a->layer_count; ++i) {
        const struct sy_layer_metrics *x = &a->layers[i], *y = &b->layers[i];
        same = x->aux == y->aux && x->z == y->z && x->tokens == y->tokens && x->dropped == y->dropped &&
               x->entropy == y->entropy && x->max_load == y->max_load && x->mean_gate == y->mean_gate;
    }
    return same;
}

struct row {
    enum sy_router router;
    enum sy_optimizer optimizer;
    enum sy_precision precision;
    uint32_t group; ///< group_tokens
    bool gated, untied;
    uint32_t tgt_len; ///< LONG_TGT: 128 rows in a slice, whose sums devices with many groups split (engine/rules.c)
};

static const struct row rows[] = {
    {SY_ROUTER_SWITCH, SY_OPTIMIZER_ADAFACTOR, SY_PRECISION_F32, 0, false, false, TGT},
    {SY_ROUTER_SWITCH, SY_OPTIMIZER_ADAMW, SY_PRECISION_SELECTIVE, 5, true, true, TGT},
    {SY_ROUTER_TOP2, SY_OPTIMIZER_ADAFACTOR, SY_PRECISION_SELECTIVE, 10, false, false, TGT},
    {SY_ROUTER_TOP2, SY_OPTIMIZER_ADAMW, SY_PRECISION_F32, 0, false, true, TGT},
    {SY_ROUTER_NTLB, SY_OPTIMIZER_ADAFACTOR, SY_PRECISION_F32, 0, false, false, LONG_TGT},
    {SY_ROUTER_NTLB, SY_OPTIMIZER_ADAMW, SY_PRECISION_BF16, 5, false, false, TGT},
    {SY_ROUTER_EXPERT_CHOICE, SY_OPTIMIZER_ADAFACTOR, SY_PRECISION_F32, 5, true, false, TGT},
    {SY_ROUTER_EXPERT_CHOICE, SY_OPTIMIZER_ADAMW, SY_PRECISION_SELECTIVE, 0, false, false, TGT},
};

/// `ref` splits nothing.
static uint32_t tgt_len_on(const struct sy_device *device, const struct row *row)
{
    return sy_device_caps(device)->backend == SY_BACKEND_REF ? TGT : row->tgt_len;
}

static bool run(struct tiny *t, struct sy_device *device, const struct sy_config *config, const struct row *row,
                const struct sy_batch *data, uint32_t micro, bool recompute, struct outcome *out)
{
    const struct sy_session_params p = {.kind = SY_SESSION_TRAIN,
                                        .config = config,
                                        .precision = row->precision,
                                        .batch = SEQUENCES / micro,
                                        .src_len = SRC,
                                        .tgt_len = tgt_len_on(device, row),
                                        .micro_count = micro,
                                        .slices = SLICES,
                                        .recompute = recompute,
                                        .optimizer = {.kind = row->optimizer, .clip_norm = 1.0f}};
    memset(out, 0, sizeof *out);
    struct sy_session *s = tiny_session(t, device, &p);
    const bool good = s != NULL && tiny_try(t, train(s, data, micro, out), "training", device);
    sy_session_destroy(&s);
    return good;
}

static void check_row(struct tiny *t, struct sy_device *device, const struct row *row)
{
    struct sy_config config = tiny_config(true);
    tiny_add_noise(&config);
    config.router = row->router;
    config.group_tokens = row->group;
    config.gated = row->gated;
    config.tied = !row->untied;
    struct sy_batch data[3];
    for (uint64_t i = 0; i < SY_COUNT(data); ++i)
        tiny_batch(t, &config, SEQUENCES, SRC, tgt_len_on(device, row), 30 + i, &data[i]);
    struct outcome whole, other;
    const bool good = run(t, device, &config, row, data, 1, false, &whole);
    // Every layout on `ref`; elsewhere, where a dispatch of a tiny model costs as much as its work, two for each
    // router.
    const bool few = sy_device_caps(device)->backend != SY_BACKEND_REF;
    for (uint32_t micro = 1; good && micro <= SLICES; micro *= 2) {
        const bool recompute = micro == 1 || micro == 4;
        if (few && (micro == 2 || micro == 8) != ((row - rows) % 2 == 0))
            continue;
        if (run(t, device, &config, row, data, micro, recompute, &other)) {
            const bool bits = whole.count == other.count &&
                              memcmp(whole.values, other.values, whole.count * sizeof *whole.values) == 0;
            tap_ok(&t->tap, bits && same_metrics(&whole.metrics, &other.metrics),
                   "%s: %s, %s, %u micro-batches of %u slices%s: the weights, state%s of one of 8",
                   sy_device_caps(device)->id, sy_router_name(row->router),
                   row->optimizer == SY_OPTIMIZER_ADAMW ? "adamw" : "adafactor", micro, SLICES / micro,
                   recompute ? ", recomputed" : "", bits ? " and metrics" : "");
        }
        free(other.values);
    }
    free(whole.values);
    for (size_t i = 0; i < SY_COUNT(data); ++i)
        sy_batch_finish(&data[i]);
}

/// What cannot be cut is refused by name.
static void check_refusals(struct tiny *t, struct sy_device *device)
{
    struct sy_config config = tiny_config(true);
    config.group_tokens = 20; // two sequences
    static const struct {
        uint32_t batch, micro, slices;
        const char *says;
    } cases[] = {{4, 3, 0, "powers of two"},
                 {3, 2, 4, "whole number of sequences"},
                 {4, 2, 3, "--slices 2"},
                 {2, 1, 2, "group"}};
    for (size_t i = 0; i < SY_COUNT(cases); ++i) {
        const struct sy_session_params p = {.kind = SY_SESSION_TRAIN,
                                            .config = &config,
                                            .batch = cases[i].batch,
                                            .src_len = SRC,
                                            .tgt_len = TGT,
                                            .micro_count = cases[i].micro,
                                            .slices = cases[i].slices};
        struct sy_session *s = NULL;
        const enum sy_status status = sy_session_create(t->ctx, device, &p, &s);
        tap_ok(&t->tap, status == SY_INVALID && strstr(sy_error(t->ctx), cases[i].says) != NULL,
               "%u micro-batches of %u sequences in %u slices: refused (%s)", cases[i].micro, cases[i].batch,
               cases[i].slices, status == SY_OK ? "it was not" : sy_error(t->ctx));
        sy_session_destroy(&s);
    }
}

int main(int argc, char **argv)
{
    struct tiny t;
    tiny_open(&t, "slices", argc, argv);
    for (size_t d = 0; d < t.device_count; ++d)
        for (size_t i = 0; i < SY_COUNT(rows); ++i)
            check_row(&t, t.devices[d], &rows[i]);
    if (t.device_count != 0)
        check_refusals(&t, t.devices[0]);
    return tiny_close(&t);
}
