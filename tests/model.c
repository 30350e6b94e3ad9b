// SPDX-License-Identifier: Apache-2.0
// model.c: training of whole models on every device: repeatable to the bit, resumable to the bit, independent of how a
// step is cut into micro-batches and of recomputation, the same on all devices within tolerance, able to learn, and
// still where there is nothing to learn.
//
// usage: test_model [--device ID]. Models and batches are tiny (tiny.h); drivers' speed decides how long it takes.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/checkpoint.h"
#include "engine/file.h"
#include "tests/tiny.h"

#define BATCH 4
#define SRC 10
#define TGT 7
#define CURVE 10      // steps of a loss curve
#define SEED 20210111 // of dropout and jitter

struct suite {
    struct tiny t;
    struct sy_config noisy, plain; ///< Switch models with and without dropout and jitter.
    struct sy_batch data[3];
    double curves[2][CURVE]; ///< Losses on the first device: f32, selective.
};

static struct sy_session_params train_params(const struct sy_config *config, enum sy_precision precision)
{
    return (struct sy_session_params){.kind = SY_SESSION_TRAIN,
                                      .config = config,
                                      .precision = precision,
                                      .batch = BATCH,
                                      .src_len = SRC,
                                      .tgt_len = TGT};
}

static const char *precision_name(enum sy_precision p)
{
    static const char *const names[] = {"f32", "bf16", "selective", "f64"};
    return names[p];
}

static const char *id_of(const struct sy_session *s) { return sy_device_caps(sy_session_device(s))->id; }

/// Steps from + 1 … to; step t trains on data[t % 3].
static enum sy_status train(struct suite *x, struct sy_session *s, uint64_t from, uint64_t to, struct sy_metrics *last)
{
    for (uint64_t t = from + 1; t <= to; ++t)
        SY_TRY(sy_session_step(s, &x->data[t % 3], 1, t, 0.02, SEED, last));
    return SY_OK;
}

/// Weights after `steps` steps from the initial ones.
static enum sy_status fresh_run(struct suite *x, struct sy_session *s, uint64_t steps, float **weights, uint64_t *count)
{
    struct sy_metrics m;
    *weights = NULL;
    SY_TRY(sy_weights_init(sy_session_runtime(s), 1));
    SY_TRY(train(x, s, 0, steps, &m));
    return tiny_weights(s, weights, count);
}

static bool equal_bits(const float *a, const float *b, uint64_t count) { return memcmp(a, b, count * sizeof *a) == 0; }

// ---- bit for bit ---------------------------------------------------------------------------------------------------

/// Two sessions, the same seed: the same bits; another seed: others. `twin` may recompute.
static enum sy_status same_bits(struct suite *x, struct sy_session *s, struct sy_session *twin, uint64_t steps,
                                const char *what)
{
    float *a = NULL, *b = NULL, *initial = NULL;
    uint64_t count;
    enum sy_status status = fresh_run(x, s, steps, &a, &count);
    if (status == SY_OK)
        status = fresh_run(x, twin, steps, &b, &count);
    if (status == SY_OK)
        status = sy_weights_init(sy_session_runtime(s), 1);
    if (status == SY_OK)
        status = tiny_weights(s, &initial, &count);
    if (status == SY_OK)
        tap_ok(&x->t.tap, equal_bits(a, b, count) && !equal_bits(a, initial, count),
               "%s: %s, %s: the same bits after %d steps", id_of(s),
               precision_name(sy_session_built_with(s)->precision), what, (int)steps);
    free(a);
    free(b);
    free(initial);
    return status;
}

/// The second run takes another path to the same dropout masks only if the seed decides them.
static enum sy_status seed_matters(struct suite *x, struct sy_session *s)
{
    float *a = NULL, *b = NULL;
    uint64_t count;
    struct sy_metrics m;
    enum sy_status status = fresh_run(x, s, 1, &a, &count);
    if (status == SY_OK)
        status = sy_weights_init(sy_session_runtime(s), 1);
    if (status == SY_OK)
        status = sy_session_step(s, &x->data[1], 1, 1, 0.02, SEED + 1, &m);
    if (status == SY_OK)
        status = tiny_weights(s, &b, &count);
    if (status == SY_OK)
        tap_ok(&x->t.tap, !equal_bits(a, b, count), "%s: another seed draws other masks", id_of(s));
    free(a);
    free(b);
    return status;
}

