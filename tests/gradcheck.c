// SPDX-License-Identifier: Apache-2.0
#include "tests/gradcheck.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

double gc_uniform(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9E3779B97F4A7C15); // splitmix64
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return (double)((z ^ (z >> 31)) >> 11) / 9007199254740992.0;
}

static double away_from_zero(uint64_t *state)
{
    const double magnitude = 0.1 + 0.9 * gc_uniform(state);
    return gc_uniform(state) < 0.5 ? -magnitude : magnitude;
}

static double *random_values(struct gradcheck *c, uint64_t count)
{
    double *x = malloc(count * sizeof *x);
    if (x == NULL)
        abort();
    for (uint64_t i = 0; i < count; ++i)
        x[i] = away_from_zero(&c->state);
    return x;
}

void gc_begin(struct gradcheck *c, struct sy_ctx *ctx, struct sy_device *device, uint64_t seed)
{
    memset(c, 0, sizeof *c);
    c->ctx = ctx;
    c->device = device;
    c->state = seed;
    // Every constant differs from what it would be by default, so that none can be forgotten unseen.
    c->step = (struct sy_step){.step = 3,
                               .seed_lo = 11,
                               .seed_hi = 7,
                               .inv_labels = 0.3f,
                               .inv_tokens_enc = 0.15f,
                               .inv_tokens_dec = 0.21f,
                               .inv_groups_enc = 0.4f,
                               .inv_groups_dec = 0.6f,
                               .row_enc = 5,
                               .row_dec = 9,
                               .sequence = 2};
    if (sy_graph_create(ctx, SY_PRECISION_F64, sy_device_caps(device), &c->g) != SY_OK)
        abort();
}

void gc_end(struct gradcheck *c)
{
    sy_runtime_destroy(&c->rt);
    sy_graph_destroy(&c->g);
    for (size_t i = 0; i < c->input_count; ++i)
        free(c->inputs[i].x);
    for (size_t i = 0; i < c->output_count; ++i)
        free(c->outputs[i].weight);
}

static void add_input(struct gradcheck *c, sy_tid t, uint64_t count, bool param)
{
    assert(c->input_count < SY_COUNT(c->inputs));
    c->inputs[c->input_count++] = (struct gc_input){t, random_values(c, count), count, param};
}

sy_tid gc_input(struct gradcheck *c, uint64_t rows, uint64_t cols, const char *name)
{
    sy_tid t = sy_tensor_new(c->g, SY_KIND_INPUT, SY_F64, rows, cols, 1, name);
    add_input(c, t, rows * cols, false);
    return t;
}

sy_tid gc_param(struct gradcheck *c, uint32_t parts, uint32_t rows, uint32_t cols, const char *name)
{
    char(*names)[112] = calloc(parts, sizeof *names);
    if (names == NULL)
        abort();
    for (uint32_t e = 0; e < parts; ++e)
        snprintf(names[e], sizeof *names, "%s.%u", name, e);
    sy_tid t = sy_param_new(c->g, parts, rows, cols, (const char(*)[112])names, SY_INIT_NORMAL, 1.0f, 0);
    free(names);
    add_input(c, t, (uint64_t)parts * rows * cols, true);
    return t;
}

sy_tid gc_ints(struct gradcheck *c, uint64_t count, const int32_t *values, const char *name)
{
    return sy_tensor_const(c->g, SY_I32, count, values, name);
}

sy_tid gc_factor(struct gradcheck *c, uint64_t rows, uint64_t cols, const char *name)
{
    double *x = random_values(c, rows * cols);
    sy_tid t = sy_tensor_const(c->g, SY_F64, rows * cols, x, name);
    free(x);
    return t;
}

static struct gc_output *add_output(struct gradcheck *c, sy_tid t)
{
    assert(c->output_count < SY_COUNT(c->outputs));
    sy_keep(c->g, t);
    struct gc_output *o = &c->outputs[c->output_count++];
    *o = (struct gc_output){.t = t, .count = sy_graph_tensor(c->g, t)->count};
    o->weight = random_values(c, o->count);
    return o;
}

