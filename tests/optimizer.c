// SPDX-License-Identifier: Apache-2.0
// optimizer.c: some steps of each optimizer on given gradients: every matrix as the formulas of spec §8 say, in double;
// the same bits wherever matrices lie and however large a work-group is; few dispatches, whatever the depth.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "engine/backward.h"
#include "engine/lower.h"
#include "tests/tiny.h"

enum { STEPS = 3, PARAMS = 6, MOST_PARTS = 4 };
static const float CLIP = 2.0f, RATE = 0.02f, DECAY = 0.1f;

/// Names in another order than places; factored and not; an expert's; one of more blocks than a sum has lanes; one that
/// takes no part.
static const struct shape {
    const char *name;
    uint32_t parts, rows, cols, flags;
    bool absent;
} shapes[PARAMS] = {
    {"z.query", 3, 130, 140, 0, false},
    {"b.norm", 1, 1, 200, 0, false},
    {"m.expert", 4, 128, 300, SY_PARAM_EXPERT, false},
    {"a.embed", 1, 1100, 129, 0, false},
    {"c.router", 2, 33, 70, 0, false},
    {"y.absent", 1, 129, 128, 0, true},
};

static uint64_t size_of(const struct shape *s) { return (uint64_t)s->parts * s->rows * s->cols; }

/// Uniform in [−1, 1), by place: wherever the parameter lies in memory.
static float draw(uint64_t step, uint64_t param, uint64_t element)
{
    uint64_t z = ((step * PARAMS + param) << 32) + element + 1;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (float)((double)(z >> 40) * 0x1p-23 - 1.0);
}

/// Step 0 is the start; rows that are not used are zero.
static float gradient_of(const struct shape *s, uint64_t step, uint64_t i)
{
    const uint64_t row = i / s->cols;
    return s->absent || row % 7 == 3 ? 0.0f : draw(step, (uint64_t)(s - shapes), i) * (row % 5 == 0 ? 0.01f : 1.0f);
}

static float start_of(const struct shape *s, uint64_t i) { return 0.1f * draw(0, (uint64_t)(s - shapes), i); }

static struct sy_step step_of(uint64_t t)
{
    return (struct sy_step){.step = (u32)t,
                            .lr = RATE,
                            .beta2 = (f32)(1.0 - pow((double)t, -0.8)),
                            .adam_c1 = (f32)(1.0 / (1.0 - pow(0.9, (double)t))),
                            .adam_c2 = (f32)(1.0 / (1.0 - pow(0.999, (double)t)))};
}

/// Of each parameter its weights and its states, and the last step's norm.
struct outcome {
    float *values[PARAMS][3];
    uint64_t counts[PARAMS][3];
    float clip[2];
    size_t dispatches;
};

static void outcome_finish(struct outcome *x)
{
    for (size_t i = 0; i < PARAMS; ++i)
        for (size_t k = 0; k < 3; ++k)
            free(x->values[i][k]);
    memset(x, 0, sizeof *x);
}

static void *must(void *memory)
{
    if (memory == NULL)
        abort();
    return memory;
}

// ---- on a device ---------------------------------------------------------------------------------------------------

/// What a run differs in: bytes of a binding (0: packs as the graph likes), of a cache to do the update by groups in
/// (0: none), and what clips.
struct how {
    uint64_t binding, cache;
    float clip;
};

static void build(struct sy_graph *g, enum sy_optimizer kind, float clip, struct sy_optimizer_outputs *out)
{
    for (const struct shape *s = shapes; s < shapes + PARAMS; ++s) {
        char names[MOST_PARTS][112];
        for (uint32_t p = 0; p < s->parts; ++p)
            snprintf(names[p], sizeof names[p], "%s.%u", s->name, p);
        sy_param_new(g, s->parts, s->rows, s->cols, (const char(*)[112])names, SY_INIT_NORMAL, 1.0f, s->flags);
    }
    for (size_t i = 0; i < PARAMS; ++i) {
        bool first;
        if (!shapes[i].absent)
            sy_param_grad(g, sy_graph_param_at(g, i)->weight, &first);
    }
    const struct sy_optimizer_params o = {.kind = kind, .clip_norm = clip, .weight_decay = DECAY};
    sy_optimizer_emit(g, &o, out);
}

