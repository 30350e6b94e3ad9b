// SPDX-License-Identifier: Apache-2.0
// add.h: the body of add, in OpenCL C and GLSL alike.
const uint lid = LOCAL_ID, start = GROUP_ID * SY_CHUNK(WG), end = start + min(SY_CHUNK(WG), p.n - start);
const uint vectors = start + (end - start) / VEC * VEC;
for (uint i = start + lid * VEC; i < vectors; i += WG * VEC)
    T_STV(y, i, T_LDV(a, i) + T_LDV(b, i));
#if VEC > 1
for (uint i = vectors + lid; i < end; i += WG)
    T_ST(y, i, T_LD(a, i) + T_LD(b, i));
#endif
