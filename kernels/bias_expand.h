// SPDX-License-Identifier: Apache-2.0
// bias_expand.h: the body of bias_expand, in OpenCL C and GLSL alike.
const uint lid = LOCAL_ID, h = GROUP_ID;
for (uint d = lid; d < p.span; d += WG) {
    const uint b = min(UINT(bucket[d]), p.buckets - 1u); // the host made them; clamped only to stay in memory
    rel[h * p.span + d] = T_LD(bias, b * p.heads + h);
}