static enum sy_status write_all(struct sy_runtime *rt, uint64_t step)
{
    for (size_t i = 0; i < PARAMS; ++i) {
        const uint64_t n = size_of(&shapes[i]);
        const struct sy_param *p = sy_graph_param_at(sy_runtime_graph(rt), i);
        if (step != 0 && shapes[i].absent)
            continue; // nobody writes its gradient
        float *x = must(malloc(n * sizeof *x));
        for (uint64_t k = 0; k < n; ++k)
            x[k] = step == 0 ? start_of(&shapes[i], k) : gradient_of(&shapes[i], step, k);
        const enum sy_status status = sy_runtime_write_f32(rt, step == 0 ? p->master : p->grad.total, 0, n, x);
        free(x);
        SY_TRY(status);
    }
    return SY_OK;
}

static enum sy_status read_all(struct sy_runtime *rt, struct outcome *out)
{
    for (size_t i = 0; i < PARAMS; ++i) {
        const struct sy_param *p = sy_graph_param_at(sy_runtime_graph(rt), i);
        for (uint32_t k = 0; k <= p->state_count; ++k) {
            const sy_tid t = k == 0 ? p->master : p->state[k - 1];
            const uint64_t n = out->counts[i][k] = sy_graph_tensor(sy_runtime_graph(rt), t)->count;
            out->values[i][k] = must(malloc(n * sizeof(float)));
            SY_TRY(sy_runtime_read_f32(rt, t, 0, n, out->values[i][k]));
        }
    }
    return SY_OK;
}

/// Nothing but zeros between the parameters of a pack.
static enum sy_status check_padding(struct sy_runtime *rt, bool *zero)
{
    const struct sy_graph *g = sy_runtime_graph(rt);
    *zero = true;
    for (size_t k = 0; k < sy_graph_pack_count(g); ++k) {
        const uint64_t n = sy_graph_tensor(g, sy_graph_pack(g, k)->master)->count;
        float *x = must(malloc(n * sizeof *x));
        const enum sy_status status = sy_runtime_read_f32(rt, sy_graph_pack(g, k)->master, 0, n, x);
        for (size_t i = 0; i < PARAMS; ++i)
            if (sy_graph_param_at(g, i)->pack == k)
                memset(x + sy_graph_param_at(g, i)->at, 0, size_of(&shapes[i]) * sizeof *x);
        for (uint64_t i = 0; i < n; ++i)
            *zero = *zero && x[i] == 0.0f;
        free(x);
        SY_TRY(status);
    }
    return SY_OK;
}

static enum sy_status steps(struct sy_runtime *rt, const struct sy_optimizer_outputs *o, struct outcome *out,
                            bool *zero)
{
    SY_TRY(write_all(rt, 0));
    for (uint64_t t = 1; t <= STEPS; ++t) {
        const struct sy_step step = step_of(t);
        SY_TRY(sy_runtime_write(rt, sy_graph_step_constants(sy_runtime_graph(rt)), &step, sizeof step));
        SY_TRY(write_all(rt, t));
        SY_TRY(sy_runtime_run(rt, SY_PHASE_UPDATE));
    }
    SY_TRY(read_all(rt, out));
    SY_TRY(check_padding(rt, zero));
    out->dispatches = sy_runtime_dispatches(rt, SY_PHASE_UPDATE);
    return sy_runtime_read_f32(rt, o->clip, 0, 2, out->clip);
}

