// SPDX-License-Identifier: Apache-2.0
#include "engine/shard.h"

#include <stdlib.h>

#include "engine/graph_private.h"
#include "engine/message.h"

uint32_t sy_shard_count(const struct sy_graph *g, uint32_t pack)
{
    const bool apart = g->packs[pack].sources > 1; // each place along the expert axis has other ones
    return apart ? g->ranks->data : sy_layout_ranks(g->ranks);
}

uint32_t sy_shard_own(const struct sy_graph *g, uint32_t pack)
{
    const bool apart = g->packs[pack].sources > 1;
    return apart ? g->ranks->rank / g->ranks->expert : sy_layout_rank(g->ranks);
}

/// The owner of a parameter: of the share that its middle lies in. A pack in pieces, which is one parameter, goes
/// whole.
static uint32_t owner(const struct sy_graph *g, const struct sy_param *p, uint32_t ranks)
{
    const struct sy_pack *pack = &g->packs[p->pack];
    const uint64_t half = (uint64_t)p->parts * p->rows * p->cols / 2;
    return pack->each != 0 ? p->pack % ranks : (uint32_t)((p->at + half) * ranks / pack->count);
}

void sy_shards_cut(struct sy_graph *g)
{
    for (uint32_t k = 0; k < g->pack_count; ++k) {
        const uint32_t ranks = sy_shard_count(g, k);
        uint64_t *first = calloc((size_t)ranks + 1, sizeof *first);
        if (first == NULL) {
            sy_graph_no_memory(g);
            return;
        }
        for (uint32_t r = 0; r <= ranks; ++r)
            first[r] = r == 0 ? 0 : g->packs[k].count;
        for (size_t i = 0; i < g->param_count; ++i) { // a share begins with its first parameter
            const struct sy_param *p = &g->params[i];
            for (uint32_t r = p->pack == k ? owner(g, p, ranks) : 0; r > 0 && p->pack == k; --r)
                first[r] = p->at < first[r] ? p->at : first[r];
        }
        free(g->packs[k].shards);
        g->packs[k].shards = first;
    }
}

struct sy_shard sy_shard_of(const struct sy_graph *g, uint32_t pack, uint32_t i)
{
    const uint64_t *first = g->packs[pack].shards;
    return (struct sy_shard){.first = first[i], .end = first[i + 1]};
}

void sy_shard_share(struct sy_graph *g, uint32_t pack)
{
    const bool parameters = (g->packs[pack].flags & SY_PACK_SUMS) == 0;
    const struct sy_ranks_args a = {.n = (u32)g->packs[pack].count, .pack = pack};
    if (parameters && sy_shard_count(g, pack) > 1)
        SY_EMIT(g, share_ranks, &a, g->packs[pack].master);
}