/// The next step is begun before the last one has ended: the same weights, and every step its own metrics.
static enum sy_status runs_ahead(struct suite *x, struct sy_session *s, struct sy_session *ahead)
{
    enum { AHEAD = 5 };
    struct sy_metrics want[AHEAD + 1], got[AHEAD + 1];
    float *a = NULL, *b = NULL;
    uint64_t count;
    bool same = true;
    for (uint64_t t = 1; t <= AHEAD; ++t)
        SY_TRY(sy_session_step(s, &x->data[t % 3], 1, t, 0.02, SEED, &want[t]));
    for (uint64_t t = 1; t <= AHEAD + 1; ++t) {
        if (t <= AHEAD)
            SY_TRY(sy_session_begin(ahead, &x->data[t % 3], 1, t, 0.02, SEED));
        if (t > 1)
            SY_TRY(sy_session_end(ahead, &got[t - 1]));
    }
    for (uint64_t t = 1; t <= AHEAD; ++t)
        same = same && got[t].total == want[t].total && got[t].grad_norm == want[t].grad_norm &&
               got[t].labels == want[t].labels && got[t].layers[1].aux == want[t].layers[1].aux &&
               (t == 1 || got[t].total != got[t - 1].total);
    enum sy_status status = tiny_weights(s, &a, &count);
    if (status == SY_OK)
        status = tiny_weights(ahead, &b, &count);
    if (status == SY_OK)
        tap_ok(&x->t.tap, same && equal_bits(a, b, count), "%s: steps begun ahead: the same metrics and bits",
               id_of(s));
    free(a);
    free(b);
    return status;
}

static void run_ahead(struct suite *x, struct sy_device *device)
{
    const struct sy_session_params p = train_params(&x->noisy, SY_PRECISION_SELECTIVE);
    struct sy_session *s = tiny_session(&x->t, device, &p), *ahead = tiny_session(&x->t, device, &p);
    struct sy_session *left = tiny_session(&x->t, device, &p);
    if (s != NULL && ahead != NULL)
        tiny_try(&x->t, runs_ahead(x, s, ahead), "running ahead", device);
    if (left != NULL) // destroyed while its sums are on their way
        tiny_try(&x->t, sy_session_begin(left, &x->data[0], 1, 1, 0.02, SEED), "a step that nobody ends", device);
    sy_session_destroy(&s);
    sy_session_destroy(&ahead);
    sy_session_destroy(&left);
}

static void run_repeats(struct suite *x, struct sy_device *device, enum sy_precision precision)
{
    struct sy_session_params p = train_params(&x->noisy, precision), r = p;
    r.recompute = true;
    struct sy_session *s = tiny_session(&x->t, device, &p), *twin = tiny_session(&x->t, device, &p);
    struct sy_session *again = tiny_session(&x->t, device, &r);
    if (s != NULL && twin != NULL)
        tiny_try(&x->t, same_bits(x, s, twin, 5, "two runs"), "two runs", device);
    if (s != NULL && again != NULL)
        tiny_try(&x->t, same_bits(x, s, again, 3, "recomputation"), "recomputation", device);
    if (s != NULL)
        tiny_try(&x->t, seed_matters(x, s), "another seed", device);
    sy_session_destroy(&s);
    sy_session_destroy(&twin);
    sy_session_destroy(&again);
}

// ---- resume --------------------------------------------------------------------------------------------------------

static enum sy_status save_and_load(struct suite *x, struct sy_session *s, const char *dir)
{
    char latest[128];
    struct sy_train_state st = {.step = 3,
                                .next_example = 12,
                                .seed = SEED,
                                .batch_sequences = BATCH,
                                .micro_batch = BATCH,
                                .optimizer = "any",
                                .schedule = "constant",
                                .precision = "f32",
                                .lr = 0.02};
    struct sy_train_state back;
    snprintf(latest, sizeof latest, "%s/latest", dir);
    SY_TRY(sy_checkpoint_save(s, dir, &st, NULL, 2));
    SY_TRY(sy_checkpoint_save(s, dir, &st, NULL, 2));  // the same step again: `latest` is not without it for a moment
    SY_TRY(sy_weights_init(sy_session_runtime(s), 2)); // whatever is not restored must show
    struct sy_metrics m;
    SY_TRY(train(x, s, 0, 1, &m));
    SY_TRY(sy_checkpoint_read_state(x->t.ctx, latest, &back));
    tap_ok(&x->t.tap, back.step == 3 && back.next_example == 12 && back.seed == SEED && back.lr == 0.02,
           "%s: state.json comes back as it was", id_of(s));
    return sy_checkpoint_load(s, latest);
}