/// Runs the steps. Reports what fails.
static bool run(struct tiny *t, struct sy_device *device, enum sy_optimizer kind, struct how how, struct outcome *out)
{
    struct sy_graph *g = NULL;
    struct sy_runtime *rt = NULL;
    struct sy_optimizer_outputs o;
    bool zero = false;
    memset(out, 0, sizeof *out);
    struct sy_caps caps = *sy_device_caps(device);
    caps.max_binding_bytes = how.binding;
    caps.cache_bytes = how.cache;
    caps.device_class = how.cache != 0 ? SY_CLASS_CPU : caps.device_class; // any device can go by groups
    if (sy_graph_create(t->ctx, SY_PRECISION_F32, &caps, &g) != SY_OK)
        abort();
    build(g, kind, how.clip, &o);
    size_t fills = 0;
    for (size_t i = 0; i < sy_graph_node_count(g); ++i)
        fills += sy_graph_node(g, i)->op == SY_OP_fill;
    sy_lower(g, sy_device_caps(device));
    bool good = tiny_try(t, sy_runtime_create(device, g, NULL, &rt), "building", device);
    if (good) {
        good = tiny_try(t, steps(rt, &o, out, &zero), "updating", device);
        sy_runtime_destroy(&rt);
        if (good)
            tap_ok(&t->tap, zero && fills == 0, "%s: %zu packs: zeros between parameters stay zeros; %zu are written",
                   sy_device_caps(device)->id, sy_graph_pack_count(g), fills);
    }
    sy_graph_destroy(&g);
    return good;
}

// ---- the formulas --------------------------------------------------------------------------------------------------

static double norm_of(uint64_t step)
{
    double sum = 0.0;
    for (size_t i = 0; i < PARAMS; ++i)
        for (uint64_t k = 0; k < size_of(&shapes[i]); ++k)
            sum += (double)gradient_of(&shapes[i], step, k) * gradient_of(&shapes[i], step, k);
    return sqrt(sum);
}

static double clip_of(uint64_t step) { return fmin(1.0, CLIP / norm_of(step)); }

static double rms(const double *x, uint64_t n)
{
    double sum = 0.0;
    for (uint64_t i = 0; i < n; ++i)
        sum += x[i] * x[i];
    return sqrt(sum / (double)n);
}

/// One step of a matrix: g clipped; a and b its states (r and col, or v).
static void adafactor(uint32_t rows, uint32_t cols, uint64_t t, const double *g, double *w, double *a, double *b,
                      double *u)
{
    const double beta = 1.0 - pow((double)t, -0.8);
    const uint64_t n = (uint64_t)rows * cols;
    if (rows >= 128 && cols >= 128) {
        double mean = 0.0;
        for (uint32_t i = 0; i < rows; ++i) {
            double sum = 0.0;
            for (uint32_t j = 0; j < cols; ++j)
                sum += g[(uint64_t)i * cols + j] * g[(uint64_t)i * cols + j] + 1e-30;
            a[i] = beta * a[i] + (1.0 - beta) * sum / cols;
            mean += a[i] / rows;
        }
        for (uint32_t j = 0; j < cols; ++j) {
            double sum = 0.0;
            for (uint32_t i = 0; i < rows; ++i)
                sum += g[(uint64_t)i * cols + j] * g[(uint64_t)i * cols + j] + 1e-30;
            b[j] = beta * b[j] + (1.0 - beta) * sum / rows;
        }
        for (uint64_t i = 0; i < n; ++i)
            u[i] = g[i] / sqrt(a[i / cols] / mean) / sqrt(b[i % cols]);
    } else {
        for (uint64_t i = 0; i < n; ++i) {
            a[i] = beta * a[i] + (1.0 - beta) * (g[i] * g[i] + 1e-30);
            u[i] = g[i] / sqrt(a[i]);
        }
    }
    const double scale = RATE * fmax(rms(w, n), 1e-3) / fmax(1.0, rms(u, n));
    for (uint64_t i = 0; i < n; ++i)
        w[i] -= scale * u[i];
}

static void adamw(uint64_t n, uint64_t t, const double *g, double *w, double *m, double *v)
{
    const double beta1 = 0.9f, beta2 = 0.999f; // as the device has them
    for (uint64_t i = 0; i < n; ++i) {
        m[i] = beta1 * m[i] + (1.0 - beta1) * g[i];
        v[i] = beta2 * v[i] + (1.0 - beta2) * g[i] * g[i];
        const double first = m[i] / (1.0 - pow(0.9, (double)t)), second = v[i] / (1.0 - pow(0.999, (double)t));
        w[i] -= RATE * (first / (sqrt(second) + 1e-8) + (double)DECAY * w[i]);
    }
}

/// Largest error of one tensor over its largest value.
static double error_of(const float *got, const double *want, uint64_t n)
{
    double error = 0.0, most = 0.0;
    for (uint64_t i = 0; i < n; ++i) {
        error = fmax(error, fabs(got[i] - want[i]));
        most = fmax(most, fabs(want[i]));
    }
    return error / most;
}

