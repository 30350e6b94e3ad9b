// SPDX-License-Identifier: Apache-2.0
// dropout.glsl: dropout factors of four columns; the GLSL twin of kernels/dropout.cl.h. Include after common.glsl and
// the STEP binding.
#include "chunk.h"
#include "philox.h"

// What is the same for all columns of a row. `random` false: every factor is `constant_factor`.
struct drop_row {
    uint threshold, stream, plane, row, first; // first: added to a column's group of four
    float scale, constant_factor;
    bool random;
};

drop_row make_drop_row(uint threshold, float scale, uint stream, uint stack, uint row, uint plane)
{
    const uint row0 = stack == SY_STACK_STEP ? 0u : stack != 0u ? c.row_dec : c.row_enc;
    return drop_row(threshold, stream, plane, row0 + row, 0u, scale, 1.0, threshold != 0u);
}

// The same for row i of an FFN's hidden activations, given row[i] (op_args.h) when p.indexed.
drop_row make_ffn_row(sy_ffn_act_args a, int source)
{
    const uint k = a.indexed != 0u ? a.k : 1u;
    drop_row d = make_drop_row(a.threshold, a.scale, a.stream, a.stack, uint(source) / k, uint(source) % k);
    d.first = a.first / 4u;
    if (a.indexed != 0u && source < 0) { // unused slot: its row is all zeros
        d.random = false;
        d.constant_factor = 0.0;
    }
    return d;
}

// Factors of columns 4·quad … 4·quad + 3: `scale`, or 0 where dropped.
vec4 drop_factors(drop_row d, uint quad)
{
    if (!d.random)
        return vec4(d.constant_factor);
    const uvec4 bits = sy_philox(d.first + quad, d.row, d.stream, d.plane, c.seed_lo, c.seed_hi ^ c.step);
    return mix(vec4(d.scale), vec4(0.0), lessThan(bits, uvec4(d.threshold)));
}

vec4 kept(vec4 value, vec4 factor) { return mix(vec4(0.0), value * factor, greaterThan(factor, vec4(0.0))); }
// value · factor; 0 for factor 0 even where the value is no number (unused rows hold anything).
float kept(float value, float factor) { return factor > 0.0 ? value * factor : 0.0; }
