// SPDX-License-Identifier: Apache-2.0
// graph.h: a step of training (or evaluation, or decoding) as a list of ops on shaped tensors.
//
// Built once from a config by the layer functions (engine/layers/), extended by backward.c and optimizer.c, rewritten
// by lower.c for a device class, planned by plan.c and replayed by runtime.c. Nodes are kept in execution order.
//
// Every op call is one node and one dispatch. Tensors are identified by an index (sy_tid); index 0 is a 64-byte dummy
// that stands for "not used". Building never fails midway: the first error sticks in `status` and is returned by
// sy_graph_status(), so that layer code stays readable.
//
// Ownership: the graph owns tensors, nodes and names. Threads: one.   Layer: engine.
#pragma once

#include "engine/layout.h"
#include "engine/variant.h"

struct sy_graph;

typedef uint32_t sy_tid;
#define SY_NONE ((sy_tid)0)

enum sy_precision {
    SY_PRECISION_F32,
    SY_PRECISION_BF16,      ///< Everything, router too (Table 2: known to diverge).
    SY_PRECISION_SELECTIVE, ///< Storage bf16, sums f32, router f32. The default.
    SY_PRECISION_F64,       ///< `ref` only, for gradient checks.
};
const char *sy_precision_name(enum sy_precision precision); ///< "f32", "bf16", "selective", "f64"

enum sy_tensor_kind {
    SY_KIND_ACTIVATION, ///< Lives from its first writer to its last reader; memory is reused.
    SY_KIND_KEEP,       ///< Lives always: read by the host, or carried between phases.
    SY_KIND_INPUT,      ///< Written by the host before a replay.
    SY_KIND_CONST,      ///< Written once from `data`.
    SY_KIND_PARAM,      ///< Master weight (f32).
    SY_KIND_WEIGHT,     ///< The copy of a parameter that kernels read when activations are bf16.
    SY_KIND_PREPARED,   ///< What a variant wants made of a parameter: panels (lower.c).
    SY_KIND_GRAD,
    SY_KIND_STATE, ///< Optimizer state.
    SY_KIND_COUNT
};

struct sy_tensor {
    char name[112];
    enum sy_tensor_kind kind;
    enum sy_dtype dtype;
    uint64_t shape[3]; ///< Unused trailing dimensions are 1.
    uint64_t count;    ///< Elements.
    const void *data;  ///< SY_KIND_CONST: owned copy of the contents.
    sy_tid parent;     ///< A view is a part of another tensor (SY_NONE: not a view) …
    uint64_t at;       ///< … from this element of it on. Of a piece: its first column.
    sy_tid pieces;     ///< Too large for one binding: the first of the pieces that hold it (pieces.h), else SY_NONE …
    uint64_t planes;   ///< … it is [planes, columns]; its pieces are too.
    sy_tid whole, next; ///< Of a piece: what it is a piece of, and the piece after it.
    // Written by plan.c:
    uint32_t block;      ///< Which memory block.
    uint64_t offset;     ///< Bytes into the block.
    int32_t first, last; ///< Node positions of the first writer and last user; −1 when unused.
};

/// When a node runs: one device program per phase. Phases beyond these are the merges of slices.h.
enum sy_phase {
    SY_PHASE_ENCODE,  ///< Decoding only: the encoder and the cross-attention keys and values.
    SY_PHASE_MICRO,   ///< Forward (and backward) of one micro-batch; decoding: one token.
    SY_PHASE_UPDATE,  ///< Once a step: norm, clip, optimizer.
    SY_PHASE_REFRESH, ///< Masters → bf16 weights, and what is prepared of both; after loading and after each update.
    SY_PHASE_MERGE    ///< The first merge, where there are any.
};

#define SY_NODE_AUX 6

