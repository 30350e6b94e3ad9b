// SPDX-License-Identifier: Apache-2.0
#include "engine/turns.h"

#include <assert.h>

uint32_t sy_turns_blocks(const struct sy_layout *l, uint32_t d, uint32_t micro_count,
                         struct sy_turns out[SY_MAX_BLOCKS])
{
    if (l == NULL || l->turns == NULL) {
        out[0] = (struct sy_turns){.count = micro_count, .at = d * micro_count};
        return 1;
    }
    uint32_t count = 0;
    for (uint32_t at = l->turns[d], end = l->turns[d + 1], size; at < end; at += size) {
        size = at == 0 ? 1u << 31 : at & (0u - at);
        while (size > end - at)
            size /= 2;
        assert(count < SY_MAX_BLOCKS);
        out[count++] = (struct sy_turns){.first = at - l->turns[d], .count = size, .at = at};
    }
    return count;
}

uint32_t sy_turns_own(const struct sy_layout *l, uint32_t micro_count, struct sy_turns out[SY_MAX_BLOCKS])
{
    return sy_turns_blocks(l, l == NULL ? 0 : l->rank / l->expert, micro_count, out);
}

uint32_t sy_turns_number(const struct sy_layout *l, uint32_t micro_count, uint32_t micro)
{
    struct sy_turns blocks[SY_MAX_BLOCKS];
    uint32_t b = sy_turns_own(l, micro_count, blocks) - 1;
    while (blocks[b].first > micro)
        --b;
    return sy_layout_sources(l) * blocks[b].at + sy_layout_place(l) * blocks[b].count + micro - blocks[b].first;
}
