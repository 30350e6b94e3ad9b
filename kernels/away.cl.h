// SPDX-License-Identifier: Apache-2.0
// away.cl.h: results that nobody reads soon are written past the caches; include after panel.cl.h.
//
// A store to a line that no cache has fetches the line first, only to overwrite it: half as many bytes again, and what the
// caches held is lost. A gradient of many experts is larger than they are, and its next reader is the update.
#ifndef SY_AWAY_CL_H
#define SY_AWAY_CL_H

#define AWAY_BYTES (16u << 20) // of a tensor

#ifdef __has_builtin
#if WG == 1 && defined(__x86_64__) && __has_builtin(__builtin_nontemporal_store)
#define STORE_AWAY(v, p) __builtin_nontemporal_store(v, (__global BF *)(p))
#endif
#endif

// Whether a tensor of f32 that is written once, [planes][m][n], is stored so: where it is large and whole vectors are
// aligned.
static inline bool is_away(__global const float *c, uint planes, uint m, uint n, uint accumulate)
{
#ifdef STORE_AWAY
    return accumulate == 0 && n % SY_PANEL == 0 && (size_t)c % (4u * SY_PANEL) == 0 &&
           (size_t)planes * m * n >= AWAY_BYTES / 4u;
#else
    return false;
#endif
}

// panel_store() of a whole panel, without accumulating, if `away`.
static inline void panel_store_away(const float *sums, uint rows, uint cols, __global float *c, uint stride, float alpha,
                                    uint accumulate, bool away)
{
#ifdef STORE_AWAY
    if (away) {
        for (uint r = 0; r < rows; ++r)
            for (uint j = 0; j < SY_PANEL; j += BLOCK_VEC)
                STORE_AWAY(alpha * BF_LOAD(sums + r * SY_PANEL + j), c + (size_t)r * stride + j);
        return;
    }
#endif
    panel_store(sums, rows, cols, c, stride, alpha, accumulate);
}

// After a work-group's last one: such stores keep no order with others, and whoever waits for the group must see them.
static inline void away_end(bool away)
{
#ifdef STORE_AWAY
    if (away)
        __builtin_ia32_sfence();
#endif
}
#endif