struct sy_node {
    enum sy_op_id op;
    enum sy_op_types types;
    const struct sy_variant *variant; ///< Which kernel runs it: chosen by lower.c, unless it was set before.
    uint8_t choice;                   ///< How that is launched (variant.h), by tune.c when a runtime is made.
    uint32_t phase;                   ///< enum sy_phase, or a merge.
    uint32_t args[SY_MAX_ARGS_BYTES / 4];
    sy_tid bind[SY_MAX_BINDINGS];
    /// Tensors the gradient rule needs and the kernel does not (see rules.c).
    sy_tid aux[SY_NODE_AUX];
    uint32_t aux_args[SY_MAX_ARGS_BYTES / 4];
    uint8_t part;    ///< Not 0: one of several nodes that do one's work; the gradient rule is that of part 1, for all.
    bool backward;   ///< Emitted by backward.c.
    bool split;      ///< Each rank of the model axis does a share: its input's gradient is the sum of theirs (split.h).
    bool prepares;   ///< Put before another node by lower.c: binding 0 → binding 1.
    int32_t segment; ///< Recomputation unit (one block of a stack), or −1.
    char label[80];
};

/// Properties of a parameter, for sy_param_new().
enum sy_param_flags {
    SY_PARAM_EXPERT = 1, ///< Lives with an expert (partitioned over the expert axis).
    SY_PARAM_WIDE = 2,   ///< Kernels read f32 (the router): the master itself, but in SY_PRECISION_BF16 a rounded copy.
    SY_PARAM_PAIRS = 4,  ///< An expert has two matrices, which stay together (a gated wi).
    SY_PARAM_SPLIT_ROWS = 8,  ///< The ranks of the model axis each have a run of its rows …
    SY_PARAM_SPLIT_COLS = 16, ///< … or of its columns (split.h).
};

/// What an optimizer keeps of a parameter.
enum sy_state {
    SY_STATE_R,   ///< Adafactor, factored: averages of squares over each row …
    SY_STATE_COL, ///< … and column.
    SY_STATE_V,   ///< Average of each gradient's square.
    SY_STATE_M,   ///< AdamW: average of each gradient.
};

/// How a parameter starts.
enum sy_init { SY_INIT_NORMAL, SY_INIT_TRUNCATED, SY_INIT_ONES };

/// Parameters of one kind, one after the other in a few large tensors, so that one dispatch can work on all of them.
/// Each starts at a multiple of SY_PACK_ALIGN elements; the same place in every tensor of the pack. A pack is no larger
/// than the device binds at once; a single parameter that is has a pack of its own, whose tensors are in pieces: they
/// are the parameter's, without views.
struct sy_pack {
    uint32_t flags;              ///< Of its parameters: 0 or SY_PARAM_EXPERT; SY_PACK_SUMS.
    uint64_t count;              ///< Elements.
    uint64_t each;               ///< In pieces: elements of one. 0: it is not.
    uint32_t sources;            ///< Ranks whose rows its gradients are sums of.
    uint32_t kept;               ///< Of these, how many have sums of their own to the end of the step: 1, or …
    sy_tid apart[SY_MAX_BLOCKS]; ///< … all of them, and the step's sums of them here, by block (turns.h).
    uint64_t *shards;            ///< [ranks + 1]: where the run of each rank begins (shard.h); owned.
    sy_tid master;               ///< Views: the parameters' masters …
    sy_tid weight;               ///< … and bf16 weights (SY_NONE where kernels read the masters).
    sy_tid part;                 ///< Small sums of each slice of a micro-batch, where there are several …
    sy_tid micro;                ///< … and sums of one micro-batch, where a step has several.
    /// Partial sums of the tree over micro-batches; the last one in use is the step's sum. From SY_LEVEL_BLOCKS on:
    /// those of a rank's blocks, where they are several; the sum of all ranks' is in the first.
    sy_tid levels[32 + SY_MAX_BLOCKS];
};

enum { SY_LEVEL_BLOCKS = 32 };
#define SY_PACK_ALIGN 256u
enum { SY_PACK_SUMS = 1 << 8 }; ///< Holds sums that are no gradients: losses, counts.