static enum sy_status resume(struct suite *x, struct sy_session *s, const char *what)
{
    float *straight = NULL, *resumed = NULL;
    uint64_t count;
    struct sy_metrics m;
    char dir[64];
    snprintf(dir, sizeof dir, "test-model-%ld", (long)getpid());
    enum sy_status status = fresh_run(x, s, 6, &straight, &count);
    if (status == SY_OK)
        status = sy_weights_init(sy_session_runtime(s), 1);
    if (status == SY_OK)
        status = train(x, s, 0, 3, &m);
    if (status == SY_OK)
        status = save_and_load(x, s, dir);
    if (status == SY_OK)
        status = train(x, s, 3, 6, &m);
    if (status == SY_OK)
        status = tiny_weights(s, &resumed, &count);
    if (status == SY_OK)
        tap_ok(&x->t.tap, equal_bits(straight, resumed, count),
               "%s: %s, resumed at step 3: the same bits after 6 steps", id_of(s), what);
    free(straight);
    free(resumed);
    enum sy_status removed = sy_dir_remove(x->t.ctx, dir);
    return status != SY_OK ? status : removed;
}

static void run_resume(struct suite *x, struct sy_device *device)
{
    struct sy_config large = x->noisy; // matrices of 128 × 128 and more, for Adafactor's factored statistics
    large.vocab_size = 130;
    large.d_model = large.d_ff = 128;
    large.experts = 2;
    struct sy_session_params p = train_params(&large, SY_PRECISION_SELECTIVE);
    struct sy_session *s = tiny_session(&x->t, device, &p);
    if (s != NULL)
        tiny_try(&x->t, resume(x, s, "adafactor"), "resuming with adafactor", device);
    sy_session_destroy(&s);
    p = train_params(&x->noisy, SY_PRECISION_F32);
    p.optimizer = (struct sy_optimizer_params){.kind = SY_OPTIMIZER_ADAMW, .weight_decay = 0.01f, .clip_norm = 1.0f};
    s = tiny_session(&x->t, device, &p);
    if (s != NULL)
        tiny_try(&x->t, resume(x, s, "adamw"), "resuming with adamw", device);
    sy_session_destroy(&s);
}

// ---- micro-batches -------------------------------------------------------------------------------------------------

/// Largest difference of any gradient tensor from `want`'s, over the tensor's (at least 1 % of all tensors') largest
/// entry.
static enum sy_status gradient_distance(struct sy_session *got, struct sy_session *want, double *out)
{
    double biggest = 0.0;
    *out = 0.0;
    for (int pass = 0; pass < 2; ++pass) {
        for (size_t i = 0; i < sy_graph_param_count(sy_session_graph(want)); ++i) {
            float *a = NULL, *b = NULL;
            uint64_t n;
            enum sy_status status = tiny_read(got, sy_graph_param_at(sy_session_graph(got), i)->grad.total, &a, &n);
            if (status == SY_OK)
                status = tiny_read(want, sy_graph_param_at(sy_session_graph(want), i)->grad.total, &b, &n);
            double worst = 0.0, scale = 0.0;
            for (uint64_t k = 0; status == SY_OK && k < n; ++k) {
                double d = fabs((double)a[k] - (double)b[k]);
                worst = isnan(d) ? INFINITY : fmax(worst, d);
                scale = fmax(scale, fabs((double)b[k]));
            }
            free(a);
            free(b);
            SY_TRY(status);
            biggest = fmax(biggest, scale);
            if (pass == 1)
                *out = fmax(*out, worst / fmax(scale, 0.01 * biggest));
        }
    }
    return SY_OK;
}

static bool near(double a, double b, double tolerance) { return fabs(a - b) <= tolerance * fabs(b); }

/// Routing is that of the whole step, however it is cut.
static bool same_routing(const struct sy_metrics *a, const struct sy_metrics *b)
{
    bool same = a->layer_count == b->layer_count && a->layer_count == 2;
    for (uint32_t i = 0; same && i < a->layer_count; ++i) {
        const struct sy_layer_metrics *x = &a->layers[i], *y = &b->layers[i];
        same = x->tokens == y->tokens && x->dropped == y->dropped && near(x->entropy, y->entropy, 1e-12) &&
               x->max_load == y->max_load && near(x->mean_gate, y->mean_gate, 1e-5) && near(x->aux, y->aux, 1e-5) &&
               near(x->z, y->z, 1e-5);
    }
    return same;
}

