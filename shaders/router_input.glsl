// SPDX-License-Identifier: Apache-2.0
// router_input.glsl: what multiplies the router's input; the GLSL twin of kernels/router_input.cl.h. Include after
// common.glsl and the bindings.
//
// mode 0: 1. mode 1: jitter, bit-equal everywhere. mode 2: the given tensor. mode 3: dropout.
#include "dropout.glsl"

// Factors of columns 4·quad … of a row whose element 4·quad is jit[at]; of them `left` exist.
vec4 input_factors(drop_row d, uint at, uint quad, uint left)
{
    vec4 factor = vec4(1.0);
    if (p.mode == 1u) {
        const uvec4 bits = sy_philox(quad, d.row, d.stream, d.plane, c.seed_lo, c.seed_hi ^ c.step);
        for (uint j = 0u; j < 4u; ++j)
            factor[j] = sy_jitter(bits[j], p.eps);
    } else if (p.mode == 2u) {
        for (uint j = 0u; j < left; ++j)
            factor[j] = jit[at + j];
    } else {
        factor = drop_factors(d, quad);
    }
    return factor;
}
