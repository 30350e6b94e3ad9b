// SPDX-License-Identifier: Apache-2.0
// attention_rows.c: attention of few queries, one to a work-group: a block of 32 would be mostly empty.
#include "engine/ops/attention.h"
#include "engine/variant.h"

#define MOST_QUERIES 8

static uint64_t groups(const void *args, const struct sy_knobs *knobs)
{
    (void)knobs;
    return sy_attention_rows(args);
}

static bool suits(const void *args)
{
    const struct sy_attention_args *p = args;
    return p->tq <= MOST_QUERIES && p->threshold == 0;
}

const struct sy_variant_impl sy_variant_impl_attention_rows = {
    .what = "a query to a work-group", .groups = groups, .suits = suits};
