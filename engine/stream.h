// SPDX-License-Identifier: Apache-2.0
// stream.h: Philox's `stream` of a place in the model. Layer: engine.
//
// Weights and masks are drawn by it (spec §7, §10), so its values are part of what a seed means: another hash would be
// another model from the same seed, and a resumed run would draw other masks.
#pragma once

#include <stdint.h>

/// FNV-1a, 32 bits, of "SCOPE/WHAT" ("encoder.block.3/ffn"), or of `scope` alone (a tensor's name on disk) where `what`
/// is NULL.
static inline uint32_t sy_stream_id(const char *scope, const char *what)
{
    uint32_t h = 2166136261u;
    for (const char *s = scope; *s != '\0'; ++s)
        h = (h ^ (uint8_t)*s) * 16777619u;
    if (what == NULL)
        return h;
    h = (h ^ (uint8_t)'/') * 16777619u;
    for (const char *s = what; *s != '\0'; ++s)
        h = (h ^ (uint8_t)*s) * 16777619u;
    return h;
}
