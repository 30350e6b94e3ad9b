// SPDX-License-Identifier: Apache-2.0
// metamorphic.c: changes that must not change a model's answers, on every device and for every router; and the errors
// of other implementations (spec §4, "known wrong elsewhere"), each as a test of that name on a whole model.
//
// usage: test_metamorphic [--device ID]. Everything is forward only, in f32, with one routing group per sequence and a
// capacity that drops tokens.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tiny.h"

#define BATCH 4
#define SRC 10
#define TGT 7
#define CAPACITY 3
#define TOLERANCE 2e-6 // of the largest logit

struct subject {
    struct tiny *t;
    struct sy_session *s;
    const struct sy_batch *batch;
    char name[64];
};

/// Logits [B·T, V] of a batch; `*out` is malloc'ed. NULL when something failed (reported).
static float *logits_of(const struct subject *x, const struct sy_batch *batch, struct sy_metrics *m)
{
    float *out = NULL;
    uint64_t count;
    enum sy_status status = sy_session_evaluate(x->s, batch, 1, m);
    if (status == SY_OK)
        status = tiny_read(x->s, sy_session_model(x->s)->logits, &out, &count);
    if (tiny_try(x->t, status, "evaluating", sy_session_device(x->s)))
        return out;
    free(out);
    return NULL;
}

/// Largest difference between the logits of sequence `i` of `a` and `k` of `b`, over the largest logit.
static double sequence_distance(const struct subject *x, const float *a, uint32_t i, const float *b, uint32_t k)
{
    const uint64_t n = (uint64_t)TGT * sy_session_config(x->s)->vocab_size;
    return tiny_distance(a + i * n, b + k * n, n);
}

// ---- changes that change nothing -----------------------------------------------------------------------------------

static struct sy_batch copy_of(const struct subject *x, const struct sy_batch *from, const uint32_t *order,
                               uint32_t src_len, uint32_t tgt_len)
{
    struct sy_batch b = {0};
    if (sy_batch_resize(x->t->ctx, from->batch, src_len, tgt_len, 0, &b) != SY_OK)
        abort();
    for (uint32_t i = 0; i < from->batch; ++i) {
        const size_t src = (size_t)order[i] * from->src_len, tgt = (size_t)order[i] * from->tgt_len;
        memcpy(b.input_ids + (size_t)i * src_len, from->input_ids + src, from->src_len * sizeof *b.input_ids);
        memcpy(b.attention_mask + (size_t)i * src_len, from->attention_mask + src,
               from->src_len * sizeof *b.attention_mask);
        memcpy(b.labels + (size_t)i * tgt_len, from->labels + tgt, from->tgt_len * sizeof *b.labels);
    }
    return b;
}

static bool same_losses(const struct sy_metrics *a, const struct sy_metrics *b)
{
    return fabs(a->loss_ce - b->loss_ce) <= 2e-6 * b->loss_ce && fabs(a->aux - b->aux) <= 1e-5 * fabs(b->aux) &&
           fabs(a->z - b->z) <= 1e-5 * fabs(b->z) && a->labels == b->labels && a->tokens == b->tokens;
}

static void permuted_sequences(const struct subject *x, const float *want, const struct sy_metrics *m)
{
    static const uint32_t order[BATCH] = {2, 0, 3, 1};
    struct sy_batch b = copy_of(x, x->batch, order, SRC, TGT);
    struct sy_metrics n;
    float *got = logits_of(x, &b, &n);
    double worst = 0.0;
    for (uint32_t i = 0; got != NULL && i < BATCH; ++i)
        worst = fmax(worst, sequence_distance(x, got, i, want, order[i]));
    if (got != NULL)
        tap_ok(&x->t->tap, worst <= TOLERANCE && same_losses(&n, m),
               "%s: permuted sequences permute the logits: error %.1e", x->name, worst);
    free(got);
    sy_batch_finish(&b);
}

static void other_mates(const struct subject *x, const float *want)
{
    struct sy_batch b;
    struct sy_metrics n;
    tiny_batch(x->t, sy_session_config(x->s), BATCH, SRC, TGT, 555, &b);
    memcpy(b.input_ids, x->batch->input_ids, SRC * sizeof *b.input_ids);
    memcpy(b.attention_mask, x->batch->attention_mask, SRC * sizeof *b.attention_mask);
    memcpy(b.labels, x->batch->labels, TGT * sizeof *b.labels);
    float *got = logits_of(x, &b, &n);
    if (got != NULL) {
        double own = sequence_distance(x, got, 0, want, 0), other = sequence_distance(x, got, 1, want, 1);
        tap_ok(&x->t->tap, own <= TOLERANCE && other > 0.01, "%s: a sequence does not see its batch mates: error %.1e",
               x->name, own);
    }
    free(got);
    sy_batch_finish(&b);
}