/// Where the tokens of one slice are added up, and where the step's sum of all slices ends up (slices.h).
struct sy_sum {
    sy_tid part;  ///< What ops write: [sources, slices of a micro-batch, n].
    sy_tid micro; ///< Of a micro-batch: [kept, n]; the same as part where there is nothing to add up.
    sy_tid last;  ///< After the merges: [kept, n]; the same as micro in a step of one micro-batch.
    sy_tid total; ///< Of the step: [n]; the same as last where one is kept.
    uint32_t pack;
    uint64_t at, count;
};

/// One trainable tensor: `parts` matrices [rows, cols] of one shape, stored one after the other (experts; q, k and v;
/// the two halves of a gated wi). Each part has its own name on disk.
struct sy_param {
    sy_tid master, weight;
    struct sy_sum grad; ///< Zeros (SY_NONE) before its first contribution.
    uint32_t pack;
    uint64_t at;                ///< Elements into the pack.
    uint32_t parts, rows, cols; ///< Of a matrix that is split: this rank's rows and columns.
    char (*names)[112];         ///< [parts], Hugging Face names.
    bool vector;                ///< Stored on disk as [cols] (norm weights).
    enum sy_init init;
    float sigma;
    uint32_t flags;      ///< enum sy_param_flags
    int32_t grad_writes; ///< Contributions emitted so far.
    sy_tid state[2];     ///< Optimizer state: Adafactor {r, col} or {v}; AdamW {m, v}. Views into a pack's.
    enum sy_state state_kinds[2];
    uint32_t state_count;
};

/// An empty graph for a device with `caps`: its class and what one binding holds count. `*out` is malloc'ed.
/// Errors: NOMEM.
SY_MUST_CHECK enum sy_status sy_graph_create(struct sy_ctx *ctx, enum sy_precision precision,
                                             const struct sy_caps *caps, struct sy_graph **out);
void sy_graph_destroy(struct sy_graph **graph);
/// The first error of building. Errors: NOMEM · INVALID (an op given the wrong tensors; names the op).
SY_MUST_CHECK enum sy_status sy_graph_status(const struct sy_graph *g);

/// Makes "out of host memory" the graph's error, unless it has one.
void sy_graph_no_memory(struct sy_graph *g);

size_t sy_graph_tensor_count(const struct sy_graph *g);
struct sy_tensor *sy_graph_tensor(const struct sy_graph *g, sy_tid t);
/// Nodes, in the order in which they run.
size_t sy_graph_node_count(const struct sy_graph *g);
const struct sy_node *sy_graph_node(const struct sy_graph *g, size_t i);
/// Parameters, in the order in which they were declared.
size_t sy_graph_param_count(const struct sy_graph *g);
const struct sy_param *sy_graph_param_at(const struct sy_graph *g, size_t i);
size_t sy_graph_pack_count(const struct sy_graph *g);
const struct sy_pack *sy_graph_pack(const struct sy_graph *g, size_t i);
/// Storage of activations.
enum sy_dtype sy_graph_storage(const struct sy_graph *g);
/// Rows of a ragged matmul tile on the graph's device class.
uint32_t sy_graph_tile_rows(const struct sy_graph *g);
/// The input that holds a struct sy_step.
sy_tid sy_graph_step_constants(const struct sy_graph *g);
/// Slices of one micro-batch, and micro-batches of a step (slices.h).
uint32_t sy_graph_slices(const struct sy_graph *g);
uint32_t sy_graph_micro_count(const struct sy_graph *g);
/// Bytes of its elements; a plan may give it more room (plan.h).
static inline uint64_t sy_tensor_bytes(const struct sy_tensor *x) { return x->count * sy_dtype_bytes(x->dtype); }

