// SPDX-License-Identifier: Apache-2.0
// dispatch_bwd.h: the body of dispatch_bwd, in OpenCL C and GLSL alike.
const uint lid = LOCAL_ID, first = GROUP_ID * SY_ROWS(WG), count = min(SY_ROWS(WG), p.rows - first);
const uint vectors = p.dim / VEC * VEC;
for (uint row = first; row < first + count; ++row) {
    for (uint i = lid * VEC; i < vectors; i += WG * VEC) {
        VF sum = V_OF(0.0f);
        for (uint r = 0u; r < p.k; ++r) {
            const int at = slot[row * p.k + r];
            if (at >= 0)
                sum += T_LDV(dxe, UINT(at) * p.dim + i);
        }
        T_STV(dx, row * p.dim + i, sum);
    }
#if VEC > 1
    for (uint i = vectors + lid; i < p.dim; i += WG) {
        float sum = 0.0f;
        for (uint r = 0u; r < p.k; ++r) {
            const int at = slot[row * p.k + r];
            if (at >= 0)
                sum += T_LD(dxe, UINT(at) * p.dim + i);
        }
        T_ST(dx, row * p.dim + i, sum);
    }
#endif
}
