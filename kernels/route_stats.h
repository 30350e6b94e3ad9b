// SPDX-License-Identifier: Apache-2.0
// route_stats.h: the body of route_stats, in OpenCL C and GLSL alike.
const uint lid = LOCAL_ID, slice = GROUP_ID, rows = p.rows / p.slices, groups = p.groups / p.slices;
const uint to = slice * (p.experts + 4u);
for (uint e = lid; e < p.experts; e += WG) {
    int sum = 0;
    for (uint g = slice * groups; g < (slice + 1u) * groups; ++g)
        sum += load[g * p.experts + e];
    stats[to + e] = FLOAT(sum);
}
uint real = 0u, lost = 0u, counted = 0u;
float gates = 0.0f;
for (uint row = slice * rows + lid; row < (slice + 1u) * rows; row += WG) {
    bool placed = false;
    for (uint i = row * p.k; i < (row + 1u) * p.k; ++i) {
        const float value = (i - row * p.k) % p.gate_step == 0u ? gate[i] : 0.0f;
        placed = placed || slot[i] >= 0;
        gates += value;
        counted += value != 0.0f ? 1u : 0u;
    }
    real += mask[row] != 0 ? 1u : 0u;
    lost += mask[row] != 0 && !placed ? 1u : 0u;
}
SUM_OF_GROUP(FLOAT(real), all_real);
SUM_OF_GROUP(FLOAT(lost), all_lost);
SUM_OF_GROUP(gates, all_gates);
SUM_OF_GROUP(FLOAT(counted), all_counted);
if (lid == 0u) {
    stats[to + p.experts] = all_real;
    stats[to + p.experts + 1u] = all_lost;
    stats[to + p.experts + 2u] = all_gates;
    stats[to + p.experts + 3u] = all_counted;
}
