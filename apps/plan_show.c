// SPDX-License-Identifier: Apache-2.0
#include "apps/plan_show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apps/cli.h"
#include "apps/plan_time.h"
#include "engine/backward.h"
#include "engine/plan.h"
#include "engine/segments.h"
#include "engine/variant.h"

// ---- the step ------------------------------------------------------------------------------------------------------

static void print_program(const struct sy_graph *g, const struct sy_leg *leg)
{
    size_t count = 0;
    double flops = 0.0, bytes = 0.0;
    char a[16], b[16];
    for (size_t i = leg->first; i < leg->end; ++i) {
        const struct sy_node *n = sy_graph_node(g, i);
        if (n->phase != leg->phase)
            continue;
        ++count;
        flops += sy_op_info(n->op)->impl->flops(n->args);
        bytes += sy_op_bytes(sy_op_info(n->op), n->types, n->args);
    }
    cli_human(flops, a);
    cli_human(bytes, b);
    printf("%zu ops, %s FLOPs, %sB of memory", count, a, b);
}

static void print_message(const struct sy_graph *g, const struct sy_node *n, const struct sy_layout *ranks)
{
    struct plan_traffic t;
    char a[16], b[16], c[16];
    plan_traffic_of(g, n, ranks, 1, &t);
    cli_human(t.far.sent, a);
    cli_human(t.far.received, b);
    cli_human(t.far.messages, c);
    printf("%sB sent to others in %s message%s, %sB received", a, c, t.far.messages == 1.0 ? "" : "s", b);
}

static void print_segment(const struct sy_graph *g, enum sy_session_kind kind, const struct sy_legs *legs,
                          const struct sy_segment *x, const struct sy_layout *ranks)
{
    switch (x->kind) {
    case SY_SEGMENT_HOST:
        printf("%s", kind == SY_SESSION_TRAIN  ? "ids checked, labels shifted, ids sorted for the embedding's gradient"
                     : kind == SY_SESSION_EVAL ? "ids checked, labels shifted"
                     : x->phase == SY_PHASE_ENCODE ? "source tokens to one length"
                                                   : "the most probable of each sequence, or one drawn");
        break;
    case SY_SEGMENT_UPLOAD: printf("%llu bytes", (unsigned long long)x->bytes); break;
    case SY_SEGMENT_PROGRAM: print_program(g, &legs->list[x->leg]); break;
    case SY_SEGMENT_MESSAGE: print_message(g, sy_graph_node(g, legs->list[x->leg].first), ranks); break;
    case SY_SEGMENT_ARRIVAL: printf("the host waits for %s", sy_graph_node(g, legs->list[x->leg].first)->label); break;
    case SY_SEGMENT_DOWNLOAD:
        printf("%llu bytes; %s", (unsigned long long)x->bytes,
               kind == SY_SESSION_DECODE ? "the host waits" : "the host takes them when the next is queued");
        break;
    }
}

static void print_heading(const struct sy_graph *g, const struct sy_model *m, enum sy_session_kind kind,
                          const struct sy_segments *s)
{
    const uint32_t micros = sy_graph_micro_count(g), slices = sy_graph_slices(g), rows = m->params.batch;
    if (kind == SY_SESSION_TRAIN)
        printf("one step: %u micro-batch%s of %u slice%s; programs and uploads are queued, the host goes on\n", micros,
               micros == 1 ? "" : "es", slices, slices == 1 ? "" : "s");
    else if (kind == SY_SESSION_EVAL)
        printf("\nevaluation: one batch of %u sequence%s, %u slice%s\n", rows, rows == 1 ? "" : "s", slices,
               slices == 1 ? "" : "s");
    else
        printf("\ndecoding: %u prompt%s; from %zu on once for each token\n", rows, rows == 1 ? "" : "s", s->again);
}

