// SPDX-License-Identifier: Apache-2.0
// panel.glsl: four neighbouring columns of a packed panel as one load; for matmul_packed and matmul_dw_packed.
#include "tiles.h"

#ifdef T_BF16
#define T4 uvec2
vec4 unpack4(uvec2 h) { return uintBitsToFloat(uvec4(h.x << 16, h.x & 0xffff0000u, h.y << 16, h.y & 0xffff0000u)); }
#else
#define T4 vec4
#define unpack4(v) (v)
#endif

#define PANEL_QUADS (uint(SY_PANEL) / 4u)
#define UNIT_ROWS 8u