/// Applies `order` to `count` equal blocks of a parameter.
static enum sy_status shuffle(struct sy_session *s, sy_tid t, uint32_t count, const uint32_t *order)
{
    float *a = NULL;
    uint64_t n;
    enum sy_status status = tiny_read(s, t, &a, &n);
    const uint64_t block = n / count;
    for (uint32_t e = 0; e < count && status == SY_OK; ++e)
        status = sy_runtime_write_f32(sy_session_runtime(s), t, e * block, block, a + order[e] * block);
    free(a);
    return status;
}

/// Expert e becomes order[e]: its weights move, and its row of the router with them.
static enum sy_status rename_experts(struct sy_session *s, const uint32_t *order)
{
    for (size_t i = 0; i < sy_graph_param_count(sy_session_graph(s)); ++i) {
        const struct sy_param *p = sy_graph_param_at(sy_session_graph(s), i);
        if ((p->flags & SY_PARAM_EXPERT) != 0 || strstr(p->names[0], "router.classifier") != NULL)
            SY_TRY(shuffle(s, p->master, sy_session_config(s)->experts, order));
    }
    return sy_runtime_run(sy_session_runtime(s), SY_PHASE_REFRESH);
}

static void renamed_experts(const struct subject *x, const float *want, const struct sy_metrics *m)
{
    static const uint32_t there[] = {2, 3, 1, 0}, back[] = {3, 2, 0, 1};
    struct sy_metrics n;
    if (!tiny_try(x->t, rename_experts(x->s, there), "renaming experts", sy_session_device(x->s)))
        return;
    float *got = logits_of(x, x->batch, &n);
    if (got != NULL) {
        double error = tiny_distance(got, want, (uint64_t)BATCH * TGT * sy_session_config(x->s)->vocab_size);
        tap_ok(&x->t->tap, error <= TOLERANCE && same_losses(&n, m),
               "%s: the names of experts mean nothing: error %.1e", x->name, error);
    }
    free(got);
    tiny_try(x->t, rename_experts(x->s, back), "renaming experts", sy_session_device(x->s));
}

/// More columns of padding on both sides, with the same parameters.
static void more_padding(const struct subject *x, const float *want)
{
    static const uint32_t order[BATCH] = {0, 1, 2, 3};
    const uint32_t v = sy_session_config(x->s)->vocab_size, wide = TGT + 4;
    struct sy_session_params p = *sy_session_built_with(x->s);
    p.config = sy_session_config(x->s);
    p.src_len = SRC + 3;
    p.tgt_len = wide;
    p.jitter_input = false;
    p.lender = x->s;
    struct subject y = *x;
    y.s = tiny_session(x->t, sy_session_device(x->s), &p);
    if (y.s == NULL)
        return;
    struct sy_batch b = copy_of(x, x->batch, order, SRC + 3, wide);
    struct sy_metrics n;
    float *got = logits_of(&y, &b, &n);
    double worst = 0.0;
    for (uint32_t r = 0; got != NULL && r < BATCH * TGT; ++r)
        if (sy_batch_is_token(x->batch, true, r))
            worst = fmax(worst, tiny_distance(got + (size_t)(r / TGT * wide + r % TGT) * v, want + (size_t)r * v, v));
    if (got != NULL)
        tap_ok(&x->t->tap, worst <= TOLERANCE, "%s: more padding changes nothing: error %.1e", x->name, worst);
    free(got);
    sy_batch_finish(&b);
    sy_session_destroy(&y.s);
}

// ---- known wrong elsewhere -----------------------------------------------------------------------------------------

static const struct sy_param *param_named(const struct sy_session *s, const char *part)
{
    for (size_t i = 0; i < sy_graph_param_count(sy_session_graph(s)); ++i)
        if (strstr(sy_graph_param_at(sy_session_graph(s), i)->names[0], part) != NULL)
            return sy_graph_param_at(sy_session_graph(s), i);
    return NULL;
}

