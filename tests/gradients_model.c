// SPDX-License-Identifier: Apache-2.0
// gradients_model.c: whole models in double: a few weights of every parameter against central differences of the loss.
//
// "noise" models train with a learning rate of 0: dropout, expert dropout, jitter and sampling are then part of the
// function, the same at every point because they depend on (seed, step, element) only.
#include <math.h>
#include <stdlib.h>

#include "tests/gradcheck.h"
#include "tests/gradients.h"
#include "tests/tiny.h"

#define SAMPLES 4 // weights looked at in every parameter

struct variant {
    const char *name;
    bool is_switch;
    enum sy_router router;
    bool gated, tied, noise;
    enum sy_activation activation;
    enum sy_family family;
    enum sy_exploration exploration; ///< With noise.
    uint32_t group_tokens;
    double smoothing;
};

static const struct variant variants[] = {
    {.name = "t5, relu, tied", .tied = true},
    {.name = "t5, gated, untied, noise", .gated = true, .noise = true, .smoothing = 0.1},
    {.name = "umt5, gated silu, noise",
     .gated = true,
     .noise = true,
     .activation = SY_ACTIVATION_SILU,
     .family = SY_FAMILY_UMT5},
    {.name = "mt5, gelu, tied", .tied = true, .activation = SY_ACTIVATION_GELU, .family = SY_FAMILY_MT5},
    {.name = "switch, quick_gelu, tied", .is_switch = true, .tied = true, .activation = SY_ACTIVATION_QUICK_GELU},
    {.name = "switch, relu, tied", .is_switch = true, .tied = true},
    {.name = "switch, gated, untied, groups of 7, jitter",
     .is_switch = true,
     .gated = true,
     .noise = true,
     .exploration = SY_EXPLORE_INPUT_JITTER,
     .group_tokens = 7},
    {.name = "switch, relu, tied, sampled experts",
     .is_switch = true,
     .tied = true,
     .noise = true,
     .exploration = SY_EXPLORE_SAMPLE},
    {.name = "top2, relu, untied, router dropout",
     .is_switch = true,
     .router = SY_ROUTER_TOP2,
     .noise = true,
     .exploration = SY_EXPLORE_INPUT_DROPOUT},
    {.name = "top2, gated, tied", .is_switch = true, .router = SY_ROUTER_TOP2, .gated = true, .tied = true},
    {.name = "ntlb, relu, tied, jitter",
     .is_switch = true,
     .router = SY_ROUTER_NTLB,
     .tied = true,
     .noise = true,
     .exploration = SY_EXPLORE_INPUT_JITTER},
    {.name = "ntlb, gated, untied", .is_switch = true, .router = SY_ROUTER_NTLB, .gated = true},
    {.name = "expert_choice, relu, tied", .is_switch = true, .router = SY_ROUTER_EXPERT_CHOICE, .tied = true},
    {.name = "expert_choice, gated, untied, jitter",
     .is_switch = true,
     .router = SY_ROUTER_EXPERT_CHOICE,
     .gated = true,
     .noise = true,
     .exploration = SY_EXPLORE_INPUT_JITTER},
};

struct probe {
    struct sy_session *s;
    const struct sy_batch *batch;
    bool train;
};

/// The total loss in double (sy_metrics are sums that went through f32), and a digest of where every token went.
static enum sy_status loss_of(const struct probe *p, double *out, uint64_t *digest)
{
    struct sy_session *s = p->s;
    struct sy_metrics m;
    struct sy_step step;
    double ce[4], loss[2];
    SY_TRY(p->train ? sy_session_step(s, p->batch, 1, 1, 0.0, 5, &m) : sy_session_evaluate(s, p->batch, 1, &m));
    SY_TRY(sy_runtime_read(sy_session_runtime(s), sy_graph_step_constants(sy_session_graph(s)), &step, sizeof step));
    SY_TRY(sy_runtime_read(sy_session_runtime(s), sy_session_loss(s)->sums.total, ce, sizeof ce));
    *out = (ce[1] + ce[3]) * (double)step.inv_labels;
    *digest = 14695981039346656037u;
    for (uint32_t i = 0; i < sy_session_model(s)->sparse_count; ++i) {
        const struct sy_model_sparse *l = &sy_session_model(s)->sparse[i];
        int32_t place[2][256];
        uint64_t places = (uint64_t)l->rows * l->k;
        assert(places <= SY_COUNT(place[0]));
        SY_TRY(sy_runtime_read(sy_session_runtime(s), l->loss.total, loss, sizeof loss));
        *out += loss[0] * (double)(l->decoder ? step.inv_groups_dec : step.inv_groups_enc) + loss[1];
        SY_TRY(sy_runtime_read_part(sy_session_runtime(s), l->expert, 0, places, place[0]));
        SY_TRY(sy_runtime_read_part(sy_session_runtime(s), l->pos, 0, places, place[1]));
        for (uint64_t k = 0; k < places; ++k)
            *digest = ((*digest ^ (uint32_t)place[0][k]) * 1099511628211u ^ (uint32_t)place[1][k]) * 1099511628211u;
    }
    return SY_OK;
}

/// ΔF / 2h of one weight. `*same` is false when a token went elsewhere on the way.
static enum sy_status slope_of(const struct probe *p, sy_tid t, uint64_t at, double h, double *out, bool *same)
{
    struct sy_runtime *rt = sy_session_runtime(p->s);
    double x, side[2], moved;
    uint64_t digest[2];
    SY_TRY(sy_runtime_read_part(rt, t, at, 1, &x));
    for (int k = 0; k < 2; ++k) {
        moved = x + (k == 0 ? h : -h);
        SY_TRY(sy_runtime_write_part(rt, t, at, 1, &moved));
        SY_TRY(loss_of(p, &side[k], &digest[k]));
    }
    SY_TRY(sy_runtime_write_part(rt, t, at, 1, &x));
    *out = (side[0] - side[1]) / (2.0 * h);
    *same = digest[0] == digest[1];
    return SY_OK;
}

