// SPDX-License-Identifier: Apache-2.0
// cast.h: the body of cast, in OpenCL C and GLSL alike.
const uint lid = LOCAL_ID, start = GROUP_ID * SY_CHUNK(WG), end = start + min(SY_CHUNK(WG), p.n - start);
const uint vectors = start + (end - start) / VEC * VEC;
for (uint i = start + lid * VEC; i < vectors; i += WG * VEC)
    T_STV(y, i, F_LDV(x, i));
#if VEC > 1
for (uint i = vectors + lid; i < end; i += WG)
    T_ST(y, i, x[i]);
#endif
