// SPDX-License-Identifier: Apache-2.0
// bench.h: what the rooms of switchyard-bench share: options, figures, and rivals that are timed in turns.
#pragma once

#include "apps/ranks.h"
#include "engine/lower.h"

struct bench_options {
    struct cli_common common;
    const char *what, *variant, *op, *args, *dtype, *rival;
    uint64_t size, repeat, batch, src_len, tgt_len, experts, rows, d_model, d_ff, heads, d_kv, vocab,
        beams;     ///< 0: not given.
    double budget; ///< Seconds.
    bool json, cpu_time, show, forget;
    struct ranks_options ranks;
};

/// One thing measured, done in one way.
struct bench_figure {
    char what[96];                        ///< "matmul 1024×1024×1024 bf16"
    char by[160];                         ///< Name of the variants that did it, or of a rival.
    bool rival;                           ///< Not ours.
    bool memory;                          ///< Bound by memory: its rate is that of bytes, else that of operations.
    unsigned checked;                     ///< Elements that were compared with a sum of the host's; 0: none.
    bool json_only;                       ///< Printed in another form.
    unsigned count;                       ///< Dispatches, where it is of several; else 0.
    double seconds, flops, bytes, tokens; ///< What is 0 is not told.
    double ratio;                         ///< Seconds of what it is compared with over ours; 0: with nothing …
    char to[32];                          ///< … "one dense product".
};

struct bench {
    struct sy_ctx *ctx;
    struct sy_device *device;
    const struct sy_caps *caps;
    const struct bench_options *o;
    clockid_t clock; ///< Of all times but the devices' own.
    struct bench_figure *figures;
    size_t figure_count;
};

// ---- bench_figure.c ------------------------------------------------------------------------------------------------

/// Errors: NOMEM.
SY_MUST_CHECK enum sy_status bench_tell(struct bench *b, const struct bench_figure *figure);
/// Prints all that was told, with each figure's share of the best rate among them: lines, or JSON.
SY_MUST_CHECK enum sy_status bench_print(const struct bench *b);
/// Sorts `values`.
double bench_median(double *values, size_t n);
double bench_least(const double *values, size_t n);

// ---- bench_contest.c -----------------------------------------------------------------------------------------------

/// One of several that are timed in turns: a graph of ours, or a rival.
struct bench_entrant {
    struct bench_figure figure; ///< All but its seconds.
    struct sy_graph *graph;
    struct sy_runtime *runtime;
    uint32_t copies;           ///< How often the graph does the work.
    enum sy_phase phase;       ///< Of the work; ENCODE stands for MICRO.
    double (*rival)(void *of); ///< Instead of a graph: seconds of one go; 0: it is not there.
    void *of;
    double *times;
};

/// How often a graph should do work of that size: on a GPU often enough that starting and waiting do not count.
uint32_t bench_copies(const struct bench *b, double flops, double bytes);
/// The op's variant of that name (NULL: the one the device runs). Errors: INVALID there is none of that name, or the
/// device cannot run it (says what it lacks).
SY_MUST_CHECK enum sy_status bench_variant(const struct bench *b, enum sy_op_id op, enum sy_op_types types,
                                           const char *name, const struct sy_variant **out);
/// Those the device can run and SY_NO_VARIANT leaves, or the one named. Errors: those of bench_variant().
SY_MUST_CHECK enum sy_status bench_variants(const struct bench *b, enum sy_op_id op, enum sy_op_types types,
                                            const char *name, const struct sy_variant *list[SY_VARIANT_COUNT],
                                            size_t *count);
/// What was given, or else a default.
static inline uint32_t bench_given(uint64_t given, uint32_t otherwise)
{
    return given != 0 ? (uint32_t)given : otherwise;
}
/// An empty graph for the entrant. Its tensors are kept ones (bench_tensor).
SY_MUST_CHECK enum sy_status bench_entrant_graph(const struct bench *b, struct bench_entrant *e);
static inline sy_tid bench_tensor(struct bench_entrant *e, enum sy_dtype dtype, uint64_t rows, uint64_t cols,
                                  const char *name)
{
    return sy_tensor_new(e->graph, SY_KIND_KEEP, dtype, rows, cols, 1, name);
}
/// Makes the entrant's graph ready to run: lowered, compiled, its float inputs random in [−1, 1), and warm.
SY_MUST_CHECK enum sy_status bench_entrant_open(const struct bench *b, struct bench_entrant *e);
/// Fills `by`, `flops` and `bytes` of an open entrant's figure from the nodes of its phase: of one copy.
void bench_entrant_describe(struct bench_entrant *e);
/// The same as bench_entrant_open(), and `by` is the variant that runs `op`: another than was chosen where that one
/// does not compile.
SY_MUST_CHECK enum sy_status bench_entrant_open_op(const struct bench *b, struct bench_entrant *e, enum sy_op_id op);
/// Times all in turns, so that noise hits all, and tells the figures: medians of o->repeat. Ratios are to `list[0]`'s
/// seconds where `to` says what that is. A rival that is not there is told of nothing.
SY_MUST_CHECK enum sy_status bench_contest(struct bench *b, struct bench_entrant *list, size_t count, const char *to);
void bench_entrant_close(struct bench_entrant *e);
/// A copy through the copy op that is large enough to say what the device's memory gives.
SY_MUST_CHECK enum sy_status bench_copy_entrant(const struct bench *b, struct bench_entrant *e);
/// Its elements.
uint64_t bench_copy_elements(const struct bench *b, enum sy_op_types types);

