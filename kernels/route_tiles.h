// SPDX-License-Identifier: Apache-2.0
// route_tiles.h: the body of route_tiles, in OpenCL C and GLSL alike.
#define PUT(t, e, first_row, end_row)       \
    {                                       \
        tiles[4u * (t)] = (e);              \
        tiles[4u * (t) + 1u] = (first_row); \
        tiles[4u * (t) + 2u] = (end_row);   \
        tiles[4u * (t) + 3u] = 0;           \
    }
const uint lid = LOCAL_ID, run = (p.experts + WG - 1u) / WG;
const uint first = min(lid * run, p.experts), end = min(first + run, p.experts);
uint t = 0u, total = 0u;
#if !ALONE
uint own = 0u;
for (uint e = first; e < end; ++e)
    own += (UINT(off[(e + 1u) * p.slices] - off[e * p.slices]) + p.tile_rows - 1u) / p.tile_rows;
part[lid] = own;
BARRIER();
for (uint i = 0u; i < WG; ++i) {
    t += i < lid ? part[i] : 0u;
    total += part[i];
}
#endif
for (uint e = first; e < end; ++e) {
    const uint stop = UINT(off[(e + 1u) * p.slices]);
    for (uint row = UINT(off[e * p.slices]); row < stop; row += p.tile_rows, ++t)
        PUT(t, INT(e), INT(row), INT(min(row + p.tile_rows, stop)))
}
#if ALONE
total = t;
#endif
for (uint i = total + lid; i < p.tiles; i += WG)
    PUT(i, -1, 0, 0)