/// Multiplies a whole parameter.
static enum sy_status scale_param(struct sy_session *s, const char *part, float factor)
{
    const struct sy_param *p = param_named(s, part);
    float *w = NULL;
    uint64_t n;
    if (p == NULL)
        return sy_fail(sy_device_ctx(sy_session_device(s)), SY_INTERNAL, "the model has no parameter %s", part);
    enum sy_status status = tiny_read(s, p->master, &w, &n);
    for (uint64_t i = 0; status == SY_OK && i < n; ++i)
        w[i] *= factor;
    if (status == SY_OK)
        status = sy_runtime_write_f32(sy_session_runtime(s), p->master, 0, n, w);
    free(w);
    return status == SY_OK ? sy_runtime_run(sy_session_runtime(s), SY_PHASE_REFRESH) : status;
}

/// Gives one expert of a layer other weights.
static enum sy_status change_expert(struct sy_session *s, const char *part, uint32_t expert)
{
    const struct sy_param *p = param_named(s, part);
    if (p == NULL)
        return sy_fail(sy_device_ctx(sy_session_device(s)), SY_INTERNAL, "the model has no parameter %s", part);
    const uint64_t n = sy_graph_tensor(sy_session_graph(s), p->master)->count / sy_session_config(s)->experts;
    float *w = calloc(n, sizeof *w);
    if (w == NULL)
        abort();
    enum sy_status status = sy_runtime_write_f32(sy_session_runtime(s), p->master, expert * n, n, w);
    free(w);
    return status == SY_OK ? sy_runtime_run(sy_session_runtime(s), SY_PHASE_REFRESH) : status;
}

/// A switch model that reads its jitter from a tensor, with fresh weights and jitter 1.
static bool reset(const struct subject *x)
{
    enum sy_status status = sy_weights_init(sy_session_runtime(x->s), 1);
    for (uint32_t i = 0; i < sy_session_model(x->s)->sparse_count && status == SY_OK; ++i) {
        const uint64_t n = sy_graph_tensor(sy_session_graph(x->s), sy_session_model(x->s)->sparse[i].jitter)->count;
        float *ones = malloc(n * sizeof *ones);
        if (ones == NULL)
            abort();
        for (uint64_t k = 0; k < n; ++k)
            ones[k] = 1.0f;
        status = sy_runtime_write_f32(sy_session_runtime(x->s), sy_session_model(x->s)->sparse[i].jitter, 0, n, ones);
        free(ones);
    }
    return tiny_try(x->t, status, "fresh weights", sy_session_device(x->s));
}

/// Scores all 0: every token wants expert 0, which has room for CAPACITY of each sequence.
static void capacity_is_enforced(const struct subject *x)
{
    const struct sy_model_sparse *l = &sy_session_model(x->s)->sparse[0];
    struct sy_metrics m;
    int32_t load[BATCH * 4], kept[BATCH * 4];
    if (!reset(x) || !tiny_try(x->t, scale_param(x->s, "encoder.block.1.layer.1.mlp.router", 0.0f), "router",
                               sy_session_device(x->s)))
        return;
    float *first = logits_of(x, x->batch, &m), *idle = NULL, *busy = NULL;
    enum sy_status status = sy_runtime_read(sy_session_runtime(x->s), l->load, load, sizeof load);
    if (status == SY_OK)
        status = sy_runtime_read(sy_session_runtime(x->s), l->kept, kept, sizeof kept);
    bool good = status == SY_OK;
    double placed = 0.0, tokens = 0.0;
    for (uint32_t g = 0; g < BATCH; ++g) {
        int32_t real = 0;
        for (uint32_t i = 0; i < SRC; ++i)
            real += x->batch->attention_mask[g * SRC + i];
        good &= load[4 * g] == real && kept[4 * g] == (real < CAPACITY ? real : CAPACITY);
        placed += kept[4 * g];
        tokens += real;
        for (uint32_t e = 1; e < 4; ++e)
            good &= load[4 * g + e] == 0 && kept[4 * g + e] == 0;
    }
    good &= fabs(m.layers[0].dropped - (1.0 - placed / tokens)) < 1e-12;
    if (status == SY_OK)
        status = change_expert(x->s, "encoder.block.1.layer.1.mlp.experts.expert_0.wo", 3);
    if (status == SY_OK)
        idle = logits_of(x, x->batch, &m);
    if (status == SY_OK)
        status = change_expert(x->s, "encoder.block.1.layer.1.mlp.experts.expert_0.wo", 0);
    if (status == SY_OK)
        busy = logits_of(x, x->batch, &m);
    const uint64_t n = (uint64_t)BATCH * TGT * sy_session_config(x->s)->vocab_size;
    good &= first != NULL && idle != NULL && busy != NULL && memcmp(first, idle, n * sizeof *first) == 0 &&
            tiny_distance(busy, first, n) > 1e-4;
    tap_ok(&x->t->tap, good, "%s: capacity is enforced (%d of %d tokens keep their place)", x->name, (int)placed,
           (int)tokens);
    free(first);
    free(idle);
    free(busy);
}

