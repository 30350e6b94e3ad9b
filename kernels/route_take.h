// SPDX-License-Identifier: Apache-2.0
// route_take.h: the body of route_take, in OpenCL C and GLSL alike.
// A key rises with p, which is never negative; 0 for padding.
#define KEY_OF(row) (mask[row] != 0 ? FLOAT_BITS(prob[e + p.experts * (row)]) + 1u : 0u)
const uint lid = LOCAL_ID, g = GROUP_ID / p.experts, e = GROUP_ID % p.experts;
const uint first = g * p.group, end = first + min(p.group, p.rows - first);
float own = 0.0f;
for (uint row = first + lid; row < end; row += WG)
    own += mask[row] != 0 ? 1.0f : 0.0f;
SUM_OF_GROUP(own, tokens);
const uint take = min(p.capacity, UINT(tokens));
uint least = 0u; // the largest key that `take` rows reach
for (uint bit = 0x40000000u; bit != 0u; bit /= 2u) {
    float reach = 0.0f;
    for (uint row = first + lid; row < end; row += WG)
        reach += KEY_OF(row) >= (least | bit) ? 1.0f : 0.0f;
    SUM_OF_GROUP(reach, all);
    if (UINT(all) >= take)
        least |= bit;
}
for (uint row = first + lid; row < end; row += WG) {
    const uint key = KEY_OF(row);
    uint rank = take;
    if (key >= least && take != 0u) {
        rank = 0u;
        for (uint other = first; other < end; ++other) {
            const uint theirs = KEY_OF(other);
            rank += theirs > key || (theirs == key && other < row) ? 1u : 0u;
        }
    }
    expert[row * p.experts + e] = rank < take ? INT(e) : -1;
    pos[row * p.experts + e] = rank < take ? INT(rank) : -1;
}
if (lid == 0u) {
    load[g * p.experts + e] = INT(take);
    kept[g * p.experts + e] = INT(take);
}
