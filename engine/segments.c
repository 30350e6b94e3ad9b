// SPDX-License-Identifier: Apache-2.0
#include "engine/segments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/graph_private.h"
#include "engine/inputs.h"
#include "engine/slices.h"

const char *sy_segment_kind_name(enum sy_segment_kind kind)
{
    static const char *const names[] = {"host", "upload", "program", "message", "arrival", "download"};
    return names[kind];
}

/// Appends a segment; gives its index, or UINT32_MAX when out of memory.
static uint32_t add(struct sy_segments *s, enum sy_segment_kind kind, const char *name, uint32_t micro, uint32_t phase,
                    uint64_t bytes)
{
    if (s->count == s->room) {
        const size_t room = s->room == 0 ? 16 : 2 * s->room;
        struct sy_segment *bigger = realloc(s->list, room * sizeof *bigger);
        if (bigger == NULL) {
            s->failed = true;
            return UINT32_MAX;
        }
        s->list = bigger;
        s->room = room;
    }
    struct sy_segment *x = &s->list[s->count];
    *x = (struct sy_segment){.kind = kind, .micro = micro, .phase = phase, .bytes = bytes};
    snprintf(x->name, sizeof x->name, "%s", name);
    return (uint32_t)s->count++;
}

static void after(struct sy_segments *s, uint32_t segment, uint32_t earlier)
{
    struct sy_segment *x = segment < s->count ? &s->list[segment] : NULL;
    for (uint32_t i = 0; x != NULL && i < x->after_count; ++i)
        if (x->after[i] == earlier)
            return;
    if (x != NULL && earlier < segment && x->after_count < SY_SEGMENT_AFTER)
        x->after[x->after_count++] = earlier;
}

/// The programs and messages of a phase, one after the other, after the segment `before`; gives the last.
static uint32_t program(struct sy_segments *s, const struct sy_graph *g, const char *name, uint32_t micro,
                        uint32_t phase, uint32_t before)
{
    for (size_t i = s->legs.first[phase]; i < s->legs.first[phase + 1]; ++i) {
        const struct sy_leg *leg = &s->legs.list[i];
        const bool device = leg->kind == SY_LEG_PROGRAM;
        const uint32_t p = add(s,
                               device                        ? SY_SEGMENT_PROGRAM
                               : leg->kind == SY_LEG_MESSAGE ? SY_SEGMENT_MESSAGE
                                                             : SY_SEGMENT_ARRIVAL,
                               device ? name : sy_op_info(g->nodes[leg->first].op)->name, micro, phase, 0);
        if (p != UINT32_MAX)
            s->list[p].leg = (uint32_t)i;
        after(s, p, before);
        before = p;
    }
    return before;
}

static void merge_name(const struct sy_graph *g, uint32_t phase, char out[32])
{
    for (size_t i = 0; i < g->merge_count; ++i) {
        const struct sy_merge *m = &g->merges[i];
        if (m->phase != phase)
            continue;
        const char *sign = m->add ? "+=" : "=";
        if (m->from != 0)
            snprintf(out, 32, "level %u %s level %u", m->to % 100, sign, m->from % 100);
        else
            snprintf(out, 32, "level %u %s micro-batch", m->to % 100, sign);
    }
}

/// Bytes of the sums that the host reads (metrics.c), and of the gradient norm.
static uint64_t download_bytes(const struct sy_graph *g, bool train)
{
    const uint32_t pack = sy_sum_pack(g);
    if (pack == g->pack_count)
        return 0;
    const bool whole = train || !sy_slices_merge(g);
    const struct sy_tensor *sums = sy_graph_tensor(g, whole ? sy_sum_total(g, pack) : g->packs[pack].part);
    return sy_tensor_bytes(sums) + (train ? 2 * sizeof(float) : 0);
}

