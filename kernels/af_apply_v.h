// SPDX-License-Identifier: Apache-2.0
// af_apply_v.h: the body of af_apply_v, in OpenCL C and GLSL alike.
const uint n = b.rows * b.cols, vectors = n / VEC * VEC;
const float clip = gs[0], rate = scale[b.matrix];
for (uint i = lid * VEC; i < vectors; i += WG * VEC) {
    const VF u = F_LDV(g, b.at + i) * clip / sqrt(F_LDV(v, b.element + i));
    F_STV(w, b.at + i, F_LDV(w, b.at + i) - rate * u);
}
#if VEC > 1
for (uint i = vectors + lid; i < n; i += WG)
    w[b.at + i] -= rate * (g[b.at + i] * clip / sqrt(v[b.element + i]));
#endif
