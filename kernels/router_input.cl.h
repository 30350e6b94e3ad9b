// SPDX-License-Identifier: Apache-2.0
// router_input.cl.h: what multiplies the router's input, for router_input and router_input_bwd; after common.cl.h.
//
// mode 0: 1. mode 1: jitter, bit-equal everywhere. mode 2: the given tensor. mode 3: dropout.
#ifndef SY_ROUTER_INPUT_CL_H
#define SY_ROUTER_INPUT_CL_H
#include "dropout.cl.h"

// sy_jitter() (philox.h) of VEC elements: the same two roundings.
static inline VF jitter_v(VU bits, float eps)
{
    const VF s = (SY_CAT(convert_float, VEC)(bits >> 8) - 8388608.0f) * (1.0f / 8388608.0f);
    const VF d = eps * s;
    return 1.0f + d;
}

// Factors of columns col … col + DROP_COLS − 1 of a row whose element `col` is jit[at]; of them `left` exist.
static inline void input_factors(const struct sy_router_input_args p, const struct drop_row *d, __global const float *jit,
                          uint at, uint col, uint left, VF factor[DROP_VECS])
{
    if (p.mode == 1u) {
        VU bits[DROP_VECS];
        drop_bits(d, col, bits);
        for (uint v = 0u; v < DROP_VECS; ++v)
            factor[v] = jitter_v(bits[v], p.eps);
    } else if (p.mode == 2u && left >= DROP_COLS) {
        for (uint v = 0u; v < DROP_VECS; ++v)
            factor[v] = V_LOAD(v, jit + at);
    } else if (p.mode == 2u) {
        float given[DROP_COLS];
        for (uint j = 0u; j < DROP_COLS; ++j)
            given[j] = j < left ? jit[at + j] : 1.0f;
        for (uint v = 0u; v < DROP_VECS; ++v)
            factor[v] = V_LOAD(v, given);
    } else {
        drop_factors(d, col, factor);
    }
}
#endif
