// SPDX-License-Identifier: Apache-2.0
// coop_pieces.glsl: what all shaders with cooperative matrices (VK_KHR_cooperative_matrix) share: factors come from memory
// in 16-byte pieces of 8 values, pass through registers and lie in shared memory as their matrix is stored.
//
// HALF: factors go through f16 instead of bf16, for drivers to test on that have no bf16 product; values beyond f16's
// range are lost. The includer declares its bindings first, factors twice: as T and, WIDE, in pieces.
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#ifdef HALF
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#define FACTOR float16_t
#else
#extension GL_EXT_bfloat16 : require
#define FACTOR bfloat16_t
#endif

layout(constant_id = 1) const uint CM = 16;
layout(constant_id = 2) const uint CN = 16;
layout(constant_id = 3) const uint CK = 16;

const uint PIECE = 8u;

#define WIDE(b, name) layout(std430, set = 0, binding = b) readonly buffer Wide_##name { uvec4 name[]; }

uint left_of(uint limit, uint at) { return limit > at ? limit - at : 0u; }

#ifdef HALF
uint half_pair(uint pair) { return packHalf2x16(vec2(bf16_to_float(pair & 0xffffu), bf16_to_float(pair >> 16))); }
uvec4 factors(uvec4 v) { return uvec4(half_pair(v.x), half_pair(v.y), half_pair(v.z), half_pair(v.w)); }
#else
uvec4 factors(uvec4 v) { return v; }
#endif

// Piece i of this item: the line it is of, and its first place there.
#define OUTER(i, inner) ((lid + (i) * WG) / ((inner) / PIECE))
#define INNER(i, inner) ((lid + (i) * WG) % ((inner) / PIECE) * PIECE)

// next[] = this item's pieces of `inner` values each of lines of src, `stride` apart, of which outer_left lines and
// inner_left values exist. `whole`: every piece is 16 aligned bytes, all of it inside or all outside. No index is one
// that only a loop knows: next[] would leave the registers.
#define FETCH(next, pieces, inner, src, wide, base, stride, outer_left, inner_left, whole)                     \
    if (whole) {                                                                                               \
        [[unroll]] for (uint i = 0u; i < pieces; ++i) {                                                        \
            const bool inside = OUTER(i, inner) < (outer_left) && INNER(i, inner) < (inner_left);              \
            next[i] = inside ? wide[((base) + OUTER(i, inner) * (stride) + INNER(i, inner)) / PIECE] : uvec4(0u); \
        }                                                                                                      \
    } else {                                                                                                   \
        [[unroll]] for (uint i = 0u; i < pieces; ++i) {                                                        \
            const uint at = (base) + OUTER(i, inner) * (stride) + INNER(i, inner);                             \
            const uint count = OUTER(i, inner) < (outer_left) ? left_of(inner_left, INNER(i, inner)) : 0u;     \
            uvec4 v = uvec4(0u);                                                                               \
            [[dont_unroll]] for (uint j = 0u; j < PIECE; j += 2u) {                                            \
                uint pair = 0u;                                                                                \
                if (j < count)                                                                                 \
                    pair = uint(src[at + j]);                                                                  \
                if (j + 1u < count)                                                                            \
                    pair |= uint(src[at + j + 1u]) << 16;                                                      \
                v = uvec4(v.yzw, pair);                                                                        \
            }                                                                                                  \
            next[i] = v;                                                                                       \
        }                                                                                                      \
    }

#define PUT(slab, start, ld, next, pieces, inner)                                                              \
    [[unroll]] for (uint i = 0u; i < pieces; ++i)                                                              \
        slab[(start) + OUTER(i, inner) * (ld) + INNER(i, inner) / PIECE] = factors(next[i]);

// How a matrix is stored: in lines along k (LINES) or of the other axis (DEPTH).
#define LINES_A gl_CooperativeMatrixLayoutRowMajor
#define DEPTH_A gl_CooperativeMatrixLayoutColumnMajor
#define LINES_B gl_CooperativeMatrixLayoutColumnMajor
#define DEPTH_B gl_CooperativeMatrixLayoutRowMajor

#define SUM coopmat<float, gl_ScopeSubgroup, CM, CN, gl_MatrixUseAccumulator>
