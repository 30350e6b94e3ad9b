// SPDX-License-Identifier: Apache-2.0
// mass.h: sums of 64 bits over the items of a work-group, in two words, in OpenCL C and GLSL alike. low and high are local
// arrays of WG; call these at the kernel's top level only.
#ifndef SY_MASS_H
#define SY_MASS_H

// Of all items, in each of them.
#define GROUP_MASS(lo, hi)                                       \
    low[lid] = lo;                                               \
    high[lid] = hi;                                              \
    BARRIER();                                                   \
    for (uint half_ = WG / 2u; half_ > 0u; half_ /= 2u) {        \
        if (lid < half_) {                                       \
            const uint sum_ = low[lid] + low[lid + half_];       \
            high[lid] += high[lid + half_] + (sum_ < low[lid] ? 1u : 0u); \
            low[lid] = sum_;                                     \
        }                                                        \
        BARRIER();                                               \
    }                                                            \
    lo = low[0];                                                 \
    hi = high[0];                                                \
    BARRIER()
// Of the items before this one.
#define MASS_BEFORE(lo, hi)                                      \
    low[lid] = lo;                                               \
    high[lid] = hi;                                              \
    BARRIER();                                                   \
    lo = 0u;                                                     \
    hi = 0u;                                                     \
    for (uint i_ = 0u; i_ < lid; ++i_) {                         \
        lo += low[i_];                                           \
        hi += high[i_] + (lo < low[i_] ? 1u : 0u);               \
    }                                                            \
    BARRIER()
#define COUNT_BEFORE(value)                                      \
    low[lid] = value;                                            \
    BARRIER();                                                   \
    value = 0u;                                                  \
    for (uint i_ = 0u; i_ < lid; ++i_)                           \
        value += low[i_];                                        \
    BARRIER()
#endif