enum sy_status plan_show_schedule(struct sy_ctx *ctx, const struct sy_graph *g, const struct sy_model *m,
                                  const struct sy_loss *loss, enum sy_session_kind kind, const struct sy_layout *ranks,
                                  const struct plan_rates *rates, const struct plan_network *network)
{
    struct sy_segments s;
    SY_TRY(sy_segments_create(g, m, loss, kind, &s));
    double *each = calloc(s.count + 1, sizeof *each);
    enum sy_status status = each != NULL ? SY_OK : sy_fail(ctx, SY_NOMEM, "out of host memory");
    if (status == SY_OK && rates != NULL)
        status = plan_time_each(ctx, g, &s, ranks, rates, network, each);
    print_heading(g, m, kind, &s);
    printf("%4s  %-8s  %-24s  %5s  %-8s  %s%s\n", "#", "kind", "segment", "micro", "after",
           rates != NULL ? "seconds alone  " : "", "work");
    for (size_t i = 0; i < s.count && status == SY_OK; ++i) {
        const struct sy_segment *x = &s.list[i];
        char after[32] = "-";
        for (uint32_t k = 0, at = 0; k < x->after_count && at < sizeof after; ++k)
            at += (uint32_t)snprintf(after + at, sizeof after - at, "%s%u", k == 0 ? "" : " ", x->after[k]);
        printf("%4zu  %-8s  %-24s  %5u  %-8s  ", i, sy_segment_kind_name(x->kind), x->name, x->micro, after);
        if (rates != NULL)
            printf("%13.6f  ", each[i]);
        print_segment(g, kind, &s.legs, x, ranks);
        putchar('\n');
    }
    free(each);
    sy_segments_finish(&s);
    return status;
}

// ---- a tensor ------------------------------------------------------------------------------------------------------

static const char *phase_name(uint32_t phase)
{
    static const char *const names[] = {"encode", "micro-batch", "update", "refresh", "merge"};
    return names[phase < SY_PHASE_MERGE ? phase : SY_PHASE_MERGE];
}

static const char *dtype_name(enum sy_dtype dtype)
{
    return dtype == SY_F32    ? "f32"
           : dtype == SY_BF16 ? "bf16"
           : dtype == SY_I32  ? "i32"
           : dtype == SY_U32  ? "u32"
                              : "f64";
}

static void print_tensor(const struct sy_graph *g, sy_tid t, const char *indent)
{
    const struct sy_tensor *x = sy_graph_tensor(g, t);
    const uint64_t bytes = sy_tensor_bytes(x);
    printf("%s%s: %s [%llu", indent, x->name, dtype_name(x->dtype), (unsigned long long)x->shape[0]);
    for (int d = 1; d < 3; ++d)
        if (x->shape[d] != 1 || (d == 1 && x->shape[2] != 1))
            printf(", %llu", (unsigned long long)x->shape[d]);
    if (x->pieces != SY_NONE)
        printf("], too large for one binding: in pieces");
    else if (x->first < 0 && x->kind == SY_KIND_ACTIVATION)
        printf("], not used");
    else
        printf("], %s, block %u, bytes %llu to %llu", sy_arena_name(sy_arena_of(x->kind)), x->block,
               (unsigned long long)x->offset, (unsigned long long)(x->offset + bytes));
    if (x->parent != SY_NONE)
        printf(", a part of %s", sy_graph_tensor(g, x->parent)->name);
    putchar('\n');
}

/// How node `n` uses tensor `t`, or something that is a part of it or that it is a part of.
static void print_use(const struct sy_graph *g, size_t index, sy_tid t)
{
    const struct sy_node *n = sy_graph_node(g, index);
    const struct sy_op_info *info = sy_op_info(n->op);
    for (uint32_t b = 0; b < info->binding_count; ++b) {
        const bool same = n->bind[b] == t, whole = n->bind[b] == sy_graph_tensor(g, t)->parent && n->bind[b] != SY_NONE;
        const bool part = sy_graph_tensor(g, t)->whole != SY_NONE && sy_graph_tensor(g, n->bind[b])->parent == t;
        if (!same && !whole && !part)
            continue;
        const bool writes = (info->write_mask >> b & 1u) != 0, reads = (info->read_mask >> b & 1u) != 0;
        printf("    %5zu  %-11s  %-8s  %-7s  %s.%s%s: %s", index, phase_name(n->phase),
               n->phase != SY_PHASE_MICRO ? ""
               : n->backward              ? "backward"
                                          : "forward",
               writes && reads ? "updates"
               : writes        ? "writes"
                               : "reads",
               n->label, info->binding_names[b],
               whole  ? " (the whole of it)"
               : part ? " (a part of it)"
                      : "",
               n->variant != NULL ? n->variant->name : "between ranks");
        if (n->variant != NULL && (n->variant->languages & SY_LANGUAGE_cl) != 0)
            printf(", kernels/%s.cl", n->variant->source);
        if (n->variant != NULL && (n->variant->languages & SY_LANGUAGE_comp) != 0)
            printf(", shaders/%s.comp", n->variant->source);
        putchar('\n');
    }
}

