// SPDX-License-Identifier: Apache-2.0
// route_slots.h: the body of route_slots, in OpenCL C and GLSL alike.
const uint lid = LOCAL_ID, first = GROUP_ID * SY_CHUNK(WG), count = min(SY_CHUNK(WG), all - first);
const uint used = UINT(off[p.experts * p.slices]);
for (uint i = first + lid; i < first + count; i += WG) {
    if (i < choices) {
        const int e = expert[i], place = pos[i];
        int at = -1;
        if (e >= 0 && place >= 0 && UINT(place) < p.capacity) {
            at = base[i / p.k / p.group * p.experts + UINT(e)] + place;
            src[at] = INT(i);
        }
        slot[i] = at;
    }
    if (i >= used && i < p.slots)
        src[i] = -1;
}
