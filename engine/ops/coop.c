// SPDX-License-Identifier: Apache-2.0
// coop.c: the blocks that the products on matrix cores (coop.glsl) use on a device, and whether it can take them.
#include "engine/ops/coop.h"

/// What coop.glsl's constants say, and what follows from them.
struct block {
    struct sy_coop_shape shape;
    uint32_t parts_down, parts_across; ///< Cooperative matrices of one sub-group.
    uint32_t grid_down, grid_across;   ///< Sub-groups of one work-group.
    uint32_t depth, stages;            ///< Values of k in a slab; slabs in shared memory.
    uint32_t rows, cols, wg, shared_bytes;
};

static uint32_t max(uint32_t a, uint32_t b) { return a > b ? a : b; }

/// Bytes of a factor's slab, `lines` by `depth`, however it is stored.
static uint32_t slab_bytes(uint32_t lines, uint32_t depth)
{
    return 16 * max(lines * (depth / 8 + 1), depth * (lines / 8 + 1));
}

uint32_t sy_coop_lanes(const struct sy_caps *caps)
{
    return caps->subgroup_min <= 32 && caps->subgroup_max >= 32 ? 32 : caps->subgroup_max;
}

static struct block block_of(const struct sy_caps *caps, const struct sy_coop_shape *shape)
{
    static const uint32_t nvidia[] = {4, 4, 2, 2, 64, 1}; // the best of ten on an H200; RADV spills registers in it
    static const uint32_t gpu[] = {4, 4, 2, 2, 32, 2};
    static const uint32_t software[] = {2, 2, 2, 2, 16, 2}; // all of it is unrolled, which takes a CPU's compiler long
    const uint32_t *n = caps->coop_block[0] != 0                               ? caps->coop_block
                        : caps->software                                       ? software
                        : caps->subgroup_min == 32 && caps->subgroup_max == 32 ? nvidia
                                                                               : gpu;
    struct block b = {.shape = *shape,
                      .parts_down = n[0],
                      .parts_across = n[1],
                      .grid_down = n[2],
                      .grid_across = n[3],
                      .depth = n[4],
                      .stages = n[5]};
    b.rows = shape->m * b.parts_down * b.grid_down;
    b.cols = shape->n * b.parts_across * b.grid_across;
    b.wg = b.grid_down * b.grid_across * sy_coop_lanes(caps);
    b.shared_bytes = b.stages * (slab_bytes(b.rows, b.depth) + slab_bytes(b.cols, b.depth)) +
                     4 * b.grid_down * b.grid_across * shape->m * shape->n;
    return b;
}

static const char *missing(const struct sy_caps *caps, const struct sy_coop_shape *shape, enum sy_op_types types)
{
    if (types != SY_TYPES_B && types != SY_TYPES_M)
        return "needs bf16 factors";
    const struct block b = block_of(caps, shape);
    if (caps->subgroup_max == 0 || b.wg > caps->max_wg || b.shared_bytes > caps->shared_bytes)
        return "needs larger work-groups or more local memory";
    const uint32_t pieces_a = b.rows * b.depth / 8, pieces_b = b.cols * b.depth / 8;
    if (b.depth % shape->k != 0 || pieces_a % b.wg != 0 || pieces_b % b.wg != 0)
        return "needs a shape of cooperative matrices that fits its blocks";
    return NULL;
}

const char *sy_requires_coop(const struct sy_caps *caps, enum sy_op_types types)
{
    if (caps->coop_bf16.m == 0)
        return "needs cooperative matrices of bf16 with sums in f32";
    return missing(caps, &caps->coop_bf16, types);
}

const char *sy_requires_coop_f16(const struct sy_caps *caps, enum sy_op_types types)
{
    if (caps->coop_f16.m == 0)
        return "is for tests (SY_VULKAN_COOP_F16)";
    return missing(caps, &caps->coop_f16, types);
}

static void tune(const struct sy_caps *caps, const struct sy_coop_shape *shape, struct sy_knobs *knobs)
{
    const struct block b = block_of(caps, shape);
    knobs->wg = b.wg;
    knobs->rows = b.rows;
    knobs->cols = b.cols;
}

static void special(const struct sy_caps *caps, const struct sy_coop_shape *shape, struct sy_kernel_params *out)
{
    const struct block b = block_of(caps, shape);
    const uint32_t constants[] = {b.shape.m,   b.shape.n,     b.shape.k, b.parts_down, b.parts_across,
                                  b.grid_down, b.grid_across, b.depth,   b.stages};
    memcpy(out->constants, constants, sizeof constants);
    out->constant_count = SY_COUNT(constants);
    out->subgroup = sy_coop_lanes(caps);
}

void sy_coop_tune_bf16(const struct sy_caps *caps, struct sy_knobs *knobs) { tune(caps, &caps->coop_bf16, knobs); }

void sy_coop_tune_f16(const struct sy_caps *caps, struct sy_knobs *knobs) { tune(caps, &caps->coop_f16, knobs); }

void sy_coop_special_bf16(const struct sy_caps *caps, struct sy_kernel_params *out)
{
    special(caps, &caps->coop_bf16, out);
}

void sy_coop_special_f16(const struct sy_caps *caps, struct sy_kernel_params *out)
{
    special(caps, &caps->coop_f16, out);
}
