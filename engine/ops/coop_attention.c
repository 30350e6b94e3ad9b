// SPDX-License-Identifier: Apache-2.0
// coop_attention.c: the blocks that the attention ops on matrix cores (coop_attention.glsl) use on a device, and
// whether it can take them.
#include "engine/ops/coop_attention.h"

#include "engine/ops/attention.h"
#include "engine/ops/coop.h"

const struct sy_attention_args sy_coop_attention_proof = {.batch = 1,
                                                          .heads = 1,
                                                          .tq = 70,
                                                          .tk = 75,
                                                          .dim = 64,
                                                          .q_stride = 64,
                                                          .kv_stride = 128,
                                                          .v_offset = 64,
                                                          .threshold = 0x20000000u,
                                                          .scale = 8.0f / 7.0f,
                                                          .stream = 1};

/// What coop_attention.glsl's constants say, and what follows from them.
struct block {
    uint32_t side, subs, walk; ///< Lines of a sub-group, sub-groups, lines of the other side in a block.
    uint32_t wg, rows, shared_bytes;
};

static uint32_t max(uint32_t a, uint32_t b) { return a > b ? a : b; }

static struct block block_of(const struct sy_caps *caps, const struct sy_coop_shape *shape)
{
    const uint32_t least = max(shape->m, shape->n);
    struct block b = {.side = caps->software ? least : max(least, 16),
                      .subs = caps->software ? 2 : 4,
                      .walk = caps->software ? max(max(least, shape->k), 16) : max(max(least, shape->k), 32)};
    if (caps->coop_attention[0] != 0)
        b.side = caps->coop_attention[0], b.subs = caps->coop_attention[1], b.walk = caps->coop_attention[2];
    b.wg = b.subs * sy_coop_lanes(caps);
    b.rows = b.side * b.subs;
    // Of the op that needs the most, in pieces of 16 bytes; all have two slabs of lines.
    const uint32_t line = SY_COOP_HEAD / 8 + 1, lines = b.rows * line;
    const uint32_t scores = max(lines, b.rows * (b.walk / 4 + 1)), by_keys = b.subs * b.walk * (b.side / 4 + 1);
    const uint32_t forward = scores + b.rows * (b.walk / 8 + 1) + b.walk / 4 + b.rows * b.walk / 32;
    const uint32_t dq = 2 * scores + b.walk / 4 + b.rows / 2;
    const uint32_t dkv = 2 * max(lines, by_keys) + b.rows / 4 + b.walk / 2;
    b.shared_bytes = 16 * (2 * b.walk * line + max(forward, max(dq, dkv)));
    return b;
}

/// Whether `n` lines are a power of two of them and whole matrices, however these lie.
static bool fills(uint32_t n, uint32_t down, uint32_t across)
{
    return (n & (n - 1)) == 0 && n % down == 0 && n % across == 0;
}

static const char *missing(const struct sy_caps *caps, const struct sy_coop_shape *shape, enum sy_op_types types)
{
    if (types != SY_TYPES_B)
        return "needs bf16 factors";
    const struct block b = block_of(caps, shape);
    if (caps->subgroup_max == 0 || b.wg > caps->max_wg || b.shared_bytes > caps->shared_bytes)
        return "needs larger work-groups or more local memory";
    const uint32_t pieces = SY_COOP_HEAD / 8;
    if (!fills(b.side, shape->m, shape->n) || !fills(b.walk, shape->m, shape->n) || !fills(b.subs, 1, 1) ||
        b.walk % shape->k != 0 || b.walk < SY_REL_BLOCK || b.rows % SY_REL_BLOCK != 0)
        return "needs blocks that its cooperative matrices fill";
    if (b.walk * pieces % b.wg != 0 || b.rows * pieces % b.wg != 0)
        return "needs a shape of cooperative matrices that fits its blocks";
    return NULL;
}

const char *sy_requires_coop_attention(const struct sy_caps *caps, enum sy_op_types types)
{
    if (caps->coop_bf16.m == 0)
        return "needs cooperative matrices of bf16 with sums in f32";
    if (!caps->software && caps->coop_attention[0] == 0) // no GPU has run it; lavapipe's validation names a doubt
        return "needs SY_COOP_ATTENTION until a GPU has run it";
    return missing(caps, &caps->coop_bf16, types);
}

const char *sy_requires_coop_attention_f16(const struct sy_caps *caps, enum sy_op_types types)
{
    if (caps->coop_f16.m == 0)
        return "is for tests (SY_VULKAN_COOP_F16)";
    return missing(caps, &caps->coop_f16, types);
}

bool sy_coop_attention_suits(const void *args) { return ((const struct sy_attention_args *)args)->dim <= SY_COOP_HEAD; }

uint64_t sy_coop_attention_query_groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_attention_args *p = args;
    return (uint64_t)p->batch * p->heads * sy_ceil_div(p->tq, knobs->rows);
}

uint64_t sy_coop_attention_key_groups(const void *args, const struct sy_knobs *knobs)
{
    const struct sy_attention_args *p = args;
    return (uint64_t)p->batch * p->heads * sy_ceil_div(p->tk, knobs->rows);
}

static void tune(const struct sy_caps *caps, const struct sy_coop_shape *shape, struct sy_knobs *knobs)
{
    const struct block b = block_of(caps, shape);
    knobs->wg = b.wg;
    knobs->rows = b.rows;
}

static void special(const struct sy_caps *caps, const struct sy_coop_shape *shape, struct sy_kernel_params *out)
{
    const struct block b = block_of(caps, shape);
    // Sub-groups of GPUs have more items than lines; so that tests of those on CPUs see lines shared, too: 2.
    const uint32_t constants[] = {shape->m, shape->n, shape->k, b.side, b.subs, b.walk, caps->software ? 2 : 1};
    memcpy(out->constants, constants, sizeof constants);
    out->constant_count = SY_COUNT(constants);
    out->subgroup = sy_coop_lanes(caps);
}

void sy_coop_attention_tune_bf16(const struct sy_caps *caps, struct sy_knobs *knobs)
{
    tune(caps, &caps->coop_bf16, knobs);
}

void sy_coop_attention_tune_f16(const struct sy_caps *caps, struct sy_knobs *knobs)
{
    tune(caps, &caps->coop_f16, knobs);
}

void sy_coop_attention_special_bf16(const struct sy_caps *caps, struct sy_kernel_params *out)
{
    special(caps, &caps->coop_bf16, out);
}

void sy_coop_attention_special_f16(const struct sy_caps *caps, struct sy_kernel_params *out)
{
    special(caps, &caps->coop_f16, out);
}