static void router_logits_are_logits(const struct subject *x)
{
    const struct sy_model_sparse *l = &sy_session_model(x->s)->sparse[0];
    struct sy_metrics m;
    float *logits = reset(x) ? logits_of(x, x->batch, &m) : NULL, *z = NULL, *p = NULL;
    uint64_t n = 0;
    if (logits == NULL)
        return;
    enum sy_status status = tiny_read(x->s, l->z, &z, &n);
    if (status == SY_OK)
        status = tiny_read(x->s, l->p, &p, &n);
    double worst = 0.0, least = 0.0, most = 0.0;
    for (uint64_t r = 0; status == SY_OK && r < n; r += 4) {
        double sum = 0.0;
        for (uint64_t e = 0; e < 4; ++e) {
            sum += exp(z[r + e]);
            least = fmin(least, z[r + e]);
            most = fmax(most, z[r + e]);
        }
        for (uint64_t e = 0; e < 4; ++e)
            worst = fmax(worst, fabs(exp(z[r + e]) / sum - p[r + e]));
    }
    tap_ok(&x->t->tap, status == SY_OK && n == (uint64_t)BATCH * SRC * 4 && worst < 1e-6 && least < -0.5 && most > 1.0,
           "%s: router logits are logits, one per expert, from %.2f to %.2f", x->name, least, most);
    free(logits);
    free(z);
    free(p);
}

/// With the first block's attention switched off, the bias must still act, through the second block.
static void relative_bias_is_shared(const struct subject *x, const char *stack)
{
    char output[96], bias[96];
    struct sy_metrics m;
    snprintf(output, sizeof output, "%s.block.0.layer.0.SelfAttention.o", stack);
    snprintf(bias, sizeof bias, "%s.block.0.layer.0.SelfAttention.relative_attention_bias", stack);
    if (!reset(x) || !tiny_try(x->t, scale_param(x->s, output, 0.0f), output, sy_session_device(x->s)))
        return;
    float *a = logits_of(x, x->batch, &m), *b = NULL;
    if (tiny_try(x->t, scale_param(x->s, bias, -3.0f), bias, sy_session_device(x->s)))
        b = logits_of(x, x->batch, &m);
    if (a != NULL && b != NULL)
        tap_ok(&x->t->tap, tiny_distance(b, a, (uint64_t)BATCH * TGT * sy_session_config(x->s)->vocab_size) > 1e-3,
               "%s: the %s's relative bias reaches all blocks", x->name, stack);
    free(a);
    free(b);
}

/// aux · G of one group from p and choices; with `dropped_is_0`, as Hugging Face counts.
static double group_aux(const float *p, const int32_t *choice, const int32_t *pos, const int32_t *mask,
                        bool dropped_is_0)
{
    double f[4] = {0}, share[4] = {0}, n = 0.0, sum = 0.0;
    for (uint32_t i = 0; i < SRC; ++i) {
        if (mask[i] == 0)
            continue;
        f[dropped_is_0 && pos[i] >= CAPACITY ? 0 : choice[i]] += 1.0;
        for (uint32_t e = 0; e < 4; ++e)
            share[e] += p[4 * i + e];
        n += 1.0;
    }
    for (uint32_t e = 0; e < 4; ++e)
        sum += f[e] / n * share[e] / n;
    return 4.0 * sum;
}

static void dropped_tokens_are_not_expert_0(const struct subject *x)
{
    const struct sy_model_sparse *l = &sy_session_model(x->s)->sparse[0];
    struct sy_metrics m;
    float *logits = reset(x) ? logits_of(x, x->batch, &m) : NULL, *p = NULL;
    int32_t choice[BATCH * SRC], pos[BATCH * SRC];
    uint64_t n;
    if (logits == NULL)
        return;
    enum sy_status status = tiny_read(x->s, l->p, &p, &n);
    if (status == SY_OK)
        status = sy_runtime_read(sy_session_runtime(x->s), l->choice, choice, sizeof choice);
    if (status == SY_OK)
        status = sy_runtime_read(sy_session_runtime(x->s), l->pos, pos, sizeof pos);
    double want = 0.0, wrong = 0.0;
    for (uint32_t g = 0; status == SY_OK && g < BATCH; ++g) {
        const uint32_t at = g * SRC;
        want += group_aux(p + 4 * at, choice + at, pos + at, x->batch->attention_mask + at, false) / BATCH;
        wrong += group_aux(p + 4 * at, choice + at, pos + at, x->batch->attention_mask + at, true) / BATCH;
    }
    const double coef = sy_session_config(x->s)->aux_coef, got = m.layers[0].aux;
    tap_ok(&x->t->tap,
           status == SY_OK && m.layers[0].dropped > 0.0 && fabs(got - coef * want) < 1e-6 * got &&
               fabs(wrong - want) > 1e-3,
           "%s: dropped tokens do not count as expert 0: aux %.6f, not %.6f", x->name, got, coef * wrong);
    free(logits);
    free(p);
}