/// One step of 4 sequences against two micro-batches of 2. AdamW with a large eps: weights stay a smooth function of
/// gradients (Adafactor's first step is their sign, which rounding decides where they are almost zero).
static enum sy_status accumulate(struct suite *x, struct sy_session *whole, struct sy_session *halves)
{
    float *a = NULL, *b = NULL, *initial = NULL;
    uint64_t count;
    double worst = 0.0, dropped = 0.0;
    bool losses = true, routing = true;
    for (uint64_t t = 1; t <= 3; ++t) {
        const struct sy_batch *batch = &x->data[t % 3];
        const struct sy_batch parts[2] = {tiny_slice(batch, 0, 2), tiny_slice(batch, 2, 2)};
        struct sy_metrics m, n;
        double distance;
        SY_TRY(sy_session_step(whole, batch, 1, t, 0.01, SEED, &m));
        SY_TRY(sy_session_step(halves, parts, 2, t, 0.01, SEED, &n));
        SY_TRY(gradient_distance(halves, whole, &distance));
        worst = fmax(worst, distance);
        losses &= near(n.loss_ce, m.loss_ce, 1e-5) && near(n.aux, m.aux, 1e-5) && near(n.z, m.z, 1e-5) &&
                  near(n.accuracy, m.accuracy, 1e-6) && near(n.grad_norm, m.grad_norm, 1e-5) && n.labels == m.labels;
        routing &= same_routing(&n, &m);
        dropped += m.layers[0].dropped + m.layers[1].dropped;
    }
    tap_ok(&x->t.tap, losses, "%s: 2 × 2 sequences: the losses of 1 × 4", id_of(whole));
    tap_ok(&x->t.tap, routing && (dropped > 0.0 || sy_session_config(whole)->router == SY_ROUTER_NTLB),
           "%s: 2 × 2 sequences, %s: the routing of 1 × 4", id_of(whole),
           sy_router_name(sy_session_config(whole)->router));
    tap_ok(&x->t.tap, worst <= 1e-5, "%s: 2 × 2 sequences: the gradients (and dropout masks) of 1 × 4: error %.1e",
           id_of(whole), worst);
    enum sy_status status = tiny_weights(whole, &a, &count);
    if (status == SY_OK)
        status = tiny_weights(halves, &b, &count);
    if (status == SY_OK)
        status = sy_weights_init(sy_session_runtime(whole), 1);
    if (status == SY_OK)
        status = tiny_weights(whole, &initial, &count);
    double error = 0.0, change = 0.0;
    for (uint64_t i = 0; status == SY_OK && i < count; ++i) {
        error = fmax(error, fabs((double)a[i] - (double)b[i]));
        change = fmax(change, fabs((double)a[i] - (double)initial[i]));
    }
    if (status == SY_OK)
        tap_ok(&x->t.tap, error <= 1e-4 * change,
               "%s: 2 × 2 sequences: the weights of 1 × 4 after 3 steps: %.1e of the change", id_of(whole),
               error / change);
    free(a);
    free(b);
    free(initial);
    return status;
}

static void run_accumulation(struct suite *x, struct sy_device *device, enum sy_router router)
{
    struct sy_config config = x->noisy;
    config.router = router;
    struct sy_session_params p = train_params(&config, SY_PRECISION_F32);
    p.optimizer = (struct sy_optimizer_params){.kind = SY_OPTIMIZER_ADAMW, .eps = 0.01f};
    struct sy_session *whole = tiny_session(&x->t, device, &p);
    p.batch = BATCH / 2;
    p.micro_count = 2;
    struct sy_session *halves = tiny_session(&x->t, device, &p);
    if (whole != NULL && halves != NULL)
        tiny_try(&x->t, accumulate(x, whole, halves), "micro-batches", device);
    sy_session_destroy(&whole);
    sy_session_destroy(&halves);
}

// ---- the same everywhere, and learning -----------------------------------------------------------------------------

static void compare_curves(struct suite *x, const struct sy_session *s, const double *got, const double *want,
                           double tolerance)
{
    double worst = 0.0;
    for (int t = 0; t < CURVE; ++t)
        worst = fmax(worst, fabs(got[t] - want[t]) / fabs(want[t]));
    tap_ok(&x->t.tap, worst <= tolerance, "%s: %s: the loss curve of %s: error %.1e, limit %.0e", id_of(s),
           precision_name(sy_session_built_with(s)->precision), sy_device_caps(x->t.devices[0])->id, worst, tolerance);
}

