// SPDX-License-Identifier: Apache-2.0
// route_gate.h: the body of route_gate, in OpenCL C and GLSL alike.
#define CHOSEN(e) ((e) >= 0 ? prob[row * p.experts + UINT(max(e, 0))] : 0.0f)
const uint lid = LOCAL_ID, first = GROUP_ID * SY_CHUNK(WG), count = min(SY_CHUNK(WG), gates - first);
for (uint i = first + lid; i < first + count; i += WG) {
    const uint row = i / p.k;
    const int e = expert[i];
    float g = CHOSEN(e);
    if (p.kind == 1u && e >= 0) {
        float sum = 0.0f;
        for (uint r = 0u; r < p.k; ++r) {
            const int other = expert[row * p.k + r];
            sum += CHOSEN(other);
        }
        g /= sum;
    }
    gate[i] = g;
}