static void check_formulas(struct tiny *t, const char *id, enum sy_optimizer kind, const struct outcome *got)
{
    double worst = 0.0, factors[STEPS];
    for (uint64_t step = 1; step <= STEPS; ++step)
        factors[step - 1] = clip_of(step);
    for (size_t i = 0; i < PARAMS; ++i) {
        const struct shape *s = &shapes[i];
        const uint64_t n = (uint64_t)s->rows * s->cols, all = size_of(s);
        double *x[5]; // weights, two states, gradient, update; large enough for either optimizer
        for (size_t k = 0; k < SY_COUNT(x); ++k)
            x[k] = must(calloc(all, sizeof(double)));
        for (uint64_t k = 0; k < all; ++k)
            x[0][k] = start_of(s, k);
        for (uint64_t step = 1; step <= STEPS; ++step) {
            for (uint64_t k = 0; k < all; ++k)
                x[3][k] = gradient_of(s, step, k) * factors[step - 1];
            for (uint32_t p = 0; p < s->parts && kind == SY_OPTIMIZER_ADAFACTOR; ++p)
                adafactor(s->rows, s->cols, step, x[3] + p * n, x[0] + p * n, x[1] + p * got->counts[i][1] / s->parts,
                          x[2] + p * got->counts[i][2] / s->parts, x[4]);
            if (kind == SY_OPTIMIZER_ADAMW)
                adamw(all, step, x[3], x[0], x[1], x[2]);
        }
        for (size_t k = 0; k < 3; ++k)
            if (got->counts[i][k] != 0 && !(k != 0 && s->absent && kind == SY_OPTIMIZER_ADAMW)) // those are zero
                worst = fmax(worst, error_of(got->values[i][k], x[k], got->counts[i][k]));
        for (size_t k = 0; k < SY_COUNT(x); ++k)
            free(x[k]);
    }
    const double norm = norm_of(STEPS);
    tap_ok(&t->tap,
           worst < 5e-6 && fabs(got->clip[1] / norm - 1.0) < 1e-6 &&
               fabs(got->clip[0] / factors[STEPS - 1] - 1.0) < 1e-6,
           "%s: %s as the formulas say: worst %.1e, norm %.6f of %.6f", id,
           kind == SY_OPTIMIZER_ADAMW ? "adamw" : "adafactor", worst, got->clip[1], norm);
}

// ---- the same bits -------------------------------------------------------------------------------------------------

static bool same(const struct outcome *a, const struct outcome *b)
{
    bool same = memcmp(a->clip, b->clip, sizeof a->clip) == 0;
    for (size_t i = 0; i < PARAMS; ++i)
        for (size_t k = 0; k < 3; ++k)
            same = same && a->counts[i][k] == b->counts[i][k] &&
                   (a->counts[i][k] == 0 ||
                    memcmp(a->values[i][k], b->values[i][k], a->counts[i][k] * sizeof(float)) == 0);
    return same;
}

/// Adafactor by groups of one matrix, of a few, and of a pack.
static void check_groups(struct tiny *t, struct sy_device *device, float clip)
{
    static const struct {
        const char *what;
        uint64_t cache;
    } groups[] = {{"one matrix", 1}, {"a few matrices", 2 * 500000}, {"all matrices", UINT64_MAX}};
    struct outcome whole, other;
    bool ran = run(t, device, SY_OPTIMIZER_ADAFACTOR, (struct how){.clip = clip}, &whole);
    for (size_t i = 0; i < SY_COUNT(groups) && ran; ++i) {
        const struct how how = {.cache = groups[i].cache, .clip = clip};
        ran = run(t, device, SY_OPTIMIZER_ADAFACTOR, how, &other);
        if (ran)
            tap_ok(&t->tap, same(&whole, &other) && (other.dispatches > whole.dispatches) == (i < 2),
                   "%s: adafactor, clipping at %g: the same bits in groups of %s (%zu and %zu dispatches)",
                   sy_device_caps(device)->id, (double)clip, groups[i].what, whole.dispatches, other.dispatches);
        outcome_finish(&other);
    }
    outcome_finish(&whole);
}

