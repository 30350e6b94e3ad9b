// SPDX-License-Identifier: Apache-2.0
// logits.c: with logits in parts no tensor holds them whole; an evaluation has the bits, and a training step the
// weights but for rounding, of one with whole logits; and a step of 4 slices has the same bits however it is cut into
// micro-batches, and on a device that binds less than a part. Parts of one size and not, read in place and through
// copies.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tests/tiny.h"

enum { SEQUENCES = 8, SRC = 6, TGT = 10, VOCAB = 300, STEPS = 2 };

/// What a run leaves: every weight, the last step's metrics, those of an evaluation, and how logits were held.
struct outcome {
    float *values;
    uint64_t count, most; ///< most: rows of the tallest tensor of VOCAB columns that is no weight's.
    struct sy_metrics trained, evaluated;
    unsigned losses; ///< Cross-entropies of a micro-batch.
};

struct row {
    uint32_t d_model, slices;
    enum sy_precision precision;
    bool untied;
    const char *bytes; ///< Logits at once.
    uint32_t each;     ///< Rows of a slice in one part.
};

static const struct row rows[] = {
    {24, 4, SY_PRECISION_F32, false, "8K", 5}, // 6 rows of a slice's 20 fit

    {32, 1, SY_PRECISION_F32, true, "32K", 27}, // of 80: no part but the first can be bound in place

    {64, 1, SY_PRECISION_SELECTIVE, true, "14K", 10}, // 11 of 80: every second can

    {64, 4, SY_PRECISION_SELECTIVE, false, "4K", 3}, // of 20: the last is shorter
};

static bool holds_logits(const struct sy_tensor *x)
{
    return x->kind == SY_KIND_ACTIVATION && x->shape[1] == VOCAB && x->whole == SY_NONE && x->last >= 0;
}

static void look(const struct sy_graph *g, struct outcome *out)
{
    for (size_t i = 0; i < sy_graph_node_count(g); ++i)
        out->losses += sy_graph_node(g, i)->op == SY_OP_xent;
    for (sy_tid i = 1; i < sy_graph_tensor_count(g); ++i)
        if (holds_logits(sy_graph_tensor(g, i)) && sy_graph_tensor(g, i)->shape[0] > out->most)
            out->most = sy_graph_tensor(g, i)->shape[0];
}

static enum sy_status train(struct sy_session *s, const struct sy_batch *data, uint32_t micro, struct outcome *out)
{
    struct sy_batch cut[SEQUENCES];
    for (uint64_t t = 1; t <= STEPS; ++t) {
        for (uint32_t i = 0; i < micro; ++i)
            cut[i] = tiny_slice(data, i * (SEQUENCES / micro), SEQUENCES / micro);
        SY_TRY(sy_session_step(s, cut, micro, t, 0.02, 7, &out->trained));
    }
    return tiny_weights(s, &out->values, &out->count);
}

/// Trains, then evaluates the batch in a session that borrows the weights.
static bool run(struct tiny *t, struct sy_device *device, const struct row *row, const struct sy_batch *data,
                uint32_t micro, struct outcome *out)
{
    struct sy_config config = tiny_config(true);
    config.vocab_size = VOCAB;
    config.d_model = row->d_model;
    config.tied = !row->untied;
    struct sy_session_params p = {.kind = SY_SESSION_TRAIN,
                                  .config = &config,
                                  .precision = row->precision,
                                  .batch = SEQUENCES / micro,
                                  .src_len = SRC,
                                  .tgt_len = TGT,
                                  .micro_count = micro,
                                  .slices = row->slices,
                                  .recompute = micro > 1,
                                  .optimizer = {.kind = SY_OPTIMIZER_ADAMW}};
    memset(out, 0, sizeof *out);
    struct sy_session *s = tiny_session(t, device, &p), *eval = NULL;
    bool good = s != NULL && tiny_try(t, train(s, data, micro, out), "training", device);
    if (good) {
        look(sy_session_graph(s), out);
        p.kind = SY_SESSION_EVAL;
        p.lender = s;
        p.micro_count = p.slices = 1;
        p.batch = SEQUENCES;
        eval = tiny_session(t, device, &p);
        good = eval != NULL && tiny_try(t, sy_session_evaluate(eval, data, 1, &out->evaluated), "evaluating", device);
    }
    sy_session_destroy(&eval);
    sy_session_destroy(&s);
    return good;
}