void gc_output(struct gradcheck *c, sy_tid t)
{
    struct gc_output *o = add_output(c, t);
    struct sy_tensor x = *sy_graph_tensor(c->g, t);
    o->upstream = sy_tensor_new(c->g, SY_KIND_CONST, SY_F64, x.shape[0], x.shape[1], x.shape[2], "upstream");
    double *copy = malloc(o->count * sizeof *copy);
    if (copy == NULL)
        abort();
    memcpy(copy, o->weight, o->count * sizeof *copy);
    sy_graph_tensor(c->g, o->upstream)->data = copy; // owned by the graph
    sy_grad_add(c->g, t, o->upstream);
}

void gc_loss(struct gradcheck *c, sy_tid t, const double *period, size_t n)
{
    struct gc_output *o = add_output(c, t);
    for (uint64_t i = 0; i < o->count; ++i)
        o->weight[i] = period[i % n];
}

void gc_frozen(struct gradcheck *c, sy_tid t)
{
    assert(c->frozen_count < SY_COUNT(c->frozen));
    sy_keep(c->g, t);
    c->frozen[c->frozen_count++] = t;
}

// ---- running -------------------------------------------------------------------------------------------------------

static sy_tid gradient_of(const struct gradcheck *c, const struct gc_input *in)
{
    if (!in->param)
        return sy_grad_get(c->g, in->t);
    const struct sy_param *p = sy_graph_param(c->g, in->t);
    return p->grad.total;
}

static enum sy_status read_all(struct gradcheck *c, sy_tid t, double **out)
{
    uint64_t count = sy_graph_tensor(c->g, t)->count;
    *out = malloc(count * sizeof **out);
    if (*out == NULL)
        abort();
    return sy_runtime_read_part(c->rt, t, 0, count, *out);
}

/// F at the inputs now on the device.
static enum sy_status evaluate(struct gradcheck *c, double *out)
{
    *out = 0.0;
    SY_TRY(sy_runtime_run(c->rt, SY_PHASE_MICRO));
    for (size_t k = 0; k < c->output_count; ++k) {
        const struct gc_output *o = &c->outputs[k];
        double *y = NULL;
        enum sy_status status = read_all(c, o->t, &y);
        for (uint64_t i = 0; status == SY_OK && i < o->count; ++i)
            *out += o->weight[i] * y[i];
        free(y);
        SY_TRY(status);
    }
    return SY_OK;
}

/// Digest of the decisions taken in the last run.
static enum sy_status decisions(struct gradcheck *c, uint64_t *out)
{
    *out = 14695981039346656037u;
    for (size_t k = 0; k < c->frozen_count; ++k) {
        uint64_t count = sy_graph_tensor(c->g, c->frozen[k])->count;
        int32_t *v = malloc(count * sizeof *v);
        if (v == NULL)
            abort();
        enum sy_status status = sy_runtime_read_part(c->rt, c->frozen[k], 0, count, v);
        for (uint64_t i = 0; status == SY_OK && i < count; ++i)
            *out = (*out ^ (uint32_t)v[i]) * 1099511628211u;
        free(v);
        SY_TRY(status);
    }
    return SY_OK;
}

static enum sy_status start(struct gradcheck *c, struct gc_report *out)
{
    sy_backward(c->g, false);
    for (size_t i = 0; i < c->input_count; ++i) {
        sy_tid dt = gradient_of(c, &c->inputs[i]);
        if (dt == SY_NONE) {
            snprintf(out->message, sizeof out->message, "no rule gave %s a gradient",
                     sy_graph_tensor(c->g, c->inputs[i].t)->name);
            out->good = false;
            return SY_OK;
        }
        sy_keep(c->g, dt);
    }
    SY_TRY(sy_graph_status(c->g));
    sy_lower(c->g, sy_device_caps(c->device));
    SY_TRY(sy_graph_status(c->g));
    SY_TRY(sy_runtime_create(c->device, c->g, NULL, &c->rt));
    SY_TRY(sy_runtime_write(c->rt, sy_graph_step_constants(c->g), &c->step, sizeof c->step));
    for (size_t i = 0; i < c->input_count; ++i)
        SY_TRY(sy_runtime_write_part(c->rt, c->inputs[i].t, 0, c->inputs[i].count, c->inputs[i].x));
    return SY_OK;
}

