// SPDX-License-Identifier: Apache-2.0
// adamw.h: the body of adamw, in OpenCL C and GLSL alike.
const uint lid = LOCAL_ID, start = GROUP_ID * SY_CHUNK(WG), end = start + min(SY_CHUNK(WG), p.n - start);
const uint vectors = start + (end - start) / VEC * VEC;
const float clip = gs[0], lr = STEP_OF(lr), c1 = STEP_OF(adam_c1), c2 = STEP_OF(adam_c2);
for (uint i = start + lid * VEC; i < vectors; i += WG * VEC) {
    const VF gv = F_LDV(g, i) * clip, wv = F_LDV(w, i);
    const VF mv = p.beta1 * F_LDV(m, i) + (1.0f - p.beta1) * gv;
    const VF vv = p.beta2 * F_LDV(v, i) + (1.0f - p.beta2) * (gv * gv);
    F_STV(m, i, mv);
    F_STV(v, i, vv);
    F_STV(w, i, wv - lr * (mv * c1 / (sqrt(vv * c2) + p.eps) + p.decay * wv));
}
#if VEC > 1
for (uint i = vectors + lid; i < end; i += WG) {
    const float gv = g[i] * clip, wv = w[i];
    const float mv = p.beta1 * m[i] + (1.0f - p.beta1) * gv;
    const float vv = p.beta2 * v[i] + (1.0f - p.beta2) * (gv * gv);
    m[i] = mv;
    v[i] = vv;
    w[i] = wv - lr * (mv * c1 / (sqrt(vv * c2) + p.eps) + p.decay * wv);
}
#endif
