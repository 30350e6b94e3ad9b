// SPDX-License-Identifier: Apache-2.0
// fill.h: the body of fill, in OpenCL C and GLSL alike.
const uint lid = LOCAL_ID, start = GROUP_ID * SY_CHUNK(WG), end = start + min(SY_CHUNK(WG), p.n - start);
const uint vectors = start + (end - start) / VEC * VEC;
for (uint i = start + lid * VEC; i < vectors; i += WG * VEC)
    F_STV(y, i, V_OF(p.value));
#if VEC > 1
for (uint i = vectors + lid; i < end; i += WG)
    y[i] = p.value;
#endif