/// One input: `slope` gets ΔF / 2h of every element.
static enum sy_status slopes(struct gradcheck *c, const struct gc_input *in, double h, double *slope,
                             struct gc_report *out)
{
    uint64_t before, now;
    SY_TRY(decisions(c, &before));
    for (uint64_t i = 0; i < in->count; ++i) {
        double side[2];
        for (int s = 0; s < 2; ++s) {
            double moved = in->x[i] + (s == 0 ? h : -h);
            SY_TRY(sy_runtime_write_part(c->rt, in->t, i, 1, &moved));
            SY_TRY(evaluate(c, &side[s]));
            SY_TRY(decisions(c, &now));
            if (now != before) {
                out->good = false;
                snprintf(out->message, sizeof out->message,
                         "a decision changed when an input moved by %g: choose another seed", h);
            }
        }
        SY_TRY(sy_runtime_write_part(c->rt, in->t, i, 1, &in->x[i]));
        slope[i] = (side[0] - side[1]) / (2.0 * h);
    }
    return SY_OK;
}

static void judge(const struct gradcheck *c, const struct gc_input *in, const double *want, const double *got,
                  struct gc_report *out)
{
    double scale = 1e-3;
    for (uint64_t i = 0; i < in->count; ++i)
        scale = fmax(scale, fabs(want[i]));
    for (uint64_t i = 0; i < in->count; ++i) {
        double error = fabs(got[i] - want[i]) / scale;
        out->worst = error > out->worst ? error : out->worst;
        if (error <= GC_TOLERANCE || !out->good)
            continue;
        out->good = false;
        snprintf(out->message, sizeof out->message, "d %s[%llu] is %.12g, central differences say %.12g",
                 sy_graph_tensor(c->g, in->t)->name, (unsigned long long)i, got[i], want[i]);
    }
    out->elements += in->count;
}

/// A second micro-batch overwrites the first one's sums: adding them up is the merges' work.
static enum sy_status check_overwrite(struct gradcheck *c, struct gc_report *out)
{
    for (size_t k = 0; k < c->input_count; ++k) {
        const struct gc_input *in = &c->inputs[k];
        if (!in->param)
            continue;
        double *once = NULL, *twice = NULL;
        enum sy_status status = sy_runtime_run(c->rt, SY_PHASE_MICRO);
        if (status == SY_OK)
            status = read_all(c, gradient_of(c, in), &once);
        if (status == SY_OK)
            status = sy_runtime_run(c->rt, SY_PHASE_MICRO);
        if (status == SY_OK)
            status = read_all(c, gradient_of(c, in), &twice);
        for (uint64_t i = 0; status == SY_OK && i < in->count && out->good; ++i) {
            if (twice[i] == once[i])
                continue;
            out->good = false;
            snprintf(out->message, sizeof out->message, "d %s[%llu] is %.12g after one run and %.12g after the next",
                     sy_graph_tensor(c->g, in->t)->name, (unsigned long long)i, once[i], twice[i]);
        }
        free(once);
        free(twice);
        SY_TRY(status);
    }
    return SY_OK;
}

static enum sy_status check_input(struct gradcheck *c, const struct gc_input *in, struct gc_report *out)
{
    double *got = NULL, *want = malloc(in->count * sizeof *want), unused;
    if (want == NULL)
        abort();
    enum sy_status status = evaluate(c, &unused);
    if (status == SY_OK)
        status = read_all(c, gradient_of(c, in), &got);
    if (status == SY_OK)
        status = slopes(c, in, GC_STEP, want, out);
    if (status == SY_OK)
        judge(c, in, want, got, out);
    free(got);
    free(want);
    return status;
}

void gc_check(struct gradcheck *c, struct gc_report *out)
{
    *out = (struct gc_report){.good = true};
    enum sy_status status = start(c, out);
    for (size_t k = 0; status == SY_OK && out->good && k < c->input_count; ++k)
        status = check_input(c, &c->inputs[k], out);
    if (status == SY_OK && out->good)
        status = check_overwrite(c, out);
    if (status != SY_OK) {
        out->good = false;
        snprintf(out->message, sizeof out->message, "%.250s", sy_error(c->ctx));
    }
}