/// A training step, or one batch of anything else that has a loss.
static void add_step(const struct sy_graph *g, const struct sy_model *m, const struct sy_loss *loss, bool train,
                     struct sy_segments *out)
{
    const uint32_t none = UINT32_MAX;
    uint32_t uploaded = none, last = none;
    for (uint32_t micro = 0; micro < (train ? g->micro_count : 1); ++micro) {
        uint32_t merges[SY_MAX_MERGES];
        const uint32_t count = train ? sy_slices_phases(g, micro, merges) : 0;
        const uint32_t prepared = add(out, SY_SEGMENT_HOST, "prepare inputs", micro, SY_PHASE_MICRO, 0);
        after(out, prepared, uploaded); // the host's copies are free again
        uploaded = add(out, SY_SEGMENT_UPLOAD, "inputs", micro, SY_PHASE_MICRO, sy_inputs_bytes(g, m, loss));
        after(out, uploaded, prepared);
        after(out, uploaded, last); // what reads them on the device is done
        last = program(out, g, "micro-batch", micro, SY_PHASE_MICRO, uploaded);
        for (uint32_t i = 0; i < count; ++i) {
            char name[32] = "merge";
            merge_name(g, merges[i], name);
            last = program(out, g, name, micro, merges[i], last);
        }
    }
    if (train) {
        last = program(out, g, "update", 0, SY_PHASE_UPDATE, last);
        last = program(out, g, "refresh", 0, SY_PHASE_REFRESH, last);
    }
    after(out, add(out, SY_SEGMENT_DOWNLOAD, "sums", 0, SY_PHASE_MICRO, download_bytes(g, train)), last);
    out->again = out->count;
}

static void add_decoding(const struct sy_graph *g, const struct sy_model *m, struct sy_segments *out)
{
    const uint64_t sources = (uint64_t)m->params.batch * m->params.src_len;
    const uint64_t rows = sy_graph_tensor(g, m->dec_ids)->count, inputs = m->parents != SY_NONE ? 3 : 2;
    const uint64_t logits = rows * m->params.config->vocab_size * sy_dtype_bytes(sy_graph_tensor(g, m->logits)->dtype);
    const uint64_t step = sizeof(struct sy_step), id = sizeof(int32_t), how = m->how != SY_NONE ? SY_DRAW_WORDS : 0;
    const uint32_t prompts = add(out, SY_SEGMENT_HOST, "pad prompts", 0, SY_PHASE_ENCODE, 0);
    const uint32_t sent = add(out, SY_SEGMENT_UPLOAD, "prompts", 0, SY_PHASE_ENCODE, (2 * sources + how) * id + step);
    after(out, sent, prompts);
    const uint32_t encoded = program(out, g, "encode", 0, SY_PHASE_ENCODE, sent);
    out->again = out->count;
    const uint32_t token = add(out, SY_SEGMENT_UPLOAD, "last tokens", 0, SY_PHASE_MICRO, inputs * rows * id + step);
    after(out, token, encoded);
    const uint32_t decoded = program(out, g, "one position", 0, SY_PHASE_MICRO, token);
    // Where something limits tokens, it is all logits.
    const uint64_t top = (uint64_t)m->top * (sizeof(float) + id);
    const char *what = m->best != SY_NONE ? "tokens" : top != 0 ? "best of each beam" : "logits";
    const uint32_t read = add(out, SY_SEGMENT_DOWNLOAD, what, 0, SY_PHASE_MICRO,
                              m->best != SY_NONE ? rows * id
                              : top != 0         ? rows * top
                                                 : logits);
    after(out, read, decoded);
    after(out, add(out, SY_SEGMENT_HOST, "choose tokens", 0, SY_PHASE_MICRO, 0), read);
}

enum sy_status sy_segments_create(const struct sy_graph *g, const struct sy_model *model, const struct sy_loss *loss,
                                  enum sy_session_kind kind, struct sy_segments *out)
{
    memset(out, 0, sizeof *out);
    SY_TRY(sy_legs_create(g, &out->legs));
    if (kind == SY_SESSION_DECODE)
        add_decoding(g, model, out);
    else
        add_step(g, model, loss, kind == SY_SESSION_TRAIN, out);
    if (!out->failed)
        return SY_OK;
    sy_segments_finish(out);
    return sy_fail(g->ctx, SY_NOMEM, "out of host memory: the segments of a step");
}

void sy_segments_finish(struct sy_segments *s)
{
    free(s->list);
    sy_legs_finish(&s->legs);
    memset(s, 0, sizeof *s);
}