/// A jitter of 0 and a router of 0 give the same scores; experts that saw jittered input would now see zeros.
static void experts_see_unjittered_input(const struct subject *x)
{
    struct sy_metrics m;
    enum sy_status status = SY_OK;
    if (!reset(x))
        return;
    for (uint32_t i = 0; i < sy_session_model(x->s)->sparse_count && status == SY_OK; ++i)
        status = sy_runtime_zero(sy_session_runtime(x->s), sy_session_model(x->s)->sparse[i].jitter);
    float *a = status == SY_OK ? logits_of(x, x->batch, &m) : NULL, *b = NULL;
    if (reset(x))
        status = scale_param(x->s, "encoder.block.1.layer.1.mlp.router", 0.0f);
    if (status == SY_OK)
        status = scale_param(x->s, "decoder.block.1.layer.2.mlp.router", 0.0f);
    if (tiny_try(x->t, status, "router", sy_session_device(x->s)))
        b = logits_of(x, x->batch, &m);
    if (a != NULL && b != NULL)
        tap_ok(&x->t->tap,
               tiny_distance(a, b, (uint64_t)BATCH * TGT * sy_session_config(x->s)->vocab_size) <= TOLERANCE,
               "%s: experts see the unjittered input", x->name);
    free(a);
    free(b);
}

// ---- all of it -----------------------------------------------------------------------------------------------------

static void run_router(struct tiny *t, struct sy_device *device, const struct sy_batch *batch, enum sy_router router)
{
    struct sy_config c = tiny_config(true);
    c.router = router;
    c.expert_capacity = CAPACITY; // whatever the group's size: padding must not buy capacity
    c.capacity_factor_train = c.capacity_factor_eval = NAN;
    const bool is_switch = router == SY_ROUTER_SWITCH;
    const struct sy_session_params p = {.kind = SY_SESSION_EVAL,
                                        .config = &c,
                                        .precision = SY_PRECISION_F32,
                                        .batch = BATCH,
                                        .src_len = SRC,
                                        .tgt_len = TGT,
                                        .keep_internals = true,
                                        .jitter_input = is_switch};
    struct subject x = {.t = t, .s = tiny_session(t, device, &p), .batch = batch};
    struct sy_metrics m;
    if (x.s == NULL)
        return;
    snprintf(x.name, sizeof x.name, "%s, %s", sy_device_caps(device)->id, sy_router_name(router));
    float *want = !is_switch || reset(&x) ? logits_of(&x, batch, &m) : NULL;
    if (want != NULL) {
        permuted_sequences(&x, want, &m);
        other_mates(&x, want);
        renamed_experts(&x, want, &m);
        more_padding(&x, want);
    }
    if (is_switch) {
        capacity_is_enforced(&x);
        router_logits_are_logits(&x);
        relative_bias_is_shared(&x, "encoder");
        relative_bias_is_shared(&x, "decoder");
        dropped_tokens_are_not_expert_0(&x);
        experts_see_unjittered_input(&x);
    }
    free(want);
    sy_session_destroy(&x.s);
}

int main(int argc, char **argv)
{
    static const enum sy_router routers[] = {SY_ROUTER_SWITCH, SY_ROUTER_TOP2, SY_ROUTER_NTLB, SY_ROUTER_EXPERT_CHOICE};
    struct tiny t;
    struct sy_batch batch;
    struct sy_config c = tiny_config(true);
    tiny_open(&t, "test_metamorphic", argc, argv);
    tiny_batch(&t, &c, BATCH, SRC, TGT, 71, &batch);
    for (size_t d = 0; d < t.device_count; ++d)
        for (size_t r = 0; r < SY_COUNT(routers); ++r)
            run_router(&t, t.devices[d], &batch, routers[r]);
    sy_batch_finish(&batch);
    return tiny_close(&t);
}