static void run_curve(struct suite *x, struct sy_device *device, enum sy_precision precision, double *reference,
                      double tolerance)
{
    struct sy_session_params p = train_params(&x->noisy, precision);
    struct sy_session *s = tiny_session(&x->t, device, &p);
    double curve[CURVE];
    enum sy_status status = SY_OK;
    for (uint64_t t = 1; s != NULL && t <= CURVE && status == SY_OK; ++t) {
        struct sy_metrics m;
        status = sy_session_step(s, &x->data[t % 3], 1, t, 0.02, SEED, &m);
        curve[t - 1] = m.total;
    }
    if (s != NULL && tiny_try(&x->t, status, "a loss curve", device)) {
        if (device == x->t.devices[0])
            memcpy(reference, curve, sizeof curve);
        else
            compare_curves(x, s, curve, reference, tolerance);
    }
    sy_session_destroy(&s);
}

/// Memorises one batch: below 0.1 nats from about 3 within 60 steps.
static void run_learning(struct suite *x, struct sy_device *device, enum sy_precision precision)
{
    struct sy_session_params p = train_params(&x->plain, precision);
    p.optimizer.kind = SY_OPTIMIZER_ADAMW;
    struct sy_session *s = tiny_session(&x->t, device, &p);
    struct sy_metrics m = {0}, first = {0};
    enum sy_status status = SY_OK;
    uint64_t t = 1;
    for (; s != NULL && t <= 60 && status == SY_OK; ++t) {
        status = sy_session_step(s, &x->data[0], 1, t, 0.04, SEED, t == 1 ? &first : &m);
        if (status == SY_OK && t > 1 && m.loss_ce < 0.1)
            break;
    }
    if (s != NULL && tiny_try(&x->t, status, "learning", device))
        tap_ok(&x->t.tap, first.loss_ce > 1.5 && m.loss_ce < 0.1 && m.accuracy > 0.95,
               "%s: %s: learns a batch by heart: from %.2f to %.3f in %d steps", id_of(s), precision_name(precision),
               first.loss_ce, m.loss_ce, (int)t);
    sy_session_destroy(&s);
}

/// Elements of the decoder's q, k and position bias that differ between two copies of all weights, and those looked at.
static uint64_t moved_scores(const struct sy_graph *g, const float *a, const float *b, uint64_t *seen)
{
    uint64_t moved = 0, at = 0;
    *seen = 0;
    for (size_t i = 0; i < sy_graph_param_count(g); ++i) {
        const struct sy_param *p = sy_graph_param_at(g, i);
        const uint64_t part = (uint64_t)p->rows * p->cols;
        for (uint32_t k = 0; k < p->parts; ++k, at += part) {
            const char *own = strstr(p->names[k], "SelfAttention");
            if (strncmp(p->names[k], "decoder", 7) != 0 || own == NULL || strstr(own, ".v.") != NULL ||
                strstr(own, ".o.") != NULL)
                continue;
            for (uint64_t e = at; e < at + part; ++e)
                moved += a[e] != b[e];
            *seen += part;
        }
    }
    return moved;
}

/// With one target token nothing depends on the decoder's scores. A gradient of rounding would do: Adafactor divides by
/// it.
static void run_lone_key(struct suite *x, struct sy_device *device, enum sy_precision precision)
{
    struct sy_session_params p = train_params(&x->plain, precision);
    struct sy_batch batch;
    struct sy_metrics m;
    float *before = NULL, *after = NULL;
    uint64_t count, seen;
    p.tgt_len = 1;
    tiny_batch(&x->t, &x->plain, BATCH, SRC, 1, 90, &batch);
    struct sy_session *s = tiny_session(&x->t, device, &p);
    enum sy_status status = s != NULL ? tiny_weights(s, &before, &count) : SY_OK;
    for (uint64_t t = 1; s != NULL && t <= 2 && status == SY_OK; ++t)
        status = sy_session_step(s, &batch, 1, t, 0.02, SEED, &m);
    if (s != NULL && status == SY_OK)
        status = tiny_weights(s, &after, &count);
    if (s != NULL && tiny_try(&x->t, status, "one target token", device)) {
        const uint64_t moved = moved_scores(sy_session_graph(s), after, before, &seen);
        tap_ok(&x->t.tap, moved == 0 && seen != 0 && !equal_bits(before, after, count),
               "%s: %s: one target token moves none of %llu elements of q, k and bias (%llu)", id_of(s),
               precision_name(precision), (unsigned long long)seen, (unsigned long long)moved);
    }
    free(before);
    free(after);
    sy_batch_finish(&batch);
    sy_session_destroy(&s);
}