static void check_device(struct tiny *t, struct sy_device *device, enum sy_optimizer kind)
{
    static const char *const groups[] = {"16", "128"}; // items, at most
    const char *id = sy_device_caps(device)->id, *name = kind == SY_OPTIMIZER_ADAMW ? "adamw" : "adafactor";
    struct outcome whole, other;
    if (!run(t, device, kind, (struct how){.clip = CLIP}, &whole))
        return;
    check_formulas(t, id, kind, &whole);
    // The largest parameter is larger than this: it gets a pack of its own.
    if (run(t, device, kind, (struct how){.binding = 300000, .clip = CLIP}, &other))
        tap_ok(&t->tap, same(&whole, &other) && other.dispatches > whole.dispatches,
               "%s: %s: weights, state and norm have the same bits in two packs and in more (%zu and %zu dispatches)",
               id, name, whole.dispatches, other.dispatches);
    outcome_finish(&other);
    for (size_t i = 0; i < SY_COUNT(groups) && sy_device_caps(device)->device_class == SY_CLASS_SIMT; ++i) {
        struct sy_device *smaller = NULL;
        setenv("SY_FORCE_MAX_WG", groups[i], 1);
        const enum sy_status status = sy_device_open(t->ctx, id, &smaller);
        unsetenv("SY_FORCE_MAX_WG");
        if (tiny_try(t, status, "opening with smaller work-groups", device) &&
            run(t, smaller, kind, (struct how){.clip = CLIP}, &other))
            tap_ok(&t->tap, same(&whole, &other), "%s: %s: the same bits with work-groups of at most %s", id, name,
                   groups[i]);
        outcome_finish(&other);
        sy_device_close(&smaller);
    }
    outcome_finish(&whole);
}

// ---- dispatches ----------------------------------------------------------------------------------------------------

static size_t dispatches(struct tiny *t, uint32_t layers)
{
    struct sy_config c = tiny_config(true);
    c.d_model = 128; // factored
    c.d_ff = 256;
    c.layers = c.decoder_layers = layers;
    const struct sy_model_params p = {.config = &c, .mode = SY_MODEL_TRAIN, .batch = 2, .src_len = 6, .tgt_len = 5};
    const struct sy_optimizer_params o = {.kind = SY_OPTIMIZER_ADAFACTOR};
    struct sy_optimizer_outputs out;
    struct sy_model *m = must(calloc(1, sizeof *m));
    struct sy_graph *g = NULL;
    size_t count = 0;
    const struct sy_caps caps = sy_caps_imagined(SY_CLASS_CPU);
    if (sy_graph_create(t->ctx, SY_PRECISION_SELECTIVE, &caps, &g) != SY_OK)
        abort();
    if (sy_model_build(g, &p, m) == SY_OK) {
        struct sy_loss loss;
        sy_cross_entropy_emit(g, m, &loss);
        sy_backward(g, false);
        sy_optimizer_emit(g, &o, &out);
        sy_graph_refresh(g);
    }
    for (size_t i = 0; i < sy_graph_node_count(g) && sy_graph_status(g) == SY_OK; ++i)
        count += sy_graph_node(g, i)->phase == SY_PHASE_UPDATE || sy_graph_node(g, i)->phase == SY_PHASE_REFRESH;
    sy_graph_destroy(&g);
    sy_config_finish(&c);
    free(m);
    return count;
}

int main(int argc, char **argv)
{
    struct tiny t;
    tiny_open(&t, "optimizer", argc, argv);
    for (size_t d = 0; d < t.device_count; ++d) {
        check_device(&t, t.devices[d], SY_OPTIMIZER_ADAFACTOR);
        check_device(&t, t.devices[d], SY_OPTIMIZER_ADAMW);
        check_groups(&t, t.devices[d], CLIP);
        check_groups(&t, t.devices[d], 0.0f);
    }
    const size_t few = dispatches(&t, 2), many = dispatches(&t, 12);
    tap_ok(&t.tap, few != 0 && few <= 40 && few == many,
           "an update has %zu dispatches with 2 layers a stack, %zu with 12", few, many);
    return tiny_close(&t);
}