static void print_way(const struct sy_graph *g, sy_tid t, const char *what)
{
    printf("%s\n", what);
    print_tensor(g, t, "  ");
    for (size_t i = 0; i < sy_graph_node_count(g); ++i)
        print_use(g, i, t);
    for (size_t i = 0; i < sy_graph_node_count(g); ++i) { // what a variant of the reader had made of it (lower.c)
        const struct sy_node *n = sy_graph_node(g, i);
        if (n->prepares && n->bind[0] == t)
            print_way(g, n->bind[1], "prepared from it");
    }
    for (sy_tid p = sy_graph_tensor(g, t)->pieces; p != SY_NONE; p = sy_graph_tensor(g, p)->next)
        print_way(g, p, "one piece of it");
}

static void print_parameter(const struct sy_graph *g, const struct sy_param *p)
{
    if (p->weight != p->master)
        print_way(g, p->weight, "the copy that kernels read");
    if (p->grad.part != SY_NONE && p->grad.part != p->grad.total)
        print_way(g, p->grad.part, "its gradient, of one micro-batch");
    if (p->grad.total != SY_NONE)
        print_way(g, p->grad.total, "its gradient");
    for (uint32_t k = 0; k < p->state_count; ++k)
        print_way(g, p->state[k], "optimizer state");
}

/// Whether a tensor is meant: by its name, or by one of the parameters stacked in it.
static bool meant(const struct sy_graph *g, sy_tid t, const char *name, bool exactly)
{
    const struct sy_tensor *x = sy_graph_tensor(g, t);
    const struct sy_param *p = x->kind == SY_KIND_PARAM ? sy_graph_param(g, t) : NULL;
    for (uint32_t k = 0; p != NULL && k < p->parts; ++k)
        if (exactly ? strcmp(p->names[k], name) == 0 : strstr(p->names[k], name) != NULL)
            return true;
    if (x->kind != SY_KIND_ACTIVATION && x->kind != SY_KIND_INPUT && x->kind != SY_KIND_KEEP &&
        x->kind != SY_KIND_CONST)
        return false; // copies, gradients and state are shown with their parameter
    return exactly ? strcmp(x->name, name) == 0 : strstr(x->name, name) != NULL;
}

enum sy_status plan_show_trace(struct sy_ctx *ctx, const struct sy_graph *g, const char *name)
{
    size_t found = 0;
    for (int pass = 0; pass < 2 && found == 0; ++pass)
        for (sy_tid t = 1; t < sy_graph_tensor_count(g); ++t) {
            if (!meant(g, t, name, pass == 0) || sy_graph_tensor(g, t)->whole != SY_NONE)
                continue; // pieces are shown with their whole
            const struct sy_param *p = sy_graph_tensor(g, t)->kind == SY_KIND_PARAM ? sy_graph_param(g, t) : NULL;
            const sy_tid gradient = p == NULL ? sy_grad_get(g, t) : SY_NONE;
            printf("%s%s\n", found++ == 0 ? "" : "\n", sy_graph_tensor(g, t)->name);
            print_way(g, t, p != NULL ? "the parameter" : "forward");
            if (p != NULL)
                print_parameter(g, p);
            if (gradient != SY_NONE)
                print_way(g, gradient, "its gradient");
        }
    return found != 0
               ? SY_OK
               : sy_fail(ctx, SY_INVALID,
                         "--trace: no tensor is called %s or has it in its name; parameters have their names on disk, "
                         "activations are like encoder.block.0.qkv",
                         name);
}