// ---- the subcommands -----------------------------------------------------------------------------------------------

typedef enum sy_status bench_fn(struct bench *b);
bench_fn bench_matmul, bench_grouped;                   ///< bench_matmul.c
bench_fn bench_op, bench_copy;                          ///< bench_op.c
bench_fn bench_bandwidth;                               ///< bench_bandwidth.c
bench_fn bench_transfer;                                ///< bench_transfer.c
bench_fn bench_expert_ffn, bench_attention, bench_xent; ///< bench_chain.c
bench_fn bench_step;                                    ///< bench_step.c
bench_fn bench_rates;                                   ///< bench_rates.c
bench_fn bench_decode;                                  ///< bench_decode.c
bench_fn bench_tune;                                    ///< bench_tune.c

/// Element types of products: of --dtype, else of --precision.
enum sy_op_types bench_types(const struct bench *b);
static inline const char *bench_types_name(enum sy_op_types types)
{
    return types == SY_TYPES_F ? "f32" : types == SY_TYPES_M ? "bf16 to f32" : "bf16";
}
/// An entrant that is one dense product c [m,n] = a [m,k] · b [n,k]ᵀ, in random numbers.
SY_MUST_CHECK enum sy_status bench_product(const struct bench *b, enum sy_op_types types, uint32_t m, uint32_t n,
                                           uint32_t k, const struct sy_variant *variant, struct bench_entrant *e);
/// bench_step.c: tells where the time of a phase goes, op by op. The session has run. Errors: those of profiling.
SY_MUST_CHECK enum sy_status bench_profile(struct bench *b, struct sy_session *s, enum sy_phase phase,
                                           const char *name);
/// bench_step.c: a batch of made-up tokens of the session's shape. Errors: NOMEM.
SY_MUST_CHECK enum sy_status bench_batch(struct sy_ctx *ctx, const struct sy_session_params *p, uint32_t vocab,
                                         struct sy_batch *b);

/// bench_step.c: precision, batch and lengths of a step, as given or by default.
void bench_shape(const struct bench *b, struct sy_session_params *p);

/// A session that trains on made-up tokens.
struct bench_training {
    struct sy_bundle model;
    struct sy_session_params params;
    struct sy_session *session;
    struct sy_batch batch;
    struct sy_metrics metrics; ///< Of the last step.
    double *times;             ///< [o->repeat] seconds of a step.
};

/// bench_step.c: zeroed before; must be closed in any case. Errors: those of models and sessions.
SY_MUST_CHECK enum sy_status bench_training_open(const struct bench *b, struct bench_training *t);
void bench_training_close(struct bench_training *t);
/// Fills `times`, after a step that compiles and warms up.
SY_MUST_CHECK enum sy_status bench_time_steps(const struct bench *b, struct bench_training *t);

/// What the dispatches of one variant took.
struct bench_op_time {
    const struct sy_variant *variant;
    double ms, flops, bytes;
    unsigned count;
};

/// Adds each dispatch's time to its variant; gives their sum, ms. Nodes without work-groups were not recorded.
double bench_add_up(const struct sy_session *s, enum sy_phase phase, const uint64_t *ns,
                    struct bench_op_time ops[SY_VARIANT_COUNT]);

/// Seconds to copy a byte to the device and to copy one back, together. Errors: DEVICE · NOMEM.
SY_MUST_CHECK enum sy_status bench_link(const struct bench *b, double *out);
/// Bytes of memory that this process has had at most (bench_rates.c).
double bench_resident(void);
/// bench_ranks.c: joins the run that mpirun started, and opens the rank's device.
SY_MUST_CHECK enum sy_status bench_ranks(struct bench *b);
/// bench_network.c: joins it, and has no device.
SY_MUST_CHECK enum sy_status bench_network(struct bench *b);