/// New tensors. `name` is copied, cut to 111 bytes; when it starts with '.', the scope is put before it. Two
/// tensors may have the same name: it is for people.
sy_tid sy_tensor_new(struct sy_graph *g, enum sy_tensor_kind kind, enum sy_dtype dtype, uint64_t d0, uint64_t d1,
                     uint64_t d2, const char *name);
/// A part of `parent`: d0·d1·d2 of its elements from `at` on (a multiple of SY_PACK_ALIGN, so that devices can bind
/// it).
sy_tid sy_tensor_view(struct sy_graph *g, sy_tid parent, uint64_t at, uint64_t d0, uint64_t d1, uint64_t d2,
                      const char *name);
/// A host-initialised constant; `data` is copied.
sy_tid sy_tensor_const(struct sy_graph *g, enum sy_dtype dtype, uint64_t count, const void *data, const char *name);
/// Activations of type t / f32 / i32.
sy_tid sy_act_t(struct sy_graph *g, uint64_t rows, uint64_t cols, const char *name);
sy_tid sy_act_f(struct sy_graph *g, uint64_t rows, uint64_t cols, const char *name);
sy_tid sy_act_i(struct sy_graph *g, uint64_t rows, uint64_t cols, const char *name);
/// Makes an activation live for ever, so that the host can read it.
void sy_keep(struct sy_graph *g, sy_tid t);

/// Appends one op. `bind` holds info->binding_count tensors in registry order. Checks types and sizes against the op's
/// elements() rule. Returns the node (valid until the next emit), never NULL.
struct sy_node *sy_emit(struct sy_graph *g, enum sy_op_id op, const void *args, const sy_tid *bind);
#define SY_EMIT(g, op, args, ...) sy_emit(g, SY_OP_##op, args, (const sy_tid[]){__VA_ARGS__})

/// Declares a parameter and returns the tensor kernels read (the master itself when t is f32).
/// `names` is copied: parts × 112 bytes.
sy_tid sy_param_new(struct sy_graph *g, uint32_t parts, uint32_t rows, uint32_t cols, const char (*names)[112],
                    enum sy_init init, float sigma, uint32_t flags);
/// The parameter whose weight is `weight`, or NULL.
struct sy_param *sy_graph_param(const struct sy_graph *g, sy_tid weight);
/// The copy that `before` makes of a parameter's weight, or of a piece of it, and that lasts (lower.h); SY_NONE where
/// there is none.
sy_tid sy_graph_prepared(const struct sy_graph *g, sy_tid weight, const struct sy_before *before);
/// Bytes of all that is prepared of a parameter's weight, and of its pieces.
uint64_t sy_graph_prepared_bytes(const struct sy_graph *g, sy_tid weight);
/// Where one more contribution to its gradient goes, [slices, parts, rows, cols]; sets `*first` when this is the first.
sy_tid sy_param_grad(struct sy_graph *g, sy_tid weight, bool *first);

/// Slices of a micro-batch that a parameter's gradient is made in: an expert's rows come from several ranks.
uint32_t sy_param_slices(const struct sy_graph *g, sy_tid weight);
/// Notes the name of a matrix that another place of the expert axis holds.
void sy_graph_foreign(struct sy_graph *g, const char *name, uint32_t place);

/// A new, empty pack (0 and an error in `status` when out of memory), and room for `count` more elements in one: their
/// place.
uint32_t sy_pack_new(struct sy_graph *g, uint32_t flags);
uint64_t sy_pack_reserve(struct sy_pack *pack, uint64_t count);
/// A parameter's place in a tensor of its pack, which grows to the pack's size: a view, or the tensor itself where it
/// is in pieces.
sy_tid sy_pack_tensor(struct sy_graph *g, uint32_t pack, sy_tid whole, uint64_t at, uint64_t d0, uint64_t d1,
                      uint64_t d2, const char *name);

/// Emits the casts master → weight (phase REFRESH); nothing in a graph that borrows.
void sy_graph_refresh(struct sy_graph *g);
