// SPDX-License-Identifier: Apache-2.0
// clip.h: the body of clip, in OpenCL C and GLSL alike.
const uint lid = LOCAL_ID;
uint run = 1u;
while (run * SY_TREE_SLOTS < p.n)
    run *= 2u;
for (uint slot = lid; slot < SY_TREE_SLOTS; slot += WG) {
    float level[SY_TREE_LEVELS], x = 0.0f; // one partial sum for each level of the tree over this slot's run
    UNROLL for (uint k = 0u; k < SY_TREE_LEVELS; ++k)
        level[k] = 0.0f;
    for (uint i = 0u; i < run; ++i) {
        const uint at = slot * run + i;
        bool carries = true;
        x = at < p.n ? sums[at] : 0.0f;
        UNROLL for (uint k = 0u; k < SY_TREE_LEVELS; ++k) { // every index a constant, so that levels are registers
            const bool full = (i >> k & 1u) != 0u;
            x = carries && full ? level[k] + x : x;
            level[k] = carries && !full ? x : level[k];
            carries = carries && full;
        }
    }
    slots[slot] = x;
}
BARRIER();
for (uint step = 1u; step < SY_TREE_SLOTS; step *= 2u) {
    for (uint i = lid * 2u * step; i < SY_TREE_SLOTS; i += WG * 2u * step)
        slots[i] += slots[i + step];
    BARRIER();
}
if (lid == 0u) {
    const float norm = sqrt(slots[0]);
    gs[0] = p.max_norm > 0.0f && norm > p.max_norm ? p.max_norm / norm : 1.0f;
    gs[1] = norm;
}
