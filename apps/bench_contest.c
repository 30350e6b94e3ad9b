// SPDX-License-Identifier: Apache-2.0
// bench_contest.c: graphs of ours and rivals, timed in turns.
//
// On a GPU a graph does its work several times over, and the time of one go is the smaller of two: the host's from
// submission to the end, which starting and waiting make too long for short kernels, and the sum of the device's own
// times of each dispatch.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/bench.h"

static bool is_gpu(const struct sy_caps *caps) { return caps->device_class == SY_CLASS_SIMT && !caps->software; }

uint32_t bench_copies(const struct bench *b, double flops, double bytes)
{
    enum { MOST = 50 };
    static const double enough = 0.01, flops_rate = 5e13, bytes_rate = 3e12; // seconds of a fast GPU
    const double floor = flops / flops_rate > bytes / bytes_rate ? flops / flops_rate : bytes / bytes_rate;
    if (!is_gpu(b->caps))
        return 1;
    return floor * MOST < enough ? MOST : 1 + (uint32_t)(enough / floor);
}

enum sy_status bench_variant(const struct bench *b, enum sy_op_id op, enum sy_op_types types, const char *name,
                             const struct sy_variant **out)
{
    if (name == NULL)
        return sy_variant_choose(b->ctx, op, types, b->caps, out);
    const struct sy_variant *v = sy_variant_find(op, name);
    if (v == NULL) {
        char known[256] = "";
        while ((v = sy_variant_next(op, v)) != NULL)
            snprintf(known + strlen(known), sizeof known - strlen(known), "%s%s", known[0] != '\0' ? ", " : "",
                     v->name);
        return sy_fail(b->ctx, SY_INVALID, "--variant: %s has no variant \"%s\"; it has %s", sy_op_info(op)->name, name,
                       known);
    }
    const char *missing = sy_variant_missing(v, types, b->caps);
    if (missing != NULL)
        return sy_fail(b->ctx, SY_INVALID, "variant %s of %s cannot run on %s: it %s", name, sy_op_info(op)->name,
                       b->caps->id, missing);
    *out = v;
    return SY_OK;
}

enum sy_status bench_variants(const struct bench *b, enum sy_op_id op, enum sy_op_types types, const char *name,
                              const struct sy_variant *list[SY_VARIANT_COUNT], size_t *count)
{
    *count = 0;
    if (name != NULL) {
        *count = 1;
        return bench_variant(b, op, types, name, &list[0]);
    }
    for (const struct sy_variant *v = NULL; (v = sy_variant_next(op, v)) != NULL;) {
        bool killed = false;
        SY_TRY(sy_variant_killed(b->ctx, v, &killed));
        if (!killed && sy_variant_missing(v, types, b->caps) == NULL && sy_variant_suits(v, NULL))
            list[(*count)++] = v;
    }
    return *count != 0 ? SY_OK : bench_variant(b, op, types, NULL, &list[0]); // says why none is left
}

enum sy_status bench_entrant_graph(const struct bench *b, struct bench_entrant *e)
{
    if (e->copies == 0)
        e->copies = 1;
    return sy_graph_create(b->ctx, b->o->common.precision, b->caps, &e->graph);
}

static enum sy_phase phase_of(const struct bench_entrant *e)
{
    return e->phase == SY_PHASE_ENCODE ? SY_PHASE_MICRO : e->phase;
}

static bool is_read(const struct sy_graph *g, sy_tid t)
{
    for (size_t i = 0; i < sy_graph_node_count(g); ++i) {
        const struct sy_node *n = sy_graph_node(g, i);
        const struct sy_op_info *info = sy_op_info(n->op);
        for (uint32_t k = 0; k < info->binding_count; ++k)
            if (n->bind[k] == t && (k < info->input_count || (info->read_mask >> k & 1) != 0))
                return true;
    }
    return false;
}

/// Random numbers in [−1, 1): what devices multiply costs power, and power is speed. A large tensor repeats them.
static enum sy_status fill(const struct bench *b, struct bench_entrant *e)
{
    enum { BLOCK = 1 << 20 };
    float *values = malloc(BLOCK * sizeof *values);
    if (values == NULL)
        return sy_fail(b->ctx, SY_NOMEM, "out of host memory");
    uint32_t state = 1;
    for (size_t i = 0; i < BLOCK; ++i) {
        state = state * 1664525u + 1013904223u;
        values[i] = (float)(int32_t)state / 2147483648.0f;
    }
    enum sy_status status = SY_OK;
    for (sy_tid t = 1; t < sy_graph_tensor_count(e->graph) && status == SY_OK; ++t) {
        const struct sy_tensor *x = sy_graph_tensor(e->graph, t);
        const bool kept = x->kind == SY_KIND_KEEP || x->kind == SY_KIND_PARAM || x->kind == SY_KIND_GRAD;
        if (!kept || x->parent != SY_NONE || (x->dtype != SY_F32 && x->dtype != SY_BF16) ||
            (x->kind == SY_KIND_KEEP && !is_read(e->graph, t))) // parameters and gradients are read through views
            continue;
        for (uint64_t at = 0; at < x->count && status == SY_OK; at += BLOCK)
            status = sy_runtime_write_f32(e->runtime, t, at, x->count - at < BLOCK ? x->count - at : BLOCK, values);
    }
    free(values);
    return status;
}