static void run_bf16(struct suite *x, struct sy_device *device)
{
    struct sy_session_params p = train_params(&x->noisy, SY_PRECISION_BF16);
    struct sy_session *s = tiny_session(&x->t, device, &p);
    struct sy_metrics m = {0};
    if (s != NULL && tiny_try(&x->t, train(x, s, 0, 3, &m), "bf16", device))
        tap_ok(&x->t.tap, isfinite(m.total) && m.loss_ce > 0.0 && m.layer_count == 2,
               "%s: bf16: three steps, loss %.2f", id_of(s), m.loss_ce);
    sy_session_destroy(&s);
}

/// In bf16 the router reads rounded weights as well; in selective precision the masters themselves.
static void run_router_weights(struct suite *x, struct sy_device *device, enum sy_precision precision)
{
    struct sy_session_params p = train_params(&x->noisy, precision);
    struct sy_session *s = tiny_session(&x->t, device, &p);
    struct sy_metrics m;
    float *master = NULL, *weight = NULL;
    uint64_t n = 0;
    enum sy_status status = s != NULL ? train(x, s, 0, 2, &m) : SY_OK;
    for (size_t i = 0; s != NULL && i < sy_graph_param_count(sy_session_graph(s)) && status == SY_OK && master == NULL;
         ++i) {
        const struct sy_param *q = sy_graph_param_at(sy_session_graph(s), i);
        if (strstr(q->names[0], "router.classifier") == NULL)
            continue;
        status = tiny_read(s, q->master, &master, &n);
        if (status == SY_OK)
            status = tiny_read(s, q->weight, &weight, &n);
    }
    uint64_t right = 0, exact = 0;
    for (uint64_t i = 0; status == SY_OK && i < n; ++i) {
        right += weight[i] == sy_bf16_to_f32(sy_f32_to_bf16(master[i]));
        exact += weight[i] == master[i];
    }
    if (s != NULL && tiny_try(&x->t, status, "router weights", device))
        tap_ok(&x->t.tap, precision == SY_PRECISION_BF16 ? n > 0 && right == n && exact < n / 4 : n > 0 && exact == n,
               "%s: %s: the router's weights are %s", id_of(s), precision_name(precision),
               precision == SY_PRECISION_BF16 ? "rounded" : "f32");
    free(master);
    free(weight);
    sy_session_destroy(&s);
}

static void run_device(struct suite *x, struct sy_device *device)
{
    run_repeats(x, device, SY_PRECISION_F32);
    run_repeats(x, device, SY_PRECISION_SELECTIVE);
    run_ahead(x, device);
    run_resume(x, device);
    for (int router = 0; router < (device == x->t.devices[0] ? 4 : 1); ++router)
        run_accumulation(x, device, (enum sy_router)router);
    run_curve(x, device, SY_PRECISION_F32, x->curves[0], 1e-4);
    run_curve(x, device, SY_PRECISION_SELECTIVE, x->curves[1], 2e-2);
    run_learning(x, device, SY_PRECISION_F32);
    run_learning(x, device, SY_PRECISION_SELECTIVE);
    run_lone_key(x, device, SY_PRECISION_F32);
    run_lone_key(x, device, SY_PRECISION_SELECTIVE);
    run_bf16(x, device);
    run_router_weights(x, device, SY_PRECISION_BF16);
    if (device == x->t.devices[0])
        run_router_weights(x, device, SY_PRECISION_SELECTIVE);
}

int main(int argc, char **argv)
{
    struct suite x = {.plain = tiny_config(true), .noisy = tiny_config(true)};
    tiny_open(&x.t, "test_model", argc, argv);
    tiny_add_noise(&x.noisy);
    for (uint64_t i = 0; i < SY_COUNT(x.data); ++i)
        tiny_batch(&x.t, &x.plain, BATCH, SRC, TGT, 40 + i, &x.data[i]);
    for (size_t d = 0; d < x.t.device_count; ++d)
        run_device(&x, x.t.devices[d]);
    if (x.t.device_count < 2)
        tap_skip(&x.t.tap, "loss curves of two devices: there is only one");
    for (size_t i = 0; i < SY_COUNT(x.data); ++i)
        sy_batch_finish(&x.data[i]);
    return tiny_close(&x.t);
}