/// The same device once more, with logits in parts.
static struct sy_device *in_parts(struct tiny *t, const struct sy_device *device, const char *bytes,
                                  const char *binding)
{
    struct sy_device *small = NULL;
    setenv("SY_LOGITS_BYTES", bytes, 1);
    if (binding != NULL)
        setenv("SY_FORCE_MAX_ALLOC", binding, 1);
    const enum sy_status status = sy_device_open(t->ctx, sy_device_caps(device)->id, &small);
    unsetenv("SY_LOGITS_BYTES");
    unsetenv("SY_FORCE_MAX_ALLOC");
    return tiny_try(t, status, "opening it with logits in parts", device) ? small : NULL;
}

static bool same(const struct sy_metrics *a, const struct sy_metrics *b)
{
    return a->loss_ce == b->loss_ce && a->z == b->z && a->total == b->total && a->accuracy == b->accuracy;
}

static void check_row(struct tiny *t, struct sy_device *device, const struct row *row)
{
    const struct sy_caps *caps = sy_device_caps(device);
    struct sy_config config = tiny_config(true);
    config.vocab_size = VOCAB;
    struct sy_batch data;
    struct outcome whole = {0}, parts = {0}, other = {0};
    if (row->precision != SY_PRECISION_F32 && !caps->bf16) {
        tap_skip(&t->tap, "%s: logits in parts, in bf16", caps->id);
        return;
    }
    // Where a dispatch takes far longer than its work, one other layout.
    const bool few = caps->backend != SY_BACKEND_REF;
    struct sy_device *small = in_parts(t, device, row->bytes, NULL), *tight = in_parts(t, device, row->bytes, "64K");
    tiny_batch(t, &config, SEQUENCES, SRC, TGT, 40, &data);
    const uint32_t length = SEQUENCES * TGT / row->slices, losses = (length + row->each - 1) / row->each;
    if (small != NULL && tight != NULL && run(t, device, row, &data, 1, &whole) &&
        run(t, small, row, &data, 1, &parts)) {
        tap_ok(&t->tap,
               whole.losses == 1 && whole.most == SEQUENCES * TGT && parts.losses == losses &&
                   parts.most == (uint64_t)row->slices * row->each,
               "%s: %u rows of logits at once, in %u parts (without a limit %u, in %u)", caps->id, (unsigned)parts.most,
               parts.losses, (unsigned)whole.most, whole.losses);
        const double distance = tiny_distance(parts.values, whole.values, whole.count);
        // f32 differs by the order of a sum; where weights are stored as bf16 for the next step, by a place of that.
        tap_ok(&t->tap,
               distance < (row->precision == SY_PRECISION_F32 ? 1e-5 : 2e-2) &&
                   (row->precision != SY_PRECISION_F32 ||
                    fabs(parts.evaluated.loss_ce - whole.evaluated.loss_ce) < 1e-5 * whole.evaluated.loss_ce),
               "%s: the weights of a step with whole logits, but for rounding: %.1e", caps->id, distance);
        for (uint32_t micro = 2; micro <= (few && row->slices > 2 ? 2 : row->slices); micro *= 2) {
            if (!run(t, small, row, &data, micro, &other))
                break;
            tap_ok(&t->tap,
                   other.count == parts.count && same(&other.trained, &parts.trained) &&
                       same(&other.evaluated, &parts.evaluated) &&
                       memcmp(other.values, parts.values, parts.count * sizeof *parts.values) == 0,
                   "%s: %u micro-batches of %u slices: the weights and losses of one of %u", caps->id, micro,
                   row->slices / micro, row->slices);
            free(other.values);
        }
        if (!few && run(t, tight, row, &data, 1, &other)) {
            tap_ok(&t->tap,
                   other.count == parts.count && same(&other.evaluated, &parts.evaluated) &&
                       memcmp(other.values, parts.values, parts.count * sizeof *parts.values) == 0,
                   "%s: with bindings of 64K: the same weights and losses", caps->id);
            free(other.values);
        }
    }
    free(whole.values);
    free(parts.values);
    sy_batch_finish(&data);
    if (small != NULL)
        sy_device_close(&small);
    if (tight != NULL)
        sy_device_close(&tight);
}

int main(int argc, char **argv)
{
    struct tiny t;
    tiny_open(&t, "logits", argc, argv);
    static const size_t first[] = {[SY_BACKEND_REF] = 0, [SY_BACKEND_OPENCL] = 2, [SY_BACKEND_VULKAN] = 3};
    for (size_t d = 0; d < t.device_count; ++d) // fewer where a dispatch takes far longer than its work
        for (size_t i = first[sy_device_caps(t.devices[d])->backend]; i < SY_COUNT(rows); ++i)
            check_row(&t, t.devices[d], &rows[i]);
    return tiny_close(&t);
}