/// Seconds of one run of the work, waited for.
static enum sy_status run_once(const struct bench *b, struct bench_entrant *e, double *out)
{
    const double from = cli_clock(b->clock);
    SY_TRY(sy_runtime_run(e->runtime, phase_of(e)));
    SY_TRY(sy_device_wait(sy_runtime_device(e->runtime)));
    *out = cli_clock(b->clock) - from;
    return SY_OK;
}

static enum sy_status device_seconds(const struct bench *b, struct bench_entrant *e, double *out)
{
    const size_t count = sy_runtime_dispatches(e->runtime, phase_of(e));
    uint64_t *ns = calloc(count + 1, sizeof *ns);
    if (ns == NULL)
        return sy_fail(b->ctx, SY_NOMEM, "out of host memory");
    const enum sy_status status = sy_program_profile(sy_runtime_program(e->runtime, phase_of(e)), ns);
    *out = 0.0;
    for (size_t i = 0; i < count; ++i)
        *out += (double)ns[i] / 1e9;
    free(ns);
    return status;
}

enum sy_status bench_entrant_open(const struct bench *b, struct bench_entrant *e)
{
    double warm;
    SY_TRY(sy_graph_status(e->graph));
    sy_lower(e->graph, b->caps);
    SY_TRY(sy_graph_status(e->graph));
    SY_TRY(sy_runtime_create(b->device, e->graph, NULL, &e->runtime));
    SY_TRY(fill(b, e));
    if (sy_runtime_program(e->runtime, SY_PHASE_REFRESH) != NULL) // what is made of parameters once an update
        SY_TRY(sy_runtime_run(e->runtime, SY_PHASE_REFRESH));
    SY_TRY(run_once(b, e, &warm));
    return run_once(b, e, &warm); // some drivers compile again for what is recorded after the first
}

/// Which variants computed: one name, or those of each op that has not `base`.
static void name_variants(const struct bench_entrant *e, char *out, size_t room)
{
    snprintf(out, room, "base");
    for (size_t i = 0; i < sy_graph_node_count(e->graph); ++i) {
        const struct sy_node *n = sy_graph_node(e->graph, i);
        char name[64];
        snprintf(name, sizeof name, "%s:%s", sy_op_info(n->op)->name, n->variant->name);
        if (n->phase != phase_of(e) || strcmp(n->variant->name, "base") == 0 || strstr(out, name) != NULL)
            continue;
        const size_t used = strcmp(out, "base") == 0 ? 0 : strlen(out);
        snprintf(out + used, room - used, "%s%s", used != 0 ? " " : "", name);
    }
}

void bench_entrant_describe(struct bench_entrant *e)
{
    struct bench_figure *f = &e->figure;
    name_variants(e, f->by, sizeof f->by);
    for (size_t i = 0; i < sy_graph_node_count(e->graph); ++i) {
        const struct sy_node *n = sy_graph_node(e->graph, i);
        if (n->phase != phase_of(e))
            continue;
        f->flops += sy_op_info(n->op)->impl->flops(n->args) / e->copies;
        f->bytes += sy_op_bytes(sy_op_info(n->op), n->types, n->args) / e->copies;
    }
}

enum sy_status bench_entrant_open_op(const struct bench *b, struct bench_entrant *e, enum sy_op_id op)
{
    SY_TRY(bench_entrant_open(b, e));
    size_t i = 0;
    while (sy_graph_node(e->graph, i)->op != op)
        ++i;
    snprintf(e->figure.by, sizeof e->figure.by, "%s", sy_graph_node(e->graph, i)->variant->name);
    return SY_OK;
}

/// Seconds of one go, in the r-th turn: of the host, and on a GPU of the device.
static enum sy_status turn(const struct bench *b, struct bench_entrant *e, uint64_t r)
{
    if (e->rival != NULL) {
        e->times[r] = e->rival(e->of);
        return SY_OK;
    }
    SY_TRY(run_once(b, e, &e->times[r]));
    return is_gpu(b->caps) ? device_seconds(b, e, &e->times[b->o->repeat + r]) : SY_OK;
}

static double seconds_of(const struct bench *b, struct bench_entrant *e)
{
    const double host = bench_median(e->times, b->o->repeat),
                 device = bench_median(e->times + b->o->repeat, b->o->repeat);
    return (device > 0.0 && device < host ? device : host) / (e->rival != NULL ? 1 : e->copies);
}

enum sy_status bench_contest(struct bench *b, struct bench_entrant *list, size_t count, const char *to)
{
    for (size_t i = 0; i < count; ++i) {
        list[i].times = calloc(2 * b->o->repeat, sizeof(double));
        if (list[i].times == NULL)
            return sy_fail(b->ctx, SY_NOMEM, "out of host memory");
    }
    for (uint64_t r = 0; r < b->o->repeat; ++r)
        for (size_t i = 0; i < count; ++i)
            SY_TRY(turn(b, &list[i], r));
    for (size_t i = 0; i < count; ++i) {
        struct bench_figure *f = &list[i].figure;
        f->seconds = seconds_of(b, &list[i]);
        if (f->seconds <= 0.0)
            continue;
        if (to != NULL && i != 0) {
            f->ratio = list[0].figure.seconds / f->seconds;
            snprintf(f->to, sizeof f->to, "%s", to);
        }
        SY_TRY(bench_tell(b, f));
    }
    return SY_OK;
}

void bench_entrant_close(struct bench_entrant *e)
{
    sy_runtime_destroy(&e->runtime);
    sy_graph_destroy(&e->graph);
    free(e->times);
    e->times = NULL;
}