struct tally {
    double worst;
    unsigned checked, moved, bad;
};

/// The smaller step comes to help when the first one crosses a corner of relu or moves a token.
static enum sy_status check_weight(const struct probe *p, const struct sy_param *param, uint64_t at, double got,
                                   double scale, struct tally *tally)
{
    static const double steps[] = {1e-5, 1e-6};
    double want = 0.0, error = INFINITY;
    bool same = false;
    for (size_t k = 0; k < SY_COUNT(steps) && !(error <= GC_TOLERANCE); ++k) {
        SY_TRY(slope_of(p, param->master, at, steps[k], &want, &same));
        if (same)
            error = fabs(got - want) / scale;
    }
    tally->checked++;
    if (!same) {
        tally->moved++;
        return SY_OK;
    }
    tally->worst = fmax(tally->worst, error);
    if (error > GC_TOLERANCE) {
        printf("# d %s[%llu] is %.12g, central differences say %.12g\n", param->names[0], (unsigned long long)at, got,
               want);
        tally->bad++;
    }
    return SY_OK;
}

/// A copy of every gradient, parameter by parameter: the probes overwrite those on the device.
static enum sy_status read_gradients(struct sy_session *s, double **out, double *largest)
{
    const struct sy_graph *g = sy_session_graph(s);
    *out = malloc(sy_model_parameter_count(g) * sizeof **out);
    if (*out == NULL)
        abort();
    *largest = 0.0;
    uint64_t at = 0;
    for (size_t i = 0; i < sy_graph_param_count(g); ++i) {
        uint64_t n = sy_graph_tensor(g, sy_graph_param_at(g, i)->master)->count;
        SY_TRY(sy_runtime_read_part(sy_session_runtime(s), sy_graph_param_at(g, i)->grad.total, 0, n, *out + at));
        for (uint64_t k = 0; k < n; ++k)
            *largest = fmax(*largest, fabs((*out)[at + k]));
        at += n;
    }
    return SY_OK;
}

static enum sy_status check_model(const struct probe *p, struct tally *tally)
{
    const struct sy_graph *g = sy_session_graph(p->s);
    double unused, *gradients = NULL, largest;
    uint64_t digest, state = 99, at = 0;
    enum sy_status status = loss_of(p, &unused, &digest);
    if (status == SY_OK)
        status = read_gradients(p->s, &gradients, &largest);
    for (size_t i = 0; status == SY_OK && i < sy_graph_param_count(g); ++i) {
        const struct sy_param *param = sy_graph_param_at(g, i);
        const uint64_t n = sy_graph_tensor(g, param->master)->count;
        double scale = 1e-3 * largest;
        for (uint64_t k = 0; k < n; ++k)
            scale = fmax(scale, fabs(gradients[at + k]));
        for (unsigned k = 0; status == SY_OK && k < SAMPLES; ++k) {
            const uint64_t e = (uint64_t)(gc_uniform(&state) * (double)n);
            status = check_weight(p, param, e, gradients[at + e], scale, tally);
        }
        at += n;
    }
    free(gradients);
    return status;
}

static void run_variant(struct tiny *t, struct sy_device *device, const struct variant *v)
{
    struct sy_config c = tiny_config(v->is_switch);
    c.vocab_size = 13;
    c.d_model = 6;
    c.d_kv = 3;
    c.d_ff = 7;
    c.heads = 2;
    c.router = v->router;
    c.gated = v->gated;
    c.activation = v->activation;
    c.family = v->family;
    c.tied = v->tied;
    c.group_tokens = v->group_tokens;
    c.label_smoothing = v->smoothing;
    c.capacity_factor_train = v->is_switch ? 1.0 : NAN;
    if (v->noise)
        tiny_add_noise(&c);
    if (v->noise && v->is_switch)
        c.exploration = v->exploration;
    struct sy_batch batch;
    tiny_batch(t, &c, 2, 6, 5, 17, &batch);
    const struct sy_session_params params = {.kind = v->noise ? SY_SESSION_TRAIN : SY_SESSION_GRADIENTS,
                                             .config = &c,
                                             .precision = SY_PRECISION_F64,
                                             .batch = 2,
                                             .src_len = 6,
                                             .tgt_len = 5,
                                             .keep_internals = true,
                                             .capacity_train = true,
                                             .optimizer.kind = SY_OPTIMIZER_ADAMW};
    struct probe p = {.s = tiny_session(t, device, &params), .batch = &batch, .train = v->noise};
    struct tally tally = {0};
    if (p.s != NULL && tiny_try(t, check_model(&p, &tally), v->name, device)) {
        // A token may change its expert right at a probe; more than a few would leave nothing checked.
        bool good = tally.bad == 0 && tally.moved * 20 <= tally.checked && tally.checked != 0;
        tap_ok(&t->tap, good, "%s: %u weights, %u wrong, %u not comparable, worst error %.1e", v->name, tally.checked,
               tally.bad, tally.moved, tally.worst);
    }
    sy_session_destroy(&p.s);
    sy_batch_finish(&batch);
}

void gradients_of_models(struct tap *tap, struct sy_ctx *ctx, struct sy_device *device)
{
    struct tiny t = {.tap = *tap, .ctx = ctx};
    for (size_t i = 0; i < SY_COUNT(variants); ++i)
        run_variant(&t, device, &variants[i]);
    *tap = t.tap;
}
